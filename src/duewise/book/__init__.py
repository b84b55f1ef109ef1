"""What is owed: the tables of a loan book, and what follows from them on a day. Pure."""

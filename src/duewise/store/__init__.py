"""What we remember: operations in PostgreSQL, the book and the journal in Parquet."""

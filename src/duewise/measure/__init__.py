"""Did it work: outcomes of treated and hold-out borrowers, with an interval or a reason."""

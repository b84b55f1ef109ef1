"""Whom, when, how: one decision a day per borrower, from a file an analyst can read aloud."""

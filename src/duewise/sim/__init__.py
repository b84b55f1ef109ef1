"""A lender that never was: borrowers, their loans, and what they do when they are reminded."""

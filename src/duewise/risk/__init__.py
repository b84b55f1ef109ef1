"""Who is likely to slip."""

"""How much at once: the pure plan of one partition, and the ways to run it over many."""

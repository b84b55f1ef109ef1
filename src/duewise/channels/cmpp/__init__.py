"""CMPP 2.0 and 3.0 over TCP, to a line of China Mobile and of whom else speaks it."""

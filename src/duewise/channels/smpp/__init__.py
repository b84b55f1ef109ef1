"""SMPP 3.4 over TCP, to the lender's own line: codec, session, channel."""

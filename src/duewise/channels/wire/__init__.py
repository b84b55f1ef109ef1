"""What all carriers' wires share: frames cut from a stream, a session, a channel over it."""

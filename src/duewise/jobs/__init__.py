"""Read, ask the core, write: the only places where the stages meet the world."""

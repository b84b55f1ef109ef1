"""May we: rules as data, compiled once, and judged for ten million messages or for forty."""

"""What we say and are told: templates, their lint, their parts, and replies. Pure."""

"""How it leaves: one folder a channel, each knowing `base` and none of its siblings."""

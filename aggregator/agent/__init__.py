"""The host's agent: one process that moves what workers and other programs counted, merges it, and writes it."""

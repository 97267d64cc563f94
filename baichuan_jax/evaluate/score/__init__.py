"""How probable a model finds continuations, many at a time."""

"""The quality model: hashed n-grams, a linear classifier, and how well it does."""

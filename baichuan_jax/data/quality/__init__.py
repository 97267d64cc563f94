"""The quality model: hashed n-grams, a linear classifier, and its evaluation."""

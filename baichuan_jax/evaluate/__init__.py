"""Held-out bits per byte and its baselines."""

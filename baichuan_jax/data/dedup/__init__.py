"""Duplicates: equal texts, near-duplicate documents and sentences."""

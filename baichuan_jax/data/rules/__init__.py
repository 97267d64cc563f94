"""Normalisation, and heuristic rules for documents and sentences."""

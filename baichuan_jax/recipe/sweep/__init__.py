"""Sweeps of a run: points that differ in settings, made by processes that may be killed at any moment."""

"""Leaf helpers: errors, files, stages, metrics. Imports nothing of ours."""

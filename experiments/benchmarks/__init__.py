"""Benchmarks: `python -m experiments.benchmarks.NAME --help`."""

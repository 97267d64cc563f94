"""Benchmarks and scripts that measure: `python -m experiments.benchmarks.NAME --help`."""

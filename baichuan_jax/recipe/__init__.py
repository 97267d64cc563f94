"""The recipe as a library: `RunConfig`, the table of stages, and `Run`, a run as an object.

Importing it loads no jax: stages import what they compute with when they are built.
"""

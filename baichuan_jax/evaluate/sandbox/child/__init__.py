"""The inside of the sandbox: a process that gives up all it could do harm with, and then runs a program.

Nothing here imports more than the standard library: what is loaded is in reach of the program.
"""

"""Ahead-of-time compilation for machines that are not here: memory, bytes sent, speed."""

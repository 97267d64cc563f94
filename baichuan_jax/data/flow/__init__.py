"""The data step: its phases, and the files between them."""

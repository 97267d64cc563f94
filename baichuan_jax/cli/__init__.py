"""The command line and the gin edge. The only package that imports gin."""

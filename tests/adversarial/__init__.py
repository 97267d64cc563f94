"""Text made to be slow: by the grammar of every pattern, and by what costs loops over text the most."""

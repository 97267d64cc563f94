"""Attention: the layer, its patterns, and the implementations of full attention."""

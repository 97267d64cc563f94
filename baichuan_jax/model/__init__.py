"""The decoder. The only package that imports flax; outside it parameters are plain nested dicts."""

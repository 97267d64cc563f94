"""The recipe: the settings of a run, its stages, and a run as an object."""

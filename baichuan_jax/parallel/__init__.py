"""Device mesh and axis rules: which array dimension lives on which mesh axis."""

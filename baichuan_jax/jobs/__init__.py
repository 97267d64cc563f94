"""Running tasks: on this machine, on Slurm, on Ray."""

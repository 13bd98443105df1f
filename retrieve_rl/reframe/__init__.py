"""Re:Frame (arXiv 2508.19344): an offline policy corrected by a memory of expert trajectories."""

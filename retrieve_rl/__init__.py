"""Retrieval-augmented reinforcement learning: two papers over one retrieval core."""

__version__ = "0.1.0"

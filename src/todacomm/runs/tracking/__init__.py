"""Measure a series of checkpoints: which there are, one after the other, what moves along the steps."""

__all__ = ["along_steps", "in_memory", "loops_of_track", "track"]

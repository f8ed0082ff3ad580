"""Measure clouds along a model and attach inference: one Profile."""

__all__ = ["expansion", "from_arrays", "intervals_and_nulls", "measure", "onsets", "trajectory"]

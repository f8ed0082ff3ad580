"""The clouds along a model → one Profile with its inference."""

__all__ = ["expansion", "from_arrays", "intervals_and_nulls", "measure"]

"""Charts of the loops of a layer."""

__all__ = ["loop_charts"]

"""What was computed before, kept by content."""

__all__ = ["entries", "keys", "store"]

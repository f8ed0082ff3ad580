"""A content-addressed cache of results."""

__all__ = ["entries", "keys", "store"]

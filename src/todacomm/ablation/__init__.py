"""Claims judged again under other settings."""

__all__ = ["claims", "judge", "settings"]

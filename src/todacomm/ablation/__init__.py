"""Re-test claims under other settings."""

__all__ = ["claims", "judge", "settings"]

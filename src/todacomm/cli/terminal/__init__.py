"""What all commands share: help, streams, tables, and how the program ends."""

__all__ = ["console", "ending", "help", "streams", "tables"]

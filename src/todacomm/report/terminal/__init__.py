"""Records in the terminal: tables, overviews, sparklines."""

__all__ = ["overview", "plain_text", "table"]

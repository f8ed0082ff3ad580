"""Whether what was written holds together: `todacomm verify`."""

__all__ = ["verify"]

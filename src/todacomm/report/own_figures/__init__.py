"""Figures that a user draws: `todacomm.plots` is their door."""

__all__ = ["along", "bars", "circles", "files"]

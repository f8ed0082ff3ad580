"""Compute persistence diagrams and their metrics: engines, metrics, distances between diagrams."""

__all__ = ["bitlink", "diagram_distances", "engines", "essential_bars", "metrics", "rips"]

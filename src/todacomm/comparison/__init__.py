"""Profiles side by side: differences, tests, which are alike, and the gate."""

__all__ = ["clustering", "compare", "diagram_tests", "differences", "expressions", "gate", "layer_distances"]

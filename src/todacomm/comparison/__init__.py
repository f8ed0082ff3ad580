"""Compare profiles: differences, tests, clustering, and the gate."""

__all__ = [
    "clustering",
    "compare",
    "diagram_tests",
    "differences",
    "expressions",
    "gate",
    "layer_distances",
    "partings",
]

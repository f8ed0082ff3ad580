"""Intervals, null models, tests, p-values; knows no model and no file."""

__all__ = [
    "changepoints",
    "gaussian_null",
    "intervals",
    "layer_statistics",
    "loop_test",
    "metrics_on_halves",
    "null_models",
    "permutations",
    "pvalues",
    "random_halves",
]

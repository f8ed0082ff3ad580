"""Intervals, null models, tests, p-values; knows no model and no file."""

__all__ = [
    "changepoints",
    "gaussian_null",
    "intervals",
    "loop_test",
    "loop_test_in_groups",
    "metrics_on_halves",
    "null_models",
    "permutations",
    "pvalues",
    "random_halves",
]

"""Intervals, null models, tests, p-values; knows no model and no file."""

__all__ = [
    "changepoints",
    "gaussian_null",
    "intervals",
    "loop_test",
    "loop_test_in_groups",
    "metrics_on_halves",
    "permutations",
    "pvalues",
    "random_halves",
]

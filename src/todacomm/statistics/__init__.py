"""Confidence intervals, null models, tests and p-values, independent of models and files."""

__all__ = [
    "changepoints",
    "gaussian_null",
    "intervals",
    "layer_statistics",
    "loop_power",
    "loop_test",
    "metrics_on_halves",
    "null_models",
    "permutations",
    "pvalues",
    "random_halves",
    "vertices",
]

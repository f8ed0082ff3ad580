"""Run and resume studies of stability."""

__all__ = ["stability_experiment", "stability_results", "stability_runs"]

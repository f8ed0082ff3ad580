"""The report on several models: charts, figures and sections."""

__all__ = ["comparison_charts", "comparison_plots", "comparison_sections", "pair_plots", "several_runs"]

"""The report on several models: charts and sections."""

__all__ = ["all_charts", "comparison_charts", "comparison_sections", "several_runs"]

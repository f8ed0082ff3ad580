"""Every chart of a comparison, described and written as figures."""

from collections.abc import Iterator
from pathlib import Path

from todacomm.report.comparison import comparison_charts as along_depth  # isort: skip  # importing them registers their charts, in this order
from todacomm.report.comparison import pair_charts  # isort: skip
from todacomm.report.comparison import clustering_charts  # isort: skip
from todacomm.report.comparison import language_charts  # isort: skip
from todacomm.comparison.compare import Comparison
from todacomm.report.document.chart import Chart, pictured
from todacomm.report.document.pieces import Context

__all__ = [
    "along_depth",
    "charts_of",
    "clustering_charts",
    "comparison_charts",
    "language_charts",
    "pair_charts",
    "write_comparison_charts",
]

comparison_charts = along_depth.comparison_charts


def charts_of(comparison: Comparison, context: Context, *names: str) -> Iterator[Chart]:
    """The charts of these names, with their figures where these were written."""
    return pictured(comparison_charts.of(comparison, *names), context.get("figures", ()))


def write_comparison_charts(comparison: Comparison, directory: Path) -> list[Path]:
    """The figures of a comparison; returns the PNG files."""
    from todacomm.report.document.matplotlib_renderer import write_charts

    return write_charts(comparison_charts.of(comparison), directory)

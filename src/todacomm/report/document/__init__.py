"""Shared by all reports: pieces of a document, the page, style, charts and their two renderers, parts of figures."""

__all__ = [
    "chart",
    "drawings",
    "figure_formats",
    "figure_parts",
    "loop_example",
    "matplotlib_renderer",
    "page",
    "page_renderer",
    "pieces",
    "rounding",
    "style",
    "turns",
]

"""What all reports share: pieces of a document, the page, style, parts of figures and charts."""

__all__ = ["chart_parts", "drawings", "figure_formats", "figure_parts", "page", "pieces", "rounding", "style"]

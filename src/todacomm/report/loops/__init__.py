"""Loops of layers: what is told of them, their charts, and loops through layers."""

__all__ = ["chains", "loop_sections", "loop_sentences", "ribbon_chart"]

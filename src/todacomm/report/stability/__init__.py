"""How perturbed copies moved beside a training: figures, sentences, tables, the page."""

__all__ = ["stability_charts", "stability_findings", "stability_sections"]

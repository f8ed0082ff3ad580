"""The report on one model: its figures, sections and explorer along the layers."""

__all__ = [
    "along_plots",
    "diagram_plots",
    "explorers",
    "layer_document",
    "layer_explorer",
    "null_plots",
    "plots",
    "series",
    "topology_sections",
]

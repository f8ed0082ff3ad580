"""The report on one model: its figures, sections and explorer along the layers."""

__all__ = [
    "all_figures",
    "along_charts",
    "diagram_plots",
    "explorers",
    "layer_document",
    "layer_explorer",
    "series",
    "topology_sections",
]

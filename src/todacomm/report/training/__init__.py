"""The report on an experiment of training."""

__all__ = ["clock_plots", "read_experiment", "tables", "training_document", "turned_sections"]

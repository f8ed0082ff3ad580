"""The report on an ablation."""

__all__ = ["ablation_sections"]

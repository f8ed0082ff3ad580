"""Probes: words in a known order, asked of a model; their files, the work, and what is written."""

__all__ = ["probe_model", "write_probe"]

"""The files of a checkpoint → a model: which they are, whether they are safe and complete, adapters, loading."""

__all__ = ["base_and_adapter", "checkpoint_files", "loading", "placement"]

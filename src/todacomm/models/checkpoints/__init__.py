"""Turn the files of a checkpoint into a model: find and check them, merge adapters, load."""

__all__ = ["base_and_adapter", "checkpoint_files", "loading", "placement", "user_networks"]

"""Run a model on texts: activations, loss, perplexity."""

__all__ = [
    "any_network",
    "batching",
    "blockwise",
    "collector",
    "datasets",
    "extraction",
    "names",
    "perplexity",
    "pooling",
    "size_and_flops",
    "table_rows",
    "text_files",
    "turned_module",
    "turned_states",
]

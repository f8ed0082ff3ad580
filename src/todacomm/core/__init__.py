"""The words that every stage speaks: errors, frozen types, registries, recipes, progress."""

__all__ = [
    "_version",
    "array_input",
    "diagrams",
    "errors",
    "inference_types",
    "memory",
    "parallel",
    "progress",
    "recipe",
    "registry",
    "threads",
    "types",
    "value_types",
    "versions",
]

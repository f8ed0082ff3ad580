"""All that is written to disk and read again; does no work."""

__all__ = [
    "ablations",
    "clouds",
    "comparisons",
    "damaged",
    "inference",
    "io",
    "locks",
    "result_directories",
    "runs",
    "texts",
    "training",
    "typed_json",
    "unfinished",
]

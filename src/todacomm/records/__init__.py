"""All that is written to disk and read again; does no work."""

__all__ = [
    "ablations",
    "clouds",
    "codec",
    "comparisons",
    "damaged",
    "fault_messages",
    "inference",
    "io",
    "locks",
    "loops",
    "probes",
    "result_directories",
    "runs",
    "texts",
    "training",
    "unfinished",
]

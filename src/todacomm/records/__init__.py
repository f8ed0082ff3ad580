"""All that is written to disk and read again; does no work. ``files/`` holds how, the modules beside it what."""

__all__ = [
    "ablations",
    "clouds",
    "comparisons",
    "disagreements",
    "inference",
    "loops",
    "monitoring",
    "probes",
    "runs",
    "stability",
    "texts",
    "tracks",
    "training",
]

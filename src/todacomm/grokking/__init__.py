"""The grokking laboratory: train small networks on small tasks, and watch the shape of what they learn.

Step by step: ``for checkpoint in td.grokking.train(task, weight_decay=1.0)``. Whole runs, and what they show beside controls:

    task = td.grokking.Task("add", 113)
    runs = [td.grokking.course(task, seed=46)]
    controls = [td.grokking.course(task, seed=seed, weight_decay=0.0, kind="control") for seed in (46, 47)]
    td.grokking.signature(runs, controls=controls).verdict
"""

from importlib import import_module
from typing import Any

_PLACES = {  # in the order in which data flows; some stand in strata above
    "Task": "grokking.tasks",
    "Images": "grokking.images",
    "Shape": "grokking.networks",
    "Training": "grokking.training",
    "Measured": "grokking.training",
    "Checkpoint": "grokking.training",
    "Run": "grokking.training",
    "train": "grokking.training",
    "course": "laboratory",
    "watched": "watching",
    "Observation": "watching",
    "Course": "watching",
    "profile_along": "watching",
    "signature": "signature",
    "Signature": "signature",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'todacomm.grokking' has no attribute '{name}'")
    return getattr(import_module(f"todacomm.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return list(_PLACES)

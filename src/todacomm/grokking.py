"""The grokking laboratory: train small networks on small tasks, and watch the shape of what they learn.

Step by step: ``for checkpoint in td.grokking.train(task, weight_decay=1.0)``. Whole runs, and what they show beside controls:

    task = td.grokking.Task("add", 113)
    runs = [td.grokking.course(task, seed=46)]
    controls = [td.grokking.course(task, seed=seed, weight_decay=0.0, kind="control") for seed in (46, 47)]
    td.grokking.signature(runs, controls=controls).verdict
"""

from importlib import import_module
from typing import Any

_PLACES = {  # in the order in which data flows
    "Task": "training.tasks",
    "Images": "training.digit_images",
    "Shape": "training.networks",
    "Training": "training.training_loop",
    "Measured": "training.training_loop",
    "Checkpoint": "training.training_loop",
    "Run": "training.training_loop",
    "train": "training.training_loop",
    "course": "runs.training_runs",
    "watched": "training.observe",
    "Observation": "training.observe",
    "Course": "training.observe",
    "profile_along": "training.observe",
    "signature": "training.signature",
    "Signature": "training.signature",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'todacomm.grokking' has no attribute '{name}'")
    return getattr(import_module(f"todacomm.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return list(_PLACES)

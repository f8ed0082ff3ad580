"""The grokking laboratory: train small networks on small tasks, and watch the shape of what they learn.

for checkpoint in td.grokking.train(td.grokking.Task("add", 113), weight_decay=1.0): ...
runs = [td.grokking.watch(task, training) for …]; td.grokking.signature(runs, controls=…)
"""

from importlib import import_module
from typing import Any

_PLACES = {
    "Task": "grokking.tasks",
    "Images": "grokking.images",
    "Shape": "grokking.networks",
    "Training": "grokking.training",
    "Measured": "grokking.training",
    "Checkpoint": "grokking.training",
    "Run": "grokking.training",
    "train": "grokking.training",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'todacomm.grokking' has no attribute '{name}'")
    return getattr(import_module(f"todacomm.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return list(_PLACES)

"""The grokking laboratory: train small networks on small tasks, and watch the shape of what they learn.

Step by step: ``for checkpoint in td.grokking.train(task, weight_decay=1.0)``. Whole runs, compared with controls:

    task = td.grokking.Task("add", 113)
    runs = [td.grokking.course(task, seed=46)]
    controls = [td.grokking.course(task, seed=seed, weight_decay=0.0, kind="control") for seed in (46, 47)]
    td.grokking.signature(runs, controls=controls).verdict
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from todacomm.runs.loops.turn_run import turn_run
    from todacomm.runs.training_runs import course
    from todacomm.stability.laboratory import stability_of
    from todacomm.training.digit_images import Images
    from todacomm.training.networks import Shape
    from todacomm.training.observe import Course, Observation, profile_along, watched
    from todacomm.training.run_settings import Measured, Training
    from todacomm.training.signature import Signature, signature
    from todacomm.training.tasks import Task
    from todacomm.training.training_loop import Checkpoint, Run, train

_PLACES = {  # in the order in which data flows
    "Task": "training.tasks",
    "Images": "training.digit_images",
    "Shape": "training.networks",
    "Training": "training.run_settings",
    "Measured": "training.run_settings",
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
    "turn_run": "runs.loops.turn_run",
    "stability_of": "stability.laboratory",
}

__all__ = [
    "Checkpoint",
    "Course",
    "Images",
    "Measured",
    "Observation",
    "Run",
    "Shape",
    "Signature",
    "Task",
    "Training",
    "course",
    "profile_along",
    "signature",
    "stability_of",
    "train",
    "turn_run",
    "watched",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'todacomm.grokking' has no attribute '{name}'")
    return getattr(import_module(f"todacomm.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return list(_PLACES)

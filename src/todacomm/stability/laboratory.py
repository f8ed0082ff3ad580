"""Stability of a training of the laboratory: copies of its network, and what the unperturbed one shows beside them."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from todacomm.core.errors import InvalidInput
from todacomm.stability.copies import Copies
from todacomm.stability.measure import Ground, Numbers, measure_stability
from todacomm.stability.sharpness import Weights, sharpness
from todacomm.stability.stability import PRECONDITIONED, SHARPNESS, Copying, Stability
from todacomm.training.digit_images import Images
from todacomm.training.observe import watch
from todacomm.training.run_settings import Measured, Training
from todacomm.training.tasks import Task
from todacomm.training.training_loop import Run, draw_indices

SHARP_ROWS = 512  # training inputs of whose loss the sharpness is taken
KEPT = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "weight_norm", "fourier_top5_share")


def stability_of(
    task: Task | Images,
    training: Training,
    measured: Measured | None = None,
    copying: Copying | None = None,
    *,
    about: Mapping[str, Any] | None = None,
) -> Stability:
    """Train a network of the laboratory to the end of its warm-up, then perturbed copies beside it to the end.

    Beside the copies the unperturbed network is looked at: accuracy, persistent homology of its embedding and hidden
    states, sharpness, all on the same steps.

    Parameters
    ----------
    task : Task or Images
        What is learned.
    training : Training
        How.
    measured : Measured, optional
        What is looked at in the unperturbed network.
    copying : Copying, optional
        How many copies, how far they are moved, how often they are brought back.
    about : mapping, optional
        ``name`` and ``settings`` of the run, as its record has them.

    Returns
    -------
    Stability
        Growth of the copies window by window, and the numbers of the unperturbed network.

    Raises
    ------
    InvalidInput
        Where fewer than two windows are left after the warm-up.
    TrainingFailed
        Where the loss of the unperturbed network is not finite.

    Examples
    --------
    >>> import todacomm as td
    >>> task, copying = td.grokking.Task(prime=7, train_fraction=0.5), td.Copying(copies=3, scanned=(), every=10)
    >>> found = td.grokking.stability_of(task, td.grokking.Training(steps=100, batch=8), copying=copying)
    >>> found.exponent().value is not None
    True

    """
    copying, run = copying or Copying(), Run(task, training, measured)
    start = start_of(training)
    left = training.steps - start
    if left < 2 * copying.every:
        raise InvalidInput(
            f"{training.steps} steps leave {max(left, 0)} after the warm-up of {start}, and copies are followed over "
            f"windows of {copying.every}; expected at least {start + 2 * copying.every} steps"
        )
    run.train_to(start)
    held_out = torch.from_numpy(task.inputs[draw_indices(task.test, copying.held_out, training.seed)])
    rows = training.batch or len(task.train)
    ground = Ground(
        run.network, run.optimiser, F.cross_entropy, batches_of(run, start), held_out, min(rows, len(task.train)), start
    )
    return measure_stability(ground, left, copying, seed=training.seed, look=Looking(run), about=about)


def start_of(training: Training) -> int:
    """The step at which copies are made: past the warm-up, when the average of squares has forgotten its start."""
    return max(training.warm_up + 1, round(1 / (1 - training.betas[1])))


def batches_of(run: Run, step: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of a run from a step on."""
    while True:
        yield run.batch(step)
        step += 1


class Looking:
    """What the unperturbed network shows: accuracy, topology, sharpness, all at one step."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._vectors: dict[str, Weights] = {}  # where power iteration goes on from
        rows = draw_indices(run.task.train, SHARP_ROWS, run.training.seed)
        self._batch = torch.from_numpy(run.task.inputs[rows]), torch.from_numpy(run.task.labels[rows])

    def __call__(self, copies: Copies, step: int) -> Numbers:
        """The numbers of the unperturbed network."""
        self.run.network.load_state_dict(copies.networks[0].state_dict())
        self.run.step = step
        seen = watch(self.run.checkpoint(), model="unperturbed", data="task")
        kept = {name: value for name, value in seen.numbers.items() if name in KEPT or "/sphere/" in name}
        return {**kept, **self.sharp(copies)}

    def sharp(self, copies: Copies) -> Numbers:
        """Sharpness of the training loss, plain and as AdamW sees it."""
        scales = adam_scales(copies)
        return {SHARPNESS: self._sharp(SHARPNESS, None), PRECONDITIONED: self._sharp(PRECONDITIONED, scales)}

    def _sharp(self, name: str, scales: Mapping[str, Tensor] | None) -> float:
        value, vector = sharpness(self.run.network, F.cross_entropy, self._batch, scales, self._vectors.get(name))
        self._vectors[name] = vector
        return value


def adam_scales(copies: Copies) -> dict[str, Tensor]:
    """(√v + ε)^(-1/2) of the unperturbed network's AdamW, v without the bias of its start."""
    (group,) = copies.optimiser.param_groups
    found = {}
    for name, weight in copies.stack.items():
        state = copies.optimiser.state[weight]
        unbiased = state["exp_avg_sq"][0] / (1 - group["betas"][1] ** float(state["step"]))
        found[name] = (unbiased.sqrt() + group["eps"]).rsqrt()
    return found

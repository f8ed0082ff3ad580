"""Train a network as a stream of checkpoints, none of which is kept."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Float, Int
from torch import Tensor

from todacomm.core.errors import TrainingFailed
from todacomm.core.value_types import by_value
from todacomm.training.digit_images import Images
from todacomm.training.fourier import PairTask, loss_and_accuracy, places_of
from todacomm.training.networks import Network, build_network
from todacomm.training.run_settings import Measured, Training, trained_with
from todacomm.training.tasks import Task

ROWS = 4096  # evaluated at a time


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A network at one step of its training, as `train` yields it.

    Losses are in nats and computed in float64. Nothing of a checkpoint is kept by the training itself.

    Attributes
    ----------
    step : int
        Optimiser steps taken.
    train_loss, train_accuracy, test_loss, test_accuracy : float
        Means over the training inputs and over the evaluated test inputs.
    clouds : mapping of str to (n, d) float32 arrays
        ``embedding``, where there is one, and ``layer_i``.
    logits : (m, c) float32 array
        Of the evaluated inputs.
    pairs : PairTask or None
        The pairs that the logits belong to; restricted and excluded loss are computed from both.
    weight_norm : float
        Euclidean norm of all weights.
    embedding_norm : float or None
        Of the embedding alone.

    Examples
    --------
    >>> import todacomm as td
    >>> task = td.grokking.Task(prime=7, train_fraction=0.5)
    >>> next(td.grokking.train(task, steps=10)).clouds["embedding"].shape
    (7, 128)

    """

    step: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    clouds: Mapping[str, Float[np.ndarray, "n d"]]
    logits: Float[np.ndarray, "m c"]
    pairs: PairTask | None
    weight_norm: float
    embedding_norm: float | None


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class State:
    """All that the rest of a run depends on: step, weights, and moments of the optimiser."""

    step: int
    tensors: Mapping[str, np.ndarray]


class Run:
    """A network in training: iterate for its checkpoints, ask for its ``state`` between them.

    One seed gives one run, to the last bit on one machine and one thread. It draws weights, batches (anew in each
    epoch) and subsamples, so that a resumed run equals an uninterrupted one.

    Parameters
    ----------
    task : Task or Images
        What is learned.
    training : Training
        How.
    measured : Measured, optional
        What is looked at.
    device : str, default "cpu"
        Device of the network.
    state : State, optional
        State to resume from.

    Raises
    ------
    TrainingFailed
        When a loss is not finite.

    Examples
    --------
    >>> import todacomm as td
    >>> run = td.grokking.Run(td.grokking.Task(prime=7, train_fraction=0.5), td.grokking.Training(steps=10))
    >>> next(iter(run)).step
    0

    """

    def __init__(
        self,
        task: "Task | Images",
        training: Training,
        measured: Measured | None = None,
        *,
        device: str = "cpu",
        state: State | None = None,
    ) -> None:
        self.task, self.training, self.measured = task, training, measured or Measured()
        self.device = torch.device(device)
        self.step = 0
        self.network = self._made().to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=training.learning_rate,
            betas=training.betas,
            eps=training.epsilon,
            weight_decay=training.weight_decay,
            fused=True,
        )
        self._inputs, self._labels = (torch.from_numpy(a).to(self.device) for a in (task.inputs, task.labels))
        self._train = torch.from_numpy(task.train).to(self.device)
        self._resumed = state is not None
        if state is not None:
            self._resume(state)

    def _made(self) -> Network:
        task, training = self.task, self.training
        made = build_network(
            training.network, inputs=task.size, classes=task.classes, shape=training.shape, seed=training.seed
        )
        with torch.no_grad():
            for weight in made.parameters() if training.initial_scale != 1 else ():
                weight.mul_(training.initial_scale)
        return made

    # Training

    def __iter__(self) -> Iterator[Checkpoint]:
        """The checkpoints from the present step on. Raises TrainingFailed where a loss is not finite."""
        for target in self.training.checkpoints:
            if target > self.step or (target == 0 and not self._resumed):
                self.train_to(target)
                yield self.checkpoint()

    def train_to(self, target: int) -> None:
        """Train up to this step."""
        self.network.train()
        total = torch.zeros((), device=self.device)
        while self.step < target:
            inputs, labels = self.batch(self.step)
            self._warm(self.step)
            loss = F.cross_entropy(self.network(inputs), labels)
            loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
            self.optimiser.step()
            self.optimiser.zero_grad()
            total += loss.detach()
            self.step += 1
        if not math.isfinite(float(total)):
            raise TrainingFailed(
                f"the loss is no finite number any more by step {self.step} (seed {self.training.seed}). "
                "What was measured before is kept. Try a smaller --learning-rate, or a larger --epsilon"
            )

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs and labels of the training pairs of one step."""
        rows = self._batch(step)
        return self._inputs[rows], self._labels[rows]

    def _batch(self, step: int) -> Tensor:
        """The training pairs of one step; the epoch's number shuffles them, its last incomplete batch is dropped."""
        size = self.training.batch
        if size is None or size >= len(self._train):
            return self._train
        epoch, place = divmod(step, len(self._train) // size)
        if place == 0 or self._epoch[0] != epoch:
            order = np.random.default_rng([self.training.seed, 2, epoch]).permutation(len(self._train))
            self._epoch = (epoch, self._train[torch.from_numpy(order).to(self.device)])
        return self._epoch[1][place * size : (place + 1) * size]

    _epoch: tuple[int, Tensor] = (-1, torch.empty(0))

    def _warm(self, step: int) -> None:
        warm_up = self.training.warm_up
        if step <= warm_up:
            share = min(1.0, (step + 1) / (warm_up + 1)) if warm_up else 1.0
            for group in self.optimiser.param_groups:
                group["lr"] = self.training.learning_rate * share

    # Measuring

    @cached_property
    def _evaluated(self) -> Int[np.ndarray, " m"]:
        """The training inputs, then the evaluated test inputs."""
        return np.concatenate(
            [self.task.train, draw_indices(self.task.test, self.measured.test_pairs, self.measured.seed)]
        )

    @cached_property
    def _rows(self) -> Tensor:
        """The evaluated inputs, on the network's device."""
        return torch.from_numpy(self._evaluated).to(self.device)

    @cached_property
    def _watched(self) -> Tensor:
        """The positions, among the evaluated inputs, of those whose hidden states are measured."""
        tested = np.arange(len(self.task.train), len(self._evaluated))
        return torch.from_numpy(draw_indices(tested, self.measured.points, self.measured.seed)).to(self.device)

    @cached_property
    def _pairs(self) -> PairTask | None:
        task = self.task
        if task.characters is None:
            return None
        places = places_of(task.pairs[self._evaluated], task.characters, task.sign)
        return PairTask(task.characters, places, task.labels[self._evaluated], np.arange(len(task.train)))

    def checkpoint(self) -> Checkpoint:
        """Evaluate the network as it is now."""
        logits, clouds = self._states()
        train = len(self.task.train)
        labels = self.task.labels[self._evaluated]
        train_loss, train_right = loss_and_accuracy(logits[:train], labels[:train])
        test_loss, test_right = loss_and_accuracy(logits[train:], labels[train:])
        norm = math.sqrt(sum(float(w.detach().double().square().sum()) for w in self.network.parameters()))
        table = self.network.embed
        rows = None if table is None else table.weight.detach().cpu().numpy().copy()
        return Checkpoint(
            step=self.step,
            train_loss=train_loss,
            train_accuracy=train_right,
            test_loss=test_loss,
            test_accuracy=test_right,
            clouds=clouds if rows is None else {"embedding": rows, **clouds},
            logits=logits,
            pairs=self._pairs,
            weight_norm=norm,
            embedding_norm=None if rows is None else float(np.linalg.norm(rows.astype(np.float64))),
        )

    @torch.no_grad()
    def _states(self) -> tuple[Float[np.ndarray, "m c"], dict[str, np.ndarray]]:
        """Logits of all evaluated inputs and hidden states of the measured ones."""
        logits = torch.cat([self.network(self._inputs[part]) for part in torch.split(self._rows, ROWS)])
        *hidden, _ = self.network.states(self._inputs[self._rows[self._watched]])
        named = zip(self.network.names, hidden, strict=True)
        return logits.cpu().numpy(), {name: state.cpu().numpy() for name, state in named}

    # Stopping and going on

    def state(self) -> State:
        """The present state of the run."""
        found = {f"weight/{name}": w for name, w in self.network.state_dict().items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            found |= {f"moment/{number}/{name}": value for name, value in moments.items()}
        return State(self.step, {name: tensor.detach().cpu().numpy().copy() for name, tensor in found.items()})

    def _resume(self, state: State) -> None:
        weights = {
            k.removeprefix("weight/"): torch.from_numpy(v) for k, v in state.tensors.items() if k.startswith("weight/")
        }
        self.network.load_state_dict(weights)
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in state.tensors.items():
            kind, _, rest = key.partition("/")
            if kind == "moment":
                number, name = rest.split("/")
                moments.setdefault(int(number), {})[name] = torch.from_numpy(value)
        whole = self.optimiser.state_dict()
        self.optimiser.load_state_dict({**whole, "state": moments})
        self.step = state.step
        self._warm(self.training.warm_up)


def draw_indices(indices: Int[np.ndarray, " n"], count: int | None, seed: int) -> Int[np.ndarray, " k"]:
    """Draw ``count`` of the indices, ascending; all where there are no more."""
    if count is None or count >= len(indices):
        return indices
    return np.sort(np.random.default_rng([seed, 3]).choice(indices, count, replace=False))


def train(
    task: "Task | Images",
    training: Training | None = None,
    measured: Measured | None = None,
    **settings: Any,
) -> Iterator[Checkpoint]:
    """Train one network and yield its checkpoints as they come.

    Parameters
    ----------
    task : Task or Images
        What is learned.
    training : Training, optional
        How; the defaults of `Training` otherwise.
    measured : Measured, optional
        What is looked at.
    **settings
        Fields of `Training` that replace those of ``training``.

    Yields
    ------
    Checkpoint
        Before the first step, then every ``training.interval`` steps, and after the last.

    Raises
    ------
    InvalidInput
        For a setting that does not exist.
    TrainingFailed
        When a loss is not finite.

    Examples
    --------
    >>> from todacomm.grokking import Task, train
    >>> [c.step for c in train(Task(prime=7, train_fraction=0.5), steps=20, every=10)]
    [0, 10, 20]

    """
    yield from Run(task, trained_with(training or Training(), settings), measured)

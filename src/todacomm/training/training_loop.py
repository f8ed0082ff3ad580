"""Training as a stream of checkpoints: the loop is plain, and what is yielded is never kept."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Float, Int
from torch import Tensor

from todacomm.core.errors import InvalidInput, TrainingFailed
from todacomm.core.value_types import by_value
from todacomm.training.digit_images import Images
from todacomm.training.fourier import PairTask, loss_and_accuracy, places_of
from todacomm.training.networks import Network, Shape, built
from todacomm.training.tasks import Task

ROWS = 4096  # evaluated at a time


@dataclass(frozen=True, slots=True)
class Training:
    """What decides a run beside its task: the network, the optimiser (AdamW) and how long.

    ``batch`` None takes all training pairs at each step. ``every`` None is a hundredth of the run.
    """

    network: str = "mlp"
    shape: Shape = field(default_factory=Shape)
    steps: int = 4000
    batch: int | None = 512
    learning_rate: float = 3e-3
    weight_decay: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-6
    warm_up: int = 10
    initial_scale: float = 1.0
    every: int | None = None
    seed: int = 46

    def __post_init__(self) -> None:
        for name, least in (("steps", 10), ("warm_up", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise InvalidInput(f"--{name.replace('_', '-')} {getattr(self, name)}; expected {least} or more")
        for name in ("batch", "every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInput(f"--{name} {value}; expected 1 or more")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InvalidInput(f"--learning-rate {self.learning_rate}; expected a number above 0, such as 0.001")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise InvalidInput(f"--weight-decay {self.weight_decay}; expected 0 or more")

    @property
    def interval(self) -> int:
        """Steps from one checkpoint to the next."""
        return self.every or max(1, self.steps // 100)

    @property
    def checkpoints(self) -> list[int]:
        """The steps at which the run is measured: before the first, then every ``interval``, and after the last."""
        return sorted({*range(0, self.steps + 1, self.interval), self.steps})


@dataclass(frozen=True, slots=True)
class Measured:
    """What is looked at of a run beside its losses.

    ``points`` test inputs, drawn once, make the clouds of hidden states; ``test_pairs`` of the test inputs, drawn once, are evaluated
    (all where None); the training inputs always are, all of them.
    """

    points: int = 500
    test_pairs: int | None = None
    seed: int = 0


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A network at one step: losses (nats, in float64) and accuracies, clouds, the logits of the evaluated inputs, norms of weights.

    ``clouds`` are ``embedding`` (c, d), where there is one, and ``layer_i`` (n, d) float32; ``logits`` (m, c) float32 belong to
    ``pairs``, whose restriction and exclusion they give. Nothing of it is kept by the training.
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
    """All that the rest of a run depends on: the step, the weights, and the moments of the optimiser."""

    step: int
    tensors: Mapping[str, np.ndarray]


class Run:
    """A network in training; iterate for its checkpoints, ask for its ``state`` between them.

    One seed gives one run, to the last bit on one machine and one thread: weights, batches and subsamples are drawn by it, batches
    for each epoch anew, so that a run that goes on from a state is the run that was never stopped.
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
        made = built(training.network, inputs=task.size, classes=task.classes, shape=training.shape, seed=training.seed)
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
            rows = self._batch(self.step)
            self._warm(self.step)
            loss = F.cross_entropy(self.network(self._inputs[rows]), self._labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
            self.optimiser.step()
            self.optimiser.zero_grad()
            total += loss.detach()
            self.step += 1
        if not math.isfinite(float(total)):
            raise TrainingFailed(
                f"the loss is no finite number any more by step {self.step} (seed {self.training.seed}). What was measured before is "
                "kept. Try a smaller --learning-rate, or a larger --epsilon"
            )

    def _batch(self, step: int) -> Tensor:
        """The training pairs of one step: the next of an epoch whose order is drawn by its number; the rest of an epoch is left."""
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
        """The training inputs, then the test inputs that are evaluated."""
        return np.concatenate([self.task.train, drawn(self.task.test, self.measured.test_pairs, self.measured.seed)])

    @cached_property
    def _rows(self) -> Tensor:
        """The evaluated, where the network is."""
        return torch.from_numpy(self._evaluated).to(self.device)

    @cached_property
    def _watched(self) -> Tensor:
        """Where, among the evaluated, the test inputs stand whose hidden states are measured."""
        tested = np.arange(len(self.task.train), len(self._evaluated))
        return torch.from_numpy(drawn(tested, self.measured.points, self.measured.seed)).to(self.device)

    @cached_property
    def _pairs(self) -> PairTask | None:
        task = self.task
        if task.characters is None:
            return None
        places = places_of(task.pairs[self._evaluated], task.characters, task.sign)
        return PairTask(task.characters, places, task.labels[self._evaluated], np.arange(len(task.train)))

    def checkpoint(self) -> Checkpoint:
        """The network as it is now, evaluated."""
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
        """The logits of all evaluated inputs and the hidden states of the watched ones."""
        logits = torch.cat([self.network(self._inputs[part]) for part in torch.split(self._rows, ROWS)])
        *hidden, _ = self.network.states(self._inputs[self._rows[self._watched]])
        named = zip(self.network.names, hidden, strict=True)
        return logits.cpu().numpy(), {name: state.cpu().numpy() for name, state in named}

    # Stopping and going on

    def state(self) -> State:
        """The run as it is now."""
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


def drawn(indices: Int[np.ndarray, " n"], count: int | None, seed: int) -> Int[np.ndarray, " k"]:
    """``count`` of the indices, drawn once, ascending; all where there are no more."""
    if count is None or count >= len(indices):
        return indices
    return np.sort(np.random.default_rng([seed, 3]).choice(indices, count, replace=False))


def train(
    task: "Task | Images",
    training: Training | None = None,
    measured: Measured | None = None,
    **settings: Any,
) -> Iterator[Checkpoint]:
    """The checkpoints of one run, as they come; settings are the fields of `Training`.

    >>> from todacomm.grokking import Task, train
    >>> [c.step for c in train(Task(prime=7, train_fraction=0.5), steps=20, every=10)]
    [0, 10, 20]
    """
    yield from Run(task, trained_with(training or Training(), settings), measured)


def trained_with(training: Training, settings: Mapping[str, Any]) -> Training:
    """A training with some settings in the place of its own. Raises InvalidInput for one that there is not."""
    unknown = sorted(set(settings) - set(Training.__dataclass_fields__))
    if unknown:
        known = ", ".join(Training.__dataclass_fields__)
        raise InvalidInput(f"'{unknown[0]}' is no setting of a training; expected one of {known}")
    return replace(training, **settings)

"""Follow the copies of a training from its present step on, and gather what they show."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from todacomm.core.errors import InvalidInput
from todacomm.stability.copies import FEW_ROWS, Batches, Copies, Loss, check_network
from todacomm.stability.distances import TrainedCopies
from todacomm.stability.follow import STATE, Window, follow, windows_of
from todacomm.stability.perturbation import perturbations
from todacomm.stability.stability import FREE, Copying, Stability
from todacomm.stability.symmetry import Matched, hidden_units, match_units
from todacomm.training.networks import Perceptron

Numbers = Mapping[str, float | None]
Look = Callable[[Copies, int], Numbers]  # the unperturbed network at a step → its numbers


@dataclass(frozen=True, slots=True)
class Ground:
    """What copies are made of: a network and its optimiser as they are, the loss, the batches that follow."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    loss: Loss
    batches: Batches
    held_out: Tensor | None = None
    rows: int = FEW_ROWS + 1
    step: int = 0


@dataclass(slots=True)
class Gathered:
    """What is gathered window by window."""

    first: Mapping[str, np.ndarray]
    norms: list[float]
    windows: list[Window] = field(default_factory=list)
    looks: list[tuple[int, Numbers]] = field(default_factory=list)

    def growths(self, names: Iterable[str]) -> np.ndarray:
        """(q, W, k)."""
        return np.array([[one.growths[name] for one in self.windows] for name in names])

    def distances(self, names: Iterable[str]) -> np.ndarray:
        """(q, V, k)."""
        return np.array([[self.first[name], *(one.distances[name] for one in self.windows)] for name in names])


def follow_copies(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Batches,
    *,
    loss: Loss,
    steps: int,
    held_out: Tensor | None = None,
    copying: Copying | None = None,
    seed: int = 42,
) -> Stability:
    """Train perturbed copies of a network beside it, and measure whether small differences grow.

    The network and its optimiser are copied as they are, so call it after the warm-up: they are not changed. Each copy
    differs by Gaussian noise of ``copying.epsilon`` times the norm of each parameter tensor; optimiser state, batches
    and dropout masks are the same for all. There is no schedule of the learning rate: it stays as it is.

    Parameters
    ----------
    network : torch.nn.Module
        Maps the inputs of a batch to what ``loss`` takes.
    optimiser : torch.optim.Optimizer
        Of this network; SGD, Adam, AdamW or another one that treats every weight by itself.
    batches : iterable of (inputs, targets)
        At least ``steps`` of them, taken in turn.
    loss : callable
        (outputs, targets) → the mean loss of a batch, as `torch.nn.functional.cross_entropy`.
    steps : int
        Optimiser steps over which copies are followed.
    held_out : Tensor, optional
        Inputs for whose outputs the distance in function space is taken; without them there is none.
    copying : Copying, optional
        How many copies, how far they are moved, how often they are brought back.
    seed : int, default 42
        Draws the perturbations.

    Returns
    -------
    Stability
        Growth window by window, with `Stability.exponent`, `Stability.raw` and the rest.

    Raises
    ------
    InvalidInput
        For a network without parameters, an optimiser that mixes weights, too few steps or batches.
    TrainingFailed
        Where the loss of the unperturbed network is not finite.

    Examples
    --------
    >>> import torch
    >>> import todacomm as td
    >>> network = torch.nn.Linear(4, 1)
    >>> optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    >>> inputs = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    >>> batches = [(inputs, inputs.sum(1, keepdim=True))] * 200
    >>> found = td.follow_copies(network, optimiser, batches, loss=torch.nn.functional.mse_loss, steps=200)
    >>> found.exponent().value < 0  # least squares below 2/η: differences shrink
    True

    """
    copying = copying or Copying()
    if steps < 2 * copying.every:
        raise InvalidInput(
            f"{steps} steps are less than two windows of {copying.every}; expected {2 * copying.every} or more, or a "
            "smaller every"
        )
    return measure_stability(Ground(network, optimiser, loss, batches, held_out), steps, copying, seed=seed)


def measure_stability(
    ground: Ground,
    steps: int,
    copying: Copying,
    *,
    seed: int,
    look: Look | None = None,
    about: Mapping[str, Any] | None = None,
) -> Stability:
    """Train perturbed copies for so many steps beside the unperturbed network.

    ``look`` gives numbers of the unperturbed network, at about ``copying.checkpoints`` steps; ``about`` is the name and
    the settings of the run. Raises InvalidInput for what cannot be copied, TrainingFailed where the loss of the
    unperturbed network is not finite.
    """
    copies = copies_of(ground, copying, seed)
    system = TrainedCopies(copies, ground.batches, ground.held_out, step=ground.step)
    lengths = windows_of(steps, copying.every)
    gathered = Gathered(system.distances(), [system.weight_norm])
    if look is not None:
        gathered.looks.append((system.step, look(copies, system.step)))
    looked = set(looks_at(len(lengths), copying.checkpoints))
    wanted = targets(gathered.first[STATE], copying)
    for number, window in enumerate(follow(system, lengths, wanted), 1):
        gathered.windows.append(window)
        gathered.norms.append(system.weight_norm)
        if look is not None and number in looked:
            gathered.looks.append((system.step, look(copies, system.step)))
    return found_of(gathered, system, copying, {"name": f"seed {seed}", "settings": {}, **(about or {}), "seed": seed})


def copies_of(ground: Ground, copying: Copying, seed: int) -> Copies:
    """The unperturbed network and its perturbed copies."""
    check_network(ground.network, ground.optimiser)
    weights = {name: w.detach().cpu().numpy() for name, w in ground.network.named_parameters() if w.requires_grad}
    if all(not np.any(weight) for weight in weights.values()):
        raise InvalidInput(
            "every weight is 0, so that a perturbation in proportion to its norm is none; expected a network that was "
            "initialised"
        )
    noise = perturbations(weights, copying.epsilons, copying.directions, seed=seed)
    return Copies(ground.network, ground.optimiser, ground.loss, noise, together=faster_together(ground))


def faster_together(ground: Ground) -> bool:
    """Whether one product for all copies can be taken, and is faster than one after another: for small batches."""
    return isinstance(ground.network, Perceptron) and ground.loss is F.cross_entropy and ground.rows <= FEW_ROWS


def targets(first: np.ndarray, copying: Copying) -> np.ndarray:
    """The length to which each copy is brought back; NaN for a free one."""
    return np.array([np.nan if role == FREE else size for role, size in zip(copying.roles, first, strict=True)])


def looks_at(windows: int, count: int) -> list[int]:
    """The windows after which the network is looked at: about ``count``, evenly spaced, the last among them."""
    return [round(windows * (i + 1) / count) for i in range(count)] if count < windows else list(range(1, windows + 1))


def found_of(gathered: Gathered, system: TrainedCopies, copying: Copying, about: Mapping[str, Any]) -> Stability:
    """Put together what was gathered."""
    names, start = tuple(gathered.first), system.step - sum(window.length for window in gathered.windows)
    measured = tuple(dict.fromkeys(name for _, numbers in gathered.looks for name in numbers))
    values = [[as_float(numbers.get(name)) for _, numbers in gathered.looks] for name in measured]
    return Stability(
        **about,
        copying=copying,
        parameters=sum(w[0].numel() for w in system.copies.stack.values()),
        start=start,
        names=names,
        ends=start + np.cumsum([window.length for window in gathered.windows], dtype=np.int64),
        growths=gathered.growths(names),
        distances=gathered.distances(names),
        weight_norms=np.array(gathered.norms),
        steps=np.array([step for step, _ in gathered.looks], dtype=np.int64),
        measured=measured,
        values=np.array(values, dtype=np.float64).reshape(len(measured), len(gathered.looks)),
        matched=tuple(matched_copies(system.copies, copying)),
        complaints=tuple(
            f"copy {copy}, {copying.roles[copy - 1]}: its loss is no finite number any more by step {step}; it is left "
            "out from there on"
            for copy, step in sorted(system.lost.items())
        ),
    )


def as_float(value: float | None) -> float:
    """A number, NaN for none."""
    return float("nan") if value is None else float(value)


def matched_copies(copies: Copies, copying: Copying) -> list[Matched]:
    """Each free copy that is finite, with its hidden units matched to those of the unperturbed network."""
    reference = copies.weights(0)
    blocks = hidden_units(list(reference))
    if not blocks:
        return []
    free = [copies.weights(i + 1) for i, role in enumerate(copying.roles) if role == FREE]
    return [match_units(reference, one, blocks) for one in free if all(np.isfinite(w).all() for w in one.values())]

"""Inputs that are learned from and inputs that are tested on: what tasks of pairs and images have in common."""

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
from jaxtyping import Int, Shaped

from todacomm.core.errors import InvalidInput

Labels = Int[np.ndarray, " m"]
Indices = Int[np.ndarray, " k"]


class Split(ABC):
    """A task with a fixed order of its inputs, of which a share is learned from.

    ``permuted`` is the share of the training answers that are permuted among themselves; the test answers stay right.
    """

    train_fraction: float
    permuted: float
    seed: int

    @property
    @abstractmethod
    def count(self) -> int:
        """How many inputs there are."""

    @property
    @abstractmethod
    def size(self) -> int:
        """What a network must know of an input: how many tokens there are, or how many numbers it has."""

    @property
    @abstractmethod
    def inputs(self) -> Shaped[np.ndarray, "m _"]:
        """What a network is given, one row an input."""

    @property
    @abstractmethod
    def answers(self) -> Labels:
        """The right answers."""

    def check_shares(self) -> None:
        """Raise InvalidInput for shares that leave nothing to learn from or to test on, or are no shares."""
        if not 0 < self.train_fraction < 1:
            raise InvalidInput(
                f"--train-fraction {self.train_fraction}: expected a share above 0 and below 1, so that there are pairs to learn "
                "from and pairs to test on"
            )
        if not 0 <= self.permuted <= 1:
            raise InvalidInput(f"{self.permuted} of the labels permuted; expected a share from 0 to 1")

    @property
    def learned(self) -> int:
        """How many inputs are learned from."""
        return round(self.train_fraction * self.count)

    @cached_property
    def _order(self) -> Indices:
        rng = np.random.default_rng([self.seed, 0])
        return rng.permutation(self.count)

    @cached_property
    def train(self) -> Indices:
        """Which inputs are learned from, ascending."""
        return np.sort(self._order[: self.learned])

    @cached_property
    def test(self) -> Indices:
        """Which inputs are tested on, ascending."""
        return np.sort(self._order[self.learned :])

    @cached_property
    def labels(self) -> Labels:
        """The answers that are learned and tested, some of those to learn permuted."""
        rng, found = np.random.default_rng([self.seed, 1]), self.answers.copy()
        chosen = rng.choice(self.train, round(self.permuted * len(self.train)), replace=False)
        found[chosen] = found[rng.permutation(chosen)]
        return found

    def told_shares(self) -> str:
        """The shares, as part of the name of a task."""
        said = f"{self.train_fraction:g} to learn from"
        return f"{said}, {self.permuted:.0%} permuted" if self.permuted else said

"""Split a task into training and test inputs: what tasks of pairs and of images share."""

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
from jaxtyping import Int, Shaped

from todacomm.core.errors import InvalidInput

Labels = Int[np.ndarray, " m"]
Indices = Int[np.ndarray, " k"]


class Split(ABC):
    """A task with a fixed order of inputs, a fraction of which is trained on.

    ``permuted`` is the fraction of training answers permuted among themselves; test answers stay right.
    """

    train_fraction: float
    permuted: float
    seed: int

    @property
    @abstractmethod
    def count(self) -> int:
        """The number of inputs."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The size of an input: how many tokens there are, or how many numbers it has."""

    @property
    @abstractmethod
    def inputs(self) -> Shaped[np.ndarray, "m _"]:
        """The inputs, one a row."""

    @property
    @abstractmethod
    def answers(self) -> Labels:
        """The right answers."""

    def check_shares(self) -> None:
        """Raise InvalidInput for fractions that are out of range or leave an empty set."""
        if not 0 < self.train_fraction < 1:
            raise InvalidInput(
                f"--train-fraction {self.train_fraction}: expected a share above 0 and below 1, "
                "so that there are pairs to learn from and pairs to test on"
            )
        if not 0 <= self.permuted <= 1:
            raise InvalidInput(f"{self.permuted} of the labels permuted; expected a share from 0 to 1")

    @property
    def learned(self) -> int:
        """The number of training inputs."""
        return round(self.train_fraction * self.count)

    @cached_property
    def _order(self) -> Indices:
        rng = np.random.default_rng([self.seed, 0])
        return rng.permutation(self.count)

    @cached_property
    def train(self) -> Indices:
        """The training inputs, ascending."""
        return np.sort(self._order[: self.learned])

    @cached_property
    def test(self) -> Indices:
        """The test inputs, ascending."""
        return np.sort(self._order[self.learned :])

    @cached_property
    def labels(self) -> Labels:
        """The answers to train and test on, with some training answers permuted."""
        rng, found = np.random.default_rng([self.seed, 1]), self.answers.copy()
        chosen = rng.choice(self.train, round(self.permuted * len(self.train)), replace=False)
        found[chosen] = found[rng.permutation(chosen)]
        return found

    def told_shares(self) -> str:
        """The fractions, as part of a task's name."""
        said = f"{self.train_fraction:g} to learn from"
        return f"{said}, {self.permuted:.0%} permuted" if self.permuted else said

"""The control without a cyclic structure: images of digits, to be told apart by a perceptron on their pixels."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from todacomm.errors import InvalidInput, MissingExtra, ModelUnavailable, UnknownName
from todacomm.grokking.tasks import permuted

SOURCES = ("auto", "mnist", "digits")
LARGEST = 10_000  # images of MNIST that are taken: its test set, so that one pass is short


@dataclass(frozen=True)
class Images:
    """Images of the digits 0 to 9 and which of them are learned from.

    ``source`` is ``digits`` (1,797 images of 8 × 8 that come with scikit-learn), ``mnist`` (10,000 of 28 × 28 from the hub) or ``auto``: MNIST
    where the hub can be reached, else the digits. Raises MissingExtra and ModelUnavailable.
    """

    source: Literal["auto", "mnist", "digits"] = "auto"
    train_fraction: float = 0.3
    permuted: float = 0.0
    seed: int = 46

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise UnknownName("source of images", str(self.source), SOURCES)
        if not 0 < self.train_fraction < 1:
            raise InvalidInput(f"--train-fraction {self.train_fraction}: expected a share above 0 and below 1")

    def __str__(self) -> str:
        what = f"images of {self.name}, {self.train_fraction:g} to learn from"
        return what + (f", {self.permuted:.0%} permuted" if self.permuted else "")

    @cached_property
    def _loaded(self) -> tuple[str, Float[np.ndarray, "m d"], Int[np.ndarray, " m"]]:
        if self.source == "digits":
            return digits()
        try:
            return mnist()
        except (ModelUnavailable, MissingExtra):
            if self.source == "mnist":
                raise
            return digits()

    @property
    def name(self) -> str:
        """Which images were taken."""
        return self._loaded[0]

    @property
    def images(self) -> Float[np.ndarray, "m d"]:
        """(m, pixels) float32 from 0 to 1."""
        return self._loaded[1]

    @property
    def pixels(self) -> int:
        return self.images.shape[1]

    @property
    def classes(self) -> int:
        return 10

    @cached_property
    def labels(self) -> Int[np.ndarray, " m"]:
        """The digits, some of those to learn from permuted."""
        return permuted(self._loaded[2], self.train, self.permuted, self.seed)

    @cached_property
    def _order(self) -> Int[np.ndarray, " m"]:
        rng = np.random.default_rng([self.seed, 0])
        return rng.permutation(len(self._loaded[2]))

    @property
    def train(self) -> Int[np.ndarray, " k"]:
        """Which images are learned from, ascending."""
        return np.sort(self._order[: round(self.train_fraction * len(self._order))])

    @property
    def test(self) -> Int[np.ndarray, " k"]:
        """Which images are tested on, ascending."""
        return np.sort(self._order[round(self.train_fraction * len(self._order)) :])

    without_fourier = "images have no cyclic structure, so no Fourier basis belongs to them"
    warnings: tuple[str, ...] = ()


def digits() -> tuple[str, Float[np.ndarray, "m d"], Int[np.ndarray, " m"]]:
    """The digits of scikit-learn (UCI, 8 × 8)."""
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # it has no types
    except ModuleNotFoundError:
        raise MissingExtra("scikit-learn", "grok", "the images of digits") from None
    found = load_digits()
    return "digits", (found.data / 16).astype(np.float32), found.target.astype(np.int64)


def mnist() -> tuple[str, Float[np.ndarray, "m d"], Int[np.ndarray, " m"]]:
    """The test images of MNIST from the hub."""
    try:
        from datasets import load_dataset
        from datasets.exceptions import DatasetNotFoundError
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    except ModuleNotFoundError:
        raise MissingExtra("datasets", "models", "MNIST from the hub") from None
    try:
        found: Any = load_dataset("ylecun/mnist", split="test")
    except (OSError, ValueError, DatasetNotFoundError, HfHubHTTPError, OfflineModeIsEnabled) as problem:
        raise ModelUnavailable(
            f"MNIST cannot be had from the hub ({str(problem).splitlines()[0]}). Use --images digits, which needs no network"
        ) from problem
    pixels = np.stack([np.asarray(image, dtype=np.float32).ravel() / 255 for image in found["image"][:LARGEST]])
    return "MNIST", pixels, np.array(found["label"][:LARGEST], dtype=np.int64)

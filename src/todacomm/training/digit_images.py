"""The control task without a cyclic structure: classify images of digits by their pixels."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from todacomm.core.errors import MissingExtra, ModelUnavailable, UnknownName
from todacomm.training.train_test_split import Labels, Split

SOURCES = ("auto", "mnist", "digits")
LARGEST = 10_000  # images of MNIST to take: its test set, so that one pass is short


Loaded = tuple[str, Float[np.ndarray, "m d"], Int[np.ndarray, " m"]]  # name, images, digits


@dataclass(frozen=True)
class Images(Split):
    """Images of the digits 0 to 9, and which of them are trained on: a task without a cyclic structure.

    A network that groks on images has no clock to form: its signature of grokking shows no loop.

    Attributes
    ----------
    source : {"auto", "mnist", "digits"}, default "auto"
        ``"digits"``: 1,797 images of 8 × 8 that come with scikit-learn. ``"mnist"``: 10,000 of 28 × 28 from the hub.
        ``"auto"``: MNIST where the hub can be reached, else the digits.
    train_fraction : float, default 0.3
        Share of the images that are trained on.
    permuted : float, default 0
        Share of the training labels that are permuted among themselves.
    seed : int, default 46
        Draws the split and the permutation.

    Raises
    ------
    UnknownName
        For another source.
    MissingExtra, ModelUnavailable
        When the images are asked for and cannot be had.

    Examples
    --------
    >>> import todacomm as td
    >>> str(td.grokking.Images("digits"))
    'images of digits, 0.3 to learn from'

    References
    ----------
    Liu et al. 2022, https://arxiv.org/abs/2210.01117

    """

    source: Literal["auto", "mnist", "digits"] = "auto"
    train_fraction: float = 0.3
    permuted: float = 0.0
    seed: int = 46

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise UnknownName("source of images", str(self.source), SOURCES)
        self.check_shares()

    def __str__(self) -> str:
        return f"images of {self.name}, {self.told_shares()}"

    @property
    def _loaded(self) -> Loaded:
        return loaded(self.source)

    @property
    def name(self) -> str:
        """The name of the images that were loaded."""
        return self._loaded[0]

    @property
    def inputs(self) -> Float[np.ndarray, "m d"]:
        """(m, pixels) float32 from 0 to 1."""
        return self._loaded[1]

    @property
    def answers(self) -> Labels:
        """The digits."""
        return self._loaded[2]

    @property
    def count(self) -> int:
        """The number of images."""
        return len(self.answers)

    @property
    def size(self) -> int:
        """The number of pixels of an image."""
        return self.inputs.shape[1]

    classes = 10
    argument = None
    characters = None
    sign = 1
    without_fourier = "images have no cyclic structure, so no Fourier basis belongs to them"
    warnings = ()


@cache
def loaded(source: str) -> Loaded:
    """Load the images of a source; an unreachable hub is asked once."""
    if source == "digits":
        return digits()
    try:
        return mnist()
    except (ModelUnavailable, MissingExtra):
        if source == "mnist":
            raise
        return digits()


def digits() -> Loaded:
    """Load the digits of scikit-learn (UCI, 8 × 8)."""
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # it has no types
    except ModuleNotFoundError:
        raise MissingExtra("scikit-learn", "grok", "the images of digits") from None
    found = load_digits()
    return "digits", (found.data / 16).astype(np.float32), found.target.astype(np.int64)


def mnist() -> Loaded:
    """Load the test images of MNIST from the hub."""
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
            f"MNIST cannot be had from the hub ({str(problem).splitlines()[0]}). "
            "Use --images digits, which needs no network"
        ) from problem
    pixels = np.stack([np.asarray(image, dtype=np.float32).ravel() / 255 for image in found["image"][:LARGEST]])
    return "MNIST", pixels, np.array(found["label"][:LARGEST], dtype=np.int64)

"""When two models part along their training: paired differences at the steps that both have, adjusted over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from todacomm.comparison.differences import Difference, pair
from todacomm.core.inference_types import at_most_alpha
from todacomm.core.types import Profile
from todacomm.statistics.pvalues import adjusted

SHAPE = "H0_total_persistence_scaled"


@dataclass(frozen=True, slots=True)
class Parting:
    """When one layer of two models differs in one number, over the steps that both have.

    Attributes
    ----------
    layer, other : str
        The layer of the first model, and that of the second beside it.
    steps : tuple of int
        T common steps, ascending.
    difference, low, high : tuple of float
        Second minus first at each step and the ends of its interval; NaN where there is none.
    p : tuple of float
        Adjusted over all steps and layers (Benjamini and Hochberg); NaN where untested.
    first, for_good : int or None
        The first step at which they differ, and the first from which on they differ at every later one.

    """

    layer: str
    other: str
    steps: tuple[int, ...]
    difference: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    p: tuple[float, ...]

    @property
    def apart(self) -> tuple[bool, ...]:
        """Whether they differ at each step."""
        return tuple(at_most_alpha(p) for p in self.p)

    @property
    def first(self) -> int | None:
        """The first step at which they differ."""
        return next((step for step, apart in zip(self.steps, self.apart, strict=True) if apart), None)

    @property
    def for_good(self) -> int | None:
        """The first step from which on they differ at every step; None where they do not at the last."""
        together = [i for i, apart in enumerate(self.apart) if not apart]
        start = together[-1] + 1 if together else 0
        return self.steps[start] if start < len(self.steps) else None


@dataclass(frozen=True, slots=True)
class Parted:
    """Where and when two series of checkpoints part in one number, layer by layer; or why that is not known.

    ``how`` says whether the differences are paired by text; ``parting`` has one entry a layer.
    """

    first: str
    second: str
    number: str
    how: str
    partings: tuple[Parting, ...]
    refused: str = ""


def partings(
    names: tuple[str, str],
    series: tuple[Mapping[int, Profile], Mapping[int, Profile]],
    number: str = SHAPE,
) -> Parted:
    """Compare two series of profiles at every common step, and say from which step on their layers differ.

    Differences are paired by text where both read the same ones; p-values are adjusted over steps and layers together.
    """
    steps = sorted(set(series[0]) & set(series[1]))
    pairs = [pair(series[0][step], series[1][step]) for step in steps]
    refused = next((one.refused for one in pairs if one.refused), "")
    if not pairs or refused:
        return Parted(*names, number, "refused", (), refused or "they have no step in common")
    rows = [one.differences.get(number, ()) for one in pairs]
    if len({len(row) for row in rows}) > 1 or not rows[0]:
        return Parted(*names, number, "refused", (), f"{number} is not known at every common step")
    layers = pairs[0].layers
    p = adjusted(np.array([[p_of(one) for one in row] for row in rows], dtype=np.float64).ravel())
    table = p.reshape(len(steps), len(layers))
    found = tuple(
        parting(one.first, one.second, steps, [row[i] for row in rows], table[:, i]) for i, one in enumerate(layers)
    )
    return Parted(*names, number, pairs[0].how, found)


def p_of(one: Difference) -> float:
    """The p-value of a difference: 1 where both numbers are one and the same, NaN where it is untested."""
    if one.p is None and one.first is not None and one.first == one.second:
        return 1.0
    return np.nan if one.p is None else one.p


def parting(
    layer: str, other: str, steps: Sequence[int], found: Sequence[Difference], p: Float64[np.ndarray, " T"]
) -> Parting:
    """One layer along the steps."""
    ends = [(one.difference.estimate, one.difference.low, one.difference.high) for one in found]
    difference, low, high = (tuple(column) for column in np.array(ends, dtype=np.float64).T.tolist())
    return Parting(layer, other, tuple(steps), difference, low, high, tuple(p.tolist()))

"""Follow copies of a system beside one that is not perturbed: how their distances grow, renormalised or free.

Benettin et al. 1980, https://doi.org/10.1007/BF02128236: after every window the difference from the unperturbed
system is scaled back to its first length, and the logarithm of what it had grown by is kept.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float64

Distances = Mapping[str, Float64[np.ndarray, " k"]]
STATE = "weights"  # the distance that is brought back to its first length


class System(Protocol):
    """Copies beside one that is not perturbed: a training, or any map that moves all of them at once."""

    def advance(self, steps: int) -> None:
        """Take so many steps."""

    def distances(self) -> Distances:
        """How far each copy is from the unperturbed one, in one or more senses; ``weights`` is among them."""

    def rescale(self, factors: Float64[np.ndarray, " k"]) -> None:
        """Multiply the whole difference of each copy from the unperturbed one by its factor."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What a window of ``length`` steps did: distances at its end, and the logarithms of what they had grown by."""

    length: int
    distances: Distances
    growths: Distances


def follow(system: System, lengths: Iterable[int], renormalised: Float64[np.ndarray, " k"]) -> Iterator[Window]:
    """Let a system run in windows; those copies whose entry is finite are scaled back to that length after each.

    An infinite or undefined entry marks a copy that runs free.
    """
    before = system.distances()
    for length in lengths:
        system.advance(length)
        after = system.distances()
        yield Window(length, after, {name: log_ratio(after[name], before[name]) for name in after})
        factors = factors_of(after[STATE], renormalised)
        if np.any(factors != 1):
            system.rescale(factors)
            after = system.distances()
        before = after


def factors_of(found: Float64[np.ndarray, " k"], wanted: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    """What brings each distance to the wanted one; 1 for a free copy, and for one that is lost or identical."""
    fits = np.isfinite(wanted) & np.isfinite(found) & (found > 0)
    return np.divide(wanted, found, out=np.ones(len(found)), where=fits)


def log_ratio(after: Float64[np.ndarray, " k"], before: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    """The logarithm of after over before; NaN where either is zero or not finite."""
    fits = np.isfinite(after) & np.isfinite(before) & (after > 0) & (before > 0)
    ratio = np.divide(after, before, out=np.full(len(after), np.nan), where=fits)
    return np.log(ratio, out=np.full(len(after), np.nan), where=fits)


def windows_of(steps: int, every: int) -> list[int]:
    """Cut steps into windows of ``every``; the last takes what is left, and is never shorter than half of one."""
    count = max(1, round(steps / every))
    return [every] * (count - 1) + [steps - every * (count - 1)]

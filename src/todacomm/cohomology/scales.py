"""Count β₁ over scale from the bars of H₁, and choose the scales at which to look for an angle."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from todacomm.core.types import Bars

MOST_CLASSES = 14  # at one scale; with more no class is short


class Plateau(NamedTuple):
    """An interval of scales on which β₁ stays the same."""

    start: float
    end: float
    betti: int

    @property
    def width(self) -> float:
        """Of its logarithm."""
        return float(np.log(self.end / self.start))

    @property
    def middle(self) -> float:
        """Of its logarithm."""
        return float(np.sqrt(self.start * self.end))


def staircase(bars: Bars) -> tuple[Float[np.ndarray, " s"], Int[np.ndarray, " s"]]:
    """The scales at which β₁ changes, ascending, and what it is from each on."""
    births, deaths = np.sort(bars, axis=0).T
    scales = np.unique(bars)
    alive = np.searchsorted(births, scales, side="right") - np.searchsorted(deaths, scales, side="right")
    kept = np.append(True, np.diff(alive) != 0) if len(alive) else np.zeros(0, dtype=bool)
    return scales[kept], alive[kept]


def plateaus(bars: Bars, start: float = 0.0, end: float = np.inf) -> list[Plateau]:
    """The plateaus of 1 to `MOST_CLASSES` classes between two scales, by scale."""
    scales, betti = staircase(bars)
    ends = np.minimum(scales[1:], end)
    starts = np.maximum(scales[:-1], start)
    held = (starts < ends) & (starts > 0) & (betti[:-1] >= 1) & (betti[:-1] <= MOST_CLASSES)
    rows = zip(starts[held].tolist(), ends[held].tolist(), betti[:-1][held].tolist(), strict=True)
    return [Plateau(*row) for row in rows]


def widest(bars: Bars, start: float = 0.0, end: float = np.inf) -> Plateau | None:
    """The widest of the `plateaus` by the logarithm of scale; None where there is none."""
    return max(plateaus(bars, start, end), key=lambda plateau: plateau.width, default=None)

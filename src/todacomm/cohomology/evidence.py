"""Which loops of a cloud Gaussian noise would not have: its bars and its widest plateau against rotations of it.

Two statistics, each held against the same draws, which are parted into centres as the cloud is: the most prominent bar
(`todacomm.statistics.loop_test`), and the width, of the logarithm of scale, of the widest plateau of β₁. Their
p-values are doubled, so that either finds something in a Gaussian cloud no more often than any one test would.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from todacomm.clouds.distances import pairwise
from todacomm.cohomology.centres import centres_of
from todacomm.cohomology.scales import widest
from todacomm.core.inference_types import at_most_alpha
from todacomm.core.types import Bars, Points
from todacomm.homology.engines import persistence
from todacomm.homology.metrics import metrics
from todacomm.statistics.loop_test import bar_p_values

TESTS = 2  # bars and plateaus
FIRST_DRAWS = 19  # after so many, and after each doubling, nothing more is drawn where nothing can pass
STREAM = 5  # keeps the random numbers of centres apart from others of the same seed

Draw = Callable[[int], Points]  # the points of a draw of the null, by its number
PValues = Float[np.ndarray, " m"]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the bars and the widest plateau of a cloud are worth: p-values, doubled, of ``draws`` rotations; 0 of them
    without a test.
    """

    bars: Bars
    of_bars: PValues
    of_plateau: float
    draws: int
    widths: tuple[float, ...] = ()

    def of_width(self, width: float) -> float:
        """The p-value of a plateau as wide against the widest of each draw: it holds for all plateaus at once."""
        as_wide = sum(drawn >= width for drawn in self.widths)
        return min(1.0, TESTS * (1 + as_wide) / (1 + self.draws))

    def of(self, birth: float, death: float) -> float:
        """The p-value of a loop with these ends: that of the bar with the next smaller death / birth."""
        ratios = self.bars[:, 1] / self.bars[:, 0]
        known = ratios <= death / birth * (1 + 1e-6)
        return float(self.of_bars[known].min(initial=1.0))


def bars_of(points: Points, seed: int, number: int) -> Bars:
    """The bars of H₁ of the centres of some points, of the draw with this number, 0 for the cloud itself."""
    centres, _ = centres_of(points, generator(seed, number))
    return bars_among(centres)


def bars_among(centres: Points) -> Bars:
    """The bars of H₁ of some points; none of fewer than three."""
    if len(centres) < 3:
        return np.empty((0, 2))
    bars = persistence(pairwise(centres)).finite[1]
    return bars[bars[:, 0] > 0]


def generator(seed: int, number: int) -> np.random.Generator:
    """The random numbers of the centres of one draw."""
    return np.random.default_rng([seed, STREAM, number])


def evidence(bars: Bars, draw: Draw, *, seed: int, draws: int) -> Evidence:
    """Hold the bars of a cloud against ``draws`` of the null, or fewer where after some of them nothing can pass any
    more.

    A sequential test (Besag and Clifford 1991, https://doi.org/10.1093/biomet/78.2.301).
    """
    none = Evidence(bars, np.ones(len(bars)), 1.0, 0)
    if not draws or not len(bars):
        return none
    drawn: list[tuple[float, float, float]] = []
    found = none
    while len(drawn) < draws:
        stop = min(draws, max(FIRST_DRAWS, 2 * len(drawn) + 1))
        drawn += [numbers_of(bars_of(draw(i), seed, i + 1)) for i in range(len(drawn), stop)]
        found = against(bars, np.array(drawn))
        least = min(found.of_plateau, float(found.of_bars.min())) * (1 + len(drawn)) / (1 + draws)
        if not at_most_alpha(least):
            break
    return found


def numbers_of(bars: Bars) -> tuple[float, float, float]:
    """Prominence and death / birth of the most prominent bar, NaN of none, and the width of the widest plateau."""
    prominence, ratio = (metrics[name].of(bars) for name in ("prominence", "death_birth_ratio"))
    plateau = widest(bars)
    return (
        np.nan if prominence is None else prominence,
        np.nan if ratio is None else ratio,
        plateau.width if plateau else 0.0,
    )


def against(bars: Bars, drawn: Float[np.ndarray, "draws 3"]) -> Evidence:
    """The p-values of the bars and of the widest plateau against some draws."""
    plateau = widest(bars)
    of_bars = np.minimum(1.0, TESTS * bar_p_values(bars, drawn[:, 0], drawn[:, 1]))
    found = Evidence(bars, of_bars, 1.0, len(drawn), tuple(drawn[:, 2].tolist()))
    return replace(found, of_plateau=found.of_width(plateau.width if plateau else 0.0))

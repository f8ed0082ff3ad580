"""Metrics of bars. Each states its homogeneity exponent (``degree``), its empty case and its source.

Multiplying every distance by c multiplies a metric of degree q by c^q. A metric of degree 1 is in the units of the
cloud and comes with a scale-free twin, ``…_scaled``: the metric over the median pairwise distance.
"""

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from todacomm.core.inference_types import UNTRIED, Alternative
from todacomm.core.inference_types import IntervalRule as Rule
from todacomm.core.registry import Registry
from todacomm.core.types import Bars, Diagrams, Number

SCALED = "_scaled"
USUAL_BARS, USUAL_LEAST = 20, math.log(1.01)
SCREEN = (0.94, 0.30)  # 95th percentile: 0.94 + 0.30 log log m of m bars
FEWEST_SCREENED, LEAST_SCREENED = 3, 0.001


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one diagram: ``of(bars)``, its ``degree``, a ``label`` for axes, its homology dimensions.

    ``alternative`` is that of tests against a null: ``greater`` or ``two-sided``. ``rules`` give its confidence
    interval: the first in its lowest dimension, the next one dimension higher, the last in all above.
    """

    name: str
    degree: int
    label: str
    from_dimension: int
    of: Callable[[Bars], Number]
    alternative: Alternative = "two-sided"
    rules: Sequence[Rule] = (UNTRIED,)
    to_dimension: int | None = None

    def rule(self, dimension: int) -> Rule:
        """The interval rule in this dimension."""
        return self.rules[min(dimension - self.from_dimension, len(self.rules) - 1)]


metrics: Registry[Metric] = Registry("metric")


def metric(
    name: str,
    *,
    degree: int,
    label: str,
    from_dimension: int = 0,
    to_dimension: int | None = None,
    alternative: Alternative = "two-sided",
    rules: Sequence[Rule] = (UNTRIED,),
) -> Callable[[Callable[[Bars], Number]], Metric]:
    """Register a function of (m, 2) bars as ``H{k}_{name}`` for every dimension k from ``from_dimension`` on."""
    return lambda of: metrics.add(
        name, Metric(name, degree, label, from_dimension, of, alternative, rules, to_dimension)
    )


def lifetimes(bars: Bars) -> Float[np.ndarray, " m"]:
    """Death minus birth of each bar."""
    return bars[:, 1] - bars[:, 0]


@metric("count", degree=0, label="bars", rules=(Rule(0.0), Rule(-0.5, "root", steepest=-1.25)))
def count(bars: Bars) -> Number:
    """The number of finite bars; 0 for an empty diagram. H0 has one bar less than unique points."""
    return float(len(bars))


@metric(
    "total_persistence",
    degree=1,
    label="total persistence",
    rules=(Rule(), Rule(shrunk=True, skewed=True, steepest=-1.0)),
)
def total_persistence(bars: Bars) -> Number:
    """The sum of the finite lifetimes; 0 for an empty diagram.

    For H0 this is the length of the minimum spanning tree. Cohen-Steiner et al. 2010,
    https://doi.org/10.1007/s10208-010-9060-6
    """
    return float(lifetimes(bars).sum())


@metric(
    "max_lifetime",
    degree=1,
    label="longest bar",
    alternative="greater",
    rules=(
        Rule(0.0, "log", quarters=True, steepest=1.0, note="one point decides it"),
        Rule(0.25, steepest=1.0, grouped=0.0),
    ),
)
def max_lifetime(bars: Bars) -> Number:
    """The longest finite lifetime; 0 for an empty diagram."""
    return float(lifetimes(bars).max(initial=0.0))


@metric("mean_lifetime", degree=1, label="mean lifetime", rules=(Rule(), Rule(steepest=2.0)))
def mean_lifetime(bars: Bars) -> Number:
    """The mean finite lifetime; undefined for an empty diagram."""
    return float(lifetimes(bars).mean()) if len(bars) else None


@metric("persistence_norm", degree=1, label="2-norm of lifetimes", rules=(Rule(), Rule(steepest=0.5)))
def persistence_norm(bars: Bars) -> Number:
    """The Euclidean norm of the vector of lifetimes; 0 for an empty diagram."""
    lives = lifetimes(bars)
    longest = float(lives.max(initial=0.0))
    return float(np.linalg.norm(lives / longest)) * longest if longest else 0.0  # squares of any size


@metric(
    "entropy",
    degree=0,
    label="persistence entropy (nats)",
    rules=(Rule(0.75, "deficit", steepest=1.25), Rule(1.5, "root", steepest=1.5)),
)
def entropy(bars: Bars) -> Number:
    """Shannon entropy of the normalised lifetimes, in nats; 0 for fewer than two bars.

    Chintakunta et al. 2015, https://doi.org/10.1016/j.patcog.2014.06.023
    """
    if len(bars) < 2:
        return 0.0
    shares = lifetimes(bars) / lifetimes(bars).sum()
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


@metric(
    "birth_of_longest",
    degree=1,
    label="birth of the longest bar",
    from_dimension=1,
    rules=(Rule(0.0, steepest=1.0, note="it jumps where another bar is nearly as long"),),
)
def birth_of_longest(bars: Bars) -> Number:
    """The birth of the longest bar, of several the earliest; undefined for an empty diagram."""
    lives = lifetimes(bars)
    return float(bars[lives == lives.max(), 0].min()) if len(bars) else None


@metric(
    "death_birth_ratio",
    degree=0,
    label="largest death / birth",
    from_dimension=1,
    alternative="greater",
    rules=(Rule(0.5, "root", least=1.0, steepest=0.75, grouped=0.0),),
)
def death_birth_ratio(bars: Bars) -> Number:
    """The largest ratio of death to birth, a scale-free measure of prominence; undefined for an empty diagram.

    Bobrowski et al. 2017, https://doi.org/10.1214/16-AAP1232
    """
    return float((bars[:, 1] / bars[:, 0]).max()) if len(bars) else None


@metric(
    "prominence",
    degree=0,
    label="prominence",
    from_dimension=1,
    alternative="greater",
    rules=(Rule(0.5, "root", steepest=0.75, grouped=0.0),),
)
def prominence(bars: Bars) -> Number:
    """The largest log(death / birth) over its 90th percentile (`usual_log_ratio`); 0 for an empty diagram.

    Clouds of low dimension, heavy tails and spheres have many bars that are long for their birth; a loop has few.
    """
    return float(log_ratios(bars).max() / usual_log_ratio(bars)) if len(bars) else 0.0


@metric(
    "screen",
    degree=0,
    label="screen for loops",
    from_dimension=1,
    to_dimension=1,
    alternative="greater",
    rules=(Rule(0.5, "root", steepest=0.75, grouped=0.0),),
)
def screen(bars: Bars) -> Number:
    """The screen for loops: above 1 in about a twentieth of Gaussian clouds; undefined for fewer than three bars.

    The largest log(death / birth) over the geometric mean of all, over what 95 % of Gaussian clouds with as many bars
    stay below. It needs no draws, and is no verdict: heavy tails, spheres and planes pass it as well. Log ratios below
    0.001 count as 0.001. Bobrowski and Skraba 2023, https://doi.org/10.1038/s41598-023-37842-2
    """
    if len(bars) < FEWEST_SCREENED:
        return None
    doubly = np.log(np.maximum(log_ratios(bars), LEAST_SCREENED))
    usual = SCREEN[0] + SCREEN[1] * math.log(math.log(len(bars)))
    return float(np.exp(doubly.max() - doubly.mean() - np.euler_gamma - usual))


def log_ratios(bars: Bars) -> Float[np.ndarray, " m"]:
    """The natural logarithm of death / birth of each bar, whose births are above 0."""
    return np.log(bars[:, 1] / bars[:, 0])


def usual_log_ratio(bars: Bars) -> float:
    """The 90th percentile of log(death / birth), with twenty pseudo-bars of death / birth 1.01.

    Without these, the only bar of a clean circle, and the two of a figure eight, would be their own percentile.
    """
    padded = np.append(log_ratios(bars), np.full(USUAL_BARS, USUAL_LEAST))
    place = len(padded) - 1 - len(padded) // 10
    return float(np.partition(padded, place)[place])


def names_of(maxdim: int) -> dict[str, tuple[int, Metric]]:
    """Names such as ``H0_count`` to dimension and metric, in the order of tables."""
    return {
        f"H{k}_{entry.name}": (k, entry)
        for k in range(maxdim + 1)
        for entry in metrics.values()
        if entry.from_dimension <= k <= (maxdim if entry.to_dimension is None else entry.to_dimension)
    }


def summarise(diagrams: Diagrams, *, scale: float, only: Container[str] | None = None) -> dict[str, Number]:
    """Every metric of every dimension; those of degree 1 also over ``scale`` (undefined for scale 0).

    ``only`` selects metrics, or twins, by name.
    """
    summary: dict[str, Number] = {}
    for name, (k, entry) in names_of(diagrams.maxdim).items():
        if only is not None and name not in only and name + SCALED not in only:
            continue
        value = entry.of(diagrams.finite[k])
        summary[name] = value
        if entry.degree:
            summary[name + SCALED] = None if value is None or scale <= 0 else value / scale**entry.degree
    return summary


def betti_curve(bars: Bars, essential: Float[np.ndarray, " e"], grid: Float[np.ndarray, " g"]) -> Int[np.ndarray, " g"]:
    """The Betti number at each filtration value of ``grid``: classes born at or before it that die after it."""
    born = np.searchsorted(np.sort(bars[:, 0]), grid, side="right")
    dead = np.searchsorted(np.sort(bars[:, 1]), grid, side="right")
    return born - dead + np.searchsorted(np.sort(essential), grid, side="right")

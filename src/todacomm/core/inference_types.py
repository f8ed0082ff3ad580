"""The frozen types of claims: what a number is believed to be, and what it is held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float64

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.value_types import by_value

Number = float | None  # None where a number is undefined
Grown = tuple[float, float, float]  # ratio, scale, shape
Alternative = Literal["greater", "two-sided"]

ALPHA = 0.05  # of every test
FEWEST_RESAMPLES, FEWEST_DRAWS, FEWEST_RUNS = 20, 19, 2
MOST = {"resamples": 100_000, "null_draws": 1_000_000, "null_runs": 10_000}  # more could not be held, nor waited for


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the numbers of a profile.

    ``resamples`` are runs on random halves, two a split; ``null_draws`` those of the Gaussian null, and of each null model that is drawn
    from points. 0 leaves them out. ``nulls`` are names of null models (`todacomm.statistics.null_models`); ``null_runs`` are the forward
    passes of each that takes some.
    """

    confidence: float = 0.95
    resamples: int = 100
    null_draws: int = 199
    nulls: tuple[str, ...] = ()
    null_runs: int = 5

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            if getattr(self, name) > most:
                raise InvalidInput(f"{getattr(self, name)} {name.replace('_', ' ')}; expected at most {most:,}")
        if not 0 < self.confidence < 1:
            raise InvalidInput(f"a confidence of {self.confidence}; expected a number between 0 and 1, such as 0.95")
        if self.resamples % 2 or self.resamples < 0 or 0 < self.resamples < FEWEST_RESAMPLES:
            raise InvalidInput(
                f"{self.resamples} resamples; expected an even number of at least {FEWEST_RESAMPLES}, two for each split "
                "(50 is fast, 100 is the default), or 0 for no intervals"
            )
        if 0 < self.null_draws < FEWEST_DRAWS or self.null_draws < 0:
            raise InvalidInput(
                f"{self.null_draws} null draws; expected at least {FEWEST_DRAWS}, with which 0.05 is the least one-sided p-value "
                "(199 is the default), or 0 for no null"
            )
        if self.null_runs < FEWEST_RUNS:
            raise InvalidInput(
                f"{self.null_runs} runs of a null; expected at least {FEWEST_RUNS}, to see how far they spread"
            )

    @property
    def anything(self) -> bool:
        """Whether there is something to do."""
        return bool(self.resamples or self.null_draws or self.nulls)


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of the mean of a statistic over fresh clouds of the same size.

    ``low`` ≤ ``estimate`` ≤ ``high``, in the unit of the estimate. ``low`` and ``high`` are None where no interval can be given, then
    ``note`` says why; otherwise ``note`` says what to know of it, such as that it is wider than it needs to be.
    """

    estimate: Number
    low: Number
    high: Number
    confidence: float
    method: str
    note: str = ""

    @property
    def defined(self) -> bool:
        """Whether there is an interval."""
        return self.low is not None and self.high is not None

    def shifted(self, by: float) -> "Interval":
        """The interval of the statistic plus a constant."""
        estimate, low, high = (None if x is None else x + by for x in (self.estimate, self.low, self.high))
        return Interval(estimate, low, high, self.confidence, self.method, self.note)


@dataclass(frozen=True, slots=True)
class IntervalRule:
    """How a metric becomes a confidence interval (`todacomm.statistics.intervals`).

    ``power`` is c in (1/2)^c, by which the variance falls from half the points to all of them. ``form`` is what the
    halves are compared by: the value *in proportion*, times T / mean of all halves; times its *root*, as things that
    are counted vary; the *log*; or the *deficit*, log(log(points - 1) - value). ``steadied``: the variance is averaged
    with twice that of all half values. ``skewed``: the ends are as far from the number in its square root, for sums of
    few bars. ``quarters``: quarters in place of halves, and no shrinking. ``grouped`` is c where whole groups are
    drawn, None for the same. ``least`` is the least value there can be. ``steepest``: in unpaired comparisons the power
    is measured on quarters against halves, of the values as they are, and is this at most; None keeps the rule there
    too.
    """

    power: float = 1.0
    form: Literal["in proportion", "root", "log", "deficit"] = "in proportion"
    steadied: bool = False
    skewed: bool = False
    quarters: bool = False
    least: float = 0.0
    steepest: float | None = None
    note: str = ""
    grouped: float | None = None

    def power_of(self, halves: "Halves") -> float:
        """How the variance falls from halves to the whole."""
        return self.grouped if halves.groups and self.grouped is not None else self.power


UNTRIED = IntervalRule(0.5, steadied=True, note="no simulation stands behind the rule of this metric")


def at_most_alpha(p: float) -> bool:
    """Whether a p-value is at most 0.05; one of 10 in 200 is, whatever the last bit of the quotient says."""
    return p <= ALPHA * (1 + 1e-9)


@dataclass(frozen=True, slots=True)
class NullTest:
    """One number held against its distribution under a null model.

    ``mean`` and ``spread`` (standard deviation) are those of the draws. ``p`` is of this layer alone. ``family_wise`` is against the
    most extreme of the ``layers`` layers in each draw: it alone decides, by `found`. ``adjusted``, after Benjamini and Hochberg, stands
    beside it for whoever wants a false discovery rate. ``smallest`` is the least ``p`` that so many ``draws`` can give. Numbers
    that cannot be had are None, then ``note`` says why.
    """

    metric: str
    observed: Number
    mean: Number
    spread: Number
    p: Number
    adjusted: Number
    family_wise: Number
    alternative: Alternative
    draws: int
    smallest: float
    null: str
    layers: int = 1
    note: str = ""

    @property
    def effect(self) -> Number:
        """(Observed − mean) / spread of the draws; None where one is undefined or the draws have no spread."""
        if self.observed is None or self.mean is None or not self.spread:
            return None
        return (self.observed - self.mean) / self.spread

    @property
    def found(self) -> bool:
        """Whether the number differs from its null: the family-wise p-value over all layers is at most 0.05."""
        return self.family_wise is not None and at_most_alpha(self.family_wise)


@dataclass(frozen=True, slots=True)
class LoopBar:
    """A bar of H1 that no Gaussian cloud of its layer has, and what it is in the group of points that it lies in.

    ``birth`` and ``death`` are in the unit of the diagram, ``median`` is the median distance of the layer in that unit. ``cycle`` are
    the points of the shortest cycle through the edge that bears the bar, one after the other around the loop; ``group`` are
    the points of its group, the connected component at the distance at which it dies; both are rows of the cloud as it came, so that row i is text i.
    ``p_layer`` is against the rotations of the layer, family-wise over the layers. ``p_group`` is against ``draws`` rotations of the group
    alone and as many that are filled evenly (the largest of these, and of both for the component at twice the distance), times the ``groups`` of all
    layers that were tested (Bonferroni). ``draws`` and ``p_group`` are 0 in records that held no bar of a whole layer against filled ones.
    """

    birth: float
    death: float
    median: float
    cycle: tuple[int, ...]
    group: tuple[int, ...]
    p_layer: float
    p_group: float
    draws: int
    groups: int

    @property
    def p(self) -> float:
        """The larger of both: a loop must stand out of its layer and of its group."""
        return max(self.p_layer, self.p_group)

    @property
    def found(self) -> bool:
        """Whether the bar is a loop."""
        return at_most_alpha(self.p)


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """The numbers of one cloud and of its halves, NaN where undefined.

    ``whole`` (k,), ``values`` (s, 2, k), ``quarters`` (s, 4, k): those of ``names``, which are the metrics of the summary, the
    ``scale``, and ``tree_length``, the H0 total; these two in the units of the activations. Quarters are NaN where they would cut groups. The cloud
    has ``points`` points, each half ``half``; ``groups``, ``effective`` and ``drawn`` are those of the `Splits`.
    """

    names: tuple[str, ...]
    whole: Float64[np.ndarray, " k"]
    values: Float64[np.ndarray, "s 2 k"]
    quarters: Float64[np.ndarray, "s 4 k"]
    points: int
    half: int
    groups: int
    drawn: str
    effective: float = 0.0

    def __repr__(self) -> str:
        return f"Halves({len(self.names)} numbers, {self.drawn})"

    def estimate(self, name: str) -> float:
        """The number of the whole cloud."""
        return float(self.whole[self._place(name)])

    def of(self, name: str) -> Float64[np.ndarray, "s 2"]:
        """The number on both halves of each split."""
        return self.values[:, :, self._place(name)]

    def quarters_of(self, name: str) -> Float64[np.ndarray, "s 4"]:
        """The number on the quarters of each split."""
        return self.quarters[:, :, self._place(name)]

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise UnknownName("number of this cloud", name, self.names)
        return self.names.index(name)


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """What the numbers of a profile are worth.

    ``intervals``: layer → number → `Interval`, with the ``scale`` and the ``tree_length`` besides the metrics; ``growths``: baseline of an
    expansion → ratio, scale, shape; ``peaks``: the share of halves in which each block has the longest tree. Where points come in groups
    (texts in articles), all of these respect them: halves are of whole groups, and ``one_by_one`` has the intervals of points drawn one by one. ``tests``: null (gaussian, text, untrained) → layer → metric → `NullTest`;
    ``loops``: layer → the bars of H1 that stand out of Gaussian clouds, each held against its group of points as well. ``halves`` are what intervals and later
    comparisons are made of. ``missing`` says of a layer why it has no intervals, ``ungrouped`` why they are of points drawn one by one. ``null_growths``: null
    (text, untrained) → baseline → ratio, scale and shape of each of its passes, to the peak of that pass; None where undefined. ``labels``: by number,
    the group of each point, empty where none are drawn whole.
    """

    asked: Asked
    intervals: Mapping[str, Mapping[str, Interval]]
    one_by_one: Mapping[str, Mapping[str, Interval]]
    growths: Mapping[str, Mapping[str, Interval]]
    peaks: Mapping[str, float]
    tests: Mapping[str, Mapping[str, Mapping[str, NullTest]]]
    loops: Mapping[str, tuple[LoopBar, ...]]
    halves: Mapping[str, Halves]
    missing: Mapping[str, str]
    ungrouped: str = ""
    null_growths: Mapping[str, Mapping[str, Sequence[Grown | None]]] = field(default_factory=dict)
    labels: tuple[int, ...] = ()

    @property
    def groups(self) -> int:
        """How many groups were kept whole; 0 where points were drawn one by one."""
        return max((found.groups for found in self.halves.values()), default=0)

    def bounds(self, name: str, layers: Sequence[str]) -> Float64[np.ndarray, "L 2"]:
        """The ends of the intervals of a number along the layers, NaN where there is none."""
        found = [self.intervals.get(layer, {}).get(name) for layer in layers]
        ends = [(one.low, one.high) if one else (None, None) for one in found]
        return np.array(ends, dtype=np.float64)

    def tests_of(self, name: str, layers: Sequence[str], *, null: str = "gaussian") -> list[NullTest | None]:
        """The tests of a metric along the layers, None where there is none."""
        found = self.tests.get(null, {})
        return [found.get(layer, {}).get(name) for layer in layers]

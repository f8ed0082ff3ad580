"""Results of inference: confidence intervals, null tests, loop bars, and the settings behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float64

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.value_types import by_value

Number = float | None  # None where a number is undefined
GrowthFactors = tuple[float, float, float]  # ratio, scale, shape
Alternative = Literal["greater", "two-sided"]

ALPHA = 0.05  # of every test
FEWEST_RESAMPLES, FEWEST_DRAWS, FEWEST_RUNS = 20, 19, 2
MOST = {"resamples": 100_000, "null_draws": 1_000_000, "null_runs": 10_000}  # more could not be held, nor waited for


@dataclass(frozen=True, slots=True)
class InferenceSettings:
    """Settings of inference; 0 resamples or draws leave their part out."""

    confidence: float = 0.95
    resamples: int = 100  # random half-samples, two a split
    null_draws: int = 199  # of the Gaussian null, and of each null model that is drawn from points
    nulls: tuple[str, ...] = ()  # names in `todacomm.statistics.null_models`
    null_runs: int = 5  # forward passes of each null model that takes some

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            if getattr(self, name) > most:
                raise InvalidInput(f"{getattr(self, name)} {name.replace('_', ' ')}; expected at most {most:,}")
        if not 0 < self.confidence < 1:
            raise InvalidInput(f"a confidence of {self.confidence}; expected a number between 0 and 1, such as 0.95")
        if self.resamples % 2 or self.resamples < 0 or 0 < self.resamples < FEWEST_RESAMPLES:
            raise InvalidInput(
                f"{self.resamples} resamples; expected an even number of at least {FEWEST_RESAMPLES}, "
                "two for each split (50 is fast, 100 is the default), or 0 for no intervals"
            )
        if 0 < self.null_draws < FEWEST_DRAWS or self.null_draws < 0:
            raise InvalidInput(
                f"{self.null_draws} null draws; expected at least {FEWEST_DRAWS}, with which 0.05 is the least "
                "one-sided p-value (199 is the default), or 0 for no null"
            )
        if self.null_runs < FEWEST_RUNS:
            raise InvalidInput(
                f"{self.null_runs} runs of a null; expected at least {FEWEST_RUNS}, to see how far they spread"
            )

    @property
    def anything(self) -> bool:
        """Whether any inference is asked for."""
        return bool(self.resamples or self.null_draws or self.nulls)


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of the mean of a statistic over fresh clouds of the same size.

    ``low`` ≤ ``estimate`` ≤ ``high``, in the unit of the estimate. Where ``low`` and ``high`` are None, ``note`` says
    why; otherwise it says what to know of the interval, such as that it is conservative.
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
        """Shift the interval by a constant."""
        estimate, low, high = (None if x is None else x + by for x in (self.estimate, self.low, self.high))
        return Interval(estimate, low, high, self.confidence, self.method, self.note)


@dataclass(frozen=True, slots=True)
class IntervalRule:
    """How to compute the confidence interval of a metric (`todacomm.statistics.intervals`).

    ``form`` is how half-samples are compared: *in proportion*, value × T / mean of all halves; *root*, its square root,
    for counts; *log*; or *deficit*, log(log(points - 1) - value).
    """

    power: float = 1.0  # c: variance at n points = variance at n/2 × (1/2)^c
    form: Literal["in proportion", "root", "log", "deficit"] = "in proportion"
    shrunk: bool = False  # average the split-half variance with the pooled variance (weights 1 : 2)
    skewed: bool = False  # symmetric in the square root, for sums of few bars
    quarters: bool = False  # quarter-samples in place of halves, without shrinkage
    least: float = 0.0  # the least possible value
    steepest: float | None = None  # unpaired comparisons estimate c from quarters, at most this; None: `power`
    note: str = ""
    grouped: float | None = None  # c where whole groups are drawn; None: `power`

    def power_of(self, halves: "Halves") -> float:
        """Return c for these half-samples."""
        return self.grouped if halves.groups and self.grouped is not None else self.power


UNTRIED = IntervalRule(0.5, shrunk=True, note="no simulation stands behind the rule of this metric")


def at_most_alpha(p: float) -> bool:
    """Whether p ≤ 0.05, up to rounding: 10 of 200 is."""
    return p <= ALPHA * (1 + 1e-9)


@dataclass(frozen=True, slots=True)
class NullTest:
    """One number tested against its distribution under a null model; ``note`` says why a value is None."""

    metric: str
    observed: Number
    mean: Number  # of the draws
    spread: Number  # standard deviation of the draws
    p: Number  # of this layer alone
    adjusted: Number  # false discovery rate (Benjamini and Hochberg)
    family_wise: Number  # against the most extreme of ``layers`` layers in each draw; decides `found`
    alternative: Alternative
    draws: int
    smallest: float  # the least attainable ``p``
    null: str
    layers: int = 1
    note: str = ""

    @property
    def effect(self) -> Number:
        """(Observed − mean) / standard deviation of the draws; None where undefined or without spread."""
        if self.observed is None or self.mean is None or not self.spread:
            return None
        return (self.observed - self.mean) / self.spread

    @property
    def found(self) -> bool:
        """Whether the family-wise p-value is at most 0.05."""
        return self.family_wise is not None and at_most_alpha(self.family_wise)


@dataclass(frozen=True, slots=True)
class LoopBar:
    """A bar of H1 that exceeds those of the Gaussian null, and its test within its own group of points.

    Of a bar of ``centroids`` the cycle has the point nearest to each.

    Its group is the connected component at the distance at which it dies. ``p_group`` is against ``draws`` rotations of
    the group and as many evenly filled balls (the larger, also of the component at twice the distance), times
    ``groups`` (Bonferroni). Older records that skipped the ball for a whole layer have ``draws`` and ``p_group`` 0.
    """

    birth: float  # in the unit of the diagram
    death: float
    median: float  # median distance of the layer, in the same unit
    cycle: tuple[int, ...]  # shortest cycle through the birth edge: rows of the raw cloud, in order around the loop
    group: tuple[int, ...]  # rows of the raw cloud: row i is text i
    p_layer: float  # against rotations of the layer, family-wise over the layers
    p_group: float
    draws: int
    groups: int  # tested in all layers
    centroids: int = 0  # vertices, where these are centroids of the points

    @property
    def p(self) -> float:
        """The larger p-value: a loop must stand out of its layer and of its group."""
        return max(self.p_layer, self.p_group)

    @property
    def found(self) -> bool:
        """Whether the bar is a loop."""
        return at_most_alpha(self.p)


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """Metrics of one cloud and of its half-samples, NaN where undefined.

    ``names`` are the metrics, ``scale``, and ``tree_length`` (H0 total), the last two in activation units.
    """

    names: tuple[str, ...]
    whole: Float64[np.ndarray, " k"]
    values: Float64[np.ndarray, "s 2 k"]
    quarters: Float64[np.ndarray, "s 4 k"]  # NaN where they would cut groups
    points: int
    half: int  # points of a half
    groups: int  # this and the rest as in `Splits`
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
    """Inference results of a profile: confidence intervals, null tests, loops.

    Where points come in groups (texts of articles), half-samples are of whole groups.
    """

    asked: InferenceSettings
    intervals: Mapping[str, Mapping[str, Interval]]  # layer → metric, ``scale`` or ``tree_length``
    one_by_one: Mapping[str, Mapping[str, Interval]]  # the same of points drawn one by one, where there are groups
    growths: Mapping[str, Mapping[str, Interval]]  # baseline of an expansion → ratio, scale, shape
    peaks: Mapping[str, float]  # fraction of half-samples in which each block has the largest H0 total
    tests: Mapping[str, Mapping[str, Mapping[str, NullTest]]]  # null model → layer → metric
    loops: Mapping[str, tuple[LoopBar, ...]]  # layer → candidate loops
    halves: Mapping[str, Halves]  # the half-samples behind intervals and later comparisons
    missing: Mapping[str, str]  # layer → why it has no intervals
    ungrouped: str = ""  # why no whole groups were drawn
    null_growths: Mapping[str, Mapping[str, Sequence[GrowthFactors | None]]] = field(default_factory=dict)
    # null model of forward passes → baseline → ratio, scale, shape of each pass, to its own peak; None where undefined
    labels: tuple[int, ...] = ()  # the group of each point, by number; empty where none are drawn whole

    @property
    def groups(self) -> int:
        """How many groups were kept whole; 0 where points were drawn one by one."""
        return max((found.groups for found in self.halves.values()), default=0)

    def bounds(self, name: str, layers: Sequence[str]) -> Float64[np.ndarray, "L 2"]:
        """The ends of the intervals of a metric along the layers, NaN where there is none."""
        found = [self.intervals.get(layer, {}).get(name) for layer in layers]
        ends = [(one.low, one.high) if one else (None, None) for one in found]
        return np.array(ends, dtype=np.float64)

    def tests_of(self, name: str, layers: Sequence[str], *, null: str = "gaussian") -> list[NullTest | None]:
        """The tests of a metric along the layers, None where there is none."""
        found = self.tests.get(null, {})
        return [found.get(layer, {}).get(name) for layer in layers]

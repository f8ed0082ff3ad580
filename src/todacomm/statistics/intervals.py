"""Confidence intervals of metrics, of their ratios and of their differences, from half-samples.

The halves of a split are independent samples of equal size, so the mean of (T(A) - T(B))² / 2 over many splits is an
unbiased variance of T at that size, for any statistic: Wang and Lindsay 2014, Statistica Sinica 24:1117. The exponent c
of its fall (1/2)^c from half the points to all of them is the rule of each metric. Rules and degrees of freedom were
chosen by simulation: benchmarks/intervals.py, docs/decisions/013-intervals.md.

Every interval is one of the mean over fresh clouds of as many points, centred on the value of the cloud, not on the
mean of its halves, which are smaller. Comparisons are paired where both sides were split alike. Where they are not, a
rule that covers on the worst population would be doubly wide: there the exponent is measured, from quarters to halves
(docs/decisions/015-comparison.md).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from scipy.special import stdtr, stdtrit

from todacomm.core.errors import InvalidInput
from todacomm.core.inference_types import UNTRIED, Halves, Interval, IntervalRule
from todacomm.core.types import is_block
from todacomm.homology.metrics import SCALED, metrics
from todacomm.statistics.metrics_on_halves import SCALE, TREE
from todacomm.statistics.random_halves import QUARTERED_GROUPS

FREEDOM = 10.0  # degrees of freedom of t
MEASURED = 20.0  # the same, of two clouds whose power is measured
MISSING = 0.2  # the share of splits that may be undefined
CONFIDENCE = 0.95
ROUNDING = 1e-9  # nats
COUNTED = 1e-9  # what an end of an interval may be beyond a count
BOTH = "halves and quarters"
NEVER = "0 here and in every half: that other clouds have none is not shown"

Series = Float64[np.ndarray, "s _"]


def rule_of(name: str) -> IntervalRule:
    """The rule of a metric, also for its scaled twin; `UNTRIED` for an unknown one."""
    if name in (SCALE, TREE):
        return IntervalRule()
    dimension, _, metric = name.removeprefix("H").removesuffix(SCALED).partition("_")
    return metrics[metric].rule(int(dimension)) if metric in metrics else UNTRIED


# Intervals of one number


def intervals(halves: Halves, *, confidence: float = CONFIDENCE) -> dict[str, Interval]:
    """Compute the interval of every metric of a cloud."""
    return {name: interval(name, halves, confidence=confidence) for name in halves.names}


def interval(name: str, halves: Halves, *, confidence: float = CONFIDENCE) -> Interval:
    """Compute the interval of one metric; None and a reason where there is none."""
    rule, spread, estimate = rule_of(name), spread_of(name, halves), halves.estimate(name)
    reach = _reach(spread, confidence)
    if spread.undefined:
        return _made(estimate, None, confidence, rule, spread)
    low, high = possible(name, _ends(rule, estimate, reach, _ceiling(halves.points)), halves.points)
    return _made(estimate, (max(low, rule.least), high), confidence, rule, spread)


def possible(name: str, ends: tuple[float, float], points: int) -> tuple[float, float]:
    """Round the ends for a count to counts, and those of H0 to at most points - 1."""
    if not name.endswith("_count"):
        return ends
    most = points - 1.0 if name == "H0_count" else math.inf
    return float(math.floor(ends[0] + COUNTED)), min(float(math.ceil(ends[1] - COUNTED)), most)


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How a metric varies over random parts of its cloud, in its own unit.

    ``series`` (s, 2) are the values on the two parts of each split, scaled to the size of the cloud; ``deviation`` is
    the standard deviation at that size. ``undefined`` says why there is none, ``method`` how it was found.
    """

    series: Series
    deviation: float
    freedom: float
    method: str
    undefined: str = ""
    note: str = ""


def spread_of(name: str, halves: Halves) -> Spread:
    """Estimate how a metric varies from halves (or quarters), by its rule."""
    rule, estimate = rule_of(name), halves.estimate(name)
    given = halves.quarters_of(name).reshape(-1, 2) if by_quarters(rule, halves) else halves.of(name)
    with np.errstate(divide="ignore", invalid="ignore"):
        series = _in_unit(given, estimate, rule, halves)
    why = "the number itself is undefined" if math.isnan(estimate) else ""
    if rule.form == "deficit" and _ceiling(halves.points) - estimate < ROUNDING:
        why = "all lifetimes are equal"
    found = _spread(series, rule, halves, why)
    return replace(found, note=NEVER) if estimate == 0 and not (found.undefined or series.any()) else found


def by_quarters(rule: IntervalRule, halves: Halves) -> bool:
    """Whether a metric uses quarters; a few groups have none, there halves must do."""
    return rule.quarters and not 0 < halves.groups < QUARTERED_GROUPS


def _in_unit(given: Series, estimate: float, rule: IntervalRule, halves: Halves) -> Series:
    """The values in the rule's form, times the derivative of the value by the form."""
    if estimate == 0 and not np.nan_to_num(given, nan=1.0).any():
        return given
    if rule.form == "log":
        return estimate * np.log(given)
    if rule.form == "deficit":
        return (estimate - _ceiling(halves.points)) * np.log(_ceiling(halves.half) - given)
    growth = estimate / _mean(given)
    if (
        estimate == 0 or not given.all()
    ):  # few bars: a part may have some where the whole has none, and none where it has some
        growth = max(growth, np.float64(1.0))
    return given * (np.sqrt(growth) if rule.form == "root" else growth)


def _ceiling(points: int) -> float:
    """The largest entropy of H0 of so many points: that of equal lifetimes."""
    return math.log(points - 1)


def _mean(given: Series) -> np.float64:
    """The mean of the defined values; NaN of none."""
    there = given[np.isfinite(given)]
    return there.mean() if there.size else np.float64(np.nan)


def _spread(series: Series, rule: IntervalRule, halves: Halves, why: str) -> Spread:
    """The spread of values in the unit of the metric; undefined for the reason ``why``, or with too many undefined."""
    usable = np.isfinite(series).all(axis=1)
    missing = int((~usable).sum())
    quarters = by_quarters(rule, halves)
    if missing > MISSING * len(series):
        why = why or f"undefined on {missing} of {len(series)} pairs of {'quarters' if quarters else 'halves'}"
    found = math.nan if why else deviation(series[usable], rule, halves)
    note = f"{missing} of {len(series)} splits left out, where it is undefined" if missing and not why else ""
    freedom = min(FREEDOM, halves.effective - 1.0) if halves.groups else FREEDOM
    method = ("quarters, conservative" if quarters else "split-half") + (", whole groups" if halves.groups else "")
    return Spread(series, found, freedom, method, why, note)


def deviation(series: Series, rule: IntervalRule, halves: Halves) -> float:
    """Standard deviation at full size from pairs of parts, computed relative to the largest value."""
    unit = float(np.abs(series).max()) or 1.0
    pairs = series / unit
    variance = float(np.mean((pairs[:, 0] - pairs[:, 1]) ** 2)) / 2
    if rule.shrunk:
        variance = (variance + 2 * float(np.var(pairs, ddof=1))) / 2
    if not by_quarters(rule, halves):
        variance *= (halves.half / halves.points) ** rule.power_of(halves)
    return unit * math.sqrt(variance)


def _reach(spread: Spread, confidence: float) -> float:
    """Half the width of the interval: a quantile of Student's t times the deviation."""
    return _quantile(spread.freedom, confidence) * spread.deviation


def _quantile(freedom: float, confidence: float) -> float:
    """The two-sided quantile of Student's t."""
    if not 0 < confidence < 1:
        raise InvalidInput(f"a confidence of {confidence}; expected a number between 0 and 1, such as 0.95")
    return float(stdtrit(freedom, (1 + confidence) / 2))


def _ends(rule: IntervalRule, estimate: float, reach: float, ceiling: float) -> tuple[float, float]:
    """The ends of the interval, transformed back from the rule's form."""
    if rule.form == "log" and estimate > 0:
        factor = math.exp(reach / estimate)
        return estimate / factor, estimate * factor
    if rule.form == "deficit":
        deficit = ceiling - estimate
        factor = math.exp(reach / deficit)
        return ceiling - deficit * factor, ceiling - deficit / factor
    if rule.skewed and estimate > 0:
        root, reach = math.sqrt(estimate), reach / (2 * math.sqrt(estimate))
        return max(root - reach, 0.0) ** 2, (root + reach) ** 2
    return estimate - reach, estimate + reach


def _made(
    estimate: float, ends: tuple[float, float] | None, confidence: float, rule: IntervalRule, spread: Spread
) -> Interval:
    """Build the interval, which contains its estimate despite rounding; None gives the reason in place of ends."""
    if ends is None:
        number = estimate if math.isfinite(estimate) else None
        return Interval(number, None, None, confidence, spread.method, spread.undefined)
    notes = "; ".join(note for note in (rule.note, spread.note) if note)
    return Interval(estimate, min(ends[0], estimate), max(ends[1], estimate), confidence, spread.method, notes)


# Ratios and differences of the same number in two clouds


def ratio_interval(
    name: str, above: Halves, below: Halves, *, paired: bool = True, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of a ratio between two clouds: H0 ratio (``tree_length``), scale ratio, shape ratio.

    ``paired``: both were split alike (else InvalidInput); otherwise they are independent. It holds every ratio r for
    which above - r below may be 0 (Fieller 1954, Journal of the Royal Statistical Society B 16:175), so 1 exactly where
    `difference_test` shows no difference.
    """
    base, top = below.estimate(name), above.estimate(name)
    spread = _combined(name, below, above, paired=paired)
    if not base or spread.undefined:
        why = replace(spread, undefined=spread.undefined or "the number below is 0")
        return _made(top / base if base else math.nan, None, confidence, rule_of(name), why)
    parts = [d / abs(base) for d in (*deviations(name, below, above, spread, paired=paired), spread.deviation)]
    ends = fieller(top / base, parts, _quantile(spread.freedom, confidence))
    unsure = spread if ends else replace(spread, undefined="the number below may be 0 as well")
    return _made(top / base, ends and (max(ends[0], 0.0), ends[1]), confidence, rule_of(name), unsure)


def fieller(ratio: float, deviations: Sequence[float], t: float) -> tuple[float, float] | None:
    """The bounds of y / x, for relative deviations of x, y and y - x and a t quantile; None if x may be 0."""
    x, y, both = (t * d for d in deviations)
    covariance = (x**2 + y**2 - both**2) / 2
    kept = 1 - x**2
    if ratio == 1 and not both:
        return 1.0, 1.0
    if kept <= 0:
        return None
    root = (ratio * x) ** 2 - 2 * ratio * covariance + y**2 - (x * y) ** 2 + covariance**2
    middle, reach = ratio - covariance, math.sqrt(max(root, 0.0))
    return (middle - reach) / kept, (middle + reach) / kept


def deviations(name: str, first: Halves, second: Halves, spread: Spread, *, paired: bool) -> tuple[float, float]:
    """Degrees of freedom of the difference in two clouds with this spread, split alike or of equal power."""
    a, b = spread_of(name, first), spread_of(name, second)
    if paired:
        usable = np.isfinite(a.series + b.series).all(axis=1)
        return deviation(a.series[usable], rule_of(name), first), deviation(b.series[usable], rule_of(name), second)
    if spread.method != BOTH:
        return a.deviation, b.deviation
    x, y = (math.sqrt(between(values)) for values in in_one_unit([first.of(name), second.of(name)])[1])
    return spread.deviation * x / math.hypot(x, y), spread.deviation * y / math.hypot(x, y)


def relative_interval(
    name: str, first: Halves, second: Halves, *, paired: bool = True, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of the relative difference, (second - first) / first."""
    return ratio_interval(name, second, first, paired=paired, confidence=confidence).shifted(-1.0)


def difference_interval(
    name: str, first: Halves, second: Halves, *, paired: bool = True, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of second - first, paired or not as in `ratio_interval`; [0, 0] for the same cloud."""
    difference, spread = second.estimate(name) - first.estimate(name), _combined(name, first, second, paired=paired)
    reach = _reach(spread, confidence)
    ends = None if spread.undefined else (difference - reach, difference + reach)
    return _made(difference, ends, confidence, rule_of(name), spread)


def difference_test(name: str, first: Halves, second: Halves, *, paired: bool = True) -> float | None:
    """The two-sided p-value of no difference; None where undefined, or where values differ without varying."""
    difference, spread = second.estimate(name) - first.estimate(name), _combined(name, first, second, paired=paired)
    return None if spread.undefined else p_value(difference, spread.deviation, spread.freedom)


def p_value(value: float, deviation: float, freedom: float) -> float | None:
    """Two-sided p of Student's t; 1 for no difference, None where it differs without varying."""
    if value == 0:
        return 1.0
    return float(2 * stdtr(freedom, -abs(value) / deviation)) if deviation > 0 else None


def _combined(name: str, first: Halves, second: Halves, *, paired: bool) -> Spread:
    """The spread of the difference: split by split, or of independent clouds."""
    if paired:
        refuse_unpaired(first, second)
    a, b = spread_of(name, first), spread_of(name, second)
    why = a.undefined or b.undefined
    found = summed(a, b, (-1.0, 1.0), rule_of(name), first, paired=paired, why=why)
    measured = None if paired or why else measured_deviation(name, first, second)
    return found if measured is None else replace(found, deviation=measured, freedom=MEASURED, method=BOTH)


def summed(
    a: Spread,
    b: Spread,
    factors: tuple[float, float],
    rule: IntervalRule,
    halves: Halves,
    *,
    paired: bool,
    why: str = "",
) -> Spread:
    """The spread of a weighted sum of two values, by the rule; ``halves`` are those of either."""
    if paired:
        with np.errstate(invalid="ignore"):  # where both are infinite, the split is left out
            series = factors[0] * a.series + factors[1] * b.series
        return _spread(series, rule, halves, why)
    x, y = (abs(factor) * of.deviation for factor, of in zip(factors, (a, b), strict=True))
    found = math.hypot(x, y)
    freedom = 1 / ((x / found) ** 4 / a.freedom + (y / found) ** 4 / b.freedom) if found else FREEDOM  # Welch
    return Spread(a.series, found, freedom, a.method, why, a.note or b.note)


def measured_deviation(name: str, first: Halves, second: Halves) -> float | None:
    """Standard deviation of the difference between two independent clouds.

    The unbiased variance at half size falls to full size by as much as it fell from quarters to halves. None where the
    rule has no bound for it, for whole groups (whose quarters are few groups), and for a variance of 0 or undefined.
    """
    steepest = rule_of(name).steepest
    unit, (a, b, *quarters) = in_one_unit(
        [f(name) for f in (first.of, second.of, first.quarters_of, second.quarters_of)]
    )
    half, quarter = between(a) + between(b), sum(map(between, quarters))
    if steepest is None or first.groups or second.groups or not (half > 0 and quarter > 0):
        return None
    power = min(math.log2(quarter / half), steepest)
    return unit * math.sqrt(half * (first.half / first.points) ** power)


def in_one_unit(values: Sequence[Float64[np.ndarray, "s _"]]) -> tuple[float, list[Float64[np.ndarray, "s _"]]]:
    """The largest absolute value, and the values over it, so that squares stay finite."""
    unit = max((float(np.abs(some[np.isfinite(some)]).max(initial=0.0)) for some in values), default=0.0) or 1.0
    return unit, [some / unit for some in values]


def between(values: Float64[np.ndarray, "s parts"]) -> float:
    """The variance between the disjoint parts of a split, averaged over complete splits; NaN for none."""
    there = values[np.isfinite(values).all(axis=1)]
    return float(there.var(axis=1, ddof=1).mean()) if len(there) else math.nan


def refuse_unpaired(first: Halves, second: Halves) -> None:
    """Raise InvalidInput unless both clouds were split alike."""
    if first.drawn != second.drawn:
        raise InvalidInput(
            f"a paired comparison needs the same splits in both clouds; found {first.drawn}, and {second.drawn}. "
            "Measure both on the same texts with the same seed, or compare unpaired"
        )


# The peak


def peak_shares(layers: Mapping[str, Halves]) -> dict[str, float]:
    """Fraction of half-samples in which each block has the largest H0 total, descending."""
    blocks = [layer for layer in layers if is_block(layer)]
    if not blocks:
        return {}
    for layer in blocks[1:]:
        refuse_unpaired(layers[blocks[0]], layers[layer])
    highest = np.argmax([layers[layer].of(TREE) for layer in blocks], axis=0)
    shares = {layer: float(np.mean(highest == k)) for k, layer in enumerate(blocks)}
    return dict(sorted(((layer, share) for layer, share in shares.items() if share), key=lambda item: -item[1]))

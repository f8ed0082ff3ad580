"""Halves of a cloud → confidence intervals of its numbers, of their ratios and of their differences.

The two halves of a split are independent samples of the same size, so that the mean of (T(A) - T(B))² / 2 over many splits is
the variance of T at that size, without bias and whatever the statistic: Wang and Lindsay 2014, Statistica Sinica 24:1117. How the variance
falls from half the points to all of them, its power c in (1/2)^c, is the rule of each metric. Rules and degrees of freedom were
chosen by simulation: benchmarks/intervals.py, docs/decisions/013-intervals.md.

Every interval is one of the mean over fresh clouds of as many points, and is centred on the number of the cloud, never on
the mean of its halves, which are another size. Comparisons are paired where both sides were cut by the same splits. Where they are
not, a rule that covers on the worst population would be wide twice: there the power is measured, from quarters to halves
(docs/decisions/015-comparison.md).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float64
from scipy.special import stdtr, stdtrit

from todacomm.claims import Halves, Interval
from todacomm.errors import InvalidInput
from todacomm.halves import TREE
from todacomm.types import is_block

FREEDOM = 10.0  # degrees of freedom of t
MEASURED = 20.0  # the same, of two clouds whose power is measured
MISSING = 0.2  # the share of splits that may be undefined
CONFIDENCE = 0.95
ROUNDING = 1e-9  # nats
BOTH = "halves and quarters"

Series = Float64[np.ndarray, "s _"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a metric becomes an interval.

    ``power`` is c. ``form`` is what the halves are compared by: the value *in proportion*, times T / mean of all halves; times its
    *root*, as things that are counted vary; the *log*; or the *deficit*, log(log(points - 1) - value). ``steadied``: the variance is averaged with twice that
    of all half values. ``skewed``: the ends are as far from the number in its square root, for sums of few bars. ``quarters``:
    quarters in place of halves, and no shrinking. ``least`` is the least value there can be. ``steepest``: in unpaired comparisons the
    power is measured on quarters against halves, of the values as they are, and is this at most; None keeps the rule there too.
    """

    power: float = 1.0
    form: Literal["in proportion", "root", "log", "deficit"] = "in proportion"
    steadied: bool = False
    skewed: bool = False
    quarters: bool = False
    least: float = 0.0
    steepest: float | None = None
    note: str = ""


RULES = {
    "scale": Rule(),
    "tree_length": Rule(),
    "H0_count": Rule(0.0),
    "H0_total_persistence": Rule(),
    "H0_max_lifetime": Rule(0.0, "log", quarters=True, steepest=1.0, note="one point decides it"),
    "H0_mean_lifetime": Rule(),
    "H0_persistence_norm": Rule(),
    "H0_entropy": Rule(0.75, "deficit", steepest=1.25),
    "H1_count": Rule(-0.5, "root", steepest=-1.25),
    "H1_total_persistence": Rule(steadied=True, skewed=True, steepest=-1.0),
    "H1_max_lifetime": Rule(0.25, steepest=1.0),
    "H1_mean_lifetime": Rule(steepest=2.0),
    "H1_persistence_norm": Rule(steepest=0.5),
    "H1_entropy": Rule(1.5, "root", steepest=1.5),
    "H1_birth_of_longest": Rule(0.0, steepest=1.0, note="it jumps where another bar is nearly as long"),
    "H1_death_birth_ratio": Rule(0.5, "root", least=1.0, steepest=0.75),
    "H1_prominence": Rule(0.5, "root", steepest=0.75),
}
UNTRIED = Rule(0.5, steadied=True, note="no simulation stands behind the rule of this metric")


def rule_of(name: str) -> Rule:
    """The rule of a number; twins over the scale have that of the metric, and dimension 2 that of dimension 1."""
    return RULES.get(re.sub(r"^H[2-9]_", "H1_", name.removesuffix("_scaled")), UNTRIED)


# Intervals of one number


def intervals(halves: Halves, *, confidence: float = CONFIDENCE) -> dict[str, Interval]:
    """The interval of every number of a cloud."""
    return {name: interval(name, halves, confidence=confidence) for name in halves.names}


def interval(name: str, halves: Halves, *, confidence: float = CONFIDENCE) -> Interval:
    """The interval of one number; without ends, and with the reason, where there is none."""
    rule, spread, estimate = rule_of(name), spread_of(name, halves), halves.estimate(name)
    reach = _reach(spread, confidence)
    if spread.undefined:
        return _made(estimate, None, confidence, rule, spread)
    low, high = _ends(rule, estimate, reach, _ceiling(halves.points))
    return _made(estimate, (max(low, rule.least), high), confidence, rule, spread)


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How a number varies over random parts of its cloud, in its own unit.

    ``series`` (s, 2) are the values of the two parts of each split, brought to the size of the whole cloud and centred anywhere;
    ``deviation`` is the standard deviation of the whole cloud's number. ``undefined`` says why there is none, ``method`` what it
    was made from.
    """

    series: Series
    deviation: float
    freedom: float
    method: str
    undefined: str = ""
    note: str = ""


def spread_of(name: str, halves: Halves) -> Spread:
    """How a number varies over the halves (or quarters), by its rule."""
    rule, estimate = rule_of(name), halves.estimate(name)
    given = halves.quarters_of(name).reshape(-1, 2) if rule.quarters else halves.of(name)
    with np.errstate(divide="ignore", invalid="ignore"):
        series = _in_unit(given, estimate, rule, halves)
    why = "the number itself is undefined" if math.isnan(estimate) else ""
    if rule.form == "deficit" and _ceiling(halves.points) - estimate < ROUNDING:
        why = "all lifetimes are equal"
    return _spread(series, rule, halves, why)


def _in_unit(given: Series, estimate: float, rule: Rule, halves: Halves) -> Series:
    """The values in the rule's form, times the slope of the number over the form."""
    if estimate == 0 and not np.nan_to_num(given, nan=1.0).any():
        return given
    if rule.form == "log":
        return estimate * np.log(given)
    if rule.form == "deficit":
        return (estimate - _ceiling(halves.points)) * np.log(_ceiling(halves.half) - given)
    growth = estimate / _mean(given)
    return given * (np.sqrt(growth) if rule.form == "root" else growth)


def _ceiling(points: int) -> float:
    """The largest entropy that H0 of so many points can have: that of equal lifetimes."""
    return math.log(points - 1)


def _mean(given: Series) -> np.float64:
    """The mean of the values that there are; NaN of none."""
    there = given[np.isfinite(given)]
    return there.mean() if there.size else np.float64(np.nan)


def _spread(series: Series, rule: Rule, halves: Halves, why: str) -> Spread:
    """The spread of values in the unit of the number; undefined where ``why`` says so, or where too many are."""
    usable = np.isfinite(series).all(axis=1)
    missing = int((~usable).sum())
    if missing > MISSING * len(series):
        why = why or f"undefined on {missing} of {len(series)} pairs of {'quarters' if rule.quarters else 'halves'}"
    deviation = math.nan if why else math.sqrt(variance(series[usable], rule, halves.half / halves.points))
    note = f"{missing} of {len(series)} splits left out, where it is undefined" if missing and not why else ""
    freedom = min(FREEDOM, halves.groups - 1.0) if halves.groups else FREEDOM
    method = ("quarters, conservative" if rule.quarters else "split-half") + (", whole groups" if halves.groups else "")
    return Spread(series, deviation, freedom, method, why, note)


def variance(series: Series, rule: Rule, share: float) -> float:
    """The variance of the whole cloud's number, from pairs of parts that are each ``share`` of it."""
    between = float(np.mean((series[:, 0] - series[:, 1]) ** 2)) / 2
    if rule.steadied:
        between = (between + 2 * float(np.var(series, ddof=1))) / 2
    return between if rule.quarters else between * share**rule.power


def _reach(spread: Spread, confidence: float) -> float:
    """How far the interval reaches: a quantile of Student's t times the deviation."""
    if not 0 < confidence < 1:
        raise InvalidInput(f"a confidence of {confidence}; expected a number between 0 and 1, such as 0.95")
    return float(stdtrit(spread.freedom, (1 + confidence) / 2)) * spread.deviation


def _ends(rule: Rule, estimate: float, reach: float, ceiling: float) -> tuple[float, float]:
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


def _made(estimate: float, ends: tuple[float, float] | None, confidence: float, rule: Rule, spread: Spread) -> Interval:
    """The interval, which holds its estimate whatever rounding does; without ends, and with the reason, for None."""
    if ends is None:
        number = estimate if math.isfinite(estimate) else None
        return Interval(number, None, None, confidence, spread.method, spread.undefined)
    notes = "; ".join(note for note in (rule.note, spread.note) if note)
    return Interval(estimate, min(ends[0], estimate), max(ends[1], estimate), confidence, spread.method, notes)


# Ratios and differences of the same number in two clouds


def ratio_interval(
    name: str, above: Halves, below: Halves, *, paired: bool = True, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of the number of one cloud over that of another: expansion (``tree_length``), scale growth, shape growth.

    ``paired``: both were cut by the same splits, InvalidInput where they were not. Else they are independent.
    """
    top, base = above.estimate(name), below.estimate(name)
    ratio = top / base if base else math.nan
    factors = (-ratio / base if base else math.nan, 1 / base if base else math.nan)
    spread = _combined(name, below, above, factors, paired=paired)
    return _compared(name, ratio, spread, confidence, least=0.0)


def relative_interval(
    name: str, first: Halves, second: Halves, *, paired: bool = True, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of the relative difference, (second - first) / first."""
    return ratio_interval(name, second, first, paired=paired, confidence=confidence).shifted(-1.0)


def difference_interval(
    name: str, first: Halves, second: Halves, *, paired: bool = True, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of second - first, paired or not as in `ratio_interval`; [0, 0] for the same cloud."""
    difference = second.estimate(name) - first.estimate(name)
    return _compared(name, difference, _combined(name, first, second, (-1.0, 1.0), paired=paired), confidence)


def difference_test(name: str, first: Halves, second: Halves, *, paired: bool = True) -> float | None:
    """The two-sided p-value of no difference; None where it is undefined, and where both numbers differ but neither varies."""
    difference = second.estimate(name) - first.estimate(name)
    spread = _combined(name, first, second, (-1.0, 1.0), paired=paired)
    return None if spread.undefined else p_value(difference, spread.deviation, spread.freedom)


def p_value(value: float, deviation: float, freedom: float) -> float | None:
    """Two-sided, of Student's t; 1 for no difference, None where something differs that does not vary."""
    if value == 0:
        return 1.0
    return float(2 * stdtr(freedom, -abs(value) / deviation)) if deviation > 0 else None


def _compared(name: str, estimate: float, spread: Spread, confidence: float, *, least: float = -math.inf) -> Interval:
    """The interval of what was made of two numbers."""
    reach = _reach(spread, confidence)
    ends = None if spread.undefined else (max(estimate - reach, least), estimate + reach)
    return _made(estimate, ends, confidence, rule_of(name), spread)


def _combined(name: str, first: Halves, second: Halves, factors: tuple[float, float], *, paired: bool) -> Spread:
    """The spread of a sum of the number in two clouds, each times a factor: split by split, or of independent clouds."""
    if paired:
        refuse_unpaired(first, second)
    a, b = spread_of(name, first), spread_of(name, second)
    why = a.undefined or b.undefined or ("" if all(map(math.isfinite, factors)) else "the number below is 0")
    found = summed(a, b, factors, rule_of(name), first, paired=paired, why=why)
    measured = None if paired or why else measured_deviation(name, first, second, factors)
    return found if measured is None else replace(found, deviation=measured, freedom=MEASURED, method=BOTH)


def summed(
    a: Spread, b: Spread, factors: tuple[float, float], rule: Rule, halves: Halves, *, paired: bool, why: str = ""
) -> Spread:
    """The spread of a sum of two numbers, each times a factor, by the rule; ``halves`` are those of either."""
    if paired:
        with np.errstate(invalid="ignore"):  # where both are infinite, the split is left out
            series = factors[0] * a.series + factors[1] * b.series
        return _spread(series, rule, halves, why)
    va, vb = (factors[0] * a.deviation) ** 2, (factors[1] * b.deviation) ** 2
    freedom = (va + vb) ** 2 / (va**2 / a.freedom + vb**2 / b.freedom) if va + vb else FREEDOM  # Welch
    return Spread(a.series, math.sqrt(va + vb), freedom, a.method, why, a.note or b.note)


def measured_deviation(name: str, first: Halves, second: Halves, factors: tuple[float, float]) -> float | None:
    """The standard deviation of a sum of the number in two independent clouds, each times a factor.

    The variance at half size, without bias, falls to that of the whole by as much as it fell from quarters to halves. None where the rule says nothing
    of it, for whole groups, whose quarters are of few groups, and where a variance is 0 or undefined.
    """
    steepest = rule_of(name).steepest
    pairs = list(zip(factors, (first, second), strict=True))
    half = sum(factor**2 * between(of.of(name)) for factor, of in pairs)
    quarter = sum(factor**2 * between(of.quarters_of(name)) for factor, of in pairs)
    if steepest is None or first.groups or second.groups or not (half > 0 and quarter > 0):
        return None
    power = min(math.log2(quarter / half), steepest)
    return math.sqrt(half * (first.half / first.points) ** power)


def between(values: Float64[np.ndarray, "s parts"]) -> float:
    """The variance between the disjoint parts of a split, the mean over the splits that have all of them; NaN for none."""
    there = values[np.isfinite(values).all(axis=1)]
    return float(there.var(axis=1, ddof=1).mean()) if len(there) else math.nan


def refuse_unpaired(first: Halves, second: Halves) -> None:
    """Raise InvalidInput unless both clouds were cut by the same splits."""
    if first.drawn != second.drawn:
        raise InvalidInput(
            f"a paired comparison needs the same splits in both clouds; found {first.drawn}, and {second.drawn}. "
            "Measure both on the same texts with the same seed, or compare unpaired"
        )


# The peak


def peak_shares(layers: Mapping[str, Halves]) -> dict[str, float]:
    """The share of halves in which each block has the longest tree (H0 total), the largest share first."""
    blocks = [layer for layer in layers if is_block(layer)]
    if not blocks:
        return {}
    for layer in blocks[1:]:
        refuse_unpaired(layers[blocks[0]], layers[layer])
    highest = np.argmax([layers[layer].of(TREE) for layer in blocks], axis=0)
    shares = {layer: float(np.mean(highest == k)) for k, layer in enumerate(blocks)}
    return dict(sorted(((layer, share) for layer, share in shares.items() if share), key=lambda item: -item[1]))

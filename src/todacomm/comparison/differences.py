"""Differences between two profiles: layer by layer, metric by metric, with intervals.

Only the half-samples in each profile are needed, no clouds. Where both were split alike on the same texts, differences
are paired; otherwise the two are independent samples (Welch).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from scipy.special import stdtrit

from todacomm.core.inference_types import Claims, Halves, Interval
from todacomm.core.recipe import NUMBERS, alike
from todacomm.core.types import Expansion, Growth, Number, Profile, is_block, layer_key
from todacomm.core.value_types import by_value
from todacomm.profiles.intervals_and_nulls import GROWTHS
from todacomm.statistics.intervals import (
    Spread,
    difference_interval,
    difference_test,
    p_value,
    relative_interval,
    rule_of,
    spread_of,
    summed,
)
from todacomm.statistics.pvalues import adjusted

UNMEASURED = "no resamples: run again with --resamples 100"


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric in two clouds.

    ``difference`` is second - first, ``relative`` the same over the first, ``effect`` in standard deviations of the
    first over fresh texts; ``p`` is of no difference in this layer alone, ``adjusted`` over the layers (Benjamini and
    Hochberg). Where a value is None the intervals say why.
    """

    first: Number
    second: Number
    difference: Interval
    relative: Interval
    p: Number
    adjusted: Number
    effect: Number


@dataclass(frozen=True, slots=True)
class GrowthDifference:
    """A growth (expansion, scale or shape) of two profiles, each with its own baseline and peak.

    ``ratio`` is second / first; its interval and ``p`` are computed on logarithms, so that they agree on whether it is
    1. ``difference`` is second - first, ``adjusted`` is over the three growths.
    """

    first: Number
    second: Number
    ratio: Interval
    difference: Number
    p: Number
    adjusted: Number


@dataclass(frozen=True, slots=True)
class MatchedLayers:
    """Two layers to be compared, and their relative depths (0 the embedding, 1 the last block)."""

    first: str
    second: str
    depth: float
    other_depth: float

    def __str__(self) -> str:
        return self.first if self.first == self.second else f"{self.first} / {self.second}"


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two profiles side by side.

    ``differences``: metric → one a layer. ``refused`` says why there are none, ``unpaired`` why they are not paired by
    text. ``growths``: ratio, scale, shape; ``no_growths`` says why there are none. ``language``: metric → both values.
    """

    first: Profile
    second: Profile
    layers: tuple[MatchedLayers, ...]
    differences: Mapping[str, tuple[Difference, ...]]
    growths: Mapping[str, GrowthDifference]
    each_growth: tuple[Growth | None, Growth | None]
    no_growths: str
    language: Mapping[str, tuple[Number, Number]]
    refused: str = ""
    unpaired: str = ""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Pair({self.name}: {len(self.layers)} layers, {self.how})"

    @property
    def name(self) -> str:
        return " and ".join(self.labels)

    @property
    def labels(self) -> tuple[str, str]:
        """The two models, with their poolings where these differ."""
        return labelled(self.first, self.second), labelled(self.second, self.first)

    @property
    def how(self) -> str:
        """Whether differences are paired by text, in words."""
        return "refused" if self.refused else "unpaired" if self.unpaired else "paired"

    def along(self, name: str, of: str = "difference") -> Float64[np.ndarray, "L 3"]:
        """Estimate, low and high of ``difference`` or ``relative`` along the layers; NaN where there is none."""
        found: list[Interval] = [getattr(d, of) for d in self.differences[name]]
        return np.array([(i.estimate, i.low, i.high) for i in found], dtype=np.float64)


def pair(first: Profile, second: Profile, *, baseline: int = 0) -> Pair:
    """Compare the second profile with the first, on expansion ``baseline`` (0: embedding, 1: first reliable layer)."""
    layers = matched(first, second)
    refused = refusal(first, second) or ("" if layers else "they have no layers in common")
    unpaired = "" if refused else why_unpaired(first, second)
    differences = {} if refused else differences_of(first, second, layers, paired=not unpaired)
    ends = [p.expansions[baseline] if p.expansions else None for p in (first, second)]
    a, b = (e.growth if e else None for e in ends)
    no_growths = refused or without_growth(first, ends[0]) or without_growth(second, ends[1]) or apart_from(a, b)
    return Pair(
        first,
        second,
        layers,
        differences,
        {} if no_growths or a is None or b is None else growths_of(first, second, a, b, paired=not unpaired),
        (a, b),
        no_growths,
        language_of(first, second),
        refused,
        unpaired,
        tuple(notes_of(first, second, layers)),
    )


def labelled(profile: Profile, other: Profile) -> str:
    """Name a model beside another one."""
    pooling = profile.recipe.pooling
    return profile.model if pooling == other.recipe.pooling else f"{profile.model} (pooling {pooling or 'given'})"


# Which layers


def matched(first: Profile, second: Profile) -> tuple[MatchedLayers, ...]:
    """Match layers by name where both models are as deep, and layers that are no blocks; else by relative depth."""
    depths = depth_of(first), depth_of(second)
    found = []
    for layer in first.layers:
        other = layer
        if is_block(layer) and depths[0] != depths[1]:
            blocks = [name for name in second.layers if is_block(name)]
            here = relative_depth(layer, depths[0])
            other = min(blocks, key=lambda name: abs(relative_depth(name, depths[1]) - here), default="")
        if other in second.layers:
            found.append(
                MatchedLayers(layer, other, relative_depth(layer, depths[0]), relative_depth(other, depths[1]))
            )
    return tuple(found)


def depth_of(profile: Profile) -> int:
    """How many blocks the model has, or, without its card, how many were measured."""
    if profile.card is not None:
        return profile.card.blocks
    return max((layer_key(layer)[1] + 1 for layer in profile.layers if is_block(layer)), default=0)


def relative_depth(layer: str, blocks: int) -> float:
    """0 for the embedding, 1 for the last block, a little more for ``final``; NaN for other names."""
    kind, number, _ = layer_key(layer)
    if kind == 1:
        return (number + 1) / max(blocks, 1)
    return {0: 0.0, 2: 1 + 1 / max(blocks, 1)}.get(kind, math.nan)


# Whether


def refusal(first: Profile, second: Profile) -> str:
    """Why no differences are computed; empty where they are."""
    missing = [p.model for p in (first, second) if p.claims is None or not p.claims.halves]
    return incomparable(first, second) or (f"{' and '.join(missing)}: {UNMEASURED}" if missing else "")


def incomparable(first: Profile, second: Profile) -> str:
    """Why the metrics of both are not comparable; empty where they are."""
    sizes = [p.measurements[0].facts.points for p in (first, second)]
    if sizes[0] != sizes[1]:
        return (
            f"{first.model} has {sizes[0]} points and {second.model} {sizes[1]}: totals, counts and entropies grow "
            "with the number of points, so these are not comparable. Measure both with as many"
        )
    for setting in alike(NUMBERS):
        a, b = getattr(first.recipe, setting), getattr(second.recipe, setting)
        if a != b:
            return (
                f"{setting} is {a} for {first.model} and {b} for {second.model}: their numbers are of different things"
            )
    return ""


def why_unpaired(first: Profile, second: Profile) -> str:
    """Why differences are not paired by text; empty where they are."""
    if first.texts_sha256 != second.texts_sha256 or first.data != second.data:
        return "the texts are not the same"
    if len({p.recipe.subsample and p.recipe.seed for p in (first, second)}) > 1:
        return "the subsamples are of different texts"
    drawn = {h.drawn for p in (first, second) if p.claims for h in p.claims.halves.values()}
    return f"the halves were drawn differently ({'; '.join(sorted(drawn))})" if len(drawn) > 1 else ""


def notes_of(first: Profile, second: Profile, layers: Sequence[MatchedLayers]) -> Iterator[str]:
    """Remarks on how both were matched."""
    if first.recipe.pooling != second.recipe.pooling:
        yield f"{' and '.join((labelled(first, second), labelled(second, first)))}: the clouds are of different things."
    if any(one.first != one.second for one in layers):
        yield (
            f"{first.model} has {depth_of(first)} blocks and {second.model} {depth_of(second)}: "
            "each block is set beside that of the nearest relative depth."
        )
    left = len(first.layers) - len(layers)
    if left:
        lonely = [layer for layer in first.layers if layer not in {one.first for one in layers}]
        yield f"Of {first.model} without counterpart in {second.model}: {', '.join(lonely)}."
    if first.texts_sha256 == second.texts_sha256 == "" and not why_unpaired(first, second):
        yield "The arrays are taken to hold the same things in the same order."


# Numbers


def differences_of(
    first: Profile, second: Profile, layers: Sequence[MatchedLayers], *, paired: bool
) -> dict[str, tuple[Difference, ...]]:
    """Compute the differences of every common metric along the layers, with p-values adjusted over these."""
    a, b = claims_of(first), claims_of(second)
    halved = [one for one in layers if one.first in a.halves and one.second in b.halves]
    if not halved:
        return {}
    names = [n for n in a.halves[halved[0].first].names if n in b.halves[halved[0].second].names]
    found = {}
    for name in names:
        row = [
            difference(
                name, a.halves.get(one.first), b.halves.get(one.second), paired=paired, confidence=a.asked.confidence
            )
            for one in layers
        ]
        after = adjusted(np.array([d.p for d in row], dtype=np.float64))
        found[name] = tuple(replace(d, adjusted=or_none(x)) for d, x in zip(row, after.tolist(), strict=True))
    return found


def claims_of(profile: Profile) -> Claims:
    """The claims of a profile that `refusal` has accepted."""
    if profile.claims is None:
        raise ValueError(profile.model)
    return profile.claims


def difference(
    name: str, first: Halves | None, second: Halves | None, *, paired: bool, confidence: float
) -> Difference:
    """Compare one metric in two clouds; without values where a cloud has no half-samples."""
    if first is None or second is None:
        nothing = Interval(None, None, None, confidence, "split-half", "one of the clouds has no halves")
        return Difference(None, None, nothing, nothing, None, None, None)
    a, b = first.estimate(name), second.estimate(name)
    return Difference(
        or_none(a),
        or_none(b),
        difference_interval(name, first, second, paired=paired, confidence=confidence),
        relative_interval(name, first, second, paired=paired, confidence=confidence),
        difference_test(name, first, second, paired=paired),
        None,
        effect(b - a, spread_of(name, first).deviation),
    )


def or_none(value: float) -> Number:
    """Convert NaN and infinity to None."""
    return value if math.isfinite(value) else None


def effect(value: float, deviation: float) -> Number:
    """A difference in standard deviations; 0 where there is none, None where the first does not vary."""
    if value == 0:
        return 0.0
    return or_none(value / deviation) if deviation > 0 else None


# Growths


@dataclass(frozen=True, slots=True, eq=False)
class LogGrowth:
    """A growth, the spread of its logarithm, and the half-samples of its peak."""

    value: float
    spread: Spread
    halves: Halves


def without_growth(profile: Profile, expansion: Expansion | None) -> str:
    """Why a profile has no growth to compare; empty where it has."""
    if expansion is None:
        return f"{profile.model}: no blocks were measured"
    if expansion.growth is None:
        return f"{profile.model}: {expansion.reason}"
    halves = claims_of(profile).halves
    ends = (expansion.growth.baseline, expansion.growth.peak)
    return "" if all(layer in halves for layer in ends) else f"{profile.model}: {UNMEASURED}"


def apart_from(a: Growth | None, b: Growth | None) -> str:
    """Why two growths are not comparable: they start from different layers."""
    if a is None or b is None or a.baseline == b.baseline:
        return ""
    return f"their baselines are not the same layer ({a.baseline} and {b.baseline})"


def growths_of(first: Profile, second: Profile, a: Growth, b: Growth, *, paired: bool) -> dict[str, GrowthDifference]:
    """Compare H0 ratio, scale ratio and shape ratio, with p-values adjusted over the three."""
    confidence = claims_of(first).asked.confidence
    found = {
        part: growth_difference(
            name, log_growth(name, first, a), log_growth(name, second, b), paired=paired, confidence=confidence
        )
        for part, name in GROWTHS.items()
    }
    after = adjusted(np.array([d.p for d in found.values()], dtype=np.float64))
    return {part: replace(d, adjusted=or_none(x)) for (part, d), x in zip(found.items(), after.tolist(), strict=True)}


def log_growth(name: str, profile: Profile, growth: Growth) -> LogGrowth:
    """Estimate how the logarithm of a growth varies over half-samples."""
    halves = claims_of(profile).halves
    above, below = halves[growth.peak], halves[growth.baseline]
    top, base = spread_of(name, above), spread_of(name, below)
    value = above.estimate(name) / below.estimate(name)
    factors = 1 / above.estimate(name), -1 / below.estimate(name)
    why = top.undefined or base.undefined
    return LogGrowth(value, summed(top, base, factors, rule_of(name), above, paired=True, why=why), above)


def growth_difference(name: str, a: LogGrowth, b: LogGrowth, *, paired: bool, confidence: float) -> GrowthDifference:
    """Compare two growths: their ratio, with its interval, and their difference."""
    ratio, why = b.value / a.value, a.spread.undefined or b.spread.undefined
    logs = summed(a.spread, b.spread, (-1.0, 1.0), rule_of(name), a.halves, paired=paired, why=why)
    method = f"{logs.method}, on logarithms"
    if logs.undefined:
        nothing = Interval(None, None, None, confidence, method, logs.undefined)
        return GrowthDifference(
            or_none(a.value),
            or_none(b.value),
            nothing,
            or_none(b.value - a.value),
            None,
            None,
        )
    reach = float(stdtrit(logs.freedom, (1 + confidence) / 2)) * logs.deviation
    return GrowthDifference(
        a.value,
        b.value,
        Interval(ratio, ratio * math.exp(-reach), ratio * math.exp(reach), confidence, method),
        b.value - a.value,
        p_value(math.log(ratio), logs.deviation, logs.freedom),
        None,
    )


# Language


def language_of(first: Profile, second: Profile) -> dict[str, tuple[Number, Number]]:
    """The language metrics of both, without interval or test."""
    a, b = first.language or {}, second.language or {}
    return {name: (a.get(name), b.get(name)) for name in LANGUAGE if (a.get(name), b.get(name)) != (None, None)}


LANGUAGE = ("bits_per_byte", "perplexity", "pseudo_perplexity", "accuracy")

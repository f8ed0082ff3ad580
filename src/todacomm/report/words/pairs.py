"""Summarise a Pair in one paragraph: where two profiles differ, and where no difference is shown, by adjusted p."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from todacomm.comparison.compare import Comparison
from todacomm.comparison.diagram_tests import Apart, DiagramDistance
from todacomm.comparison.differences import Difference, GrowthDifference, MatchedLayers, Pair
from todacomm.core.inference_types import ALPHA, Interval
from todacomm.core.types import Number
from todacomm.report.words.intervals_and_nulls import between, p_text
from todacomm.report.words.phrases import listed, padded, plural

HEADLINES = {
    "scale": "median distance",
    "H0_total_persistence_scaled": "H0 total / median distance",
    "H0_entropy": "H0 entropy",
    "H1_total_persistence_scaled": "H1 total / median distance",
    "H1_max_lifetime_scaled": "longest H1 bar / median distance",
}  # what the verdict speaks of; the record holds every number
GROWTHS = {"ratio": "expansion", "scale": "scale growth", "shape": "shape growth"}
NO_EVIDENCE = "No difference that the data can show in"
BEFORE = "Apart by the test of one growth alone, no longer once adjusted over the three"


def verdicts(comparison: Comparison) -> list[str]:
    """A verdict on each pair."""
    return [verdict(pair, apart) for pair, apart in zip(comparison.pairs, comparison.apart, strict=True)]


def verdict(pair: Pair, apart: Apart) -> str:
    """Summarise a pair in a few sentences."""
    if pair.refused:
        return f"{pair.name} are not compared: {pair.refused}."
    if identical(pair):
        return f"{pair.name} are equal in every number at every layer."
    phrases = [*growth_phrases(pair), *number_phrases(pair), *diagram_phrases(pair, apart)]
    differ, before, alike = ([p.text for p in phrases if p.state == state] for state in ("differ", "before", "alike"))
    found = [
        f"{pair.name} differ in {'; '.join(differ)}."
        if differ
        else f"{pair.name}: nothing is found{', once adjusted,' * bool(before)} that sets them apart."
    ]
    found += [f"{BEFORE}: {'; '.join(before)}."] if before else []
    found += [f"{NO_EVIDENCE}: {'; '.join(alike)}."] if alike else []
    return " ".join([*found, *caveats(pair)])


def identical(pair: Pair) -> bool:
    """Whether every number of every layer is the same."""
    return bool(pair.differences) and all(d.first == d.second for row in pair.differences.values() for d in row)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence on one number, and whether it differs; ``before`` adjustment only where its interval excludes 1."""

    text: str
    state: Literal["differ", "before", "alike"]


def growth_phrases(pair: Pair) -> Iterator[Phrase]:
    """Expansion and its factors, where both expansions are sound."""
    if doubt_of_growths(pair):
        return
    for part, found in pair.growths.items():
        if found.p is not None:
            text = f"{GROWTHS[part]} {growth_text(found)}"
            if significant(found.adjusted) or not significant(found.p):
                yield Phrase(text, "differ" if significant(found.adjusted) else "alike")
            else:
                yield Phrase(f"{text} (p {p_text(found.p)}, adjusted {p_text(found.adjusted)})", "before")


def doubt_of_growths(pair: Pair) -> str:
    """The doubts about either expansion."""
    doubts = [
        f"{profile.model}: {layer}: {doubt}"
        for profile, growth in zip((pair.first, pair.second), pair.each_growth, strict=True)
        if growth
        for layer in (growth.baseline, growth.peak)
        if (doubt := profile.at(layer).facts.doubtful)
    ]
    return "; ".join(dict.fromkeys(doubts))


def growth_text(found: GrowthDifference) -> str:
    """The difference, and the ratio with its interval, to which the p-value belongs."""
    return f"{plus(found.difference)}, {padded(found.ratio.estimate, 3)} times {ends(found.ratio)}"


def significant(p: float | None) -> bool:
    """Whether an adjusted p-value is small enough."""
    return p is not None and p <= ALPHA


def plus(value: Number) -> str:
    """A difference with its sign."""
    return f"{'+' if (value or 0) > 0 else ''}{padded(value, 3)}"


def ends(interval: Interval, *, percent: bool = False) -> str:
    """``[low, high]``, or why there is none."""
    if interval.low is None or interval.high is None:
        return f"(no interval: {interval.note})"
    if not percent:
        return between(interval.low, interval.high)
    low, high = (in_percent(x) for x in (interval.low, interval.high))
    return f"[{low}, {high}]"


def in_percent(share: float) -> str:
    """A signed share as a percentage."""
    return f"{'+' if share > 0 else ''}{padded(100 * share, 3)} %"


def relative(interval: Interval) -> str:
    """A relative difference in per cent with its interval."""
    if interval.estimate is None:
        return "undefined"
    return f"{in_percent(interval.estimate)} {ends(interval, percent=True)}"


def sound_layers(pair: Pair) -> list[int]:
    """The matched layers that may carry a sentence in both models."""
    return [
        i
        for i, one in enumerate(pair.layers)
        if not (pair.first.at(one.first).facts.doubtful or pair.second.at(one.second).facts.doubtful)
    ]


@dataclass(frozen=True, slots=True)
class Along:
    """One number along the sound layers: where it differs, and where most."""

    name: str
    label: str
    tested: int
    layers: tuple[MatchedLayers, ...]
    most: MatchedLayers
    largest: Difference


def along(pair: Pair) -> list[Along]:
    """The headline numbers along the sound layers that have a p-value."""
    found = []
    for name, label in HEADLINES.items():
        rows = (
            [(pair.layers[i], pair.differences[name][i]) for i in sound_layers(pair)]
            if name in pair.differences
            else []
        )
        known = [(layer, d) for layer, d in rows if d.adjusted is not None]
        if known:
            differing = tuple(layer for layer, d in known if significant(d.adjusted))
            among = [(layer, d) for layer, d in known if not differing or significant(d.adjusted)]
            most, largest = max(among, key=lambda one: abs(one[1].relative.estimate or 0))
            found.append(Along(name, label, len(known), differing, most, largest))
    return found


def number_phrases(pair: Pair) -> Iterator[Phrase]:
    """Each headline number along the layers."""
    for one in along(pair):
        if one.layers:
            where = f"at {len(one.layers)} of {plural(one.tested, 'layer')}, most at {one.most}"
            yield Phrase(f"{one.label} {where}: {relative(one.largest.relative)}", "differ")
        else:
            yield Phrase(one.label, "alike")


def diagram_phrases(pair: Pair, apart: Apart) -> Iterator[Phrase]:
    """The diagrams of each dimension, where blocks of texts tested them."""
    sound = sound_layers(pair)
    for name, row in apart.diagrams.items():
        known = [row[i] for i in sound if row[i].adjusted is not None]
        if not known:
            continue
        differing = [d for d in known if significant(d.adjusted)]
        if differing:
            where = f"at {len(differing)} of {plural(len(known), 'layer')} (blocks of texts)"
            yield Phrase(f"the {name} diagrams {where}", "differ")
        else:
            yield Phrase(f"the {name} diagrams{undecided(known)}", "alike")


def undecided(known: list[DiagramDistance]) -> str:
    """A word where layers are as far apart as so many blocks can say, and still not significant once adjusted."""
    floor = [d for d in known if d.p is not None and d.smallest is not None and d.p <= d.smallest * (1 + 1e-9)]
    return f" (not decidable at {plural(len(floor), 'layer')}: more blocks might)" if floor else ""


def caveats(pair: Pair) -> Iterator[str]:
    """Qualify the sentence before."""
    if doubt := doubt_of_growths(pair):
        yield f"Nothing is concluded from the expansions, which are doubtful ({doubt})."
    elif pair.no_growths:
        yield f"The expansions are not compared ({pair.no_growths})."
    if pair.unpaired:
        yield f"Not compared text by text: {pair.unpaired}; intervals are wider for it."
    left_out = len(pair.layers) - len(sound_layers(pair))
    if left_out:
        doubtful = [str(one) for i, one in enumerate(pair.layers) if i not in sound_layers(pair)]
        shown = listed(doubtful) if left_out <= 4 else plural(left_out, "layer")
        yield f"Left out as doubtful: {shown}."

"""Intervals and null tests in words: which sentence a number carries is decided here, and nowhere else."""

import math
from collections.abc import Iterable

from todacomm.claims import Interval, NullTest
from todacomm.loops import LOOP
from todacomm.pvalues import ALPHA
from todacomm.report.reading import layer_list, number, plural, share
from todacomm.sources import SAMPLE
from todacomm.types import Growth, Measurement, Profile


def bracketed(interval: Interval | None) -> str:
    """``[low, high]`` with a space before it; nothing where there is none."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    digits = digits_of(interval.low, interval.high)
    return f" [{number(interval.low, digits)}, {number(interval.high, digits)}]"


def digits_of(low: float, high: float) -> int:
    """As many digits as the interval allows: two of its width."""
    largest, width = max(abs(low), abs(high)), high - low
    if not width > 0 or not largest > 0:
        return 4
    return min(6, max(2, math.floor(math.log10(largest)) - math.floor(math.log10(width)) + 2))


def interval_of(m: Measurement, profile: Profile, name: str) -> Interval | None:
    """The interval of a number of one layer."""
    claims = profile.claims
    return claims.intervals.get(m.address.layer, {}).get(name) if claims else None


def growth_interval(profile: Profile, growth: Growth, part: str) -> Interval | None:
    """The interval of the ``ratio``, ``scale`` or ``shape`` of a growth; None where it was not claimed of these two layers."""
    claims = profile.claims
    known = [e.growth for e in profile.expansions]
    return claims.growths.get(growth.baseline, {}).get(part) if claims and growth in known else None


def holds_one(interval: Interval | None) -> bool | None:
    """Whether an interval of a ratio holds 1, so that no change can be claimed; None without one."""
    if interval is None or interval.low is None or interval.high is None:
        return None
    return interval.low <= 1 <= interval.high


def the_test(m: Measurement, profile: Profile, name: str, *, null: str = "gaussian") -> NullTest | None:
    """The test of a number of one layer."""
    claims = profile.claims
    return claims.tests.get(null, {}).get(m.address.layer, {}).get(name) if claims else None


def found_by(test: NullTest | None) -> bool:
    """Whether a test says something at the level of 0.05 over all layers: by the largest of them, or after Benjamini–Hochberg."""
    return test is not None and any(p is not None and p <= ALPHA for p in (test.family_wise, test.adjusted))


def p_text(p: float | None) -> str:
    """A p-value as text."""
    return "undefined" if p is None else f"{p:.2g}" if p < 0.0995 else f"{p:.2f}"


# Loops


def loop_sentences(profile: Profile, sound: Iterable[Measurement]) -> list[str]:
    """What may be said of loops: at which sound layers, what is left open, and what was not tested."""
    tests = {m.address.layer: the_test(m, profile, LOOP) for m in sound}
    known = {layer: test for layer, test in tests.items() if test is not None and test.p is not None}
    if not known:
        return []
    found = [layer for layer, test in known.items() if found_by(test)]
    open_ones = [layer for layer, test in known.items() if layer not in found and not test.decidable]
    draws = next(iter(known.values())).draws
    said = []
    if found:
        least = min(known[layer].adjusted or 1.0 for layer in found)
        said.append(
            f"Loops: at {layer_list(found)} a bar of H1 is longer, among the bars of its cloud and for its birth, than in Gaussian clouds "
            f"of the same covariance (p from {p_text(least)}, adjusted over {plural(len(known), 'layer')})."
        )
    else:
        smallest = min(test.p or 1.0 for test in known.values())
        said.append(
            f"No loop is shown: at none of {plural(len(known), 'sound layer')} does a bar of H1 stand out against Gaussian clouds of the "
            f"same covariance (smallest p {p_text(smallest)} before adjustment). The bars that are there are what noise gives."
        )
    if open_ones:
        said.append(f"Not decidable with {draws} draws: {layer_list(open_ones)}; more --null-draws would tell.")
    return said


def loop_sentence(profile: Profile, m: Measurement) -> str:
    """What may be said of a loop in one layer; empty where it was not tested and where the layer is doubtful."""
    test = the_test(m, profile, LOOP)
    if test is None or test.p is None or m.facts.doubtful:
        return ""
    against = f"{plural(test.draws, 'Gaussian cloud')} of the same covariance"
    told = f"p {p_text(test.p)}, adjusted over the layers {p_text(test.adjusted)}"
    if found_by(test):
        return (
            f"Loop: a bar of H1 is longer, among the bars of its cloud and for its birth, than in {against} ({told})."
        )
    if not test.decidable:
        return f"Not decidable with {plural(test.draws, 'draw')}: no bar of {against} is as long, but the layers are too many ({told}); more --null-draws would tell."
    return f"No loop is shown: no bar of H1 stands out against {against} ({told})."


# Groups


def group_sentences(profile: Profile) -> list[str]:
    """Whether intervals respect the groups of the texts, and what drawing texts one by one would make of them."""
    claims = profile.claims
    if claims is None or not claims.intervals:
        return []
    if not claims.one_by_one:
        return [f"Intervals take texts as independent, whole groups are not drawn: {claims.ungrouped}."]
    sample = next((f" {note}" for note in profile.notes if note.startswith(SAMPLE)), "")
    if not claims.groups:
        return [f"{OLDER}{sample}"]
    return [f"{respecting(claims.groups)}{sample} {one_by_one(profile)}"]


OLDER = (
    "Intervals of the layers respect the articles of the texts (whole articles are drawn); those of growths, and all differences, take texts as "
    "independent, for an earlier todacomm made this run: run it again."
)


def respecting(groups: int) -> str:
    """What halves of whole groups are, and of what the intervals are."""
    return (
        f"Texts of one article are not independent, so halves are of whole articles, here of {groups}: every interval, growth and difference is one "
        "of fresh articles."
    )


def one_by_one(profile: Profile) -> str:
    """How much narrower intervals of single texts are."""
    ratios = {name: median_ratio(profile, name) for name in COMPARED}
    told = ", ".join(f"{name} {number(ratio, 2)}" for name, ratio in ratios.items() if ratio)
    return f"Texts drawn one by one would give other widths (times, median over layers: {told})." if told else ""


COMPARED = ("scale", "H0_total_persistence", "H0_total_persistence_scaled", "H1_total_persistence", "H1_count")


def median_ratio(profile: Profile, name: str) -> float | None:
    """The width of intervals of single texts over that of the intervals, median over the layers."""
    claims = profile.claims
    widths = [
        singly / own
        for layer in profile.layers
        if claims
        and (own := width(claims.intervals.get(layer, {}).get(name)))
        and (singly := width(claims.one_by_one.get(layer, {}).get(name))) is not None
    ]
    return sorted(widths)[len(widths) // 2] if widths else None


def width(interval: Interval | None) -> float | None:
    """How wide an interval is; None where there is none."""
    return None if interval is None or interval.low is None or interval.high is None else interval.high - interval.low


def peak_sentence(profile: Profile) -> str:
    """Where other halves of the texts have their peak."""
    claims = profile.claims
    if claims is None or not claims.peaks or len(claims.peaks) == 1:
        return ""
    told = ", ".join(f"{layer} in {share(part, 0)}" for layer, part in list(claims.peaks.items())[:4])
    return f"The peak depends on the texts: of random halves of them it is {told}."

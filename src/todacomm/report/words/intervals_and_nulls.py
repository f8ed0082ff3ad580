"""Intervals and null tests in words: which sentence a number carries is decided here, and nowhere else."""

import math

from todacomm.core.inference_types import Interval, NullTest
from todacomm.core.types import Growth, Measurement, Profile
from todacomm.models.datasets import SAMPLE
from todacomm.report.words.phrases import number, share


def bracketed(interval: Interval | None) -> str:
    """``[low, high]`` with a space before it; nothing where there is none."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f" {between(interval.low, interval.high)}"


def between(low: float, high: float) -> str:
    """``[low, high]`` with one number of decimals, as many as the interval allows.

    >>> between(0.7951, 1.0012), between(23.1, 49.8), between(491.0, 499.0)
    ('[0.80, 1.00]', '[23, 50]', '[491, 499]')
    """
    digits = digits_of(low, high)
    largest = max(abs(low), abs(high))
    decimals = digits - 1 - math.floor(math.log10(largest)) if largest > 0 else 0
    if (float(low).is_integer() and float(high).is_integer()) or not 0 <= decimals <= 6:
        return f"[{number(low, digits)}, {number(high, digits)}]"
    return f"[{low:,.{decimals}f}, {high:,.{decimals}f}]"


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
    """The interval of the ``ratio``, ``scale`` or ``shape`` of a growth; None for other pairs of layers."""
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


def p_text(p: float | None) -> str:
    """A p-value as text."""
    return "undefined" if p is None else f"{p:.2g}" if p < 0.0995 else f"{p:.2f}"


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
    "Intervals of the layers respect the articles of the texts (whole articles are drawn); those of growths, and all "
    "differences, take texts as independent, for an earlier todacomm made this run: run it again."
)


def respecting(groups: int) -> str:
    """Explain half-samples of whole groups, and the intervals."""
    return (
        f"Texts of one article are not independent, so halves are of whole articles, here of {groups}: every interval, "
        "growth and difference is one of fresh articles."
    )


def one_by_one(profile: Profile) -> str:
    """State how much narrower intervals of single texts are."""
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
    """The width of an interval, if any."""
    return None if interval is None or interval.low is None or interval.high is None else interval.high - interval.low


def peak_sentence(profile: Profile) -> str:
    """Report the peaks of half-samples."""
    claims = profile.claims
    if claims is None or not claims.peaks or len(claims.peaks) == 1:
        return ""
    told = ", ".join(f"{layer} in {share(part, 0)}" for layer, part in list(claims.peaks.items())[:4])
    return f"The peak depends on the texts: of random halves of them it is {told}."

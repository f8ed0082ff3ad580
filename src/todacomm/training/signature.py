"""Decide the signature of grokking: did runs grok, did a loop appear, and do controls show the same?

A signature needs controls: the same numbers in runs that memorise and never generalise are its null band.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from todacomm.core.errors import InvalidInput
from todacomm.core.value_types import by_value
from todacomm.statistics.changepoints import Onset, lag_of, onset_of, rank_correlation
from todacomm.training.milestones import (
    DELAY,
    GENERALISED,
    LAST,
    LOW,
    MEMORISED,
    PLATEAU_END,
    Ending,
    Milestones,
    Rise,
    ending,
    first_of_three,
    milestones,
    missing,
    partly_from,
    plateau_of,
    rise,
)
from todacomm.training.observe import Course
from todacomm.training.verdict import (
    AT_ONCE,
    FELL_BACK,
    FEWEST_CONTROLS,
    JUDGED,
    LATE,
    LEAST_RISE,
    LEVEL,
    NO_LOOP,
    NOTHING,
    ONLY,
    PARTLY_GENERALISED,
    PRESENT,
    RISING,
    RULES,
    UNDECIDED,
    UNSTABLE,
    VERDICTS,
    Band,
    RunSummary,
    band_of,
    is_null,
    judge,
    overall,
    verdict_of,
)

__all__ = [
    "AT_ONCE",
    "BASELINES",
    "DELAY",
    "FELL_BACK",
    "GENERALISED",
    "JUDGED",
    "LAST",
    "LATE",
    "LEAST_RISE",
    "LEVEL",
    "LOW",
    "MEMORISED",
    "NOTHING",
    "NO_LOOP",
    "ONLY",
    "PARTLY_GENERALISED",
    "PLATEAU_END",
    "PRESENT",
    "RISING",
    "RULES",
    "UNDECIDED",
    "UNSTABLE",
    "VERDICTS",
    "Band",
    "Ending",
    "Milestones",
    "Rise",
    "RunSummary",
    "Signature",
    "band_of",
    "first_of_three",
    "milestones",
    "overall",
    "plateau_of",
    "rise",
    "sentences",
    "signature",
    "tell",
    "verdict_of",
]  # fmt: skip

BASELINES = ("fourier_top5_share", "weight_norm")
WORDS = {
    "H1_max_lifetime": "H1 max",
    "fourier_top5_share": "the Fourier share of five frequencies",
    "weight_norm": "the norm of all weights",
}


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """The verdict on runs beside their controls, and all that it rests on; `signature` makes it.

    Attributes
    ----------
    followed : str
        The number whose rise was judged.
    runs, controls : tuple of RunSummary
        Summary statistics of each run: when it memorised and generalised, levels, ratio, lag, verdict.
    band : Band
        Null band of the ratio (after generalisation over plateau), from the controls.
    within : tuple of bool
        For each control, whether it lies in the band of the others.
    baseline_bands : mapping of str to Band
        The same for numbers that are cheaper to have, such as the norm of the weights.
    verdict : str
        One for all runs.
    sentences : tuple of str
        The verdict and its grounds, in English.

    Examples
    --------
    >>> from todacomm.grokking import Signature
    >>> "verdict" in Signature.__dataclass_fields__
    True

    """

    followed: str
    runs: tuple[RunSummary, ...]
    controls: tuple[RunSummary, ...]
    band: Band
    within: tuple[bool, ...]
    baseline_bands: Mapping[str, Band]
    verdict: str
    sentences: tuple[str, ...] = field(default=())


def signature(
    runs: Sequence[Course],
    *,
    controls: Sequence[Course],
    follow: str = "embedding/sphere/H1_max_lifetime",
    seed: int = 0,
) -> Signature:
    """Decide whether runs show the signature of grokking, against controls that memorise and never generalise.

    The followed number rises when a network groks. The ratio of its level after generalisation to its level on the
    plateau is compared with the band of the same ratio in the controls.

    Parameters
    ----------
    runs : sequence of Course
        The runs to judge.
    controls : sequence of Course
        At least two that memorised without generalising: permuted labels, no weight decay.
    follow : str, default "embedding/sphere/H1_max_lifetime"
        The number whose rise is the signature: layer, normalisation, metric.
    seed : int, default 0
        Of the resamples behind lags and their intervals.

    Returns
    -------
    Signature
        The verdict, with one for each run, and the sentences that state it.

    Raises
    ------
    InvalidInput
        Without a run, or with fewer than two usable controls: without them nobody knows what a rise means.

    Examples
    --------
    >>> import todacomm as td
    >>> td.grokking.signature([], controls=[])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    todacomm.core.errors.InvalidInput: 0 runs and 0 controls; a signature needs at least one run and 2 controls, ...

    """
    if not runs or len(controls) < FEWEST_CONTROLS:
        raise InvalidInput(
            f"{len(runs)} runs and {len(controls)} controls; a signature needs at least one run and {FEWEST_CONTROLS} "
            "controls, runs that memorise and never generalise (permuted labels, no weight decay)"
        )
    told, beside = ([tell(course, follow, seed) for course in some] for some in (runs, controls))
    usable = [c for c in beside if is_null(c)]
    if len(usable) < FEWEST_CONTROLS:
        raise InvalidInput(
            f"{len(usable)} of {len(controls)} controls memorised without generalising; "
            f"expected {FEWEST_CONTROLS} or more ({'; '.join(f'{c.name}: {c.said}' for c in beside)}). "
            "Give them more steps, or other settings: what generalises is no control"
        )
    band = band_of([c.rise.ratio for c in usable if c.rise])
    bands = {
        name: band_of([c.baselines[name].ratio for c in usable if name in c.baselines])
        for name in BASELINES
        if sum(name in c.baselines for c in usable) >= FEWEST_CONTROLS
    }
    judged = tuple(judge(one, course, follow, band) for one, course in zip(told, runs, strict=True))
    found = Signature(
        followed=follow,
        runs=judged,
        controls=tuple(judge(one, course, follow, band) for one, course in zip(beside, controls, strict=True)),
        band=band,
        within=tuple(_within_others(one, usable) for one in beside),
        baseline_bands=bands,
        verdict=overall([one.verdict for one in judged]),
    )
    return replace(found, sentences=tuple(sentences(found)))


# One run


def tell(course: Course, follow: str, seed: int = 0) -> RunSummary:
    """Summarise one run: milestones, rise, onset, lag, correlations, and its verdict without a null band."""
    passed = milestones(course)
    span = plateau_of(course, passed)
    values, accuracy = course[follow], course["test_accuracy"]
    others = [name for name in BASELINES if name in course]
    begin = 0 if span is None else span.start
    moved = passed.generalised_at is not None
    baselines = {name: risen for name in others if (risen := rise(course[name], span)) is not None}
    found = RunSummary(
        name=course.name,
        kind=course.kind,
        seed=course.seed,
        milestones=passed,
        rise=rise(values, span),
        baselines=baselines,
        onset=onset_of(course.steps, values, begin) if moved else None,
        onset_of_accuracy=onset_of(course.steps, accuracy, begin) if moved else None,
        lag=lag_of(course.steps, values, accuracy, seed=seed) if moved else None,
        ranks={
            name: rank
            for name in _ranked(course, follow)
            if (rank := rank_correlation(course[name], accuracy, seed=seed)) is not None
        },
        ending=ending(course),
        baseline_onsets=onsets_of(course, baselines, begin) if moved else {},
        partly_from=partly_from(course.settings),
        no_rise=missing(values, span),
        complaint=course.complaint,
    )
    verdict, because = verdict_of(found, None)
    return replace(found, verdict=verdict, because=because)


def onsets_of(course: Course, baselines: Mapping[str, Rise], begin: int) -> dict[str, Onset]:
    """When each cheaper number began to move to its final value: upwards, or downwards as norms do."""
    signs = {name: 1.0 if risen.ratio >= 1 else -1.0 for name, risen in baselines.items()}
    found = {name: onset_of(course.steps, sign * course[name], begin) for name, sign in signs.items()}
    return {name: onset for name, onset in found.items() if onset is not None}


def _ranked(course: Course, follow: str) -> list[str]:
    """The numbers whose rank correlation with test accuracy is computed."""
    place = follow.rsplit("/", 1)[0]
    layer = place.split("/", 1)[0]
    names = [
        f"{where}/{name}"
        for where in (place, f"{layer}/raw")
        for name in ("H1_max_lifetime", "H1_total_persistence", "H0_total_persistence", "H0_max_lifetime")
    ]
    cheap = [*BASELINES, "fourier_gini", "restricted_loss", "excluded_loss", "local_dimension"]
    return [name for name in (*names, *cheap) if name in course]


def _within_others(one: RunSummary, usable: Sequence[RunSummary]) -> bool:
    """Whether a control lies in the band of the others; true where these are too few for a band."""
    if one.rise is None:
        return False
    others = [c.rise.ratio for c in usable if c is not one and c.rise]
    return len(others) < FEWEST_CONTROLS or one.rise.ratio in band_of(others)


# In words


def sentences(found: Signature) -> list[str]:
    """State what the numbers support, and nothing more."""
    where, _, metric = found.followed.split("/")
    number = WORDS.get(metric, metric.replace("_", " "))
    grokked = sum(one.milestones.grokked for one in found.runs)
    said = [f"{found.verdict.capitalize()}: {grokked} of {len(found.runs)} runs grokked.", *_reasons(found.runs)]
    judged = [one for one in found.runs if one.grokked]
    ratios = [one.rise.ratio for one in judged if one.rise]
    if ratios:
        said.append(
            f"{number} of the {where} is {_between(ratios)} times its plateau after generalisation; one more control "
            f"would fall between {found.band.low:.2g} and {found.band.high:.2g} times (95 %, from "
            f"{found.band.controls} controls)."
        )
    return [*said, *_against_accuracy(judged, number), *_beside_baselines(found, judged, number)]


def _reasons(runs: Sequence[RunSummary]) -> list[str]:
    """State the number behind each verdict, for its runs."""
    because = {
        v: [f"seed {one.seed}, {one.because}" for one in runs if one.verdict == v and one.because] for v in VERDICTS
    }
    return [f"{verdict.capitalize()}: {'; '.join(reasons)}." for verdict, reasons in because.items() if reasons]


def _between(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low} to {high}"


class Gap(NamedTuple):
    """How many steps one onset follows another, with a 95 % interval."""

    steps: int
    low: int
    high: int


def gap(onset: Onset, other: Onset) -> Gap:
    """The delay of an onset after ``other``; its interval adds both."""
    return Gap(onset.step - other.step, onset.low - other.high, onset.high - other.low)


def _against_accuracy(judged: Sequence[RunSummary], number: str) -> list[str]:
    """State what moves first, the followed number or test accuracy: by their changes, else by their onsets."""
    lags = [Gap(one.lag.steps, one.lag.low, one.lag.high) for one in judged if one.lag]
    without = [one for one in judged if not one.lag]
    onsets = [gap(one.onset, one.onset_of_accuracy) for one in without if one.onset and one.onset_of_accuracy]
    said = []
    if lags:
        said.append(
            f"By cross-correlation of their changes, {number} moves {_order(lags, len(judged), 'test accuracy')}."
        )
    if without and judged:
        said.append(
            f"In {len(without)} of {len(judged)} runs the changes of {number} and of test accuracy correlate too "
            "little for a lag."
        )
    if onsets:
        said.append(f"By its onset there, {number} begins {_order(onsets, len(judged), 'test accuracy')}.")
    return said


def _order(gaps: Sequence[Gap], runs: int, other: str) -> str:
    """State in how many runs something comes after, before, or together with another."""
    after, before = [g.steps for g in gaps if g.low > 0], [-g.steps for g in gaps if g.high < 0]
    together = len(gaps) - len(after) - len(before)
    parts = [
        f"{word} {other} in {len(steps)} of {runs} runs (by {_steps(steps)})"
        for word, steps in (("after", after), ("before", before))
        if steps
    ]
    if together:
        parts.append(f"together with {other}, as far as can be told, in {together} of {runs} runs")
    return ", ".join(parts)


def _steps(steps: Sequence[int]) -> str:
    low, high = min(steps), max(steps)
    return f"{low:,} steps" if low == high else f"{low:,} to {high:,} steps"


def _beside_baselines(found: Signature, judged: Sequence[RunSummary], number: str) -> list[str]:
    """State what cheaper numbers show: topology gets no credit for what they show as well, or as early."""
    shown = {}
    for name in BASELINES:
        ratios = [one.baselines[name].ratio for one in judged if name in one.baselines]
        band = found.baseline_bands.get(name)
        if ratios and band and all(ratio not in band for ratio in ratios):
            shown[name] = f"{WORDS[name]} ({_between(ratios)} times)"
    if not shown:
        return []
    said = [f"Cheaper numbers leave their own null band as well: {', '.join(shown.values())}."]
    gaps = {
        name: [gap(one.onset, one.baseline_onsets[name]) for one in judged if one.onset and name in one.baseline_onsets]
        for name in shown
    }
    for name, found_gaps in gaps.items():
        if found_gaps:
            said.append(f"By its onset, {number} begins {_order(found_gaps, len(judged), WORDS[name])}.")
    every = [g for found_gaps in gaps.values() for g in found_gaps]
    if every and not any(g.high < 0 for g in every):
        said.append(f"So {number} is no earlier sign than {'that' if len(shown) == 1 else 'they are'}.")
    return said

"""Courses of training → Signature: did it grok, did a loop appear with it, and do controls without generalisation show the same?

A signature cannot be built without controls: the same numbers of runs that memorise and never generalise are its null band.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from todacomm.changepoints import Lag, Onset, Rank, lag_of, onset_of, rank_correlation
from todacomm.errors import InvalidInput
from todacomm.values import by_value
from todacomm.watching import Course

MEMORISED, GENERALISED, IN_A_ROW = 0.98, 0.99, 3
DELAY = 2.0  # grokked: generalised at so many times the step of memorising, or later
PLATEAU_END = 0.8  # of the step of generalising
LAST = 5  # checkpoints whose median is "after"
FEWEST_CONTROLS = 2
LEAST_RISE = 1.5  # below, a ratio is no rise, however narrow the band
LEVEL = 0.95  # of the null band

PRESENT, NO_LOOP, AT_ONCE, ONLY, NOTHING = VERDICTS = (
    "signature present",
    "grokked without a loop",
    "generalised at once",
    "memorised only",
    "did not learn",
)
BASELINES = ("fourier_top5_share", "weight_norm")
WORDS = {
    "H1_max_lifetime": "H1 max",
    "fourier_top5_share": "the Fourier share of five frequencies",
    "weight_norm": "the norm of all weights",
}


@dataclass(frozen=True, slots=True)
class Milestones:
    """The steps at which a run memorised and generalised (None where it did not), and how often its test accuracy fell again.

    ``memorised_at``: the first of three consecutive evaluations on the whole training set with an accuracy of 98 % or more;
    ``generalised_at``: the same of the test set with 99 %; ``dips``: later evaluations below 99 %, ``deepest_dip`` the lowest of them.
    """

    memorised_at: int | None
    generalised_at: int | None
    dips: int = 0
    deepest_dip: float | None = None

    @property
    def grokked(self) -> bool:
        """Whether it generalised at twice the step of memorising or later."""
        if self.generalised_at is None or self.memorised_at is None:
            return False
        return self.generalised_at >= DELAY * max(self.memorised_at, 1)


@dataclass(frozen=True, slots=True)
class Rise:
    """One number on the plateau and after: medians over ``plateau_points`` and the last five checkpoints; ratio = after / plateau."""

    plateau: float
    after: float
    ratio: float
    plateau_points: int


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What one run tells of the followed number and of the baselines."""

    name: str
    kind: str
    seed: int
    milestones: Milestones
    rise: Rise | None
    baselines: Mapping[str, Rise]
    onset: Onset | None
    onset_of_accuracy: Onset | None
    lag: Lag | None
    ranks: Mapping[str, Rank]
    verdict: str = ""
    complaint: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """Where the ratio of one more control would fall, with 95 %: Student's prediction interval of log ratios of ``controls`` runs."""

    low: float
    high: float
    controls: int

    def __contains__(self, ratio: float) -> bool:
        return self.low <= ratio <= self.high


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """The verdict on some runs beside their controls, and all that it rests on.

    ``band`` is the null band of the ratio after / plateau of ``followed``; ``within`` says of each control whether it lies in the band of the
    others; ``baseline_bands`` are the same for the numbers that are cheaper to have.
    """

    followed: str
    runs: tuple[Told, ...]
    controls: tuple[Told, ...]
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
    """Judge runs against controls. ``follow`` is the number whose rise is the signature.

    Raises InvalidInput for fewer than one run or two controls: without them nobody knows what a rise means.
    """
    if not runs or len(controls) < FEWEST_CONTROLS:
        raise InvalidInput(
            f"{len(runs)} runs and {len(controls)} controls; a signature needs at least one run and {FEWEST_CONTROLS} controls, "
            "runs that memorise and never generalise (permuted labels, no weight decay)"
        )
    told = [tell(course, follow, seed) for course in runs]
    beside = [tell(course, follow, seed) for course in controls]
    usable = [c for c in beside if c.rise is not None and c.milestones.generalised_at is None]
    if len(usable) < FEWEST_CONTROLS:
        raise InvalidInput(
            f"{len(usable)} of {len(controls)} controls memorised without generalising; expected {FEWEST_CONTROLS} or more. "
            "Give them more steps, or other settings: what generalises is no control"
        )
    band = band_of([c.rise.ratio for c in usable if c.rise])
    bands = {
        name: band_of([c.baselines[name].ratio for c in usable if name in c.baselines])
        for name in BASELINES
        if sum(name in c.baselines for c in usable) >= FEWEST_CONTROLS
    }
    judged = tuple(_with_verdict(one, band) for one in told)
    judged_controls = tuple(_with_verdict(one, band) for one in beside)
    found = Signature(
        followed=follow,
        runs=judged,
        controls=judged_controls,
        band=band,
        within=tuple(_within_others(one, usable) for one in beside),
        baseline_bands=bands,
        verdict=overall([one.verdict for one in judged]),
    )
    return replace(found, sentences=tuple(sentences(found)))


# One run


def tell(course: Course, follow: str, seed: int = 0) -> Told:
    """Milestones, rise, onset, lag and correlations of one course."""
    passed = milestones(course)
    span = plateau_of(course, passed)
    values = course[follow]
    others = [name for name in BASELINES if name in course]
    accuracy, moved = course["test_accuracy"], passed.generalised_at is not None
    begin = 0 if span is None else span.start
    return Told(
        name=course.name,
        kind=course.kind,
        seed=course.seed,
        milestones=passed,
        rise=rise(values, span),
        baselines={name: risen for name in others if (risen := rise(course[name], span)) is not None},
        onset=onset_of(course.steps, values, begin) if moved else None,
        onset_of_accuracy=onset_of(course.steps, accuracy, begin) if moved else None,
        lag=lag_of(course.steps, values, accuracy) if moved else None,
        ranks={
            name: rank
            for name in _ranked(course, follow)
            if (rank := rank_correlation(course[name], accuracy, seed=seed)) is not None
        },
        complaint=course.complaint,
    )


def _ranked(course: Course, follow: str) -> list[str]:
    """The numbers whose rank correlation with test accuracy is given."""
    place = follow.rsplit("/", 1)[0]
    layer = place.split("/", 1)[0]
    names = [
        f"{where}/{name}"
        for where in (place, f"{layer}/raw")
        for name in ("H1_max_lifetime", "H1_total_persistence", "H0_total_persistence", "H0_max_lifetime")
    ]
    cheap = [*BASELINES, "fourier_gini", "restricted_loss", "excluded_loss", "local_dimension"]
    return [name for name in (*names, *cheap) if name in course]


def milestones(course: Course) -> Milestones:
    """When a course memorised and generalised."""
    memorised = first_of_three(course["train_accuracy"], MEMORISED)
    generalised = first_of_three(course["test_accuracy"], GENERALISED)
    later = course["test_accuracy"][generalised:] if generalised is not None else np.empty(0)
    dips = later[later < GENERALISED]
    return Milestones(
        memorised_at=None if memorised is None else course.steps[memorised],
        generalised_at=None if generalised is None else course.steps[generalised],
        dips=len(dips),
        deepest_dip=float(dips.min()) if len(dips) else None,
    )


def first_of_three(values: Float[np.ndarray, " T"], least: float) -> int | None:
    """The place of the first of three consecutive values that are all ``least`` or more."""
    enough = values >= least
    for i in range(len(values) - IN_A_ROW + 1):
        if enough[i : i + IN_A_ROW].all():
            return i
    return None


def plateau_of(course: Course, passed: Milestones) -> slice | None:
    """The checkpoints of the plateau: from memorised to 0.8 × generalised; without generalisation, the first half after
    memorisation. None where it did not memorise, or before the plateau has three checkpoints.
    """
    if passed.memorised_at is None:
        return None
    begin = course.steps.index(passed.memorised_at)
    if passed.generalised_at is None:
        end = begin + (len(course) - begin) // 2
    else:
        end = int(np.searchsorted(course.steps, PLATEAU_END * passed.generalised_at, side="right"))
    return slice(begin, end) if end - begin >= IN_A_ROW else None


def rise(values: Float[np.ndarray, " T"], span: slice | None) -> Rise | None:
    """The median on the plateau and of the last five; None without a plateau or where it is zero or undefined."""
    if span is None or len(values) - span.stop < LAST:
        return None
    before, last = values[span], values[-LAST:]
    if not (np.isfinite(before).any() and np.isfinite(last).any()):
        return None
    plateau, after = float(np.nanmedian(before)), float(np.nanmedian(last))
    return Rise(plateau, after, after / plateau, span.stop - span.start) if plateau > 0 else None


# Against the controls


def band_of(ratios: Sequence[float]) -> Band:
    """The prediction interval for one more ratio, on logarithms. Raises InvalidInput for fewer than two or a ratio of 0."""
    from scipy.stats import t

    if len(ratios) < FEWEST_CONTROLS or min(ratios) <= 0:
        raise InvalidInput(f"ratios {list(ratios)}; expected two or more above 0")
    logs = np.log(ratios)
    k = len(logs)
    half = float(t.ppf((1 + LEVEL) / 2, k - 1)) * float(logs.std(ddof=1)) * math.sqrt(1 + 1 / k)
    centre = float(logs.mean())
    return Band(math.exp(centre - half), math.exp(centre + half), k)


def _within_others(one: Told, usable: Sequence[Told]) -> bool:
    """Whether a control lies in the band of the others; it does where there are too few others to make one."""
    if one.rise is None:
        return False
    others = [c.rise.ratio for c in usable if c is not one and c.rise]
    return len(others) < FEWEST_CONTROLS or one.rise.ratio in band_of(others)


def _with_verdict(one: Told, band: Band) -> Told:
    return replace(one, verdict=verdict_of(one, band))


def verdict_of(one: Told, band: Band) -> str:
    """The verdict on one run, in the words of `VERDICTS`."""
    passed = one.milestones
    if passed.generalised_at is None:
        return NOTHING if passed.memorised_at is None else ONLY
    if not passed.grokked:
        return AT_ONCE
    risen = one.rise is not None and one.rise.ratio > max(band.high, LEAST_RISE)
    return PRESENT if risen else NO_LOOP


def overall(verdicts: Sequence[str]) -> str:
    """One verdict for several runs: theirs where they agree, else how many have which."""
    counts = Counter(verdicts)
    if len(counts) == 1:
        return verdicts[0]
    return "mixed: " + ", ".join(f"{counts[v]} of {len(verdicts)} {v}" for v in VERDICTS if counts[v])


# In words


def sentences(found: Signature) -> list[str]:
    """What the numbers support, and nothing more."""
    where, _, metric = found.followed.split("/")
    number = WORDS.get(metric, metric.replace("_", " "))
    grokked = [one for one in found.runs if one.milestones.grokked]
    said = [f"{found.verdict.capitalize()}: {len(grokked)} of {len(found.runs)} runs grokked."]
    ratios = [one.rise.ratio for one in grokked if one.rise]
    if ratios:
        said.append(
            f"{number} of the {where} is {min(ratios):.2g} to {max(ratios):.2g} times its plateau after generalisation; one more control would "
            f"fall between {found.band.low:.2g} and {found.band.high:.2g} times (95 %, from {found.band.controls} controls)."
        )
    delays = [one.lag.steps for one in grokked if one.lag]
    if delays:
        middle = float(np.median(delays))
        trails = (
            "moves with test accuracy"
            if middle == 0
            else f"{'trails' if middle > 0 else 'leads'} it by {abs(middle):.0f} steps"
        )
        said.append(f"By cross-correlation of their changes, {number} {trails} (median over runs).")
    said += _beside_baselines(found, grokked)
    return said


def _beside_baselines(found: Signature, grokked: Sequence[Told]) -> list[str]:
    """How the cheaper numbers do: the report claims nothing for topology that they show as well."""
    shown = []
    for name in BASELINES:
        ratios = [one.baselines[name].ratio for one in grokked if name in one.baselines]
        band = found.baseline_bands.get(name)
        if ratios and band and all(ratio not in band for ratio in ratios):
            shown.append(f"{WORDS[name]} ({min(ratios):.2g} to {max(ratios):.2g} times)")
    if not shown:
        return []
    return [
        f"Cheaper numbers leave their own null band as well: {', '.join(shown)}. Topology is no earlier sign than they are by this."
    ]

"""Judge one run by `RULES` against the null band of its controls. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from todacomm.core.errors import InvalidInput
from todacomm.core.value_types import by_value
from todacomm.statistics.changepoints import BY_CHANCE, LEAST_CORRELATION, Lag, Onset, Rank
from todacomm.training.milestones import (
    DELAY,
    FALL,
    HELD,
    HELD_LAST,
    IN_A_ROW,
    LAST,
    LOW,
    MEMORISED,
    OFTEN,
    PARTLY,
    Ending,
    Milestones,
    Rise,
    first_of_three,
)
from todacomm.training.observe import Course

FEWEST_CONTROLS, FEWEST_TO_DENY = 2, 3
LEAST_RISE = 1.5  # a smaller ratio is no rise, however narrow the band
NARROW = 2.0  # a null band that ends above this hides loops: a ratio within it is inconclusive
TIMELY = 1.5  # a loop is timely up to this multiple of the step of generalising
LEVEL = 0.95  # confidence level of the null band


def percent(share: float) -> str:
    """Format a fraction in whole per cent.

    >>> percent(0.98)
    '98 %'
    """
    return f"{100 * share:.0f} %"


# Every verdict with its rule, in the order in which mixed verdicts are counted. docs/grokking.md has the same words.
RULES = {
    "signature present": (
        f"it grokked, and its ratio after / plateau lies above the null band and above {LEAST_RISE:g}, "
        f"where the followed number came by {TIMELY:g} times the step of generalising"
    ),
    "grokked, the loop came late": (
        f"the same, but the followed number came later than {TIMELY:g} times the step of generalising"
    ),
    "grokked without a loop": (
        f"it grokked, its ratio is not above the null band and {LEAST_RISE:g}, and it can be known: "
        f"{FEWEST_TO_DENY} controls or more, a ratio up to {LEAST_RISE:g} or a band that ends below "
        f"{NARROW:g}, and a run that goes on to {TIMELY:g} times the step of generalising"
    ),
    "undecidable": (
        f"it grokked, and nothing can be said of the loop: no plateau of {IN_A_ROW} checkpoints, fewer than "
        f"{LAST} checkpoints after it, a run that ended before {TIMELY:g} times the step of generalising, "
        f"fewer than {FEWEST_TO_DENY} controls, a ratio within a band that ends above {NARROW:g}, or a rise "
        "that did not last"
    ),
    "generalised at once": (
        f"it generalised before {DELAY:g} times the step of memorising, or gave {percent(LOW)} of the test "
        "answers or more when it memorised"
    ),
    "fell back": (
        f"it generalised, and test accuracy at the end (median of the last {LAST} checkpoints) is below "
        f"{percent(HELD)}, or at the very last one below {percent(HELD_LAST)}"
    ),
    "still rising": (
        "it did not generalise, and test accuracy (or train accuracy, before it memorised) rises over the "
        "last ten checkpoints or the last fifth of them, by 0.02 or more and in step with time (Spearman's "
        "ρ of 0.7 or more)"
    ),
    "partly generalised": (
        f"it did not generalise, does not rise, and test accuracy at the end is {percent(PARTLY)} or more "
        "(twice chance, where that is more)"
    ),
    "memorised only": "it memorised, and test accuracy at the end is below that",
    "did not learn": f"none of these: train accuracy was never {percent(MEMORISED)} three times in a row",
    "unstable training": (
        f"train accuracy fell by {FALL:g} or more from what it had held for three checkpoints "
        f"({percent(MEMORISED)} at most), at the last checkpoint or at more than {percent(OFTEN)} of those "
        "since; or the loss was no finite number any more. It goes before all others"
    ),
}
LAG = (
    "shift, in steps, at which changes of the followed number (medians of three checkpoints) correlate most with "
    f"changes of test accuracy; none where they correlate by less than {LEAST_CORRELATION:g}, or {BY_CHANCE:g} over "
    "the root of the number of checkpoints"
)
VERDICTS = tuple(RULES)
PRESENT, LATE, NO_LOOP, UNDECIDED, AT_ONCE, FELL_BACK, RISING, PARTLY_GENERALISED, ONLY, NOTHING, UNSTABLE = VERDICTS
JUDGED = (PRESENT, LATE, NO_LOOP, UNDECIDED)  # runs that grokked, and whose loop is asked for


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class RunSummary:
    """Summary statistics of one run; ``verdict`` is one of `VERDICTS`, ``because`` the number behind it.

    ``risen_at`` is the step from which the followed number exceeds the null band; ``no_rise`` says why it has no ratio.
    """

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
    ending: Ending
    baseline_onsets: Mapping[str, Onset]
    partly_from: float
    no_rise: str = ""
    verdict: str = ""
    because: str = ""
    risen_at: int | None = None
    complaint: str = ""

    @property
    def said(self) -> str:
        """The verdict and the number behind it."""
        return f"{self.verdict} ({self.because})" if self.because else self.verdict

    @property
    def grokked(self) -> bool:
        """Whether the run grokked and still generalises at its end."""
        return self.verdict in JUDGED


@dataclass(frozen=True, slots=True)
class Band:
    """Null band: Student's 95 % prediction interval for the log ratio of one more control, from ``controls`` runs."""

    low: float
    high: float
    controls: int

    def __contains__(self, ratio: float) -> bool:
        return self.low <= ratio <= self.high


def band_of(ratios: Sequence[float]) -> Band:
    """Compute the prediction interval for one more ratio, on logarithms. Raises InvalidInput unless two exceed 0."""
    from scipy.stats import t

    if len(ratios) < FEWEST_CONTROLS or min(ratios) <= 0:
        raise InvalidInput(f"ratios {list(ratios)}; expected two or more above 0")
    logs = np.log(ratios)
    k = len(logs)
    half = float(t.ppf((1 + LEVEL) / 2, k - 1)) * float(logs.std(ddof=1)) * math.sqrt(1 + 1 / k)
    centre = float(logs.mean())
    return Band(math.exp(centre - half), math.exp(centre + half), k)


def is_null(control: RunSummary) -> bool:
    """Whether a control belongs to the null band: it memorised, stayed there, and has a ratio."""
    return control.verdict == ONLY and control.rise is not None and control.rise.ratio > 0


def judge(one: RunSummary, course: Course, follow: str, band: Band) -> RunSummary:
    """Judge a run against the null band."""
    risen = replace(one, risen_at=_risen_at(one, course, follow, band))
    verdict, because = verdict_of(risen, band)
    return replace(risen, verdict=verdict, because=because)


def _risen_at(one: RunSummary, course: Course, follow: str, band: Band) -> int | None:
    """The first of three consecutive checkpoints at which the followed number exceeds the null band of its plateau."""
    if one.rise is None:
        return None
    begin = 0 if one.milestones.memorised_at is None else course.steps.index(one.milestones.memorised_at)
    first = first_of_three(course[follow][begin:], one.rise.plateau * max(band.high, LEAST_RISE))
    return None if first is None else course.steps[begin + first]


def verdict_of(one: RunSummary, band: Band | None) -> tuple[str, str]:
    """The verdict on one run and the number behind it; without a null band a run that grokked is undecidable."""
    passed, end = one.milestones, one.ending
    if one.complaint:
        return UNSTABLE, f"the loss is no finite number after step {end.step:,}"
    if end.unstable:
        fell = end.last_train <= end.held - FALL
        return UNSTABLE, (
            f"train accuracy {end.last_train:.2f} at the end, {end.held:.2f} before"
            if fell
            else f"train accuracy a tenth or more below {end.held:.2f} at {percent(end.below)} of the checkpoints since"
        )
    if passed.generalised_at is None:
        return _not_generalised(one)
    if end.fell_back:
        return FELL_BACK, f"test accuracy {min(end.test, end.last_test):.2f} at the end"
    if not passed.grokked:
        return AT_ONCE, ""
    return _of_the_loop(one, passed.generalised_at, band)


def _not_generalised(one: RunSummary) -> tuple[str, str]:
    end, memorised = one.ending, one.milestones.memorised_at is not None
    if end.rising:
        return RISING, f"test accuracy {end.last_test:.2g} at the end"
    if end.test >= one.partly_from:
        return PARTLY_GENERALISED, f"test accuracy {end.test:.2g} at the end"
    if memorised:
        return ONLY, ""
    return (RISING if end.learning else NOTHING), f"train accuracy {end.train:.2g} at the end"


def _of_the_loop(one: RunSummary, generalised: int, band: Band | None) -> tuple[str, str]:
    """Whether a run that grokked has a loop, or why that is unknown."""
    if band is None:
        return UNDECIDED, "without a null band"
    if one.rise is None:
        return UNDECIDED, one.no_rise
    due = TIMELY * generalised
    if one.rise.ratio > max(band.high, LEAST_RISE):
        late = one.risen_at is not None and one.risen_at > due
        return (LATE, f"from step {one.risen_at:,}") if late else (PRESENT, "")
    if reason := _unknown(one, one.rise, band, due):
        return UNDECIDED, reason
    return NO_LOOP, ""


def _unknown(one: RunSummary, risen: Rise, band: Band, due: float) -> str:
    """Why a ratio within the band does not rule out a loop; empty where it does."""
    if one.risen_at is not None:
        return f"the rise from step {one.risen_at:,} on did not last"
    if one.ending.step < due:
        return f"it ended at step {one.ending.step:,}, before {due:,.0f}"
    if band.controls < FEWEST_TO_DENY:
        return f"{band.controls} controls make a band of {band.low:.2g} to {band.high:.2g}"
    hidden = risen.ratio > LEAST_RISE and band.high > NARROW
    return f"ratio {risen.ratio:.2g} within a band of {band.low:.2g} to {band.high:.2g}" if hidden else ""


def overall(verdicts: Sequence[str]) -> str:
    """Summarise several verdicts: the common one, else the counts."""
    counts = Counter(verdicts)
    if len(counts) == 1:
        return verdicts[0]
    return "mixed: " + ", ".join(f"{counts[v]} of {len(verdicts)} {v}" for v in VERDICTS if counts[v])

"""Milestones of a trajectory: when it memorised and generalised, how it ends, how far a number rose. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from todacomm.statistics.changepoints import Series, steady_rise
from todacomm.training.observe import Course

MEMORISED, GENERALISED, IN_A_ROW = 0.98, 0.99, 3
DELAY = 2.0  # grokked: generalised at this multiple of the step of memorising, or later
LOW = 0.5  # grokked: test accuracy on memorising is below this
PLATEAU_END = 0.8  # of the step of generalising
LAST = 5  # checkpoints whose median is "after", and "at the end"
PARTLY = 0.1  # test accuracy at the end from which a run generalises in part; twice chance where that is more
FALL, OFTEN = (
    0.1,
    0.1,
)  # unstable: train accuracy so far below what it held, at the end or in this share of the checkpoints since
HELD, HELD_LAST = 0.95, 0.9  # fell back: test accuracy at the end is below, or at the very last checkpoint


@dataclass(frozen=True, slots=True)
class Milestones:
    """When a run memorised and generalised (None where it did not), and how its test accuracy dipped afterwards.

    Memorised: the first of three consecutive evaluations with a training accuracy of 98 % or more. Generalised: the
    first of three with a test accuracy of 99 %.
    """

    memorised_at: int | None
    generalised_at: int | None
    dips: int = 0  # later evaluations below 99 %
    deepest_dip: float | None = None  # the lowest of them
    test_when_memorised: float | None = None

    @property
    def grokked(self) -> bool:
        """Whether it generalised at twice the step of memorising or later, and test accuracy was below half until then.

        Without the second condition, a run that learns both at once is late whenever its last errors are.
        """
        if self.generalised_at is None or self.memorised_at is None or self.test_when_memorised is None:
            return False
        return self.test_when_memorised < LOW and self.generalised_at >= DELAY * max(self.memorised_at, 1)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends: median accuracies over its last five checkpoints, and those of the last one, at ``step``."""

    step: int
    train: float
    test: float
    last_train: float
    last_test: float
    rising: bool  # test accuracy rises over the last fifth of the checkpoints
    learning: bool  # train accuracy does
    held: float  # highest train accuracy of three consecutive evaluations, at most 98 %
    below: float  # fraction of the checkpoints since then that lie a tenth or more below it

    @property
    def unstable(self) -> bool:
        """Whether train accuracy fell below what it had held: at the end, or often."""
        return self.last_train <= self.held - FALL or self.below > OFTEN

    @property
    def fell_back(self) -> bool:
        """Whether a run that generalised no longer does at its end."""
        return self.test < HELD or self.last_test < HELD_LAST


@dataclass(frozen=True, slots=True)
class Rise:
    """A number on the plateau and after it."""

    plateau: float  # median over ``plateau_points`` checkpoints
    after: float  # median over the last five
    ratio: float  # after / plateau
    plateau_points: int


def milestones(course: Course) -> Milestones:
    """Find when a trajectory memorised and generalised."""
    train, test = course["train_accuracy"], course["test_accuracy"]
    memorised, generalised = first_of_three(train, MEMORISED), first_of_three(test, GENERALISED)
    later = test[generalised:] if generalised is not None else np.empty(0)
    dips = later[later < GENERALISED]
    return Milestones(
        memorised_at=None if memorised is None else course.steps[memorised],
        generalised_at=None if generalised is None else course.steps[generalised],
        dips=len(dips),
        deepest_dip=float(dips.min()) if len(dips) else None,
        test_when_memorised=None if memorised is None else float(test[memorised]),
    )


def ending(course: Course) -> Ending:
    """Describe how a trajectory ends."""
    train, test = course["train_accuracy"], course["test_accuracy"]
    held, since = held_of(train)
    return Ending(
        step=course.steps[-1],
        train=float(np.median(train[-LAST:])),
        test=float(np.median(test[-LAST:])),
        last_train=float(train[-1]),
        last_test=float(test[-1]),
        rising=steady_rise(test),
        learning=steady_rise(train),
        held=held,
        below=float((train[since:] <= held - FALL).mean()),
    )


def held_of(values: Series) -> tuple[float, int]:
    """The highest level (at most 98 %) of three consecutive values, and where they begin; the minimum of fewer."""
    if len(values) < IN_A_ROW:
        return float(values.min()), 0
    levels = np.lib.stride_tricks.sliding_window_view(values, IN_A_ROW).min(axis=1)
    held = min(MEMORISED, float(levels.max()))
    return held, int(np.argmax(levels >= held))


def first_of_three(values: Float[np.ndarray, " T"], least: float) -> int | None:
    """The index of the first of three consecutive values of ``least`` or more."""
    enough = values >= least
    for i in range(len(values) - IN_A_ROW + 1):
        if enough[i : i + IN_A_ROW].all():
            return i
    return None


def chance_of(settings: Mapping[str, Any] | None) -> float:
    """Accuracy of guessing, from the settings of a run; 0 where unknown."""
    given = settings or {}
    classes = {"images": 10, "s5": 120}.get(given.get("task", ""), given.get("prime"))
    return 1 / classes if classes else 0.0


def partly_from(settings: Mapping[str, Any] | None) -> float:
    """The test accuracy from which a run counts as partly generalised."""
    return max(PARTLY, 2 * chance_of(settings))


# The plateau, and after


def plateau_of(course: Course, passed: Milestones) -> slice | None:
    """The checkpoints of the plateau: from memorising to 0.8 × generalising, else the first half after memorising.

    None where the run did not memorise, or the plateau has fewer than three checkpoints.
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
    """Medians on the plateau and of the last five checkpoints; None where `missing` says why."""
    if span is None or missing(values, span):
        return None
    plateau, after = float(np.nanmedian(values[span])), float(np.nanmedian(values[-LAST:]))
    return Rise(plateau, after, after / plateau, span.stop - span.start)


def missing(values: Float[np.ndarray, " T"], span: slice | None) -> str:
    """Why there is no ratio after / plateau; empty where there is one."""
    if span is None:
        return f"it has no plateau of {IN_A_ROW} checkpoints"
    if len(values) - span.stop < LAST:
        return f"fewer than {LAST} checkpoints follow its plateau"
    before, last = values[span], values[-LAST:]
    if not (np.isfinite(before).any() and np.isfinite(last).any()):
        return "the followed number is not defined there"
    return "" if float(np.nanmedian(before)) > 0 else "the followed number is 0 on its plateau"

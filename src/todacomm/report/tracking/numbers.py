"""What figures and sentences call the numbers of a track, the axis of its steps, and how its values are shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from todacomm.core.types import Number, Profile
from todacomm.profiles.onsets import FOLLOWED
from todacomm.profiles.trajectory import Trajectory
from todacomm.report.document.chart import LOG_RANGE, Axis, ticked
from todacomm.report.document.style import log_ticks, raw_distance_unit, step_of
from todacomm.report.words.phrases import number

LOG_STEPS = 8.0  # times its median that the last step is, from where steps are on a log axis
MOST_TICKS = 9


@dataclass(frozen=True, slots=True)
class Words:
    """What a number is called in a sentence, and how it is read."""

    name: str
    how: str


WORDS = {
    "H0_total_persistence_scaled": Words(
        "H0 total / median distance", "The shape of the cloud: it falls where texts gather in clusters."
    ),
    "scale": Words("median distance", "How far apart two texts usually lie."),
    "H1_max_lifetime_scaled": Words(
        "longest H1 bar / median distance", "The most persistent loop; only the loop test says whether it is one."
    ),
    "H1_total_persistence_scaled": Words(
        "H1 total / median distance", "All loops together; short ones, which noise has too, make up most of it."
    ),
    "distinct_points": Words("distinct points", "Texts that lie apart; where it falls, a layer collapses."),
    "participation_ratio": Words("participation ratio", "In how many directions the cloud spreads."),
}


def shown(trajectory: Trajectory) -> list[str]:
    """The numbers that figures show: those that are followed and vary."""
    return [name for name in FOLLOWED if name in trajectory and np.nanmax(trajectory[name], initial=-np.inf) > -np.inf
            and np.unique(trajectory[name][np.isfinite(trajectory[name])]).size > 1]  # fmt: skip


def called(name: str, profile: Profile | None = None) -> str:
    """A number in words, with its unit where there is one."""
    told = WORDS[name].name if name in WORDS else name.replace("_", " ")
    return f"{told} ({raw_distance_unit(profile)})" if name == "scale" and profile else told


def spans_orders(values: np.ndarray) -> bool:
    """Whether values are positive and span several orders, so that they are shown by their logarithms."""
    known = values[np.isfinite(values)]
    return bool(known.size and known.min() > 0 and known.max() / known.min() > LOG_RANGE)


def is_log(steps: Sequence[int]) -> bool:
    """Whether steps are spaced so unevenly that a log axis shows them."""
    return len(steps) > 3 and steps[-1] > LOG_STEPS * max(1.0, float(np.median(steps)))


def step_axis(steps: Sequence[int]) -> Axis:
    """The training steps: linear, or beyond the first positive one logarithmic where they are spaced so."""
    last = float(steps[-1]) or 1.0
    if not is_log(steps):
        room = 0.02 * (last - steps[0]) or 0.5
        return Axis("training step", limits=(steps[0] - room, last + room), most=6, whole=True)
    first = float(next(step for step in steps if step > 0))
    ticks = [tick for tick in log_ticks(first, last, most=3) if first <= tick <= last]
    return Axis(
        "training step", "bent", (0.0, 1.08 * last), ticked([*([0.0] if steps[0] == 0 else []), *ticks]), bend=first
    )


def column_axis(trajectory: Trajectory, label: str) -> Axis:
    """The checkpoints side by side, each as wide, their names thinned."""
    every = step_of(len(trajectory), MOST_TICKS)
    last = len(trajectory) - 1
    kept = [i for i in range(0, len(trajectory), every) if last - i >= every or i == last]
    ticks = tuple((float(i), shortened(trajectory.labels[i], trajectory.steps[i])) for i in sorted({*kept, last}))
    return Axis(label, limits=(-0.5, last + 0.5), ticks=ticks)


def shortened(label: str, step: int) -> str:
    """The name of a column: the step where the name holds it, else the name."""
    return f"{step:,}" if str(step) in label else label


def told_value(name: str, value: Number, low: Number = None, high: Number = None) -> str:
    """A number with its interval, for hover text."""
    known = low is not None and high is not None and math.isfinite(low) and math.isfinite(high)
    ends = f" [{number(low, 3)}, {number(high, 3)}]" if known else ""
    return f"{called(name)}: {number(value, 4)}{ends}"

"""Shared by figures of training: the registry, a colour for each seed, the axis of steps."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from todacomm.report.document.chart import Axis, ticked
from todacomm.report.document.drawings import Drawings
from todacomm.report.document.style import PALETTE, cut
from todacomm.report.training.read_experiment import Exhibit, Trained

COLOURS = PALETTE[:6]
CONTROL = "#9A9A9A"
CONTROL_DASHES: Mapping[str, Literal["-", "--", ":"]] = {"permuted labels": "-", "no weight decay": "--"}
MEDIAN_FROM = 5  # runs, from which their median is drawn, and they are thin
LOG_STEPS = 20  # times memorised that generalised is, from where the steps are on a log axis


grok_drawings: Drawings[Exhibit] = Drawings("grokking figure")
grok_figure, grok_chart, write_drawings = grok_drawings.figure, grok_drawings.chart, grok_drawings.write


def heading(exhibit: Exhibit, run: Trained | None = None) -> str:
    """The heading of a figure: network, data, cell, and a single run."""
    network = exhibit.about.get("settings", {}).get("network", "")
    parts = [network, str(exhibit.about.get("data", "")), exhibit.cell.replace(",", ", "), run.label if run else ""]
    return " · ".join(cut(part, 60) for part in parts if part)


def coloured(runs: Sequence[Trained]) -> list[tuple[Trained, str]]:
    """Each run with its colour, the same in every figure."""
    return [(run, COLOURS[i % len(COLOURS)]) for i, run in enumerate(runs)]


# Steps


def last_step(exhibit: Exhibit) -> int:
    """The end of the axis of steps."""
    return max((run.last_step for run in (*exhibit.shown, *exhibit.beside)), default=0) or 1


def step_axis(exhibit: Exhibit) -> Axis:
    """The axis of steps; logarithmic beyond the first checkpoint where memorising is much earlier than generalising."""
    last, first = last_step(exhibit), log_from(exhibit)
    if first is None:
        return Axis("training step", limits=(-0.01 * last, 1.01 * last), most=9, whole=True)
    decades = range(math.floor(math.log10(first)), math.ceil(math.log10(last)) + 1)
    ticks = [at for k in decades for lead in (1, 2, 5) if first <= (at := lead * 10.0**k) <= 1.08 * last]
    return Axis("training step", "bent", (0.0, 1.08 * last), ticked([0.0, *ticks]), bend=float(first))


def log_from(exhibit: Exhibit) -> int | None:
    """The step from which on the steps are on a log axis; None where they are on a linear one."""
    first = min((run.course.steps[1] for run in exhibit.shown if run.course and len(run.course) > 1), default=0)
    return first if first > 0 and _much_earlier(exhibit) else None


def _much_earlier(exhibit: Exhibit) -> bool:
    passed = [run.told.milestones for run in exhibit.shown if run.told]
    ratios = [
        m.generalised_at / max(m.memorised_at, 1)
        for m in passed
        if m.generalised_at is not None and m.memorised_at is not None
    ]
    return bool(ratios) and float(np.median(ratios)) >= LOG_STEPS

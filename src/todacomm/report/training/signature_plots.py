"""The figures that judge: how far runs and controls rise against the null band, and what the cells of a sweep gave."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from todacomm.report.document import style
from todacomm.report.document.figure_parts import plain_number, save
from todacomm.report.training.read_experiment import Exhibit, Findings, Trained, named
from todacomm.report.training.training_figure_parts import CONTROL, coloured, grok_figure, heading
from todacomm.training.milestones import Rise
from todacomm.training.signature import Signature
from todacomm.training.verdict import (
    AT_ONCE,
    FELL_BACK,
    LATE,
    NO_LOOP,
    NOTHING,
    ONLY,
    PARTLY_GENERALISED,
    PRESENT,
    RISING,
    UNDECIDED,
    UNSTABLE,
    Band,
    is_null,
)

MOST_CELLS = 48
STEPS, WIDE = (
    (1.0, 0.5, 0.25, 0.2, 0.1, 0.05, 0.025, 0.02, 0.01, 0.005, 0.002, 0.001),
    8.0,
)  # of a short axis of ratios, and what is long
# A colour and a marker for each verdict: told apart in grey as well.
VERDICT_LOOKS = {
    PRESENT: ("o", style.PALETTE[0]),
    LATE: ("p", style.PALETTE[0]),
    NO_LOOP: ("s", style.PALETTE[4]),
    UNDECIDED: ("d", style.PALETTE[6]),
    AT_ONCE: ("^", style.PALETTE[2]),
    FELL_BACK: ("v", style.PALETTE[3]),
    RISING: ("P", style.PALETTE[5]),
    PARTLY_GENERALISED: (">", style.PALETTE[5]),
    ONLY: ("X", style.PALETTE[1]),
    NOTHING: ("x", style.PALETTE[6]),
    UNSTABLE: ("*", style.PALETTE[3]),
    "": ("D", CONTROL),
}
NOT_JUDGED = "not judged: no null band"


# One cell


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of a signature: its name, its null band, and its rise in a run."""

    name: str
    band: Band | None

    def rise(self, run: Trained, followed: str) -> Rise | None:
        """The rise of this number in a run; None where it has none."""
        if run.told is None:
            return None
        return run.told.rise if self.name == followed else run.told.baselines.get(self.name)


def measures(found: Signature) -> list[Measure]:
    """The followed number, then the cheaper ones that have a band."""
    return [Measure(found.followed, found.band), *(Measure(name, band) for name, band in found.baseline_bands.items())]


@grok_figure(
    "signature",
    title="After over plateau, against the null band",
    caption="Each row is a run or a control: the median of the last five checkpoints over the median of the plateau, on a logarithmic "
    "axis; the grey line is no change. The band is where one more control would fall (95 %, from the controls below). Beside the followed "
    "number stand two that are cheaper to have: what they show as well, topology is not needed for. A row without a dot has no plateau of "
    "three checkpoints. Hollow controls are no part of the band: it is made of those that memorised only.",
)
def signature_figure(exhibit: Exhibit) -> Figure | None:
    """A panel for each number, a row for each run and control."""
    found = exhibit.signature
    rows = [*exhibit.shown, *exhibit.beside]
    if found is None or not rows:
        return None
    shown = measures(found)
    drawn = Figure(figsize=(style.WIDTH, 0.2 * len(rows) + 1.3))
    drawn.suptitle(f"{heading(exhibit)}: {found.verdict}", fontsize=9)
    panels = drawn.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    colours = {run.name: colour for run, colour in coloured(exhibit.shown)}
    for axes, measure in zip(panels, shown, strict=True):
        _ratios(axes, measure, rows, colours, found.followed)
    panels[0].set_yticks(range(len(rows)), [run.label for run in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    return drawn


def _ratios(axes: Axes, measure: Measure, rows: Sequence[Trained], colours: dict[str, str], followed: str) -> None:
    values = []
    if measure.band:
        axes.axvspan(measure.band.low, measure.band.high, color=CONTROL, alpha=0.3, linewidth=0)
        values += [measure.band.low, measure.band.high]
    for y, run in enumerate(rows):
        rise = measure.rise(run, followed)
        if rise is None or rise.ratio <= 0:
            continue
        marker = "o" if run.is_run else "s"
        colour = colours.get(run.name, "#4A4A4A")
        hollow = not run.is_run and run.told is not None and not is_null(run.told)
        axes.plot(rise.ratio, y, marker, color=colour, markersize=5, markerfacecolor="white" if hollow else colour)
        values.append(rise.ratio)
    ratio_axis(axes, values)
    axes.set_title(named(measure.name).replace(", ", ",\n"), fontsize=7.5)
    axes.set_xlabel("after / plateau")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    runs = sum(run.is_run for run in rows)
    axes.axhline(runs - 0.5, color="#CFCFCF", linewidth=0.6)


def ratio_axis(axes: Axes, values: Sequence[float]) -> None:
    """A log x axis around 1 that holds these ratios, with readable ticks."""
    low, high = min([*values, 1.0]) / 1.15, max([*values, 1.0]) * 1.15
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axis = axes.xaxis
    axis.set_minor_formatter(NullFormatter())
    axis.set_minor_locator(NullLocator())
    axis.set_major_locator(FixedLocator(ratio_ticks(low, high)))
    axis.set_major_formatter(FuncFormatter(plain_number))
    axes.axvline(1, color=style.GREY, linewidth=0.7, zorder=1)


def ratio_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Three to five ticks of a logarithmic axis from below 1 to above, 1 among them: in equal steps where it is short, else 1, 2, 5 or powers of ten.

    >>> ratio_ticks(0.9, 1.1), ratio_ticks(0.5, 2.9), ratio_ticks(0.1, 20)
    ([0.9, 1.0, 1.1], [0.5, 1.0, 1.5, 2.0, 2.5], [0.1, 0.5, 1.0, 5.0, 10.0])
    """
    for step in STEPS if high / low < WIDE else ():
        found = [round(i * step, 6) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
        if 3 <= len(found) <= most:
            return found
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for leading in ((1, 2, 5), (1, 5), (1,)):
        found = [tick for k in decades for lead in leading if low <= (tick := float(f"{lead}e{k}")) <= high]
        if len(found) <= most:
            return found
    every = math.ceil(len(found) / most)
    one = found.index(1.0)
    return [tick for i, tick in enumerate(found) if (i - one) % every == 0]


# A sweep


SWEEP = (
    "What each cell of the sweep gave",
    (
        "A row for each cell, a mark for each of its runs; the mark is the verdict on the run. Left: the step at which it generalised (in "
        "the margin where it did not by the end of the run), with a short grey line where it memorised. Middle: H1 max after over H1 max on the plateau, on a logarithmic axis, over "
        "the null band of the controls of that cell. Right: how many steps H1 max comes after test accuracy, by the cross-correlation of "
        "their changes (left of zero: before)."
    ),
)


def write_sweep(findings: Findings, directory: Path) -> list[Path]:
    """The figures of a sweep, up to `MOST_CELLS` cells each; none without a sweep."""
    if not findings.swept:
        return []
    parts = [findings.exhibits[i : i + MOST_CELLS] for i in range(0, len(findings.exhibits), MOST_CELLS)]
    with style.styled():
        return [save(sweep(part), directory / (f"sweep_{i}.png" if i else "sweep.png")) for i, part in enumerate(parts)]


def sweep(exhibits: Sequence[Exhibit]) -> Figure:
    """Cells against step, ratio and lag."""
    drawn = Figure(figsize=(style.WIDTH, 0.27 * len(exhibits) + 1.7))
    first = exhibits[0].about
    drawn.suptitle(
        f"{first.get('settings', {}).get('network', '')} · {first.get('data', '').split(',')[0]}", fontsize=9
    )
    steps, ratios, lags = drawn.subplots(1, 3, sharey=True, width_ratios=(1.15, 1.15, 0.9))
    _step_panel(steps, exhibits)
    _ratio_panel(ratios, exhibits)
    _lag_panel(lags, exhibits)
    for axes in (steps, ratios, lags):
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    steps.set_yticks(range(len(exhibits)), [style.elided(e.cell.replace(",", ", "), 40) for e in exhibits])
    steps.set_ylim(len(exhibits) - 0.5, -0.5)
    verdicts = dict.fromkeys(verdict for e in exhibits for _, verdict in judged(e))
    handles: list[Line2D | Patch] = [
        Line2D([], [], marker=VERDICT_LOOKS[v][0], color=VERDICT_LOOKS[v][1], linestyle="", label=v or NOT_JUDGED)
        for v in VERDICT_LOOKS
        if v in verdicts
    ]
    handles.append(Patch(color=CONTROL, alpha=0.3, linewidth=0, label="null band of the cell"))
    drawn.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    return drawn


def judged(exhibit: Exhibit) -> list[tuple[Trained, str]]:
    """The runs of a cell with their verdicts; empty where there was no null band."""
    return [(run, run.told.verdict if run.told else "") for run in exhibit.shown]


def spread(count: int) -> list[float]:
    """How far from the middle of its row each of ``count`` marks stands."""
    return [float(x) for x in np.linspace(-0.26, 0.26, count)] if count > 1 else [0.0]


def _marked(axes: Axes, x: float, y: float, verdict: str) -> None:
    marker, colour = VERDICT_LOOKS[verdict]
    axes.plot(x, y, marker, color=colour, markersize=4.2, markeredgewidth=0.9, clip_on=False, zorder=3)


def _step_panel(axes: Axes, exhibits: Sequence[Exhibit]) -> None:
    last = max((run.last_step for e in exhibits for run in e.shown), default=0) or 1
    never = 1.12 * last
    for y, exhibit in enumerate(exhibits):
        for (run, verdict), away in zip(judged(exhibit), spread(len(exhibit.shown)), strict=True):
            passed = run.told.milestones if run.told else None
            if passed and passed.memorised_at is not None:
                axes.plot([passed.memorised_at] * 2, [y + away - 0.09, y + away + 0.09], color=style.GREY, linewidth=1)
            generalised = passed.generalised_at if passed else None
            _marked(axes, float(never if generalised is None else generalised), y + away, verdict)
    axes.axvline(1.05 * last, color="#CFCFCF", linewidth=0.6)
    axes.set_xlim(-0.02 * last, 1.18 * last)
    places = [int(x) for x in MaxNLocator(4, integer=True).tick_values(0, last) if 0 <= x <= 0.95 * last]
    axes.set_xticks([*places, never], [*(f"{x:,}" for x in places), "never"])
    axes.set_xlabel("generalised at step")


def _ratio_panel(axes: Axes, exhibits: Sequence[Exhibit]) -> None:
    values = []
    for y, exhibit in enumerate(exhibits):
        if exhibit.signature:
            band = exhibit.signature.band
            axes.barh(y, band.high - band.low, 0.8, band.low, color=CONTROL, alpha=0.3, linewidth=0)
            values += [band.low, band.high]
        for (run, verdict), away in zip(judged(exhibit), spread(len(exhibit.shown)), strict=True):
            if run.told and run.told.rise and run.told.rise.ratio > 0:
                _marked(axes, run.told.rise.ratio, y + away, verdict)
                values.append(run.told.rise.ratio)
    ratio_axis(axes, values)
    axes.set_xlabel("H1 max, after / plateau")


def _lag_panel(axes: Axes, exhibits: Sequence[Exhibit]) -> None:
    axes.axvline(0, color=style.GREY, linewidth=0.7, zorder=1)
    values = [0]
    for y, exhibit in enumerate(exhibits):
        for (run, verdict), away in zip(judged(exhibit), spread(len(exhibit.shown)), strict=True):
            if run.told and run.told.lag:
                _marked(axes, float(run.told.lag.steps), y + away, verdict)
                values.append(run.told.lag.steps)
    reach = 1.15 * max(*values, -min(values)) or 1.0
    axes.set_xlim(-reach, reach)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("lag of H1 max (steps)")

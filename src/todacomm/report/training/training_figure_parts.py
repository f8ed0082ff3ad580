"""What the figures of training share: the registry, a colour for each seed, the axis of steps, lines of runs over those of controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, SymmetricalLogLocator

from todacomm.report.document import style
from todacomm.report.document.drawings import Drawings
from todacomm.report.document.matplotlib_renderer import plain_number
from todacomm.report.training.read_experiment import Exhibit, Trained, middle

COLOURS = style.PALETTE[:6]
CONTROL = "#9A9A9A"
CONTROL_DASHES: Mapping[str, Literal["-", "--", ":"]] = {"permuted labels": "-", "no weight decay": "--"}
MEDIAN_FROM = 5  # runs, from which their median is drawn, and they are thin
LOG_STEPS = 20  # times memorised that generalised is, from where the steps are on a log axis
Values = Float[np.ndarray, " T"]


grok_drawings: Drawings[Exhibit] = Drawings("grokking figure")
grok_figure, write_drawings = grok_drawings.figure, grok_drawings.write


def heading(exhibit: Exhibit, run: Trained | None = None) -> str:
    """What a figure says on top: network, data, cell, and the run where it shows one."""
    network = exhibit.about.get("settings", {}).get("network", "")
    parts = [network, str(exhibit.about.get("data", "")), exhibit.cell.replace(",", ", "), run.label if run else ""]
    return " · ".join(style.elided(part, 60) for part in parts if part)


def coloured(runs: Sequence[Trained]) -> list[tuple[Trained, str]]:
    """Each run with its colour, the same in every figure."""
    return [(run, COLOURS[i % len(COLOURS)]) for i, run in enumerate(runs)]


# Steps


def step_axis(axes: Axes, exhibit: Exhibit, *, label: bool = True) -> None:
    """The steps, from zero; logarithmic beyond the first checkpoint where memorising is much earlier than generalising."""
    last = max((run.last_step for run in (*exhibit.shown, *exhibit.beside)), default=0)
    first = log_from(exhibit)
    if first is not None:
        axes.set_xscale("symlog", linthresh=first, linscale=0.4)
        axes.xaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=first, subs=[1, 2, 5]))
        axes.xaxis.set_major_formatter(FuncFormatter(plain_number))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(0, 1.08 * last)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(9, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(plain_number))
        axes.set_xlim(-0.01 * (last or 1), 1.01 * (last or 1))
    if label:
        axes.set_xlabel("training step")


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


def mark_milestones(axes: Axes, exhibit: Exhibit) -> None:
    """When each run memorised (dotted) and generalised (dashed), in its colour."""
    for run, colour in coloured(exhibit.shown):
        if run.told is None:
            continue
        passed = run.told.milestones
        for step, dashes in ((passed.memorised_at, (0, (1, 2))), (passed.generalised_at, (0, (5, 3)))):
            if step is not None:
                axes.axvline(step, color=colour, linewidth=0.8, linestyle=dashes, alpha=0.75, zorder=1)


# Lines


@dataclass(frozen=True, slots=True)
class Line:
    """A number of the courses in a panel: how it is dashed, and what the panel calls it."""

    name: str
    dashes: Literal["-", ":"] = "-"
    label: str = ""
    of_controls: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of lines over the steps."""

    label: str
    lines: tuple[Line, ...]
    log: bool = False
    limits: tuple[float, float] | None = None
    banded: bool = field(default=False)

    def known(self, exhibit: Exhibit) -> tuple[Line, ...]:
        """The lines that any run has."""
        return tuple(line for line in self.lines if any(run.has(line.name) for run in exhibit.shown))


def draw_line(axes: Axes, exhibit: Exhibit, line: Line, *, log: bool = False) -> None:
    """A number of every run in its colour over those of the controls in grey; of many runs the median in black."""
    if line.of_controls:
        for control in exhibit.beside:
            dashes = CONTROL_DASHES.get(control.kind, ":")
            _one(axes, control, line.name, log=log, color=CONTROL, linewidth=0.7, linestyle=dashes, zorder=1.5)
    many = len(exhibit.shown) >= MEDIAN_FROM
    for run, colour in coloured(exhibit.shown):
        width, alpha = (0.8, 0.7) if many else (1.3, 1.0)
        _one(
            axes, run, line.name, log=log, color=colour, linewidth=width, alpha=alpha, linestyle=line.dashes, zorder=2.5
        )
    if many:
        steps, values = middle(exhibit.shown, line.name)
        axes.plot(
            steps, positive(values) if log else values, color="black", linewidth=2, linestyle=line.dashes, zorder=3
        )


def _one(axes: Axes, run: Trained, name: str, *, log: bool, **look: object) -> None:
    if run.course is None or not run.has(name):
        return
    values = positive(run.course[name]) if log else run.course[name]
    lone = {"marker": "o", "markersize": 3.5} if np.isfinite(values).sum() == 1 else {}
    axes.plot(run.course.steps, values, **look, **lone)  # type: ignore[arg-type]  # matplotlib's own keywords


def positive(values: Values) -> Values:
    """NaN where a log axis has no place."""
    return np.where(values > 0, values, np.nan)


def draw_panel(axes: Axes, exhibit: Exhibit, panel: Panel) -> None:
    """All lines of a panel, its axis, and which dashes are which."""
    lines = panel.known(exhibit)
    for line in lines:
        draw_line(axes, exhibit, line, log=panel.log)
    if panel.log and (drawn_values(axes) > 0).any():
        log_values(axes)
    if panel.limits:
        axes.set_ylim(*panel.limits)
    axes.set_ylabel(panel.label, fontsize=7)
    if len(lines) > 1:
        handles = [Line2D([], [], color="#3A3A3A", linestyle=line.dashes, label=line.label) for line in lines]
        axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.005, 0.5), handlelength=1.8)


def drawn_values(axes: Axes) -> Values:
    """All values that lines of a panel have above zero."""
    found = [np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.get_lines()]
    values = np.concatenate([*found, np.empty(0)])
    return values[values > 0]


def log_values(axes: Axes) -> None:
    """A log y axis, with at most five labels, powers of ten beyond three decades."""
    drawn = drawn_values(axes)
    low, high = float(drawn.min()), float(drawn.max())
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 30 else (1.0,), numticks=5))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if high / low < 1e3 and low > 1e-3:
        axes.yaxis.set_major_formatter(FuncFormatter(plain_number))


def legend(drawn: Figure, exhibit: Exhibit, *, bands: Sequence[tuple[str, float]] = ()) -> None:
    """Seeds, controls and milestones under the panels."""
    from matplotlib.patches import Patch

    handles: list[Line2D | Patch] = [Line2D([], [], color=c, label=run.label) for run, c in coloured(exhibit.shown)]
    if len(exhibit.shown) >= MEDIAN_FROM:
        handles.append(Line2D([], [], color="black", linewidth=2, label="median of the runs"))
    for kind in dict.fromkeys(control.kind for control in exhibit.beside):
        dashes = CONTROL_DASHES.get(kind, ":")
        handles.append(Line2D([], [], color=CONTROL, linewidth=0.9, linestyle=dashes, label=f"control: {kind}"))
    handles += [Patch(color=CONTROL, alpha=alpha, linewidth=0, label=label) for label, alpha in bands]
    if any(run.told and run.told.milestones.memorised_at is not None for run in exhibit.shown):
        handles.append(Line2D([], [], color="#3A3A3A", linewidth=0.8, linestyle=(0, (1, 2)), label="memorised"))
        handles.append(Line2D([], [], color="#3A3A3A", linewidth=0.8, linestyle=(0, (5, 3)), label="generalised"))
    drawn.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))

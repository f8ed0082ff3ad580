"""A chart as a figure of matplotlib: no pyplot, no state that outlives the call."""

import math
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from todacomm.core.types import Number
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.report.document import style
from todacomm.report.document.chart import Axis, Chart, Panel, Series, cut_at, legend_columns, runs_of
from todacomm.report.document.figure_parts import WORDS, explain, save

MARK, LINE = 3.8, 1.2  # points
FEW_MARKS = 16  # up to which they have their full size
SMALL_PRINT = 132  # letters in a line of a figure of full width
DASHES: dict[str, Any] = {"--": (0, (4, 3)), ":": (0, (1, 2))}


def write_charts(charts: Iterable[Chart], directory: Path, attempt: Attempt = strictly) -> list[Path]:
    """Every chart as PNG and in the other formats that are asked for; ``attempt`` may do without any."""

    def write(chart: Chart) -> Path:
        return save(figure_of(chart), Path(directory) / f"{chart.name}.png")

    written = (attempt(f"figure {chart.name}", partial(write, chart)) for chart in charts)
    return [path for path in written if path is not None]


def figure_of(chart: Chart) -> Figure:
    """The figure of a chart, in our style."""
    with style.styled():
        rows = -(-len(chart.panels) // chart.columns)
        keyed = -(-len(chart.keys) // legend_columns([key.label for key in chart.keys])) if chart.keys else 0
        words = style.words(0.25 * bool(chart.heading) + 0.13 * len(chart.notes))
        drawn = Figure(figsize=(style.width(chart.columns), rows * chart.tall + 0.3 + 0.18 * keyed + words))
        if chart.heading:
            drawn.suptitle(shielded(chart.heading), fontsize=9)
        grid: Any = drawn.subplots(rows, chart.columns, squeeze=False, sharex=chart.shares_x, sharey=chart.shares_y)
        for axes, panel in zip(grid.flat, chart.panels, strict=False):
            draw_panel(axes, panel)
        name_axes(list(grid.flat), chart)
        place_legend(drawn, chart)
        drawn.align_ylabels()
        explain(drawn, chart.notes, width=SMALL_PRINT)
        return drawn


def place_legend(drawn: Figure, chart: Chart) -> None:
    """The keys under the panels; within a single panel where small print stands there."""
    entries = [handle(key) for key in chart.keys]
    if entries and chart.notes and len(chart.panels) == 1:
        drawn.axes[0].legend(handles=entries, loc="best")
    elif entries:
        columns = legend_columns([key.label for key in chart.keys])
        drawn.legend(handles=entries, loc="outside lower center", ncols=columns)


def name_axes(grid: Sequence[Axes], chart: Chart) -> None:
    """Name an axis that all share once, under the lowest panels or beside the first; empty places without a panel."""
    count, columns = len(chart.panels), chart.columns
    for i, axes in enumerate(grid):
        if i >= count:
            axes.set_axis_off()
        elif chart.shares_x and i + columns < count:
            axes.set_xlabel("")
        elif chart.shares_x:
            axes.tick_params(axis="x", labelbottom=True)
        if i % columns and chart.shares_y:
            axes.set_ylabel("")


def shielded(text: str) -> str:
    """A text that matplotlib shows as it stands: its dollars begin no formula."""
    return text.replace("$", r"\$")


# A panel


def draw_panel(axes: Axes, panel: Panel) -> None:
    """All of a panel, on axes that may hold more."""
    for axis, which in ((panel.x, "x"), (panel.y, "y")):
        set_scale(axes, axis, which)
    for rule in panel.rules:
        through = axes.axvline if rule.along == "x" else axes.axhline
        through(rule.at, color=rule.colour, linewidth=0.7, linestyle=DASHES.get(rule.dashes, rule.dashes), zorder=1)
    for span in panel.spans:
        rows = {} if span.row is None else {"y": [span.row - 0.4, span.row + 0.4]}
        look: Any = {"color": span.colour, "alpha": span.strength, "linewidth": 0, "zorder": 0}
        if rows:
            axes.fill_betweenx(rows["y"], span.low, span.high, **look)
        else:
            axes.axvspan(span.low, span.high, **look)
    if panel.cells:
        draw_cells(axes, panel)
    for one in panel.series:
        draw_intervals(axes, panel, one)
        draw_series(axes, one)
    frame(axes, panel)
    if panel.equal:
        square_up(axes)
    write_around(axes, panel)
    if panel.title:
        axes.set_title(shielded(panel.title), gid=WORDS if panel.title_is_words else None)
    if panel.empty:
        axes.text(0.5, 0.5, panel.empty, ha="center", va="center", transform=axes.transAxes, color=style.GREY)
        axes.set_yticks([])


def draw_series(axes: Axes, one: Series) -> None:
    """The line, then the marks, one call for each look."""
    x, y, stop = plain(one.x), plain(one.y), len(one.x) - 1 if one.loose else len(one.x)
    if one.dashes:
        look: Any = {"color": one.colour, "linewidth": LINE * one.width, "alpha": one.strength, "zorder": 2}
        axes.plot(x[:stop], y[:stop], linestyle=DASHES.get(one.dashes, one.dashes), label=one.label or None, **look)
        if one.loose:
            axes.plot(x[stop - 1 :], y[stop - 1 :], **{**look, "linestyle": ":", "linewidth": 1})
    size = one.size * (MARK if len(x) <= FEW_MARKS else 0.74 * MARK)
    shown = [i for i, v in enumerate(one.y) if v is not None and one.look(i)[1]]
    for look_of in dict.fromkeys(map(one.look, shown)):
        chosen = [i for i in shown if one.look(i) == look_of and (i % one.every == 0 or look_of[2])]
        if chosen:
            marks = axes.plot([x[i] for i in chosen], [y[i] for i in chosen], **mark(look_of, size, one.strength))[0]
            marks.set(clip_on=False)
    for i, note in enumerate(one.notes):
        if note:
            lift = (0, 5) if one.marker else (0, -2)
            axes.annotate(
                shielded(note),
                (x[i], y[i]),
                lift,
                textcoords="offset points",
                ha="center",
                fontsize=6,
                color=one.colour if not one.marker else "black",
            )


def square_up(axes: Axes) -> None:
    """Make a unit as long across as it is up, and the axis across as long as there is room."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    half = max(right - left, (high - low) * axes.bbox.width / axes.bbox.height) / 2
    axes.set_xlim((left + right) / 2 - half, (left + right) / 2 + half)
    axes.set_aspect("equal", adjustable="box")


def write_around(axes: Axes, panel: Panel) -> None:
    """The texts around the middle of a panel, each away from it."""
    for one in panel.around:
        across: Any = {"left": "right", "right": "left", "center": "center"}[one.side]
        up: Any = "center" if one.side != "center" else "bottom" if one.y > 0 else "top"
        axes.text(one.x, one.y, shielded(one.text), ha=across, va=up, fontsize=6.5)


def mark(look: tuple[str, str, bool], size: float, strength: float) -> dict[str, Any]:
    """The keywords of matplotlib for a mark."""
    colour, marker, hollow = look
    face = "white" if hollow else colour
    return {
        "color": colour,
        "marker": marker,
        "linestyle": "",
        "markersize": size,
        "markerfacecolor": face,
        "alpha": strength,
        "zorder": 3,
    }


def draw_intervals(axes: Axes, panel: Panel, one: Series) -> None:
    """Bands, each over the marks that have an interval side by side; a bar where one stands alone. Or whiskers."""
    if not one.low:
        return
    x, y = plain(one.x), plain(one.y)
    along: Literal["x", "y"] = "x" if one.reach == "x" else "y"
    ends = [(plain([cut_at(panel, low, along)])[0], plain([high])[0]) for low, high in one.ends]
    for run in runs_of(one):
        if one.reach == "band" and len(run) > 1:
            low, high = zip(*(ends[i] for i in run), strict=True)
            look: Any = {"color": one.colour, "alpha": one.shade, "linewidth": 0, "zorder": 1}
            axes.fill_between([x[i] for i in run], low, high, **look)
            continue
        for i in run:
            at = (ends[i], (y[i], y[i])) if one.reach == "x" else ((x[i], x[i]), ends[i])
            bar: Any = {"alpha": 0.35, "linewidth": 2.5} if one.reach == "band" else {"linewidth": 1.0}
            axes.plot(*at, color=one.colour, zorder=1.5, **bar)


def draw_cells(axes: Axes, panel: Panel) -> None:
    """Numbers as colours, with their scale beside them, or each written into its place."""
    if panel.cells is None:
        return
    values = [plain(row) for row in panel.cells.values]
    drawn = axes.imshow(values, cmap=f"{style.DEPTH}_r", aspect="auto")
    if not panel.cells.written:
        bar = axes.figure.colorbar(drawn, ax=axes, pad=0.02)
        bar.set_label(panel.cells.label)
        bar.outline.set_visible(False)
        return
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if math.isfinite(value):
                dark = value > sum(drawn.get_clim()) / 2
                axes.text(
                    j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color="white" if dark else "black"
                )


def plain(values: Sequence[Number]) -> list[float]:
    """Numbers as matplotlib takes them, NaN where there is none."""
    return [float("nan") if v is None else float(v) for v in values]


# Axes


def set_scale(axes: Axes, axis: Axis, which: str) -> None:
    """The kind of an axis, before anything is drawn on it."""
    if axis.kind != "linear":
        more = {"linthresh": axis.bend} if axis.kind == "bent" else {}
        getattr(axes, f"set_{which}scale")("symlog" if axis.kind == "bent" else "log", **more)


def frame(axes: Axes, panel: Panel) -> None:
    """Names, ticks and ends of both axes."""
    if panel.cells is not None:
        axes.grid(visible=False)  # colours have no lines over them
    for axis, which in ((panel.x, "x"), (panel.y, "y")):
        frame_axis(axes, axis, which)
        if axis.from_zero and not axis.limits:
            getattr(axes, f"set_{which}lim")(0, top_of(panel, which) or 1.0)


def frame_axis(axes: Axes, axis: Axis, which: str) -> None:
    """The name, the ticks and the ends of one axis; of one with a name for each row no grid."""
    set_ticks(axes, axis, which)
    getattr(axes, f"set_{which}label")(shielded(axis.label))
    if axis.limits:
        getattr(axes, f"set_{which}lim")(*axis.limits)
    if axis.hidden:
        axes.spines["bottom" if which == "x" else "left"].set_visible(False)
    if axis.named:
        axes.grid(visible=False, axis=which)  # type: ignore[arg-type]  # "x" or "y"
        axes.tick_params(axis=which, length=0)  # type: ignore[arg-type]


def set_ticks(axes: Axes, axis: Axis, which: str) -> None:
    """The ticks that the chart names, else about as many as it asks for, at round numbers."""
    found = getattr(axes, f"{which}axis")
    if axis.kind != "linear":
        found.set_minor_locator(NullLocator())
        found.set_minor_formatter(NullFormatter())
    if axis.ticks is None:
        found.set_major_locator(MaxNLocator(axis.most, integer=axis.whole))
        if axis.whole:
            found.set_major_formatter(FuncFormatter(plain_number))
        return
    labels = [shielded(label) for _, label in axis.ticks]
    found.set_major_locator(FixedLocator([at for at, _ in axis.ticks]))
    found.set_major_formatter(FixedFormatter(labels))
    if which == "x" and any(len(label) > 5 and not label[0].isdigit() for label in labels):
        axes.tick_params(axis="x", labelrotation=35)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")


def plain_number(value: float, _: int | None = None) -> str:
    """A tick without powers of ten."""
    return f"{value:,.10g}"


def top_of(panel: Panel, which: str) -> float:
    """The upper end of an axis from zero: above all marks, intervals and words."""
    series = panel.series
    known = [v for one in series for v in getattr(one, which) if v is not None]
    if which == "y":
        known += [v for one in series for v in one.high if v is not None and one.reach != "x"]
    return (1.16 if any(one.notes for one in series) else 1.08) * max(known, default=0.0)


# Legend


def handle(key: Series) -> Line2D:
    """One entry: the line and the mark of a series."""
    look: Any = mark(key.look(0), max(4.0, MARK * key.size), key.strength) if key.marker else {"color": key.colour}
    look["linestyle"] = DASHES.get(key.dashes, key.dashes)
    return Line2D(
        [],
        [],
        label=shielded(key.label),
        linewidth=LINE * key.width,
        **{k: v for k, v in look.items() if k != "zorder"},
    )

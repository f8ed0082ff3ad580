"""The cells of a sweep as charts of the page: when their runs generalised, how far the followed number rose, how late it came."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from todacomm.report.document.chart_parts import (
    BREAK,
    SYMBOLS,
    Panel,
    Trace,
    cut,
    exact,
    hover,
    key,
    stacked,
    table,
    title,
)
from todacomm.report.document.pieces import Chart
from todacomm.report.document.style import step_of
from todacomm.report.training.read_experiment import Exhibit, Findings, Trained, spoken_step
from todacomm.report.training.signature_plots import (
    MOST_CELLS,
    NOT_JUDGED,
    SWEEP,
    VERDICT_LOOKS,
    judged,
    ratio_ticks,
    spread,
)
from todacomm.report.words.phrases import number, plural

ROW, LINE, LEAST_HEIGHT = 24, 16, 70  # pixels: of a cell in each panel, of a line of its name, and of a panel
LETTERS = 26  # of a line of the name of a cell
BAND = "rgba(140,140,140,0.35)"
OTHERS = {"x": "x-open", "p": "pentagon", "d": "diamond-tall", ">": "triangle-right"}  # beside those of `style.MARKERS`
HEADER = ("cell", "run", "verdict", "memorised at", "generalised at", "ratio", "band from", "band to", "lag")


@dataclass(frozen=True, slots=True)
class Mark:
    """One run of a sweep: its cell, its place on the axis of cells, and its verdict."""

    exhibit: Exhibit
    run: Trained
    verdict: str
    y: float


def sweep_charts(findings: Findings) -> list[Chart]:
    """The twins of the figures of a sweep, up to `MOST_CELLS` cells each; none without a sweep."""
    if not findings.swept:
        return []
    parts = [findings.exhibits[i : i + MOST_CELLS] for i in range(0, len(findings.exhibits), MOST_CELLS)]
    return [sweep_chart(part, f"sweep_{i}" if i else "sweep") for i, part in enumerate(parts)]


def sweep_chart(exhibits: Sequence[Exhibit], name: str) -> Chart:
    """Cells against step, ratio and lag, one panel under the other."""
    heading, caption = SWEEP
    for place, order in (("Left:", "First:"), ("Middle:", "Second:"), ("Right:", "Third:")):
        caption = caption.replace(place, order)
    marks = marks_of(exhibits)
    panels = [step_panel(exhibits, marks), ratio_panel(exhibits, marks), lag_panel(exhibits, marks)]
    traces, layout = stacked(panels)
    return Chart(name, heading, caption, traces, layout, table(HEADER, map(row_of, marks), words=3))


def marks_of(exhibits: Sequence[Exhibit]) -> list[Mark]:
    """Every run with a checkpoint, those of a cell set apart a little."""
    return [
        Mark(exhibit, run, verdict, y + away)
        for y, exhibit in enumerate(exhibits)
        for (run, verdict), away in zip(judged(exhibit), spread(len(exhibit.shown)), strict=True)
    ]


def row_of(mark: Mark) -> tuple[str, ...]:
    """What is drawn of one run."""
    told, band = mark.run.told, mark.exhibit.signature.band if mark.exhibit.signature else None
    passed = told.milestones if told else None
    numbers = (
        passed.memorised_at if passed else None,
        passed.generalised_at if passed else None,
        told.rise.ratio if told and told.rise else None,
        band.low if band else None,
        band.high if band else None,
        told.lag.steps if told and told.lag else None,
    )
    return (mark.exhibit.cell, mark.run.label, mark.verdict or NOT_JUDGED, *map(exact, numbers))


# Panels


def step_panel(exhibits: Sequence[Exhibit], marks: Sequence[Mark]) -> Panel:
    """When each run generalised, in the margin where it did not, with a short line where it memorised."""
    last = max((mark.run.last_step for mark in marks), default=0) or 1
    never = 1.12 * last
    ticks = list(range(0, round(0.95 * last), step_of(last, 4)))
    memorised = [(step, mark) for mark in marks if (step := passed_at(mark, "memorised_at")) is not None]
    line = {"color": "soft", "size": 9, "symbol": "line-ns-open", "line": {"width": 1.5}}
    early: Trace = {"type": "scatter", "mode": "markers", "marker": line, "hoverinfo": "skip", "name": "memorised"}
    early |= {"x": [step for step, _ in memorised], "y": [mark.y for _, mark in memorised]}

    def generalised(mark: Mark) -> tuple[float, str]:
        step = passed_at(mark, "generalised_at")
        return (never, "it did not generalise") if step is None else (step, f"generalised at step {spoken_step(step)}")

    x = {
        "range": [-0.02 * last, 1.18 * last],
        "tickvals": [*ticks, never],
        "ticktext": [*map(spoken_step, ticks), "never"],
    }
    traces = (*([early] if memorised else []), drawn(marks, generalised), *legend(exhibits, marks))
    return panel("Generalised at step", exhibits, traces, x)


def ratio_panel(exhibits: Sequence[Exhibit], marks: Sequence[Mark]) -> Panel:
    """How far the followed number rose, over the null band of each cell."""
    bands = [(y, e.signature.band) for y, e in enumerate(exhibits) if e.signature]
    known = [ratio for mark in marks if (ratio := ratio_of(mark)) is not None]
    known += [end for _, band in bands for end in (band.low, band.high)]
    low, high = min([*known, 1.0]) / 1.15, max([*known, 1.0]) * 1.15
    line = {"color": BAND, "width": 0.6 * row_height(exhibits)}
    behind: Trace = {"type": "scatter", "mode": "lines", "line": line, "hoverinfo": "skip", "showlegend": False}
    behind |= {
        "x": [x for _, band in bands for x in (band.low, band.high, None)],
        "y": [at for y, _ in bands for at in (y, y, None)],
    }

    def rise(mark: Mark) -> tuple[float, str] | None:
        ratio = ratio_of(mark)
        return None if ratio is None else (ratio, f"{number(ratio, 3)} times its plateau")

    ticks = ratio_ticks(low, high)
    x = {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
    return panel(
        "Followed number, after / plateau",
        exhibits,
        (*([behind] if bands else []), *unity(exhibits), drawn(marks, rise)),
        x,
    )


def lag_panel(exhibits: Sequence[Exhibit], marks: Sequence[Mark]) -> Panel:
    """How many steps the followed number comes after test accuracy."""

    def late(mark: Mark) -> tuple[float, str] | None:
        lag = mark.run.told.lag if mark.run.told else None
        return (
            None
            if lag is None
            else (lag.steps, f"{plural(abs(lag.steps), 'step')} {'before' if lag.steps < 0 else 'after'} accuracy")
        )

    x = {"zeroline": True, "zerolinecolor": "soft", "nticks": 6, "title": title("steps"), "rangemode": "tozero"}
    return panel("Lag behind test accuracy", exhibits, (drawn(marks, late),), x)


def panel(label: str, exhibits: Sequence[Exhibit], traces: tuple[Trace, ...], x: dict[str, Any]) -> Panel:
    """A panel with a row for each cell."""
    y = {
        "range": [len(exhibits) - 0.5, -0.5],
        "tickvals": list(range(len(exhibits))),
        "ticktext": [label_of(exhibit) for exhibit in exhibits],
        "showgrid": False,
        "fixedrange": True,
        "ticks": "",
    }
    return Panel(label, traces, {**x, "fixedrange": True}, y, max(LEAST_HEIGHT, row_height(exhibits) * len(exhibits)))


# Marks


def drawn(marks: Sequence[Mark], of: Callable[[Mark], tuple[float, str] | None]) -> Trace:
    """A mark for each run of which ``of`` has a number and words, with the look of its verdict."""
    found = [(mark, *told) for mark in marks if (told := of(mark)) is not None]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x for _, x, _ in found],
        "y": [mark.y for mark, *_ in found],
        "marker": {
            "symbol": [symbol_of(mark.verdict) for mark, *_ in found],
            "color": [VERDICT_LOOKS[mark.verdict][1] for mark, *_ in found],
            "size": 8,
        },
        "hovertext": [
            hover(spoken(mark.exhibit), f"{mark.run.label}: {said}", mark.verdict or NOT_JUDGED)
            for mark, _, said in found
        ],
        "hoverinfo": "text",
        "showlegend": False,
    }


def legend(exhibits: Sequence[Exhibit], marks: Sequence[Mark]) -> Iterator[Trace]:
    """A mark for each verdict that occurs, and the null band."""
    met = {mark.verdict for mark in marks}
    for verdict, (_, of) in VERDICT_LOOKS.items():
        if verdict in met:
            yield key(verdict or NOT_JUDGED, marker={"symbol": symbol_of(verdict), "color": of, "size": 8})
    if any(exhibit.signature for exhibit in exhibits):
        yield key("null band of the cell", marker={"symbol": "square", "color": BAND, "size": 11})


def unity(exhibits: Sequence[Exhibit]) -> Iterator[Trace]:
    """The line of no change."""
    yield {
        "type": "scatter",
        "mode": "lines",
        "x": [1, 1],
        "y": [-0.5, len(exhibits) - 0.5],
        "line": {"color": "soft", "width": 1},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def symbol_of(verdict: str) -> str:
    """The mark of a verdict, as plotly calls it."""
    marker = VERDICT_LOOKS[verdict][0]
    return OTHERS.get(marker) or SYMBOLS[marker]


def label_of(exhibit: Exhibit) -> str:
    """The name of a cell on an axis, a line for each of its settings."""
    return BREAK.join(cut(part, LETTERS) for part in exhibit.cell.split(","))


def row_height(exhibits: Sequence[Exhibit]) -> int:
    """The pixels of a cell."""
    return max(LINE * (1 + exhibit.cell.count(",")) for exhibit in exhibits) + ROW - LINE


def spoken(exhibit: Exhibit) -> str:
    """The name of a cell in words."""
    return exhibit.cell.replace(",", ", ")


def passed_at(mark: Mark, milestone: str) -> int | None:
    """The step at which a run passed a milestone; None where it did not."""
    found: int | None = getattr(mark.run.told.milestones, milestone) if mark.run.told else None
    return found


def ratio_of(mark: Mark) -> float | None:
    """After over plateau, where it is above zero."""
    rise = mark.run.told.rise if mark.run.told else None
    return rise.ratio if rise and rise.ratio > 0 else None

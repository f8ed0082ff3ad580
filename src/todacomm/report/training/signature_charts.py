"""The charts that judge: how far runs and controls rise against the null band, and what the cells of a sweep gave."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from todacomm.report.document import style
from todacomm.report.document.chart import (
    Axis,
    Chart,
    Charts,
    Panel,
    Rule,
    Series,
    Span,
    exact,
    names_axis,
    table,
    ticked,
)
from todacomm.report.document.style import cut
from todacomm.report.training.read_experiment import Exhibit, Findings, Trained, named, spoken_step
from todacomm.report.training.training_figure_parts import CONTROL, coloured, heading
from todacomm.report.words.phrases import number, plural
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

MOST_CELLS, MOST_TICKS = 48, 5
ROW, TALL, LINE, LEAST_HEIGHT = (
    24,
    34,
    16,
    70,
)  # pixels: of a row in each panel, of one with a verdict, of a line of its name, and of a panel
LETTERS = 26  # of a line of the name of a cell, or of a number
READ = (
    "Each row is a run or a control (square): the median of its last five checkpoints over the median of its "
    "plateau, on a logarithmic axis; "
    "the grey line is no change. A row without a mark has no plateau of three checkpoints."
)
JUDGED = (
    " The band is where one more control would fall (95 %, from the controls). Hollow controls are no part of it: it "
    "is made of those that "
    "memorised only. Beside the followed number stand two that are cheaper to have: what they show as well, topology "
    "is not needed for."
)
# A colour and a marker for each verdict: told apart in grey as well.
VERDICT_LOOKS = {
    PRESENT: (style.PALETTE[0], "o"),
    LATE: (style.PALETTE[0], "p"),
    NO_LOOP: (style.PALETTE[4], "s"),
    UNDECIDED: (style.PALETTE[6], "d"),
    AT_ONCE: (style.PALETTE[2], "^"),
    FELL_BACK: (style.PALETTE[3], "v"),
    RISING: (style.PALETTE[5], "P"),
    PARTLY_GENERALISED: (style.PALETTE[5], ">"),
    ONLY: (style.PALETTE[1], "X"),
    NOTHING: (style.PALETTE[6], "x"),
    UNSTABLE: (style.PALETTE[3], "*"),
    "": (CONTROL, "D"),
}
NOT_JUDGED = "not judged: no null band"
HEADER = ("cell", "run", "verdict", "memorised at", "generalised at", "ratio", "band from", "band to", "lag")
grok_charts: Charts[Findings] = Charts("grokking chart")


def ratio_axis(label: str, values: Sequence[float]) -> Axis:
    """A log axis of ratios, with 1 on it."""
    ends = min([*values, 1.0]) / 1.15, max([*values, 1.0]) * 1.15
    return Axis(label, "log", ends, ticked(style.log_ticks(*ends, most=MOST_TICKS)))


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


@grok_charts.register("signature")
def signature_charts(findings: Findings) -> Iterator[Chart]:
    """The chart of the shown cell, where there is a null band."""
    if findings.shown.signature is not None and findings.shown.shown:
        yield signature_chart(findings.shown)


def signature_chart(exhibit: Exhibit) -> Chart:
    """After over plateau of one cell: a panel a number, a row a run; without a null band the followed number alone."""
    found, rows = exhibit.signature, [*exhibit.shown, *exhibit.beside]
    shown = measures(found) if found else [Measure(exhibit.followed, None)]
    return Chart(
        "signature",
        f"After over plateau, against the null band: {exhibit.verdict if found else 'not judged'}",
        READ + (JUDGED if found else ""),
        tuple(measure_panel(measure, rows, exhibit) for measure in shown),
        table(ratio_header(shown), (ratio_row(run, shown, exhibit.followed) for run in rows)),
        heading=heading(exhibit),
        columns=len(shown),
        tall=0.7 + 0.3 * len(rows),
    )


def ratio_header(shown: Sequence[Measure]) -> list[str]:
    """The columns of the data: three a number."""
    each = (
        column for m in shown for column in (named(m.name), f"{named(m.name)}: null band from", f"{named(m.name)}: to")
    )
    return ["run", "kind", "verdict", "plateau", "after", *each]


def ratio_row(run: Trained, shown: Sequence[Measure], followed: str) -> tuple[str, ...]:
    """The download rows of one run or control."""
    rise = run.told.rise if run.told else None
    ends = ((m.rise(run, followed), m.band.low if m.band else None, m.band.high if m.band else None) for m in shown)
    ratios = (number for rise, low, high in ends for number in (rise.ratio if rise else None, low, high))
    plateau = (rise.plateau, rise.after) if rise else (None, None)
    return (run.label, run.kind, verdict_of(run), *map(exact, (*plateau, *ratios)))


def verdict_of(run: Trained) -> str:
    """The hover text of one run or control."""
    return (run.told.said if run.told else "") or "not judged"


def ratio_of(rise: Rise | None) -> float | None:
    """After over plateau, where it is above zero."""
    return rise.ratio if rise and rise.ratio > 0 else None


def measure_panel(measure: Measure, rows: Sequence[Trained], exhibit: Exhibit) -> Panel:
    """One number of all runs and controls, over its null band."""
    followed, colours = exhibit.followed, {run.name: colour for run, colour in coloured(exhibit.shown)}
    known = [(x, y, run) for y, run in enumerate(rows) if (x := ratio_of(measure.rise(run, followed))) is not None]
    dots = Series(
        tuple(x for x, *_ in known),
        tuple(float(y) for _, y, _ in known),
        dashes="",
        looks=tuple((colours.get(run.name, style.GREY), "o" if run.is_run else "s") for *_, run in known),
        hollow=tuple(
            exhibit.signature is not None and not run.is_run and run.told is not None and not is_null(run.told)
            for *_, run in known
        ),
        told=tuple((run.label, f"{number(x, 3)} times its plateau", verdict_of(run)) for x, _, run in known),
        size=1.3,
    )
    band = [(measure.band.low, measure.band.high)] if measure.band else []
    runs = sum(run.is_run for run in rows)
    return Panel(
        (dots,),
        ratio_axis("after / plateau", [*(x for x, *_ in known), *(end for ends in band for end in ends)]),
        names_axis([f"{run.label}\n{verdict_of(run).split(' (')[0]}" for run in rows]),
        textwrap.fill(named(measure.name), LETTERS),
        (Rule(1.0), Rule(runs - 0.5, "y", style.PALE)),
        tuple(Span(low, high, colour=CONTROL) for low, high in band),
        height=max(LEAST_HEIGHT, TALL * len(rows)),
    )


# A sweep


@dataclass(frozen=True, slots=True)
class Mark:
    """One run of a sweep: its cell, its place on the axis of cells, and its verdict, empty without a null band."""

    exhibit: Exhibit
    run: Trained
    verdict: str
    y: float

    @property
    def ratio(self) -> float | None:
        """After over plateau, where it is above zero."""
        return ratio_of(self.run.told.rise) if self.run.told else None

    @property
    def lag(self) -> int | None:
        """The lag, in steps, of the followed number behind test accuracy."""
        return self.run.told.lag.steps if self.run.told and self.run.told.lag else None

    def passed(self, milestone: str) -> int | None:
        """The step at which the run passed a milestone; None where it did not."""
        found: int | None = getattr(self.run.told.milestones, milestone) if self.run.told else None
        return found


@grok_charts.register("sweep")
def sweep_charts(findings: Findings) -> Iterator[Chart]:
    """The results of each cell of a sweep, up to `MOST_CELLS` cells a chart; none without a sweep."""
    for i in range(0, len(findings.exhibits) if findings.swept else 0, MOST_CELLS):
        yield sweep_chart(findings.exhibits[i : i + MOST_CELLS], f"sweep_{i}" if i else "sweep")


def sweep_chart(exhibits: Sequence[Exhibit], name: str) -> Chart:
    """Cells against step, ratio and lag."""
    marks, about = marks_of(exhibits), exhibits[0].about
    return Chart(
        name,
        "What each cell of the sweep gave",
        "A row for each cell, a mark for each of its runs; the mark is the verdict on the run. First: the step at "
        "which it generalised (in "
        "the margin where it did not by the end of the run), with a short grey line where it memorised. Second: H1 "
        "max after over H1 max "
        "on the plateau, on a logarithmic axis, over the null band of the controls of that cell. Third: how many "
        "steps H1 max comes "
        "after test accuracy, by the cross-correlation of their changes (left of zero: before).",
        (step_panel(exhibits, marks), ratio_panel(exhibits, marks), lag_panel(exhibits, marks)),
        table(HEADER, map(row_of, marks)),
        keys=tuple(keys_of(exhibits, marks)),
        heading=f"{about.get('settings', {}).get('network', '')} · {about.get('data', '').split(',')[0]}",
        columns=3,
        tall=0.6 + 0.27 * len(exhibits),
    )


def marks_of(exhibits: Sequence[Exhibit]) -> list[Mark]:
    """Every run with a checkpoint, those of a cell set apart a little."""
    return [
        Mark(exhibit, run, run.told.verdict if run.told else "", y + away)
        for y, exhibit in enumerate(exhibits)
        for run, away in zip(exhibit.shown, spread(len(exhibit.shown)), strict=True)
    ]


def spread(count: int) -> list[float]:
    """The offsets of ``count`` marks from the middle of their row."""
    return [float(x) for x in np.linspace(-0.26, 0.26, count)] if count > 1 else [0.0]


def row_of(mark: Mark) -> tuple[str, ...]:
    """The download rows of one run."""
    band = mark.exhibit.signature.band if mark.exhibit.signature else None
    steps = mark.passed("memorised_at"), mark.passed("generalised_at")
    numbers = (*steps, mark.ratio, band.low if band else None, band.high if band else None, mark.lag)
    return (mark.exhibit.cell, mark.run.label, mark.verdict or NOT_JUDGED, *map(exact, numbers))


def step_panel(exhibits: Sequence[Exhibit], marks: Sequence[Mark]) -> Panel:
    """When each run generalised, in the margin where it did not, with a short line where it memorised."""
    last = max((mark.run.last_step for mark in marks), default=0) or 1
    never = 1.12 * last
    early = [(float(step), mark.y) for mark in marks if (step := mark.passed("memorised_at")) is not None]
    memorised = Series(
        tuple(x for x, _ in early), tuple(y for _, y in early), "memorised", style.GREY, "|", "", size=1.6
    )

    def generalised(mark: Mark) -> tuple[float, str]:
        step = mark.passed("generalised_at")
        return (never, "it did not generalise") if step is None else (step, f"generalised at step {spoken_step(step)}")

    places = range(0, round(0.95 * last), style.step_of(last, 4))
    ticks = (*((float(at), spoken_step(at)) for at in places), (never, "never"))
    x = Axis("generalised at step", limits=(-0.02 * last, 1.18 * last), ticks=ticks)
    return panel(
        exhibits, (*([memorised] if early else []), drawn(marks, generalised)), x, Rule(1.05 * last, colour=style.PALE)
    )


def ratio_panel(exhibits: Sequence[Exhibit], marks: Sequence[Mark]) -> Panel:
    """The rise of the followed number over the null band of each cell."""
    bands = [(y, e.signature.band) for y, e in enumerate(exhibits) if e.signature]
    known = [mark.ratio for mark in marks if mark.ratio is not None]
    known += [end for _, band in bands for end in (band.low, band.high)]

    def rise(mark: Mark) -> tuple[float, str] | None:
        return None if mark.ratio is None else (mark.ratio, f"{number(mark.ratio, 3)} times its plateau")

    spans = tuple(Span(band.low, band.high, float(y), CONTROL) for y, band in bands)
    return panel(exhibits, (drawn(marks, rise),), ratio_axis("H1 max, after / plateau", known), Rule(1.0), spans)


def lag_panel(exhibits: Sequence[Exhibit], marks: Sequence[Mark]) -> Panel:
    """The lag, in steps, of the followed number behind test accuracy."""
    reach = 1.15 * max((abs(mark.lag) for mark in marks if mark.lag is not None), default=0) or 1.0

    def late(mark: Mark) -> tuple[float, str] | None:
        if mark.lag is None:
            return None
        return mark.lag, f"{plural(abs(mark.lag), 'step')} {'before' if mark.lag < 0 else 'after'} accuracy"

    x = Axis("lag of H1 max behind accuracy (steps)", limits=(-reach, reach), most=4, whole=True)
    return panel(exhibits, (drawn(marks, late),), x, Rule(0.0))


def panel(
    exhibits: Sequence[Exhibit], series: tuple[Series, ...], x: Axis, rule: Rule, spans: tuple[Span, ...] = ()
) -> Panel:
    """A panel with a row for each cell."""
    names = ["\n".join(cut(part, LETTERS) for part in exhibit.cell.split(",")) for exhibit in exhibits]
    row = max(LINE * (1 + exhibit.cell.count(",")) for exhibit in exhibits) + ROW - LINE
    return Panel(
        series, x, names_axis(names), rules=(rule,), spans=spans, height=max(LEAST_HEIGHT, row * len(exhibits))
    )


def drawn(marks: Sequence[Mark], of: Callable[[Mark], tuple[float, str] | None]) -> Series:
    """A mark for each run of which ``of`` has a number and words, with the look of its verdict."""
    found = [(mark, *told) for mark in marks if (told := of(mark)) is not None]
    return Series(
        tuple(float(x) for _, x, _ in found),
        tuple(mark.y for mark, *_ in found),
        dashes="",
        looks=tuple(VERDICT_LOOKS[mark.verdict] for mark, *_ in found),
        told=tuple(
            (mark.exhibit.cell.replace(",", ", "), f"{mark.run.label}: {said}", mark.verdict or NOT_JUDGED)
            for mark, _, said in found
        ),
        size=1.2,
    )


def keys_of(exhibits: Sequence[Exhibit], marks: Sequence[Mark]) -> Iterator[Series]:
    """A mark for each verdict that occurs, and the null band."""
    met = {mark.verdict for mark in marks}
    for verdict, (of, marker) in VERDICT_LOOKS.items():
        if verdict in met:
            yield Series(label=verdict or NOT_JUDGED, colour=of, marker=marker, dashes="")
    if any(mark.passed("memorised_at") is not None for mark in marks):
        yield Series(label="memorised", colour=style.GREY, marker="|", dashes="")
    if any(exhibit.signature for exhibit in exhibits):
        yield Series(label="null band of the cell", colour=CONTROL, marker="s", dashes="", strength=0.3)

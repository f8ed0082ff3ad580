"""The charts along the steps of training: curves with topology below them, and local dimension."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from todacomm.core.types import Number
from todacomm.report.document.chart import INK, Axis, Chart, Panel, Rule, Series, exact, finite, log_axis, table
from todacomm.report.training.read_experiment import Exhibit, Trained, middle, null_range, one_more
from todacomm.report.training.training_figure_parts import (
    CONTROL,
    CONTROL_DASHES,
    MEDIAN_FROM,
    coloured,
    grok_chart,
    heading,
    last_step,
    step_axis,
)
from todacomm.report.words.phrases import number

DARK = "#3A3A3A"  # of what a legend explains of any colour
STROKES = {"-": "—", ":": "⋯"}  # dashes, as letters
MILESTONES = (("memorised", ":"), ("generalised", "--"))
BANDS = (("range of the controls*", 0.55), ("null band*", 0.2))  # and how dense they are drawn


@dataclass(frozen=True, slots=True)
class Line:
    """A number of the courses in a panel: how it is dashed, and what the panel calls it."""

    name: str
    dashes: Literal["-", ":"] = "-"
    label: str = ""
    of_controls: bool = True


@dataclass(frozen=True, slots=True)
class Lines:
    """One panel over the steps."""

    label: str
    lines: tuple[Line, ...]
    log: bool = False
    limits: tuple[float, float] | None = None
    banded: bool = field(default=False)

    def known(self, exhibit: Exhibit) -> tuple[Line, ...]:
        """The lines that any run has."""
        return tuple(line for line in self.lines if any(run.has(line.name) for run in exhibit.shown))


ACCURACY = Lines(
    "accuracy",
    (Line("test_accuracy", label="test"), Line("train_accuracy", ":", "train", of_controls=False)),
    limits=(-0.04, 1.04),
)


def curve_lines(exhibit: Exhibit) -> list[Lines]:
    """The panels of the training curves that have something to show, from the top."""
    place = f"{exhibit.layer}/sphere"
    told = exhibit.layer.replace("_", " ")
    panels = [
        ACCURACY,
        Lines(
            "loss (nats)",
            (Line("test_loss", label="test"), Line("train_loss", ":", "train", of_controls=False)),
            log=True,
        ),
        Lines(f"H1 max\n{told}", (Line(f"{place}/H1_max_lifetime"),), banded=True),
        Lines(f"H1 total\n{told}", (Line(f"{place}/H1_total_persistence"),)),
        Lines(f"H0 total\n{told}", (Line(f"{place}/H0_total_persistence"),)),
        Lines(
            "Fourier\nspectrum",
            (Line("fourier_top5_share", label="share of five"), Line("fourier_gini", ":", "Gini", of_controls=False)),
            limits=(0.0, 1.04),
        ),
        Lines("norm of\nweights", (Line("weight_norm"),)),
        Lines(
            "loss of parts\n(nats)",
            (Line("restricted_loss", label="restricted"), Line("excluded_loss", ":", "excluded", of_controls=False)),
            log=True,
        ),
        Lines("local\ndimension", (Line("local_dimension"),)),
    ]
    return [panel for panel in panels if panel.known(exhibit)]


def dimension_lines(exhibit: Exhibit) -> list[Lines]:
    """The panels of dimensions that have something to show."""
    panels = (
        Lines("local dimension\nhidden states", (Line("local_dimension"),)),
        Lines("dimension of the\nembedding (TwoNN)", (Line("embedding_dimension"),)),
    )
    return [panel for panel in panels if panel.known(exhibit)]


@grok_chart(
    "training_curves",
    title="Training curves, and topology below them",
    caption="All panels share the steps. One colour is one seed in every figure, thin grey lines are the controls, "
    "dotted and dashed vertical lines are where the runs of that colour memorised and generalised. H0 and H1 are of "
    "the rows centred and put on the unit sphere "
    "(lengths are chords there, 0 to 2). Behind H1 max, dark: the controls, each over its own plateau, least to "
    "most; pale: the null band, where the ratio of one "
    "more control would fall at the end; * both times the median plateau of the runs. A rise out of them is what "
    "controls do not show. Fourier share: of the variance of the embedding, in its "
    "five strongest frequencies. Restricted loss: with the five strongest frequencies of the logits alone; excluded: "
    "without them.",
)
def training_curves(exhibit: Exhibit) -> Chart | None:
    """Accuracy, loss, topology and cheaper numbers on one axis of steps."""
    panels = curve_lines(exhibit)
    return chart_of(exhibit, panels, tall=1.02) if panels else None


@grok_chart(
    "local_dimension",
    title="Local dimension and accuracy",
    caption="Local intrinsic dimension of the deepest hidden states: the mean, over neighbourhoods, of TwoNN "
    "(Facco et al. 2017). Memorising spreads the states over many directions; a rule needs few. Below, TwoNN of the "
    "rows of the "
    "embedding as a whole, left out where points are tied: neighbours at nearly equal distances, as on regular "
    "circles, read as a high "
    "dimension, so that a rise there at the end is no spreading. Thin grey lines are the controls.",
)
def local_dimension(exhibit: Exhibit) -> Chart | None:
    """Test accuracy over local dimension, on one axis of steps."""
    panels = dimension_lines(exhibit)
    return chart_of(exhibit, [ACCURACY, *panels], tall=1.6) if panels else None


def chart_of(exhibit: Exhibit, panels: Sequence[Lines], *, tall: float) -> Chart:
    """Panels on one axis of steps; the registry names the chart."""
    drawn = tuple(panel_of(exhibit, panel) for panel in panels)
    shaded = {one.label for panel in drawn for one in panel.series if one.low}
    rows = (row for panel in panels for line in panel.known(exhibit) for row in rows_of(exhibit, panel, line))
    data = table(("number", "run", "step", "value"), rows)
    return Chart("", "", "", drawn, data, keys=tuple(keys_of(exhibit, shaded)), heading=heading(exhibit), tall=tall)


def panel_of(exhibit: Exhibit, panel: Lines) -> Panel:
    """All lines of a panel over what controls do, its axis, and which dashes are which."""
    lines = panel.known(exhibit)
    bands = null_bands(exhibit) if panel.banded else ()
    series = tuple(one for line in lines for one in line_series(exhibit, line, log=panel.log))
    dashed = [f"{STROKES[line.dashes]} {line.label}" for line in lines if len(lines) > 1]
    label = "\n".join([panel.label, *dashed])
    known = [y for one in series for y in one.y if y is not None]
    down = log_axis(label, known, most=5) if panel.log and known else Axis(label, limits=panel.limits, most=4)
    return Panel((*bands, *series), step_axis(exhibit), down, rules=tuple(milestones(exhibit)))


def line_series(exhibit: Exhibit, line: Line, *, log: bool = False) -> Iterator[Series]:
    """A number of every run in its colour over those of the controls in grey; of many runs the median in black."""
    for control in exhibit.beside if line.of_controls else ():
        yield from course_of(control, line.name, log=log, colour=CONTROL, width=0.6, dashes=dashes_of(control.kind))
    many = len(exhibit.shown) >= MEDIAN_FROM
    for run, colour in coloured(exhibit.shown):
        look = {"width": 0.7, "strength": 0.7} if many else {}
        yield from course_of(run, line.name, log=log, colour=colour, dashes=line.dashes, **look)
    if many:
        steps, values = middle(exhibit.shown, line.name)
        y = positive(values.tolist(), log=log)
        yield Series(tuple(map(float, steps)), y, "median of the runs", INK, "", line.dashes, width=1.7)


def course_of(run: Trained, name: str, *, log: bool, **look: object) -> Iterator[Series]:
    """One number of one run along its steps; a mark where there is one value alone."""
    if run.course is None or not run.has(name):
        return
    y = positive(run.course[name].tolist(), log=log)
    lone = sum(v is not None for v in y) == 1
    steps = tuple(map(float, run.course.steps))
    told = tuple((run.label, f"step {step:,.0f}: {number(value)}") for step, value in zip(steps, y, strict=True))
    yield replace(Series(steps, y, run.label, marker="o" if lone else "", told=told), **look)  # type: ignore[arg-type]  # fields


def positive(values: Sequence[float], *, log: bool) -> tuple[Number, ...]:
    """Plain numbers, none where a log axis has no place."""
    return finite(v if v > 0 or not log else None for v in values)


def dashes_of(kind: str) -> str:
    """The dashes of a kind of control."""
    return CONTROL_DASHES.get(kind, ":")


def null_bands(exhibit: Exhibit) -> Iterator[Series]:
    """What controls do, in units of the plateau of the runs: their range so far, and where one more would fall."""
    (range_, dark), (ahead_, pale) = BANDS
    found, ahead = null_range(exhibit), one_more(exhibit)
    if ahead is not None:
        ends = (0.0, float(last_step(exhibit)))
        low, high = ahead
        yield Series(ends, (None, None), ahead_, CONTROL, "", "", low=(low, low), high=(high, high), shade=pale)
    if found is not None and found[0]:
        steps, least, most = finite(found[0]), finite(found[1]), finite(found[2])
        yield Series(steps, (None,) * len(steps), range_, CONTROL, "", "", low=least, high=most, shade=dark)


def milestones(exhibit: Exhibit) -> Iterator[Rule]:
    """When each run memorised (dotted) and generalised (dashed), in its colour."""
    for run, colour in coloured(exhibit.shown):
        for name, dashes in MILESTONES:
            step = getattr(run.told.milestones, f"{name}_at") if run.told else None
            if step is not None:
                yield Rule(float(step), colour=colour, dashes=dashes)


def keys_of(exhibit: Exhibit, shaded: set[str]) -> Iterator[Series]:
    """Seeds, controls, bands and milestones."""
    for run, colour in coloured(exhibit.shown):
        yield Series(label=run.label, colour=colour, marker="")
    if len(exhibit.shown) >= MEDIAN_FROM:
        yield Series(label="median of the runs", colour=INK, marker="", width=1.7)
    for kind in dict.fromkeys(control.kind for control in exhibit.beside):
        yield Series(label=f"control: {kind}", colour=CONTROL, marker="", dashes=dashes_of(kind), width=0.7)
    for label, strength in BANDS:
        if label in shaded:
            yield Series(label=label, colour=CONTROL, marker="s", dashes="", strength=strength)
    if any(run.told and run.told.milestones.memorised_at is not None for run in exhibit.shown):
        for name, dashes in MILESTONES:
            yield Series(label=name, colour=DARK, marker="", dashes=dashes, width=0.7)


def rows_of(exhibit: Exhibit, panel: Lines, line: Line) -> Iterator[tuple[str, ...]]:
    """What is drawn of one number: of every run and control at its steps, and the median of many runs."""
    name = " ".join(filter(None, (panel.label.replace("\n", " "), line.label)))
    for one in line_series(exhibit, line, log=panel.log):
        for step, value in zip(one.x, one.y, strict=True):
            yield (name, one.label, exact(step), exact(value))

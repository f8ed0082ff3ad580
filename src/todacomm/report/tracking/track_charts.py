"""The charts of one series of checkpoints: layers over steps as a heat map, each layer's curve, onsets, language."""

from collections.abc import Iterator

import numpy as np

from todacomm.clouds.planes_and_clusters import evenly
from todacomm.core.inference_types import at_most_alpha
from todacomm.profiles.onsets import LayerOnset
from todacomm.report.document import style
from todacomm.report.document.chart import (
    Axis,
    Cells,
    Chart,
    Charts,
    Panel,
    Series,
    Span,
    exact,
    finite,
    names_axis,
    table,
    value_axis,
)
from todacomm.report.tracking.numbers import (
    WORDS,
    called,
    column_axis,
    shown,
    spans_orders,
    step_axis,
    told_value,
)
from todacomm.report.tracking.read_track import TrackedSeries
from todacomm.report.words.intervals_and_nulls import p_text
from todacomm.report.words.phrases import number

BANDS = "Bands: intervals over fresh texts of the same kind (split-half), not over other trainings. "
MOST_PANELS = 12  # layers that have a curve of their own
LOOP, LOOP_TEST = "#D55E00", "gaussian/H1_loop"
OF_LANGUAGE = {"bits_per_byte": "bits per byte", "loss": "loss (nats a token)", "masked_loss": "loss (nats a token)"}
COLOURS = style.PALETTE[:6]

track_charts: Charts[TrackedSeries] = Charts("chart of a track")


def heading(of: TrackedSeries) -> str:
    """The series, and on which texts where that is known."""
    first = next(iter(of.profiles.values()), None)
    if first is None:
        return of.name
    pooled = f" · pooling {first.recipe.pooling}" if first.recipe.pooling else ""
    return f"{of.name} · {style.cut(first.data, 36)}{pooled}"


def about(of: TrackedSeries, name: str) -> str:
    """A number in words, with its unit."""
    return called(name, next(iter(of.profiles.values()), None))


# Layers over steps


@track_charts.register("track_heat")
def heat_charts(of: TrackedSeries) -> Iterator[Chart]:
    """One table of colours a number: a row a layer, a column a checkpoint."""
    trajectory = of.trajectory
    what = "checkpoint, by training step" if of.ordered else "model"
    for name in shown(trajectory):
        values = trajectory[name].T
        logs = spans_orders(values)
        drawn = np.log10(values) if logs else values
        told = tuple(tuple(told_cell(of, name, t, i) for t in range(len(trajectory))) for i in range(len(values)))
        label = f"{'log10 of ' if logs else ''}{about(of, name)}"
        cells = Cells(tuple(finite(row) for row in drawn), label, told)
        panel = Panel((), column_axis(trajectory, what), names_axis(trajectory.layers), cells=cells,
                      height=max(120, 26 * len(values)))  # fmt: skip
        yield Chart(
            f"track_{of.name}_heat_{name}",
            f"{about(of, name)[:1].upper()}{about(of, name)[1:]}, every layer of {of.name} at every step",
            f"{WORDS[name].how} A row is a layer, a column a checkpoint; all columns are equally wide, however many "
            f"steps lie between. Dark is large{', on a log scale' if logs else ''}; an empty place is undefined.",
            (panel,),
            table(("series", "step", "layer", name, "low", "high"), rows_of(of, name)),
            heading=heading(of),
            tall=max(1.7, 0.28 * len(values) + 0.7),
        )


def told_cell(of: TrackedSeries, name: str, t: int, i: int) -> tuple[str, ...]:
    """What the page tells at one place: step, layer, number with its interval, the p-value of a loop, a doubt."""
    trajectory, layer = of.trajectory, of.trajectory.layers[i]
    low, high = trajectory.interval(name, layer)[t].tolist()
    value = float(trajectory[name][t, i])
    noted = trajectory.complaints.get(trajectory.steps[t], ())
    doubt = next((told for told in noted if told.startswith(f"{layer}: ")), "")
    p = trajectory.p_values[LOOP_TEST][t, i] if LOOP_TEST in trajectory.p_values else np.nan
    loop = f"loop test: p {p_text(float(p))}" if name.startswith("H1") and np.isfinite(p) else ""
    return (
        f"{layer}, {trajectory.labels[t]}",
        told_value(name, value, low, high),
        loop,
        doubt and f"doubtful: {doubt}",
    )


def rows_of(of: TrackedSeries, name: str) -> Iterator[tuple[str, ...]]:
    """Every value of a number, for download."""
    trajectory = of.trajectory
    for i, layer in enumerate(trajectory.layers):
        ends = trajectory.interval(name, layer)
        for t, step in enumerate(trajectory.steps):
            yield (of.name, str(step), layer, exact(float(trajectory[name][t, i])), *map(exact, ends[t].tolist()))


# Curves


@track_charts.register("track_curves")
def curve_charts(of: TrackedSeries) -> Iterator[Chart]:
    """One small panel a layer: the number along the steps with its band, and where its change begins."""
    if not of.ordered or len(of.trajectory) < 2:
        return
    for name in shown(of.trajectory):
        layers = kept_layers(of)
        left = (
            "" if len(layers) == len(of.trajectory.layers) else f" {len(layers)} of {len(of.trajectory.layers)} layers."
        )
        panels = tuple(curve_panel(of, name, layer) for layer in layers)
        keys = [Series(label="onset, with its interval", colour=style.PALETTE[4], marker="s", dashes="", strength=0.4)]
        keys += (
            [Series(label="a loop is shown (p ≤ 0.05 over the layers)", colour=LOOP, dashes="")]
            if name.startswith("H1")
            else []
        )
        keys += (
            [Series(label="hollow: doubtful", colour=style.GREY, dashes="", hollow=(True,))]
            if of.trajectory["doubtful"].any()
            else []
        )
        yield Chart(
            f"track_{of.name}_curves_{name}",
            f"{about(of, name)[:1].upper()}{about(of, name)[1:]} of each layer along the training of {of.name}",
            f"{WORDS[name].how} {BANDS if of.trajectory.intervals else ''}The shaded steps are the interval of the "
            "onset: the change begins within them."
            f"{left}",
            panels,
            table(("series", "step", "layer", name, "low", "high"), rows_of(of, name)),
            keys=tuple(keys),
            heading=heading(of),
            columns=3,
            tall=1.45,
        )  # fmt: skip


def kept_layers(of: TrackedSeries) -> list[str]:
    """The layers that have a curve of their own: of many some, evenly from first to last."""
    layers = of.trajectory.layers
    return [layers[i] for i in evenly(len(layers), min(MOST_PANELS, len(layers)))]


def curve_panel(of: TrackedSeries, name: str, layer: str) -> Panel:
    """One number of one layer along the steps."""
    trajectory, i = of.trajectory, of.trajectory.place(layer)
    values, ends = trajectory.at(name, layer), trajectory.interval(name, layer)
    y, low, high = finite(values), finite(ends[:, 0]), finite(ends[:, 1])
    one = Series(
        tuple(map(float, trajectory.steps)),
        y,
        layer,
        COLOURS[0],
        hollow=tuple(bool(d) for d in np.nan_to_num(trajectory["doubtful"][:, i]).tolist()),
        looks=tuple((LOOP if name.startswith("H1") and loop_at(of, t, i) else COLOURS[0], "o") for t in range(len(y))),
        low=low,
        high=high,
        told=tuple(told_cell(of, name, t, i) for t in range(len(y))),
        size=0.8,
    )
    found = onset_of(of, name, layer)
    spans = (Span(found.change.low, found.change.high, colour=style.PALETTE[4]),) if found and found.change else ()
    axis = value_axis("", [v for v in y if v is not None], more=[*low, *high])
    return Panel((one,), step_axis(trajectory.steps), axis, title=layer, spans=spans, height=110)


def loop_at(of: TrackedSeries, t: int, i: int) -> bool:
    """Whether a loop is shown at a step in a layer."""
    p = of.trajectory.p_values.get(LOOP_TEST)
    return p is not None and at_most_alpha(float(p[t, i]))


def onset_of(of: TrackedSeries, name: str, layer: str) -> LayerOnset | None:
    """The onset of a number of a layer, where a change is shown."""
    return next((one for one in of.onsets if one.found and (one.number, one.layer) == (name, layer)), None)


# Onsets


@track_charts.register("track_onsets")
def onsets_chart(of: TrackedSeries) -> Iterator[Chart]:
    """For each number a row a layer: the step at which its change begins, and the interval of that."""
    names = [name for name in shown(of.trajectory) if any(one.found and one.number == name for one in of.onsets)]
    if not names:
        return
    rows = names_axis(of.trajectory.layers)
    panels = tuple(
        Panel((onset_marks(of, name),), step_axis(of.trajectory.steps), rows, title=about(of, name),
              height=18 * len(of.trajectory.layers) + 20)
        for name in names
    )  # fmt: skip
    yield Chart(
        f"track_{of.name}_onsets",
        f"When each layer of {of.name} begins to change",
        "The mark is the best guess of the step at which a number leaves its first level, the line its 95 % interval, "
        "which ends at checkpoints: nothing is known of the steps between two. Triangles upwards: it rises; "
        "downwards: it falls. A layer without a mark shows no change after adjustment over the layers.",
        panels,
        table(
            ("series", "number", "layer", "step", "low", "high", "before", "after", "p", "p_adjusted"),
            (onset_row(of, one) for one in of.onsets if one.change),
        ),
        heading=heading(of),
        columns=2,
        tall=0.2 * len(of.trajectory.layers) + 0.55,
    )


def onset_marks(of: TrackedSeries, name: str) -> Series:
    """The onsets of one number as marks with whiskers."""
    found = [(i, onset_of(of, name, layer)) for i, layer in enumerate(of.trajectory.layers)]
    known = [(i, one, one.change) for i, one in found if one is not None and one.change is not None]
    return Series(
        tuple(float(change.step) for _, _, change in known),
        tuple(float(i) for i, _, _ in known),
        colour=COLOURS[0],
        dashes="",
        looks=tuple((COLOURS[0], "^" if change.after > change.before else "v") for _, _, change in known),
        low=tuple(float(change.low) for _, _, change in known),
        high=tuple(float(change.high) for _, _, change in known),
        reach="x",
        told=tuple(
            (one.layer, f"begins at step {change.step:,}, after {change.low:,} and by {change.high:,}",
             f"from {number(change.before)} to {number(change.after)}, p {p_text(one.adjusted or 0.0)}")
            for _, one, change in known
        ),
    )  # fmt: skip


def onset_row(of: TrackedSeries, one: LayerOnset) -> tuple[str, ...]:
    """One onset, for download."""
    change = one.change
    if change is None:
        return ()
    values = (change.step, change.low, change.high, change.before, change.after, change.p, one.adjusted)
    return (of.name, one.number, one.layer, *map(exact, values))


# Language


@track_charts.register("track_language")
def language_chart(of: TrackedSeries) -> Iterator[Chart]:
    """Loss or bits per byte along the steps, on the same axis as the curves."""
    known = {name: label for name, label in OF_LANGUAGE.items() if name in of.trajectory.of_model}
    if not known or not of.ordered or len(of.trajectory) < 2:
        return
    steps = tuple(map(float, of.trajectory.steps))
    panels = tuple(language_panel(of, name, label, steps) for name, label in known.items())
    yield Chart(
        f"track_{of.name}_language",
        f"What {of.name} knows of the texts, along its training",
        "Measured on the same texts as the topology: lower is better. Set beside the onsets it says whether a layer "
        "changes while the model still learns, or after.",
        panels,
        table(("series", "step", *known), language_rows(of, list(known))),
        heading=heading(of),
        tall=1.6,
    )


def language_panel(of: TrackedSeries, name: str, label: str, steps: tuple[float, ...]) -> Panel:
    """One language metric along the steps."""
    y = finite(of.trajectory.of_model[name])
    told = tuple((of.trajectory.labels[t], f"{label}: {number(value, 4)}") for t, value in enumerate(y))
    low, high = (float(np.nanmin(of.trajectory.of_model[name])), float(np.nanmax(of.trajectory.of_model[name])))
    room = 0.08 * (high - low) or 0.1
    axis = Axis(label, limits=(low - room, high + room))
    return Panel((Series(steps, y, label, told=told),), step_axis(of.trajectory.steps), axis, height=150)


def language_rows(of: TrackedSeries, names: list[str]) -> Iterator[tuple[str, ...]]:
    """The language metrics of each step, for download."""
    for t, step in enumerate(of.trajectory.steps):
        yield (of.name, str(step), *(exact(float(of.trajectory.of_model[name][t])) for name in names))

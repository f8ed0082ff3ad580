"""The charts of pairs of profiles: differences layer by layer with their intervals, distances of diagrams, CKA."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Float

from todacomm.comparison.compare import Comparison
from todacomm.comparison.diagram_tests import DEGREE, Apart, DiagramDistance
from todacomm.comparison.differences import Difference, Pair
from todacomm.core.types import Number
from todacomm.report.comparison.pair_plots import (
    BAND,
    FAR,
    LINE,
    MOST_TICKS,
    chosen,
    doubtful,
    level,
    panels_of,
    undefined,
)
from todacomm.report.document import style
from todacomm.report.document.chart_parts import (
    MARK,
    Panel,
    Trace,
    cut,
    exact,
    faint,
    hover,
    key,
    line,
    marks,
    plain,
    stacked,
    table,
    title,
    unshielded,
)
from todacomm.report.document.pieces import Chart
from todacomm.report.document.rounding import all_rounded, rounded
from todacomm.report.words.intervals_and_nulls import p_text
from todacomm.report.words.pairs import relative, significant
from todacomm.report.words.phrases import number

DIFFERS = style.PALETTE[1]
BEND = 10.0  # per cent, up to where an axis that reaches far is linear
HEADER = ("layer of the first", "layer of the second", "number", "first", "second", "value", "unit", "low", "high", "p", "p, adjusted", "doubtful")  # fmt: skip
READ = (
    "The second model less the first, as a share of the first, layer by layer; the band is the {confidence:g} % interval, the line at 0 "
    "is no difference. Filled orange marks are layers that differ once p-values are adjusted over the layers, hollow blue ones do not; "
    "doubtful layers are crossed, undefined ones not drawn. Below: how far apart the diagrams of both are, each over its median "
    "distance (Wasserstein of degree {degree:g}, and bottleneck; filled where blocks of texts show a difference, hollow where they do "
    "not or were not asked)."
)
ALIGNED = (
    " Last, 1 - CKA of the activations (linear, debiased): 0 where the two clouds are the same up to rotation and size, about 1 "
    "where they have nothing in common."
)
FREE = "/ median distance"
AGAIN = "As in the first chart of a pair: band, interval; filled orange marks, layers that differ after adjustment; below, how far apart the diagrams are."


def difference_charts(comparison: Comparison) -> list[Chart]:
    """One chart for each pair that has something to draw."""
    return [difference_chart(i, pair, apart) for i, pair, apart in chosen(comparison)]


def difference_chart(place: int, pair: Pair, apart: Apart) -> Chart:
    """The differences of two profiles, one panel a number, and below them the distances of their diagrams and CKA."""
    panels = [
        *(difference_panel(pair, name, label) for name, label in panels_of(pair).items()),
        *distance_panels(pair, apart),
        *cka_panels(pair, apart),
    ]
    panels[0] = replace(panels[0], traces=(*panels[0].traces, *legend(pair)))
    along = layer_axis(pair)
    placed = [replace(p, x={**along, **({"matches": "x"} if i else {})}) for i, p in enumerate(panels)]
    placed[-1] = replace(placed[-1], x={**placed[-1].x, "title": title(axis_name(pair))})
    traces, layout = stacked(placed)
    read = READ.format(confidence=100 * level(pair), degree=DEGREE) + (
        ALIGNED if any(value is not None for value in apart.cka) else ""
    )
    return Chart(
        f"comparison_differences_{place}",
        f"{pair.labels[1]} less {pair.labels[0]}, {pair.how}",
        AGAIN if place else read,
        traces,
        layout,
        table(HEADER, rows_of(pair, apart), words=3),
    )


def layer_axis(pair: Pair) -> dict[str, Any]:
    """The layers of the first model along the axis."""
    places, labels = style.layer_ticks([one.first for one in pair.layers], most=MOST_TICKS)
    names = [plain(unshielded(label)) for label in labels]
    return {"range": [-0.4, len(pair.layers) - 0.6], "tickvals": places, "ticktext": names}


def axis_name(pair: Pair) -> str:
    """What the axis holds: layers of both, or of the first where they are called otherwise in the second."""
    same = all(one.first == one.second for one in pair.layers)
    return "layer" if same else f"layer of {cut(pair.first.model, 24)}"


def legend(pair: Pair) -> Iterator[Trace]:
    """What band and marks mean."""
    yield key(
        f"{100 * level(pair):g} % interval", marker={"color": BAND, "symbol": "square", "size": 10, "opacity": 0.3}
    )
    yield key("differs", marker=marks([DIFFERS], ["circle"], [False]))
    yield key("no difference shown", marker=marks([LINE], ["circle"], [True]))
    if doubtful(pair).any():
        yield key("doubtful", marker=marks(["soft"], ["x-thin"], [False]))


# Differences


def difference_panel(pair: Pair, name: str, label: str) -> Panel:
    """One number: a zero line, a band, and a mark a layer."""
    found = np.where(undefined(pair)[:, None], np.nan, 100 * pair.along(name, "relative"))
    far = bool(np.nanmax(np.abs(found[:, 0]), initial=0) > FAR)
    y, low, high = (bent(found) if far else found).T
    x = list(range(len(found)))
    look = [mark_of(d, doubt=doubt) for d, doubt in zip(pair.differences[name], doubtful(pair).tolist(), strict=True)]
    told = [difference_text(pair, i, label, d) for i, d in enumerate(pair.differences[name])]
    down = {"zeroline": True, "zerolinecolor": "soft", "title": title("difference, %"), "nticks": 5}
    return Panel(
        label,
        (
            *band(x, low, high),
            line(
                x,
                y.tolist(),
                text=told,
                line={"color": LINE, "width": 1.6},
                marker=marks(*zip(*look, strict=True)),
                showlegend=False,
            ),
        ),
        {},
        {**down, **(bent_ticks(np.concatenate([y, low, high])) if far else {})},
    )


def mark_of(found: Difference, *, doubt: bool) -> tuple[str, str, bool]:
    """Colour, symbol and hollowness of a layer: crossed where it is doubtful, filled where it differs."""
    if doubt:
        return "soft", "x-thin", False
    differs = significant(found.adjusted)
    return DIFFERS if differs else LINE, "circle", not differs


def band(x: Sequence[int], low: Float[np.ndarray, " L"], high: Float[np.ndarray, " L"]) -> Iterator[Trace]:
    """The intervals as a band, one polygon for each run of layers that have them; a bar where a run is one layer."""
    known = np.isfinite(low) & np.isfinite(high)
    for _, run in groupby([i for i in x if known[i]], key=lambda i: i - int(known[:i].sum())):
        inner = list(run)
        there, back = inner, inner[::-1]
        one = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
        edge = {"color": faint(BAND), "width": 0 if len(inner) > 1 else 8}
        shape = [*(high[i] for i in there), *(low[i] for i in back)]
        yield {
            **one,
            "x": [*there, *back],
            "y": [rounded(float(v)) for v in shape],
            "fill": "toself",
            "fillcolor": faint(BAND),
            "line": edge,
        }


def bent(per_cent: Float[np.ndarray, "*v"]) -> Float[np.ndarray, "*v"]:
    """Differences where they stand on an axis that reaches far: linear up to 10 %, in logarithms beyond."""
    size = np.abs(per_cent) / BEND
    return np.sign(per_cent) * np.where(size > 1, 1 + np.log10(np.maximum(size, 1)), size)


def bent_ticks(bends: Float[np.ndarray, " v"]) -> dict[str, Any]:
    """Ticks of such an axis, at powers of ten."""
    powers = BEND * 10.0 ** np.arange(math.ceil(float(np.nanmax(np.abs(bends)))))
    shown = np.array([v for v in (*-powers[::-1], 0.0, *powers) if v >= -100])
    return {"tickvals": all_rounded(bent(shown)), "ticktext": [f"{v:,g}" for v in shown]}


def difference_text(pair: Pair, i: int, label: str, found: Difference) -> str:
    """What is told at a mark."""
    one = pair.layers[i]
    doubts = {m.facts.doubtful for m in (pair.first.at(one.first), pair.second.at(one.second)) if m.facts.doubtful}
    return hover(
        f"{one}",
        f"{label}: {relative(found.relative)}",
        f"{number(found.first)} in {cut(pair.labels[0], 40)}",
        f"{number(found.second)} in {cut(pair.labels[1], 40)}",
        f"p {p_text(found.p)}, adjusted {p_text(found.adjusted)}: {'differs' if significant(found.adjusted) else 'no difference shown'}",
        *(f"doubtful: {doubt}" for doubt in sorted(doubts)),
    )


# Distances

DISTANCES = {"wasserstein": ("Wasserstein", "solid"), "bottleneck": ("bottleneck", "dot")}


def distance_panels(pair: Pair, apart: Apart) -> Iterator[Panel]:
    """The distances of the diagrams, where there are any."""
    known = {name: row for name, row in apart.diagrams.items() if any(d.wasserstein is not None for d in row)}
    drawn = [(k, name, row, which) for k, (name, row) in enumerate(known.items()) for which in DISTANCES]
    if drawn:
        lines = (distance_line(pair, row, name, which, k) for k, name, row, which in drawn)
        entries = (
            key(distance_name(name, which), mode="lines", line=stroke_of(which, k)) for k, name, _, which in drawn
        )
        down = {"rangemode": "tozero", "nticks": 5, "title": title("distance")}
        yield Panel("distance of the diagrams / median distance", (*entries, *lines), {}, down, 150)


def distance_name(name: str, which: str) -> str:
    """How a distance is called in the legend."""
    return f"{name} {DISTANCES[which][0]}"


def stroke_of(which: str, dimension: int) -> dict[str, Any]:
    """The line of a distance of the diagrams of one dimension."""
    return {"color": style.HOMOLOGY[dimension], "width": 1.6, "dash": DISTANCES[which][1]}


def distance_line(pair: Pair, row: Sequence[DiagramDistance], name: str, which: str, dimension: int) -> Trace:
    """One distance of the diagrams of one dimension along the layers."""
    told = [
        hover(
            f"{pair.layers[i]}",
            f"{name} diagrams: Wasserstein {number(d.wasserstein)}, bottleneck {number(d.bottleneck)}",
            f"p {p_text(d.p)}, adjusted {p_text(d.adjusted)} (blocks of texts)"
            if d.p is not None
            else d.note or "not tested",
        )
        for i, d in enumerate(row)
    ]
    hollow, of = [not significant(d.adjusted) for d in row], style.HOMOLOGY[dimension]
    return line(
        range(len(row)),
        [getattr(d, which) for d in row],
        text=told,
        name=distance_name(name, which),
        showlegend=False,
        line=stroke_of(which, dimension),
        marker=marks([of] * len(row), ["circle"] * len(row), hollow),
    )


def cka_panels(pair: Pair, apart: Apart) -> Iterator[Panel]:
    """1 - CKA along the layers, where it is known."""
    if all(value is None for value in apart.cka):
        return
    away = [None if value is None else 1 - value for value in apart.cka]
    told = [hover(f"{pair.layers[i]}", f"CKA {number(value)}") for i, value in enumerate(apart.cka)]
    look: dict[str, Any] = {
        "line": {"color": "ink", "width": 1.6, "dash": "dot"},
        "marker": {"color": "ink", "size": MARK - 1},
    }
    drawn = line(range(len(away)), away, text=told, showlegend=False, **look)
    yield Panel(
        "1 - CKA of the activations", (drawn,), {}, {"rangemode": "tozero", "nticks": 5, "title": title("1 - CKA")}
    )


# Data


def rows_of(pair: Pair, apart: Apart) -> Iterator[tuple[str, ...]]:
    """All that is drawn of a pair, one line a number and layer."""
    layers = [(one.first, one.second) for one in pair.layers]
    crossed = ["doubtful" if doubt else "" for doubt in doubtful(pair).tolist()]
    for name, label in panels_of(pair).items():
        for layer, d, doubt in zip(layers, pair.differences[name], crossed, strict=True):
            yield (*layer, label, *difference_cells(d), doubt)
    for name, row in apart.diagrams.items():
        for layer, one, doubt in zip(layers, row, crossed, strict=True):
            tested = numbers(one.p, one.adjusted)
            yield (
                *layer,
                f"{name} diagrams, Wasserstein",
                "",
                "",
                exact(one.wasserstein),
                FREE,
                "",
                "",
                *tested,
                doubt,
            )
            yield (*layer, f"{name} diagrams, bottleneck", "", "", exact(one.bottleneck), FREE, "", "", "", "", doubt)
    for i, value in enumerate(apart.cka):
        away = None if value is None else 1 - value
        yield (*layers[i], "1 - CKA", "", "", exact(away), "", "", "", "", "", crossed[i])


def difference_cells(found: Difference) -> tuple[str, ...]:
    """Both numbers, the relative difference in per cent with its interval, and its p-values."""
    ends = (found.relative.estimate, found.relative.low, found.relative.high)
    share, low, high = (None if end is None else 100 * end for end in ends)
    return (*numbers(found.first, found.second, share), "%", *numbers(low, high, found.p, found.adjusted))


def numbers(*values: Number) -> tuple[str, ...]:
    """Numbers for the table."""
    return tuple(map(exact, values))

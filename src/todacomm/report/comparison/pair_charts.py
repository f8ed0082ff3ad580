"""The charts of pairs of profiles: differences layer by layer with their intervals, distances of diagrams, CKA."""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np
from jaxtyping import Bool

from todacomm.comparison.compare import Comparison
from todacomm.comparison.diagram_tests import DEGREE, Apart, DiagramDistance
from todacomm.comparison.differences import Difference, Pair
from todacomm.core.types import Number
from todacomm.report.comparison.comparison_charts import comparison_charts
from todacomm.report.document import style
from todacomm.report.document.chart import Axis, Chart, Panel, Rule, Series, exact, finite, table, ticked
from todacomm.report.document.style import cut
from todacomm.report.layers.series import where
from todacomm.report.words.intervals_and_nulls import p_text
from todacomm.report.words.pairs import HEADLINES, relative, significant
from todacomm.report.words.phrases import number

LINE, DIFFERS = style.PALETTE[:2]
CROSSED = (style.GREY, "x")
MOST_CHARTS = 8  # pairs that are drawn
MOST_TICKS = 9
FAR = 300  # per cent, from where the axis is a log axis beyond 10 %
HEADER = ("layer of the first", "layer of the second", "number", "first", "second", "value", "unit", "low", "high", "p",
          "p, adjusted", "doubtful")  # fmt: skip
READ = (
    "The second model less the first, as a share of the first, layer by layer, with the interval as a band; the grey "
    "line is no "
    "difference. Filled orange marks are layers that differ once p-values are adjusted over the layers, hollow blue "
    "ones do not; "
    "doubtful layers are crossed, undefined ones not drawn. Last: how far apart the diagrams of both are, each over "
    "its median "
    "distance ({distances}; filled where blocks of texts show a difference, hollow where they do not or were not "
    "asked){aligned}."
)
ALIGNED = (
    ", and 1 - CKA of the activations (linear, debiased): 0 where the two clouds are the same up to rotation and "
    "size, about 1 "
    "where they have nothing in common"
)
AGAIN = (
    "As in the first chart of a pair: band, interval; filled orange marks, layers that differ after adjustment; last, "
    "how far apart the diagrams are."
)
FREE = "/ median distance"


@comparison_charts.register("comparison_differences")
def difference_charts(comparison: Comparison) -> Iterator[Chart]:
    """One chart for each of the first pairs that have something to draw: numbers on two layers or more."""
    places = count()
    for pair, apart in zip(comparison.pairs, comparison.apart, strict=True):
        if panels_of(pair) and len(pair.layers) > 1 and (place := next(places)) < MOST_CHARTS:
            yield difference_chart(place, pair, apart)


def difference_chart(place: int, pair: Pair, apart: Apart) -> Chart:
    """The differences of two profiles, one panel a number, and below them the distances of their diagrams and CKA."""
    distances = distance_series(pair, apart)
    panels = (
        *(difference_panel(pair, name, label) for name, label in panels_of(pair).items()),
        *distance_panels(pair, distances),
        *cka_panels(pair, apart),
    )
    aligned = ALIGNED if any(value is not None for value in apart.cka) else ""
    read = READ.format(distances=f"Wasserstein of degree {DEGREE:g}, and bottleneck", aligned=aligned)
    return Chart(
        name_of(place, pair),
        f"{pair.labels[1]} less {pair.labels[0]}, {pair.how}",
        AGAIN if place else read,
        panels,
        table(HEADER, rows_of(pair, apart)),
        keys=(*keys_of(pair), *(Series(label=one.label, colour=one.colour, dashes=one.dashes) for one in distances)),
        heading=f"{cut(pair.labels[1], 40)} less {cut(pair.labels[0], 40)} · {wheres(pair)} · {pair.how}",
        columns=2,
        tall=1.9,
    )


def name_of(place: int, pair: Pair) -> str:
    """The name of the chart and of its files, which says of which pair it is."""
    first, second = (re.sub(r"[^\w.-]+", "_", cut(label, 40), flags=re.ASCII) for label in pair.labels)
    return f"comparison_differences_{place + 1}_{first}_vs_{second}"


def panels_of(pair: Pair) -> dict[str, str]:
    """The numbers that are drawn, with their labels."""
    return {
        name: label
        for name, label in HEADLINES.items()
        if name in pair.differences and np.isfinite(pair.along(name, "relative")[:, 0]).any()
    }


def wheres(pair: Pair) -> str:
    """On which data and with which pooling both were measured, the second's first where they differ."""
    return " less ".join(dict.fromkeys(where(profile) for profile in (pair.second, pair.first)))


def layer_axis(pair: Pair) -> Axis:
    """The layers of the first model along the axis."""
    layers = [one.first for one in pair.layers]
    same = layers == [one.second for one in pair.layers]
    places, labels = style.layer_ticks(layers, most=MOST_TICKS)
    label = "layer" if same else f"layer of {cut(pair.first.model, 24)}"
    return Axis(label, limits=(-0.4, len(layers) - 0.6), ticks=tuple(zip(places, labels, strict=True)))


def level(pair: Pair) -> float:
    """The confidence of the bands."""
    return pair.first.claims.asked.confidence if pair.first.claims else 0.95


def keys_of(pair: Pair) -> Iterator[Series]:
    """Explain band and marks."""
    yield Series(label=f"{100 * level(pair):g} % interval", colour=LINE, marker="s", dashes="", strength=0.3)
    yield Series(label="differs", colour=DIFFERS, dashes="")
    yield Series(label="no difference shown", colour=LINE, dashes="", hollow=(True,))
    if doubtful(pair).any():
        yield Series(label="doubtful in either model", colour=CROSSED[0], marker=CROSSED[1], dashes="")


def doubtful(pair: Pair) -> Bool[np.ndarray, " L"]:
    """The layers that are doubtful in either model."""
    return _either(pair, "doubtful")


def _either(pair: Pair, fact: str) -> Bool[np.ndarray, " L"]:
    both = [(pair.first.at(one.first).facts, pair.second.at(one.second).facts) for one in pair.layers]
    return np.array([any(getattr(facts, fact) for facts in pair_of) for pair_of in both], dtype=bool)


# Differences


def difference_panel(pair: Pair, name: str, label: str) -> Panel:
    """One number: a zero line, a band, and a mark a layer; layers that are undefined in either model are not drawn."""
    shares = np.where(_either(pair, "undefined")[:, None], np.nan, 100 * pair.along(name, "relative"))
    y, low, high = map(finite, shares.T)
    row = pair.differences[name]
    marked = [mark_of(d, doubt=doubt) for d, doubt in zip(row, doubtful(pair).tolist(), strict=True)]
    series = Series(
        tuple(range(len(y))),
        y,
        colour=LINE,
        looks=tuple(look for look, _ in marked),
        hollow=tuple(hollow for _, hollow in marked),
        low=low,
        high=high,
        told=tuple(difference_text(pair, i, label, d) for i, d in enumerate(row)),
    )
    return Panel((series,), layer_axis(pair), difference_axis(y, (*low, *high)), label, (Rule(0.0, "y"),))


def mark_of(found: Difference, *, doubt: bool) -> tuple[tuple[str, str], bool]:
    """Colour and marker of a layer, and whether it is hollow: crossed where it is doubtful, filled where it differs."""
    differs = significant(found.adjusted)
    return (CROSSED, False) if doubt else ((DIFFERS if differs else LINE, "o"), not differs)


def difference_axis(values: Sequence[Number], ends: Sequence[Number]) -> Axis:
    """Per cent; where differences reach far, linear within ten per cent and logarithmic beyond."""
    known, around = ([v for v in some if v is not None] for some in (values, (*values, *ends)))
    if max(map(abs, known), default=0.0) <= FAR:
        return Axis("difference, %")
    powers = [10.0**k for k in range(1, math.floor(math.log10(max(map(abs, around)))) + 1)]
    below = [-v for v in reversed(powers) if v <= min(100.0, -min(around))]
    return Axis("difference, %", "bent", ticks=ticked([*below, 0.0, *(v for v in powers if v <= max(around))]))


def difference_text(pair: Pair, i: int, label: str, found: Difference) -> tuple[str, ...]:
    """The hover text of a mark."""
    one = pair.layers[i]
    doubts = {m.facts.doubtful for m in (pair.first.at(one.first), pair.second.at(one.second)) if m.facts.doubtful}
    verdict = "differs" if significant(found.adjusted) else "no difference shown"
    return (
        f"{one}",
        f"{label}: {relative(found.relative)}",
        f"{number(found.first)} in {cut(pair.labels[0], 40)}",
        f"{number(found.second)} in {cut(pair.labels[1], 40)}",
        f"p {p_text(found.p)}, adjusted {p_text(found.adjusted)}: {verdict}",
        *(f"doubtful: {doubt}" for doubt in sorted(doubts)),
    )


# Distances

DISTANCES = {"wasserstein": ("Wasserstein", "-"), "bottleneck": ("bottleneck", ":")}


def distance_series(pair: Pair, apart: Apart) -> list[Series]:
    """The distances of the diagrams along the layers, where there are any."""
    known = {name: row for name, row in apart.diagrams.items() if any(d.wasserstein is not None for d in row)}
    return [
        one_distance(pair, row, name, which, k) for k, (name, row) in enumerate(known.items()) for which in DISTANCES
    ]


def one_distance(pair: Pair, row: Sequence[DiagramDistance], name: str, which: str, dimension: int) -> Series:
    """One distance of the diagrams of one dimension along the layers."""
    told, dashes = DISTANCES[which]
    return Series(
        tuple(range(len(row))),
        tuple(getattr(d, which) for d in row),
        f"{name} {told}",
        style.HOMOLOGY[dimension],
        dashes=dashes,
        hollow=tuple(not significant(d.adjusted) for d in row),
        told=tuple(distance_text(pair, i, name, d) for i, d in enumerate(row)),
    )


def distance_text(pair: Pair, i: int, name: str, found: DiagramDistance) -> tuple[str, ...]:
    """The hover text of a mark."""
    p = f"p {p_text(found.p)}, adjusted {p_text(found.adjusted)} (blocks of texts)"
    both = f"Wasserstein {number(found.wasserstein)}, bottleneck {number(found.bottleneck)}"
    return (f"{pair.layers[i]}", f"{name} diagrams: {both}", p if found.p is not None else found.note or "not tested")


def distance_panels(pair: Pair, series: Sequence[Series]) -> Iterator[Panel]:
    """The panel of the distances, where there are any."""
    if series:
        down = Axis("distance", from_zero=True)
        yield Panel(tuple(series), layer_axis(pair), down, "distance of the diagrams / median distance", height=150)


def cka_panels(pair: Pair, apart: Apart) -> Iterator[Panel]:
    """1 - CKA along the layers, where it is known."""
    if any(value is not None for value in apart.cka):
        told = tuple((f"{pair.layers[i]}", f"CKA {number(value)}") for i, value in enumerate(apart.cka))
        x, y = tuple(range(len(told))), tuple(map(unlike, apart.cka))
        drawn = Series(x, y, colour=style.PALETTE[6], dashes=":", told=told)
        yield Panel((drawn,), layer_axis(pair), Axis("1 - CKA", from_zero=True), "1 - CKA of the activations")


def unlike(cka: Number) -> Number:
    """1 - CKA."""
    return None if cka is None else 1 - cka


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
    for layer, value, doubt in zip(layers, apart.cka, crossed, strict=False):
        yield (*layer, "1 - CKA", "", "", exact(unlike(value)), "", "", "", "", "", doubt)


def difference_cells(found: Difference) -> tuple[str, ...]:
    """Both numbers, the relative difference in per cent with its interval, and its p-values."""
    ends = (found.relative.estimate, found.relative.low, found.relative.high)
    share, low, high = (None if end is None else 100 * end for end in ends)
    return (*numbers(found.first, found.second, share), "%", *numbers(low, high, found.p, found.adjusted))


def numbers(*values: Number) -> tuple[str, ...]:
    """Numbers for the table."""
    return tuple(map(exact, values))

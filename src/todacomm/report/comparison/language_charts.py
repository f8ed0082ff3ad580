"""The charts of topology against language: one dot a model, where rank correlations were made."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from todacomm.comparison.clustering import TOPOLOGY, Correlation
from todacomm.comparison.compare import Comparison, ModelRow
from todacomm.report.comparison.comparison_plots import Hand, hands
from todacomm.report.document.chart_parts import (
    SYMBOLS,
    Panel,
    Trace,
    exact,
    hover,
    line,
    marks,
    stacked,
    table,
    title,
    unshielded,
    value_axis,
    whiskers,
)
from todacomm.report.document.pieces import Chart
from todacomm.report.layers.series import LOG_RANGE
from todacomm.report.words.intervals_and_nulls import bracketed, p_text
from todacomm.report.words.phrases import number

READ = (
    "One dot a model of this kind with a sound expansion: a number of its topology over the bits that it needs for one byte of the texts, with "
    "intervals where there are any. Spearman's ρ is of the ranks; that two numbers go together over models does not say that one makes the other."
)


def language_charts(comparison: Comparison) -> list[Chart]:
    """One chart a kind of model, of the numbers that were held against bits per byte; none where too few models were."""
    kinds = dict.fromkeys(one.kind for one in comparison.correlations if one.test)
    return [language_chart(comparison, kind, i) for i, kind in enumerate(kinds)]


def language_chart(comparison: Comparison, kind: str, place: int) -> Chart:
    """Dots over bits per byte, one panel a number with its correlation, one dot a model."""
    tested = [one for one in comparison.correlations if one.kind == kind and one.test]
    panels = [language_panel(comparison, one, first=not i) for i, one in enumerate(tested)]
    last = {**panels[-1].x, "title": title("bits per byte (lower is better)")}
    traces, layout = stacked([*panels[:-1], replace(panels[-1], x=last)])
    rows = (row for one in tested for row in language_rows(comparison, one))
    header = ("model", "kind", "number", "bits per byte", "value", "low", "high")
    data = table(header, rows, words=3)
    return Chart(f"comparison_language_{place}", f"Topology and language, {kind} models", READ, traces, layout, data)


def language_panel(comparison: Comparison, one: Correlation, *, first: bool) -> Panel:
    """One number of the sound models of a kind."""
    dots = list(language_dots(comparison, one))
    drawn_by = hands(comparison.profiles)
    rho, p = (one.test.statistic, one.adjusted) if one.test else (None, None)
    return Panel(
        f"{TOPOLOGY[one.name]}\nSpearman's ρ {number(rho, 2)}, p {p_text(p)}, adjusted",
        tuple(language_dot(row, drawn_by[i], one.name, legendgroup=f"m{i}", showlegend=first) for i, row in dots),
        {} if first else {"matches": "x"},
        value_axis([getattr(row, one.name) for _, row in dots], LOG_RANGE),
    )


def language_dots(comparison: Comparison, one: Correlation) -> Iterator[tuple[int, ModelRow]]:
    """The rows that a correlation is made of, with their places."""
    for i, row in enumerate(comparison.rows):
        if row.kind == one.kind and not row.doubt and None not in (row.bits_per_byte, getattr(row, one.name)):
            yield i, row


def language_dot(row: ModelRow, hand: Hand, name: str, **more: Any) -> Trace:
    """One number of one model over its bits per byte, with its interval."""
    value, interval = getattr(row, name), row.intervals.get(name)
    told = hover(
        row.model,
        f"{TOPOLOGY[name]}: {number(value)}{bracketed(interval)}",
        f"bits per byte: {number(row.bits_per_byte)}",
    )
    drawn = line([row.bits_per_byte], [value], text=[told], name=unshielded(hand.label), **more)
    look = marks([hand.colour], [SYMBOLS[hand.marker]], [False], size=10)
    return {**drawn, "mode": "markers", "marker": look, "error_y": whiskers(interval, hand.colour)}


def language_rows(comparison: Comparison, one: Correlation) -> Iterator[tuple[str, ...]]:
    """What is drawn of one correlation."""
    for _, row in language_dots(comparison, one):
        interval = row.intervals.get(one.name)
        ends = (interval.low, interval.high) if interval else (None, None)
        yield (row.model, row.kind, TOPOLOGY[one.name], *map(exact, (row.bits_per_byte, getattr(row, one.name), *ends)))

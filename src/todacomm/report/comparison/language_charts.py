"""The charts of topology against language: one dot a model, where rank correlations were made."""

from collections.abc import Iterator

from todacomm.comparison.clustering import TOPOLOGY, Correlation
from todacomm.comparison.compare import Comparison, ModelRow
from todacomm.report.comparison.comparison_charts import Hand, comparison_charts, ends_of, hands
from todacomm.report.document.chart import Axis, Chart, Panel, Series, exact, table, value_axis
from todacomm.report.words.intervals_and_nulls import bracketed, p_text
from todacomm.report.words.phrases import number


@comparison_charts.register("comparison_language")
def language_charts(comparison: Comparison) -> Iterator[Chart]:
    """One chart a kind of model, of the metrics correlated with bits per byte; none for too few models."""
    kinds = dict.fromkeys(one.kind for one in comparison.correlations if one.test)
    for place, kind in enumerate(kinds):
        tested = [one for one in comparison.correlations if one.kind == kind and one.test]
        rows = (row for one in tested for row in language_rows(comparison, one))
        panels = tuple(language_panel(comparison, one) for one in tested)
        yield Chart(
            f"comparison_language_{place}",
            f"Topology and language, {kind} models",
            "One dot a model of this kind with a sound expansion: a number of its topology over the bits that it "
            "needs for one "
            "byte of the texts, with intervals where there are any. Spearman's ρ is of the ranks; that two numbers go "
            "together over models does not say that one makes the other.",
            panels,
            table(("model", "kind", "number", "bits per byte", "value", "low", "high"), rows),
            keys=tuple(
                Series(label=one.label, colour=one.colour, marker=one.marker, dashes="") for one in panels[0].series
            ),
            columns=min(2, len(panels)),
            tall=2.3,
        )


def language_panel(comparison: Comparison, one: Correlation) -> Panel:
    """One number of the sound models of a kind."""
    drawn_by, dots = hands(comparison.profiles), list(language_dots(comparison, one))
    rho, p = (one.test.statistic, one.adjusted) if one.test else (None, None)
    return Panel(
        tuple(language_dot(row, drawn_by[i], one.name) for i, row in dots),
        Axis("bits per byte (lower is better)"),
        value_axis(TOPOLOGY[one.name], [getattr(row, one.name) for _, row in dots]),
        f"{TOPOLOGY[one.name]}\nSpearman's ρ {number(rho, 2)}, p {p_text(p)}, adjusted",
    )


def language_dots(comparison: Comparison, one: Correlation) -> Iterator[tuple[int, ModelRow]]:
    """The rows that a correlation is made of, with their places."""
    for i, row in enumerate(comparison.rows):
        if row.kind == one.kind and not row.doubt and None not in (row.bits_per_byte, getattr(row, one.name)):
            yield i, row


def language_dot(row: ModelRow, hand: Hand, name: str) -> Series:
    """One number of one model over its bits per byte, with its interval."""
    value, interval = getattr(row, name), row.intervals.get(name)
    low, high = ends_of(interval)
    told = (
        row.model,
        f"{TOPOLOGY[name]}: {number(value)}{bracketed(interval)}",
        f"bits per byte: {number(row.bits_per_byte)}",
    )
    look = {"label": hand.label, "colour": hand.colour, "marker": hand.marker, "dashes": ""}
    return Series((row.bits_per_byte,), (value,), low=(low,), high=(high,), reach="y", told=(told,), size=1.4, **look)  # type: ignore[arg-type]


def language_rows(comparison: Comparison, one: Correlation) -> Iterator[tuple[str, ...]]:
    """The download rows of one correlation."""
    for _, row in language_dots(comparison, one):
        numbers = (row.bits_per_byte, getattr(row, one.name), *ends_of(row.intervals.get(one.name)))
        yield (row.model, row.kind, TOPOLOGY[one.name], *map(exact, numbers))

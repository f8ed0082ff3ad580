"""The report on loops: the answer, loops through layers, what runs around them, and each layer with its charts."""

from collections.abc import Iterator
from pathlib import Path

from todacomm.records.loops import FoundLoop, LoopsOfLayer, LoopsRecord
from todacomm.report.document.chart import Chart, pictured
from todacomm.report.document.loop_example import drawing, told
from todacomm.report.document.matplotlib_renderer import write_charts
from todacomm.report.document.page import BESIDE
from todacomm.report.document.pieces import (
    Bullets,
    Context,
    Document,
    Drawing,
    Paragraph,
    Part,
    Piece,
    Table,
    Terms,
    parts_of,
    section,
)
from todacomm.report.document.turns import degrees
from todacomm.report.layers import layer_document  # registered first: its closing sections serve every record
from todacomm.report.loops.loop_charts import LayerLoops, loop_charts
from todacomm.report.loops.loop_sentences import TERMS, loop_sentences, reasons_of, running, sureness
from todacomm.report.loops.ribbon_chart import ribbon_charts
from todacomm.report.loops.texts_around import places_around
from todacomm.report.words.intervals_and_nulls import p_text
from todacomm.report.words.phrases import number, padded, plural

__all__ = ["layer_document", "loops_document", "write_loops_report"]

PROPERTIES = 3  # of a loop in the table, where fewer run around it
RIBBON = "loops-through"
TOGETHER = 2  # layers up to which none is folded away


def write_loops_report(directory: Path, record: LoopsRecord) -> list[Path]:
    """``loops.md``, ``report.html`` and ``visualizations/``."""
    from todacomm.report.render import write_document

    figures = write_charts(charts_of(record), directory / "visualizations")
    versions = {name: str(found) for name, found in record.versions.items() if found}
    context = {"figures": figures, "command": record.command, "versions": versions}
    return write_document(loops_document(record, context), directory, "loops.md")


def charts_of(record: LoopsRecord) -> Iterator[Chart]:
    """Every chart: of all layers, then of each."""
    yield from ribbon_charts.of(record)
    for place in range(len(record.layers)):
        yield from loop_charts.of(LayerLoops(record, place))


def loops_document(record: LoopsRecord, context: Context) -> Document:
    """The whole of it: the registered sections, with the layers before those that close it."""
    opening, *rest = parts_of(record, context)
    closing = [part for part in rest if part.name not in OWN]
    mine = [part for part in rest if part.name in OWN]
    beside = Part(BESIDE, "What a loop is", (Drawing(drawing(), told()),))
    best = best_layer(record)
    layers = [layer_part(LayerLoops(record, i), context, best=i == best) for i in range(len(record.layers))]
    layers = [part for part in layers if part.pieces]
    first, folded = ([part for part in layers if bool(part.run) is run] for run in (False, True))
    ribbon = [part for part in mine if part.name == RIBBON]
    tables = [part for part in mine if part.name != RIBBON]
    parts = (opening, beside, *ribbon, *first, *tables, *folded, *closing)
    return Document(f"Loops of {record.model}", f"{record.data}, {plural(len(record.layers), record.along)}", parts)


# Sections


@section("loops-answer", title="The answer", record=LoopsRecord)
def answer(record: LoopsRecord, _: Context) -> Iterator[Piece]:
    """Which layers have loops, of what, and which go on."""
    first, *rest = loop_sentences(record)
    yield Paragraph(first, "answer")
    if rest:
        yield Bullets(tuple(rest))


@section(RIBBON, title="Which loops go on", record=LoopsRecord, brief=False)
def through(record: LoopsRecord, context: Context) -> Iterator[Piece]:
    """The ribbon."""
    yield from pictured(ribbon_charts.of(record), context.get("figures", ()))


@section("loops-found", title="All loops", record=LoopsRecord, brief=False)
def found(record: LoopsRecord, _: Context) -> Iterator[Piece]:
    """A row a loop; and why others are none."""
    rows = tuple(loop_row(layer, i) for layer in record.layers for i in range(len(layer.loops)))
    head = (
        "Loop",
        "Born / median",
        "Filled / median",
        "p",
        "Points on it",
        "Among",
        "Largest step (turns)",
        "β₁ there",
    )
    if rows:
        yield Table(head, rows, 1, sortable=True)
    if reasons := reasons_of(record):
        yield Paragraph("Why there is no other loop:")
        yield Bullets(tuple(reasons))


def loop_row(layer: LoopsOfLayer, i: int) -> tuple[str, ...]:
    """One loop as text."""
    one, unit = layer.loops[i], layer.median or 1.0
    ends = (padded(one.birth / unit, 3), padded(one.death / unit, 3), "–" if one.p is None else p_text(one.p))
    return (
        f"{layer.layer}, loop {i + 1}",
        *ends,
        str(len(one.cycle)),
        f"{one.points:,}",
        number(one.step, 2),
        str(one.betti),
    )


@section("loops-properties", title="What runs around each loop", record=LoopsRecord, brief=False)
def properties(record: LoopsRecord, _: Context) -> Iterator[Piece]:
    """The properties that run around each loop, or the nearest to it, with p-values."""
    loops = [(f"{layer.layer}, loop {i}", one) for layer in record.layers for i, one in enumerate(layer.loops, 1)]
    rows = tuple(row for name, one in loops for row in property_rows(name, one))
    if rows:
        yield Table(("Loop", "Property", "Kind", "Strength", "p", "Adjusted p"), rows, 3, sortable=True)
        yield Paragraph(
            "Strength is from 0 to 1: the share of the variance of a number or of a category that the angle explains, "
            "of an angle how closely both run together. Where fewer than "
            f"{PROPERTIES} run around a loop, the nearest others are shown. Adjusted p-values are over all properties "
            "of a loop, not over loops."
        )


def property_rows(name: str, one: FoundLoop) -> Iterator[tuple[str, ...]]:
    """The properties of one loop as text."""
    for of in one.properties[: max(PROPERTIES, len(running(one)))]:
        ps = ("–" if p is None else p_text(p) for p in (of.p, of.adjusted))
        yield (name, of.name + (f" ({of.note})" if of.note else ""), of.kind, f"{of.strength:.3f}", *ps)


@section("loops-terms", title="How to read loops", record=LoopsRecord, brief=False)
def terms(_: LoopsRecord, __: Context) -> Iterator[Piece]:
    """Each word in one line."""
    yield Terms(tuple(TERMS.items()))


OWN = (RIBBON, "loops-found", "loops-properties")


# One layer


def best_layer(record: LoopsRecord) -> int | None:
    """The place of the layer whose loop is the surest; None without loops."""
    there = [i for i, layer in enumerate(record.layers) if layer.loops]
    return min(there, key=lambda i: min(map(sureness, record.layers[i].loops)), default=None)


def layer_part(of: LayerLoops, context: Context, *, best: bool) -> Part:
    """The charts of a layer, with the texts around each loop; of many layers all but the ``best`` are folded away."""
    pieces: list[Piece] = []
    figures = context.get("figures", ())
    cycles = iter(of.found.loops)
    for chart in pictured(loop_charts.of(of), figures):
        pieces.append(chart)
        if "_cycle_" in chart.name:
            pieces.append(texts_table(next(cycles), of))
    many = len(of.record.layers) > TOGETHER
    title = f"Scales and loops of {of.found.layer}" + (", which has the surest one" if best and many else "")
    return Part(f"layer-{of.place}", title, tuple(pieces), of.found.layer if many and not best else "")


def texts_table(one: FoundLoop, of: LayerLoops) -> Table:
    """The texts around a loop, by their angle."""
    rows = (
        (place.number, place.text, degrees(float(one.angles[place.row])), "yes" if place.on_cycle else "no")
        for place in places_around(one, of.record.texts)
    )
    return Table(("No.", "Text", "Angle", "On the shortest cycle"), tuple(rows), 2)

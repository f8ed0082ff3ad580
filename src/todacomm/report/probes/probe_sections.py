"""What is said of a probe: circle, line or neither; used or not; the tables; its page and its Markdown."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from todacomm.circles.probed import Asked, Probed
from todacomm.core.inference_types import ALPHA, at_most_alpha
from todacomm.records.probes import ProbeRun
from todacomm.report.document.pieces import Context, Document, Paragraph, Piece, Table, Terms, parts_of, section
from todacomm.report.layers import layer_document  # registered first: its closing sections serve every record
from todacomm.report.words.phrases import number, plural, share

__all__ = ["context_of_probe", "layer_document", "sentences", "write_probe_report"]


def write_probe_report(directory: Path, found: Probed, context: Context) -> list[Path]:
    """``probe.md``, ``report.html`` and ``visualizations/``."""
    from todacomm.report.probes.clock_chart import clock_explorer  # importing it registers its chart
    from todacomm.report.probes.probe_charts import write_probe_figures
    from todacomm.report.render import write_document

    figures = write_probe_figures(found, directory / "visualizations")
    context = {**context, "figures": figures}
    title = f"{found.probe.name.replace('_', ' ').capitalize()} in {found.model}"
    document = Document(title, plural(len(found.probe.words), "word"), parts_of(found, context))
    explorer = clock_explorer(found)
    return write_document(document, directory, "probe.md", (explorer,) if explorer else ())


def context_of_probe(record: ProbeRun) -> Context:
    """What the closing sections need of a record."""
    versions = {name: str(found) for name, found in record.versions.items() if found}
    provenance = {name: str(found) for name, found in record.model.items()}
    return {"command": record.command, "provenance": provenance, "versions": versions}


# Sentences


def sentences(found: Probed) -> list[str]:
    """What was found, in plain words, the answer first."""
    return [told_of_order(found), *([told_of_use(found.asked)] if found.asked else []), *found.notes]


def told_of_order(found: Probed) -> str:
    """Circle, line or neither, with the numbers behind it."""
    best = found.orders[found.layer]
    n, words = len(found.orders), plural(len(found.probe.words), "word")
    if found.shape == "circle":
        where = plural(sum(o.shape == "circle" for o in found.orders.values()), "layer")
        return (
            f"Circle: the {words} lie on a circle at {where} of {n}, most clearly at {found.layer} (p = "
            f"{number(best.p_circle)} over "
            f"all layers, wrap index {number(best.wrap, 2)}: 0 on a circle, 1 and more on a line)."
        )
    if found.shape == "line":
        layer, flat = max(found.orders.items(), key=lambda item: item[1].line)
        return (
            f"Line: the {words} lie in their order on a line, most clearly at {layer} (p = {number(flat.p_line)} "
            "over all layers, wrap "
            f"index {number(flat.wrap, 2)}); no layer holds them on a circle (p from {number(least(found))})."
        )
    told = f"Neither: at none of {plural(n, 'layer')} do the {words} lie on a circle (p from {number(least(found))}"
    bends = "; where p is small, a line cut from the circle fits as well" if at_most_alpha(least(found)) else ""
    return f"{told} over all layers{bends}) or on a line."


def least(found: Probed) -> float:
    """The least p-value of a circle."""
    return min(o.p_circle for o in found.orders.values())


def told_of_use(asked: Asked) -> str:
    """The verdict of the causal test."""
    best = asked.turned[asked.layer]
    placebos = (
        f"{number(max(best.placebos), 2)} at most for {plural(len(best.placebos), 'placebo')}"
        if best.placebos
        else "no placebos"
    )
    return (
        f"{asked.verdict.capitalize()}: {asked.why}. At {asked.layer} the answers to "
        f"\u201c{asked.question.text}\u201d, "
        f"{share(best.accuracy, 0)} of them right, follow the turn with R = {number(best.alignment, 2)} "
        f"({number(best.swap, 2)} under the full "
        f"swap of states; {placebos})."
    )


# Sections


@section("probe", title="The answer", record=Probed)
def answer(found: Probed, _: Context) -> Iterator[Piece]:
    """Circle, line or neither; used, represented or not decidable."""
    first, *rest = sentences(found)
    yield Paragraph(first, "answer")
    for sentence in rest:
        yield Paragraph(sentence, "answer" if sentence not in found.notes else "plain")
    if found.probe.expected != "circle" and found.shape == "circle":
        yield Paragraph(
            f"These words are a control: their order is known to be no circle ({found.probe.expected}).", "warning"
        )


@section("probe-figures", title="Figures", record=Probed, brief=False)
def figures(found: Probed, context: Context) -> Iterator[Piece]:
    """The words, and how the answers turn."""
    from todacomm.report.probes.probe_charts import probe_drawings

    yield from probe_drawings.shown(found, context.get("figures", ()))


@section("probe-tables", title="Numbers", record=Probed, brief=False)
def tables(found: Probed, _: Context) -> Iterator[Piece]:
    """Every layer, and every question."""
    rows = (
        (layer, o.shape, *map(number, (o.circle, o.line, o.above_line, o.p_circle, o.p_line, o.wrap)))
        for layer, o in found.orders.items()
    )
    yield Table(
        ("Layer", "Shape", "Circle", "Line", "Above line", "p circle", "p line", "Wrap"), tuple(rows), 2, sortable=True
    )
    if found.bar:
        birth, death = found.bar
        yield Paragraph(
            f"Persistent homology of the words alone at {found.layer}: the longest H1 bar dies at "
            f"{number(death / birth)} times its birth. "
            "So few points seldom show a circle to Rips complexes; the order test uses what is known of the words."
        )
    if found.accuracy:
        yield Table(("Question", "Answered rightly"), tuple((q, share(a, 0)) for q, a in found.accuracy.items()), 1)
    if found.asked:
        yield turned_table(found.asked)


def turned_table(asked: Asked) -> Table:
    """One row a layer that was turned."""
    head = ("Layer", "R", "Full swap", "Ceiling", "Largest placebo", "p", "Slope", "Moved exactly", "Harmonics")
    rows = tuple(
        (
            layer,
            *map(
                number,
                (
                    one.alignment,
                    one.swap,
                    one.ceiling,
                    max(one.placebos, default=float("nan")),
                    asked.p[layer],
                    one.slope,
                ),
            ),
            "\u2013" if one.moved is None else share(one.moved, 0),
            str(one.harmonics),
        )
        for layer, one in asked.turned.items()
    )
    return Table(head, rows, 1, sortable=True)


@section("probe-terms", title="How to read this", record=Probed, brief=False)
def terms(_: Probed, __: Context) -> Iterator[Piece]:
    """Each word in one line."""
    yield Terms(tuple(TERMS.items()))


TERMS: Mapping[str, str] = {
    "Circle": "The distances between the words fit a circle of their order better than any line that is this circle "
    "cut open, by more than "
    f"for other orders of the same words (p at most {ALPHA}, the largest of all layers counted).",
    "Wrap index": "How far the last word is from the first: 0 as neighbours are, 1 as opposite words are, more on a "
    "line.",
    "Turn": "The angle of each word is changed by φ along a curve that is fitted to other sentences; what is off "
    "the curve stays.",
    "R": "How closely the answers follow the turn: 1 where each follows exactly, 0 where none does.",
    "Full swap": "The whole state of the word is replaced by that of the word to which the turn leads: the most "
    "that any loop can do.",
    "Placebo": "A displacement of the same length that does not follow the circle: along the words in a permuted "
    "order, or rotated at random "
    "within the directions in which the words differ.",
    "Used": "The answers turn with the angle, more than by every placebo would be expected (p at most 0.05 over all "
    "layers), and at least "
    "half as closely as under the full swap.",
    "Represented, not used": "Answers follow the full swap but not the circle (not beyond placebos, or R below 0.1): "
    "the words lie in order, and the "
    "model answers by something else.",
    "Not decidable": "The model answers too few questions rightly (below 70 %), or not even the full swap turns its "
    "answers (R below 0.5).",
}

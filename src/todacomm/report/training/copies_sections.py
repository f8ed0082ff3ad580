"""Report how perturbed copies moved beside the runs of a training experiment, where they were followed."""

from collections.abc import Iterator
from pathlib import Path

from todacomm.report.document.pieces import Bullets, Context, Paragraph, Piece, Table, section
from todacomm.report.stability.stability_findings import StabilityFindings
from todacomm.report.stability.stability_sections import HEAD, charts_of, row_of, sentences
from todacomm.report.training.read_experiment import Findings

FIGURES = ("exponent", "spread", "epsilon", "sharpness")


def followed(findings: Findings) -> StabilityFindings | None:
    """The runs whose copies were followed; None where none were."""
    found = [
        (exhibit.cell, run.stability)
        for exhibit in findings.exhibits
        for run in exhibit.runs
        if run.stability is not None
    ]
    return StabilityFindings(tuple(found)) if found else None


def write_copies_figures(findings: Findings, directory: Path) -> list[Path]:
    """The figures of the first run that generalised, of those whose copies were followed."""
    from todacomm.report.stability.stability_charts import write_stability_figures

    found = followed(findings)
    return [] if found is None else write_stability_figures(found, directory, FIGURES)


@section("grok-stability", title="Do small differences grow?", record=Findings)
def stability(findings: Findings, context: Context) -> Iterator[Piece]:
    """Sentences and charts of one run, and a row for each."""
    found = followed(findings)
    if found is None:
        return
    first, *rest = sentences(found.chosen)
    yield Paragraph(first)
    yield Bullets(tuple(rest))
    yield from charts_of(found, context, FIGURES)
    yield Table(HEAD, tuple(row_of(one) for _, one in found.runs), 1, sortable=True)
    yield Paragraph(
        "Exponents are per 1,000 steps, with 95 % intervals over copies. The copies train in a run of their own, whose "
        "unperturbed network equals the run above as far as the order of floating-point sums allows."
    )

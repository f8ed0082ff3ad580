"""The document on an experiment of training, made of the registered sections."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from todacomm.report.layers import layer_document  # isort: skip  # registered first: its closing sections serve every record
from todacomm.report.training import tables  # isort: skip  # importing them registers their sections, in this order
from todacomm.report.training import turned_sections  # isort: skip
from todacomm.report.training import copies_sections  # isort: skip
from todacomm.report.training import glossary  # isort: skip
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.records.files.io import write_atomically
from todacomm.report.document.page import Explorer, shown_by, to_html
from todacomm.report.document.pieces import (
    Context,
    Document,
    Paragraph,
    Picture,
    Piece,
    parts_of,
    to_markdown,
    with_losses,
)
from todacomm.report.training.read_experiment import Findings, read_findings
from todacomm.report.words.phrases import plural
from todacomm.training.signature import Signature

__all__ = [
    "copies_sections",
    "glossary",
    "grok_document",
    "layer_document",
    "tables",
    "turned_sections",
    "write_grok_report",
]

MOST_BYTES = 600_000  # of a figure on the page


def write_grok_report(
    directory: Path,
    signatures: Mapping[str, Signature],
    problems: Mapping[str, str] | None = None,
    *,
    command: str = "",
    attempt: Attempt = strictly,
) -> list[Path]:
    """Write figures, ``reports/report.md`` and ``reports/report.html`` of the runs in a directory; return all files.

    ``signatures`` are by cell ("" without a sweep); ``problems`` say why a cell has none; ``attempt`` may skip what
    cannot be read, which the report then lists. Raises InvalidRecord, CannotWrite.
    """
    from todacomm.report.training.all_figures import write_grok_figures
    from todacomm.report.training.training_explorer import grok_explorers

    findings = read_findings(Path(directory), signatures, command=command, problems=problems or {}, attempt=attempt)
    figures = write_grok_figures(findings, findings.directory / "visualizations", attempt)
    context = {"figures": figures, "command": command, **provenance(findings)}
    explorers = attempt("what moves along the steps", lambda: grok_explorers(findings)) or []
    document, reports = with_losses(grok_document(findings, context), attempt.losses), findings.directory / "reports"
    return [
        write_atomically(reports / "report.md", to_markdown(document, reports)),
        write_atomically(reports / "report.html", grok_page(findings, document, explorers)),
        *figures,
    ]


def grok_page(findings: Findings, document: Document, explorers: Sequence[Explorer]) -> str:
    """The document as a page with its explorer; figures that are large files are named there, and not embedded."""
    return to_html(lightened(document, findings.directory, shown_by(explorers)), explorers)


def lightened(document: Document, directory: Path, drawn: Collection[str]) -> Document:
    """The document with the place of every large figure that the page does not draw, instead of the figure."""
    parts = (replace(part, pieces=tuple(_light(p, directory, drawn) for p in part.pieces)) for part in document.parts)
    return replace(document, parts=tuple(parts))


def _light(piece: Piece, directory: Path, drawn: Collection[str]) -> Piece:
    if not isinstance(piece, Picture) or piece.path.stem in drawn or piece.path.stat().st_size <= MOST_BYTES:
        return piece
    place = piece.path.relative_to(directory).as_posix()
    return Paragraph(f"{piece.title}: see {place}, which is too large for this page.")


def grok_document(findings: Findings, context: Context) -> Document:
    """The whole of it."""
    about = findings.shown.about
    runs, controls = (sum(run.is_run is wanted for run in findings.trained) for wanted in (True, False))
    settings = about.get("settings", {})
    subtitle = (
        f"{about.get('task', settings.get('task', ''))}, {settings.get('network', '')}, {plural(runs, 'run')}, "
        f"{plural(controls, 'control')}"
    )
    cells = f", {plural(len(findings.exhibits), 'cell')}" if findings.swept else ""
    return Document(f"Grokking: {findings.verdict}", subtitle + cells, parts_of(findings, context))


def provenance(findings: Findings) -> dict[str, dict[str, str]]:
    """The settings and versions that made the runs, and how long they took."""
    seconds = [run.seconds for run in findings.trained if run.seconds is not None]
    told = {
        **{name.replace("_", " "): str(value) for name, value in findings.plan.base.items() if value is not None},
        "digest of the experiment": findings.plan.digest,
        "seconds of training and measuring": f"{sum(seconds):,.0f} over {plural(len(seconds), 'run')} (wall clock of "
        "each, summed)"
        if seconds
        else "",
    }
    versions = {name: str(found) for name, found in findings.plan.versions.items() if found}
    return {"provenance": {name: value for name, value in told.items() if value}, "versions": versions}

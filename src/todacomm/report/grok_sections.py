"""The document on an experiment of training, made of the registered sections."""

from collections.abc import Mapping
from pathlib import Path

from todacomm.report import sections  # isort: skip  # registered first: its closing sections serve every record
from todacomm.report import grok_tables  # isort: skip  # importing them registers their sections, in this order
from todacomm.report import grok_meanings  # isort: skip
from todacomm.report.grok_reading import Findings, read_findings
from todacomm.report.pieces import Context, Document, parts_of
from todacomm.report.reading import plural
from todacomm.report.render import write_document
from todacomm.signature import Signature

__all__ = ["grok_document", "grok_meanings", "grok_tables", "sections", "write_grok_report"]


def write_grok_report(
    directory: Path,
    signatures: Mapping[str, Signature],
    problems: Mapping[str, str] | None = None,
    *,
    command: str = "",
) -> list[Path]:
    """``visualizations/``, ``reports/report.md`` and ``reports/report.html`` of the runs in a directory; returns all files.

    ``signatures`` are by cell ("" without a sweep); ``problems`` say why a cell has none. Raises InvalidRecord, CannotWrite.
    """
    from todacomm.report.grok_figures import write_grok_figures

    findings = read_findings(Path(directory), signatures, command=command, problems=problems or {})
    figures = write_grok_figures(findings, findings.directory / "visualizations")
    context = {"figures": figures, "command": command, **provenance(findings)}
    documents = write_document(grok_document(findings, context), findings.directory / "reports", "report.md")
    return [*documents, *figures]


def grok_document(findings: Findings, context: Context) -> Document:
    """The whole of it."""
    about = findings.shown.about
    runs, controls = (sum(run.is_run is wanted for run in findings.trained) for wanted in (True, False))
    settings = about.get("settings", {})
    subtitle = f"{about.get('task', settings.get('task', ''))}, {settings.get('network', '')}, {plural(runs, 'run')}, {plural(controls, 'control')}"
    cells = f", {plural(len(findings.exhibits), 'cell')}" if findings.swept else ""
    return Document(f"Grokking: {findings.verdict}", subtitle + cells, parts_of(findings, context))


def provenance(findings: Findings) -> dict[str, dict[str, str]]:
    """The settings and versions that made the runs, and how long they took."""
    seconds = [run.seconds for run in findings.trained if run.seconds is not None]
    told = {
        **{
            name.replace("_", " "): str(value)
            for name, value in findings.plan.get("base", {}).items()
            if value is not None
        },
        "digest of the experiment": str(findings.plan.get("digest", "")),
        "seconds of training and measuring": f"{sum(seconds):,.0f} over {plural(len(seconds), 'run')} (wall clock of each, summed)"
        if seconds
        else "",
    }
    versions = {name: str(found) for name, found in findings.plan.get("versions", {}).items() if found}
    return {"provenance": {name: value for name, value in told.items() if value}, "versions": versions}

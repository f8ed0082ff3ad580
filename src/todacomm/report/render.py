"""Documents → files: Markdown beside one HTML page that needs nothing but itself."""

import base64
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from todacomm.comparison import Comparison
from todacomm.files import read_json, write_atomically
from todacomm.report.comparison_sections import comparison_document
from todacomm.report.pieces import Context, Document, to_markdown
from todacomm.report.reading import listed
from todacomm.report.sections import experiment_document, interpretation
from todacomm.store import MANIFEST
from todacomm.types import Profile


def interpretation_markdown(profile: Profile) -> str:
    """The text of ``tda_interpretation.md``."""
    return interpretation(profile)


def write_experiment_reports(directory: Path, profiles: Sequence[Profile], *, config: str = "") -> list[Path]:
    """``reports/experiment_report.md`` and ``reports/report.html`` on the runs of an experiment.

    Run i is profile i; its figures and its manifest are taken from ``runs/run_<i>/``.
    """
    runs = [(p, context_of(Path(directory) / "runs" / f"run_{i}", config=config)) for i, p in enumerate(profiles)]
    return write_document(experiment_document(runs), Path(directory) / "reports", "experiment_report.md")


def write_comparison_reports(directory: Path, comparisons: Mapping[str, Comparison]) -> list[Path]:
    """``comparison.md``, ``report.html`` and the figures of one comparison, or of one for each dataset and pooling."""
    from todacomm.report.comparison_plots import write_comparison_figures
    from todacomm.report.pairing_plots import write_pair_figures

    compared = []
    for name, comparison in comparisons.items():
        place = Path(directory) / "visualizations" / (name.replace("/", "--") if len(comparisons) > 1 else "")
        figures = write_comparison_figures(comparison.profiles, place)
        told = {"figures": figures, **write_pair_figures(comparison, place)}
        compared.append((where(comparison), comparison, told))
    return write_document(comparison_document(compared), Path(directory), "comparison.md")


def where(comparison: Comparison) -> str:
    """The dataset and the pooling of a comparison, as a title."""
    data, poolings = (listed(list(dict.fromkeys(getattr(r, f) for r in comparison.rows))) for f in ("data", "pooling"))
    return f"{data}, pooling {poolings}"


def context_of(run: Path, *, config: str = "") -> Context:
    """What a stored run tells of itself: its figures, how it was made, and with what."""
    from todacomm.report.plots import drawings

    manifest = read_json(run / MANIFEST) if (run / MANIFEST).exists() else {}
    figures = [run / "visualizations" / f"{name}.png" for name in drawings]
    return {
        "figures": [path for path in figures if path.exists()],
        "checked": manifest.get("cross_checked", []),
        "provenance": provenance_of(manifest),
        "versions": {name: found for name, found in manifest.get("versions", {}).items() if found},
        "command": manifest.get("command", ""),
        "config": config,
    }


def provenance_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What identifies the texts and the machine of a run."""
    texts = manifest.get("texts", {})
    told = {
        "texts": f"{texts['count']} of {texts['name']}" if texts else None,
        "texts (SHA-256)": texts.get("sha256"),
        **{name: manifest.get(name) for name in ("dataset", "source", "device", "dtype", "created")},
    }
    return {name: str(value) for name, value in told.items() if value}


def write_document(written: Document, directory: Path, markdown: str) -> list[Path]:
    """A document as Markdown under the name given, and as ``report.html`` beside it."""
    return [
        write_atomically(directory / markdown, to_markdown(written, directory)),
        write_atomically(directory / "report.html", to_html(written)),
    ]


def to_html(written: Document) -> str:
    """The document as one page: figures embedded, no script, nothing loaded from elsewhere; all text is escaped."""
    return str(_template("report.html.j2").render(document=written))


def embedded(path: Path) -> str:
    """A PNG or a GIF as a data URI."""
    return f"data:image/{Path(path).suffix.removeprefix('.')};base64," + base64.b64encode(
        Path(path).read_bytes()
    ).decode("ascii")


def breakable(text: str) -> Sequence[str]:
    """A text cut where a narrow screen may break it: after slashes and within long digests."""
    return re.findall(r"[^/\s]{1,24}/?|/|\s+", text)


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("todacomm.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(embedded=embedded, breakable=breakable)
    return environment.get_template(name)

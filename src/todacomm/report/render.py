"""Write documents: Markdown beside one self-contained HTML page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from todacomm.comparison.compare import Comparison
from todacomm.core.types import Profile
from todacomm.records.files.codec import decoded
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.io import RUN_AGAIN, write_atomically
from todacomm.records.runs import MANIFEST, Record
from todacomm.report.comparison.comparison_sections import comparison_document
from todacomm.report.document.page import Explorer, to_html
from todacomm.report.document.pieces import Context, Document, to_markdown, with_losses
from todacomm.report.layers.explorers import RunOf, explorer_of, unknown_run
from todacomm.report.layers.layer_document import experiment_document
from todacomm.report.layers.layer_explorer import Look, look
from todacomm.report.words.phrases import listed


def write_experiment_reports(
    directory: Path,
    records: Sequence[Record],
    *,
    config: str = "",
    runs: Sequence[Path] = (),
    attempt: Attempt = strictly,
    look: Look = look,
) -> list[Path]:
    """``reports/experiment_report.md`` and ``reports/report.html`` on the runs of an experiment.

    Figures, clouds and texts of record i are taken from its run: ``runs/run_<i>/``, unless ``runs`` are given.
    ``attempt`` may do without clouds and texts; ``look`` may remember what it has seen of a profile.
    """
    profiles = [record.profile for record in records]
    places = list(runs) or [Path(directory) / "runs" / f"run_{i}" for i in range(len(records))]
    contexts = [(r.profile, context_of(r, run, config=config)) for r, run in zip(records, places, strict=True)]
    labels = [label_of(p) for p in profiles] if len(profiles) > 1 else [profiles[0].model]
    explorer = explorer_of(profiles, places, labels, attempt=attempt, look=look)
    document = with_losses(experiment_document(contexts), attempt.losses)
    return write_document(document, Path(directory) / "reports", "experiment_report.md", (explorer,))


def write_comparison_reports(
    directory: Path,
    comparisons: Mapping[str, Comparison],
    *,
    run_of: RunOf = unknown_run,
    attempt: Attempt = strictly,
    look: Look = look,
) -> list[Path]:
    """``comparison.md``, ``report.html`` and the figures of one comparison, or of one for each dataset and pooling.

    ``run_of`` gives the run of a profile, with its clouds and texts; ``attempt`` and ``look`` are as in
    `write_experiment_reports`.
    """
    from todacomm.report.comparison.all_charts import write_comparison_charts

    compared = []
    for name, comparison in comparisons.items():
        place = Path(directory) / "visualizations" / (name.replace("/", "--") if len(comparisons) > 1 else "")
        compared.append((where(comparison), comparison, {"figures": write_comparison_charts(comparison, place)}))
    explorers = tuple(
        explorer_of(
            comparison.profiles,
            [run_of(p) for p in comparison.profiles],
            labels_of(comparison.profiles),
            heading=f"Along the layers: {where(comparison)}" if len(comparisons) > 1 else "",
            attempt=attempt,
            look=look,
        )
        for comparison in comparisons.values()
    )
    document = with_losses(comparison_document(compared), attempt.losses)
    return write_document(document, Path(directory), "comparison.md", explorers)


def label_of(profile: Profile) -> str:
    """The label that distinguishes the runs of a model."""
    return f"{profile.data}, pooling {profile.recipe.pooling or 'given'}"


def labels_of(profiles: Sequence[Profile]) -> list[str]:
    """The models, with data and pooling where a model is there more than once."""
    models = [p.model for p in profiles]
    return [p.model if models.count(p.model) == 1 else f"{p.model}: {label_of(p)}" for p in profiles]


def where(comparison: Comparison) -> str:
    """The dataset and the pooling of a comparison, as a title."""
    data, poolings = (listed(list(dict.fromkeys(getattr(r, f) for r in comparison.rows))) for f in ("data", "pooling"))
    return f"{data}, pooling {poolings}"


def context_of(record: Record, run: Path, *, config: str = "") -> Context:
    """The context of a run: its figures, command and versions."""
    from todacomm.report.layers.all_figures import drawings

    made, spot = record.manifest, Spot(run / MANIFEST, RUN_AGAIN)
    figures = [run / "visualizations" / f"{name}.png" for name in drawings]
    versions = decoded(Mapping[str, Any], made.get("versions", {}), spot.at("versions"))
    return {
        "figures": [path for path in figures if path.exists()],
        "checked": decoded(tuple[str, ...], made.get("cross_checked", []), spot.at("cross_checked")),
        "provenance": provenance_of(made, spot),
        "versions": {name: str(found) for name, found in versions.items() if found},
        "command": str(made.get("command", "")),
        "config": config,
    }


def provenance_of(made: Mapping[str, Any], spot: Spot) -> dict[str, str]:
    """The identity of texts and machine of a run."""
    of_texts = decoded(Mapping[str, Any], made.get("texts", {}), spot.at("texts"))
    told = {
        "texts": f"{of_texts.get('count')} of {of_texts.get('name')}" if of_texts else None,
        "texts (SHA-256)": of_texts.get("sha256"),
        **{name: made.get(name) for name in ("dataset", "source", "device", "dtype", "created")},
    }
    return {name: str(value) for name, value in told.items() if value}


def write_document(written: Document, directory: Path, markdown: str, explorers: Sequence[Explorer] = ()) -> list[Path]:
    """A document as Markdown under the name given, and as ``report.html``, with its explorers, beside it."""
    return [
        write_atomically(directory / markdown, to_markdown(written, directory)),
        write_atomically(directory / "report.html", to_html(written, explorers)),
    ]

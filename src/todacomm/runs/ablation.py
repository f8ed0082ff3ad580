"""Write an ablation into a directory, whole or not at all: JSON, CSV, Markdown, an HTML page, figures."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from todacomm.ablation.judge import Ablation, Rerun, ablation
from todacomm.ablation.settings import Setting
from todacomm.comparison.expressions import Statement
from todacomm.core.recipe import Recipe
from todacomm.core.versions import versions
from todacomm.records.ablations import ABLATION_RECORD, record_of, rows_of
from todacomm.records.disagreements import disagreements_kept
from todacomm.records.files.codec import plain
from todacomm.records.files.io import write_atomically
from todacomm.records.files.result_directories import check_name, in_part, new_directory, reserved, writable
from todacomm.records.runs import safe
from todacomm.report.ablation.ablation_sections import write_ablation_report
from todacomm.report.document.style import drawn_as
from todacomm.report.terminal.plain_text import cell
from todacomm.runs.ablation_measurements import Means, jobs_of, of_arrays, of_models
from todacomm.runs.config import Study
from todacomm.runs.experiment import Job
from todacomm.runs.jobs import Failure
from todacomm.runs.plan.estimate import rates_of
from todacomm.runs.plan.memory_limit import check_arrays, fitted, shapes_of
from todacomm.runs.run_study import failed


@dataclass(frozen=True, slots=True, eq=False)
class AblationOutcome:
    """Results of an ablation, its directory, and the models that failed."""

    ablation: Ablation
    directory: Path
    failures: Mapping[str, Failure]


def ablate_models(
    study: Study, settings: Sequence[Setting], bounds: Sequence[Statement], means: Means, *, command: str = ""
) -> AblationOutcome:
    """Measure the models of a study under every setting, judge the claims and write the result.

    A model that fails among several is reported and the others go on; the failure of a single one is raised.
    """
    wanted = jobs_of(study, settings, means.cache)
    directory = writable(Path(study.output_dir))
    name = study.name or (next(iter(wanted)) if len(wanted) == 1 else f"{len(wanted)}_models")
    check_name(stem_of(name))
    jobs, means = fitted_to_memory(wanted, means)
    reruns: list[Rerun] = []
    failures: dict[str, Failure] = {}
    for model, found in of_models(jobs, settings, means):
        if isinstance(found, Failure):
            failures[model] = found.kept_in(directory)
        else:
            reruns += found
    if not reruns:
        raise next(iter(failures.values())).error()
    found_all = ablation(settings, reruns, bounds)
    with drawn_as(study.drawn_as()):
        return AblationOutcome(found_all, write(found_all, directory, name, failures, command), failures)


def fitted_to_memory(jobs: Mapping[str, Sequence[Job]], means: Means) -> tuple[dict[str, list[Job]], Means]:
    """Limit jobs and parallel layers to the available memory. Raises TooLarge.

    Each model is planned for its longest texts, which need most.
    """
    longest = [max(of_model, key=lambda job: job.study.max_length) for of_model in jobs.values()]
    fitting, plan = fitted(longest, means.cache, rates_of(means.cache))
    for change in plan.changes:
        means.say(f"to fit into memory: {change}")
    chosen = {key: getattr(fitting[0].study, key) for key in ("jobs", "batch_size")}
    thinned = {m: [replace(job, study=job.study.but(**chosen)) for job in of_model] for m, of_model in jobs.items()}
    return thinned, replace(means, number=fitting[0].study.jobs)


def ablate_arrays(
    layers: Mapping[str, np.ndarray],
    study: Study,
    recipe: Recipe,
    settings: Sequence[Setting],
    *,
    bounds: Sequence[Statement],
    means: Means,
    name: str,
    command: str = "",
) -> AblationOutcome:
    """Do the same for arrays (n, d), called ``name``; the study only says where to write, and how figures."""
    directory = writable(Path(study.output_dir))
    check_name(stem_of(study.name or name))
    at_once = check_arrays(shapes_of(layers, name), recipe, jobs=means.number, max_memory=study.max_memory)
    with disagreements_kept(directory):
        found = ablation(settings, of_arrays(layers, name, recipe, settings, replace(means, number=at_once)), bounds)
    with drawn_as(study.drawn_as()):
        return AblationOutcome(found, write(found, directory, study.name or name, {}, command), {})


def stem_of(name: str) -> str:
    """The name of an ablation's directory without its time."""
    return f"ablation_{safe(name)}"


def write(found: Ablation, parent: Path, name: str, failures: Mapping[str, Failure], command: str) -> Path:
    """Write ``ablation_<name>_<timestamp>/``, whole or not at all."""
    directory = new_directory(parent, stem_of(name))
    with reserved(directory), in_part(directory) as part:
        ABLATION_RECORD.write(part, record_of(found, failed(failures), command, versions()))
        write_atomically(part / "ablation.csv", csv_of(found))
        write_ablation_report(part, found, {m: f.message for m, f in failures.items()}, command)
    return directory


def csv_of(found: Ablation) -> str:
    """One row a setting and model; undefined values are empty."""
    rows, text = [plain(row) for row in rows_of(found)], io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()

"""Execute a study: one experiment a model, one run a dataset and pooling, one comparison at the end.

A run is written under a name ending in ``.part`` and renamed when complete, its reports after it, so that an
interrupted or failed study leaves only finished runs.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from todacomm.comparison.compare import Comparison, compare, groups_of
from todacomm.comparison.diagram_tests import Clouds
from todacomm.comparison.gate import Judgement
from todacomm.core._version import __version__
from todacomm.core.memory import peak
from todacomm.core.parallel import check_options, one_thread, pool
from todacomm.core.progress import Say, Track, silent, unsaid
from todacomm.core.types import Profile
from todacomm.core.value_types import Missing
from todacomm.core.versions import versions
from todacomm.profiles.measure import CrossCheck
from todacomm.records.clouds import clouds_of
from todacomm.records.comparisons import COMPARISON_RECORD, ComparisonRecord, Failed, gate_record, group_of
from todacomm.records.files.io import write_atomically
from todacomm.records.files.result_directories import check_name, check_new, in_part, new_directory, reserved, writable
from todacomm.records.files.unfinished import own_directory
from todacomm.records.runs import Record, safe, write_record
from todacomm.records.texts import TEXTS_RECORD, texts_to_keep
from todacomm.report.document.figure_formats import PNG, Figures
from todacomm.report.document.style import drawn_as
from todacomm.report.layers.all_figures import write_figures
from todacomm.report.layers.layer_document import interpretation
from todacomm.report.layers.layer_explorer import Look, Looks, look
from todacomm.report.render import write_comparison_reports, write_experiment_reports
from todacomm.report.words.pairs import verdicts
from todacomm.runs.cache.store import Cache
from todacomm.runs.config import Study
from todacomm.runs.config_files import dump_study
from todacomm.runs.distributed import by_pool
from todacomm.runs.experiment import Job, Reading, Result
from todacomm.runs.jobs import FAILURES, Failure, cache_of, failure, jobs_of, one_by_one
from todacomm.runs.plan.estimate import rates_of
from todacomm.runs.plan.memory_limit import fitted
from todacomm.runs.plan.plan import Plan
from todacomm.runs.plan.remaining_time import Correcting

LONGEST_NAME = 120  # of the models in the name of a comparison; file systems take 255 bytes in all


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a study wrote, and which models failed."""

    experiments: tuple[Path, ...]
    profiles: tuple[Profile, ...]
    comparison: Path | None
    failures: Mapping[str, Failure]
    compared: Mapping[str, Comparison] = field(default_factory=dict)


def execute(
    study: Study, *, command: str = "", track: Track = silent, say: Say = unsaid, warn: Say = unsaid
) -> Outcome:
    """Run a study and write everything it gives.

    Names, datasets, scheduler and output directory are checked before any work. A job that fails among several is
    reported and the others go on; the failure of a single model is raised.
    """
    jobs, cache = jobs_of(study), cache_of(study)
    check_options(study.backend, study.jobs, study.scheduler)
    directory = writable(Path(study.output_dir))
    for job in jobs:
        check_name(stem_of_model(study, job.source.name))
    rates = rates_of(cache)
    jobs, plan = fitted(jobs, cache, rates)
    for sentence in (plan.line(), *(f"to fit into memory: {change}" for change in plan.changes)):
        say(sentence)
    written = StudyWriter(study, jobs, directory, cache, command, say, plan)
    with pool(study.backend, number=jobs[0].study.jobs, scheduler=study.scheduler) as workers:
        done = (
            by_pool(jobs, cache, workers, draw=partial(figure_files, figures=study.drawn_as()), track=track, say=say)
            if workers
            else one_by_one(jobs, cache, track=Correcting(track, plan.jobs, plan.at_once, say, rates.forget), say=say)
        )
        for job, found in done:
            written.add(job, found)
            for complaint in cache.told() if cache else ():
                warn(complaint)
    return written.outcome()


@dataclass(slots=True, eq=False)
class StudyWriter:
    """The experiments of a study while its jobs come in: a directory for each model with a finished run."""

    study: Study
    jobs: Sequence[Job]
    output_dir: Path
    cache: Cache | None
    command: str
    say: Say
    plan: Plan
    directories: dict[str, Path] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=dict)
    failures: list[tuple[Job, Failure]] = field(default_factory=list)
    look: Looks = field(default_factory=Looks)

    def add(self, job: Job, found: Result | Failure) -> None:
        """Write one run and the reports on its model, or note a failure; that of a single job is raised."""
        if isinstance(found, Result):
            try:
                self.write(job, found)
            except FAILURES as problem:
                found = failure(problem)
        if isinstance(found, Failure):
            found = found.kept_in(self.output_dir)
            if len(self.jobs) == 1:
                raise found.error()
            self.failures.append((job, found))
            self.say(f"{job} failed: {found.message}")

    def write(self, job: Job, result: Result) -> None:
        """Write one run as the next of its model, and the reports on all of them."""
        name = job.source.name
        directory = self.directories.get(name) or new_directory(self.output_dir, stem_of_model(self.study, name))
        records = self.records.setdefault(name, [])
        try:
            record = write_run(directory / "runs" / f"run_{len(records)}", result, job, self)
            self.directories[name] = directory
        finally:
            if not self.directories.get(name):  # the first run was not finished
                shutil.rmtree(directory, ignore_errors=True)
        records.append(record)
        write_experiment(directory, self.study_of(job), records, look=self.look)

    def study_of(self, job: Job) -> Study:
        """The study of one model alone, stored in its directory."""
        return job.study.but(name=stem_of_model(self.study, job.source.name)) if self.study.name else job.study

    def planned(self, job: Job) -> dict[str, Any]:
        """What was expected of a job, beside what happened."""
        found = self.plan.jobs[next(i for i, other in enumerate(self.jobs) if other is job)]
        return {**found.as_dict(), "memory": self.plan.base + found.memory}

    def outcome(self) -> Outcome:
        """The outcome, with the comparison of several models; raises where a single model gave nothing."""
        profiles = [record.profile for found in self.records.values() for record in found]
        if not profiles and len(self.study.models) == 1:
            raise self.failures[0][1].error()
        failures = self.named_failures()
        comparison, found = None, {}
        if len(self.study.models) > 1 and profiles:
            told = {model: failure.message for model, failure in failures.items()}
            found = compared(profiles, failures=told, clouds=self.clouds)
            figures = self.study.drawn_as()
            comparison = write_compared(
                found,
                self.output_dir,
                name=self.study.name,
                run_of=self.run_of,
                failures=failures,
                figures=figures,
                look=self.look,
            )
        return Outcome(tuple(self.directories.values()), tuple(profiles), comparison, failures, found)

    def run_of(self, profile: Profile) -> Path:
        """The directory of a profile's run."""
        number = next(i for i, other in enumerate(self.records[profile.model]) if other.profile is profile)
        return self.directories[profile.model] / "runs" / f"run_{number}"

    def clouds(self, profile: Profile) -> Clouds | Missing:
        """The clouds of a written profile, read from its run."""
        return clouds_of(self.run_of(profile), profile)

    def named_failures(self) -> dict[str, Failure]:
        """The failures by model, or by job where only some jobs of a model failed, or for several reasons."""
        found: dict[str, Failure] = {}
        for job, failed in self.failures:
            name = job.source.name
            messages = [f.message for j, f in self.failures if j.source.name == name]
            whole = len(messages) == sum(j.source.name == name for j in self.jobs) and len(set(messages)) == 1
            found.setdefault(name if whole else str(job), failed)
        return found


def stem_of_model(study: Study, name: str) -> str:
    """``<model>_tda``, or ``--name``, with the model's name if there are several."""
    if not study.name:
        return f"{safe(name)}_tda"
    return f"{study.name}_{safe(name)}" if len(study.models) > 1 else study.name


def write_run(directory: Path, result: Result, job: Job, written: StudyWriter) -> Record:
    """Write one run: figures, interpretation, records, and the activations unless ``cache`` is off."""
    written.say(f"{job}: figures and records")
    with in_part(directory) as part:
        begun = time.perf_counter()
        figures = figure_files(result.profile, job.study.drawn_as()) if result.figures is None else result.figures
        for name, content in figures.items():
            write_atomically(part / "visualizations" / name, content)
        seconds = {**result.seconds, "figures": time.perf_counter() - begun}
        write_atomically(part / "tda_interpretation.md", interpretation(result.profile))
        about = {
            "dataset": job.dataset,
            "command": written.command,
            "plan": written.planned(job),
            "peak_memory": peak(),
        }
        record = Record(result.profile, manifest_of(result, about, seconds))
        read = result.activations
        TEXTS_RECORD.write(part, texts_to_keep(read.texts, read.tokens, whole=job.study.keep_texts))
        apart = written.cache is not None and not linked(part / "activations", result.reading, written.cache)
        write_record(part, record, result.activations if apart else None)
    return record


def figure_files(profile: Profile, figures: Figures) -> dict[str, bytes]:
    """The files of every figure of a profile, as bytes by name."""
    with own_directory(Path(gettempdir()) / "todacomm_figures") as directory, drawn_as(figures):
        write_figures(profile, directory)
        return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def linked(directory: Path, reading: Reading, cache: Cache) -> bool:
    """Hard-link the activations of a run to their cache entry, and return whether that worked.

    It does not across file systems, nor where the entry has other layers than the run.
    """
    facts = cache.facts("activations", reading.key) if reading.key else None
    if not facts or facts["digests"] != dict(reading.digests):
        return False
    directory.mkdir()
    try:
        os.link(cache.path("activations", reading.key), directory / f"{reading.key[:16]}.safetensors")
    except OSError:
        return False
    return True


def manifest_of(result: Result, about: Mapping[str, Any], seconds: Mapping[str, float]) -> dict[str, Any]:
    """Describe how the run was made."""
    reading, texts = result.reading, result.activations.texts
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **about,
        "device": reading.device,
        "dtype": reading.dtype,
        "texts": {"name": texts.name, "count": len(texts), "sha256": texts.sha256},
        "extraction": dict(result.activations.notes),
        "cross_checked": list(result.checked.layers),
        "from_cache": {"activations": not reading.loaded, "layers": list(result.remembered)},
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
        "versions": versions(),
    }


def write_experiment(directory: Path, study: Study, records: Sequence[Record], *, look: Look) -> None:
    """Write the reports on the runs so far, Markdown and one HTML page, and the configuration."""
    configuration = dump_study(study, version=__version__)
    write_atomically(directory / "experiment_config.yaml", configuration)
    write_experiment_reports(directory, records, config=configuration, look=look)


def compared(profiles: Sequence[Profile], **how: Any) -> dict[str, Comparison]:
    """Compare the profiles of each dataset and pooling; ``how``: see `todacomm.comparison.compare.compare`."""
    with one_thread:
        return {group: compare(found, **how) for group, found in groups_of(profiles).items()}


def write_compared(
    comparisons: Mapping[str, Comparison],
    output_dir: Path,
    *,
    name: str | None,
    run_of: Callable[[Profile], Path],
    failures: Mapping[str, Failure] | None = None,
    gate: Sequence[Judgement] = (),
    figures: Figures = PNG,
    look: Look = look,
) -> Path:
    """Write ``comparison_<name>_<timestamp>/``: JSON, Markdown, HTML, figures, and the outcome of a ``gate``.

    ``run_of`` gives the directory of a profile's run.
    """
    models = list(dict.fromkeys(p.model for comparison in comparisons.values() for p in comparison.profiles))
    writable(output_dir)
    all_names = "_vs_".join(map(safe, models))
    stem = name or (all_names if len(models) < 4 and len(all_names) <= LONGEST_NAME else f"{len(models)}_models")
    directory = new_directory(output_dir, f"comparison_{stem}")
    runs = [run_of(p) for comparison in comparisons.values() for p in comparison.profiles]
    record = ComparisonRecord(
        experiments=tuple(relative(run, directory) for run in runs),
        groups={name: group_of(found, verdicts(found)) for name, found in comparisons.items()},
        failures=failed(failures or {}),
        beside={"gate": gate_record(gate)} if gate else {},
    )
    with reserved(directory), in_part(directory) as part, drawn_as(figures):
        COMPARISON_RECORD.write(part, record)
        write_comparison_reports(part, comparisons, run_of=run_of, look=look)
    return directory


def relative(run: Path, directory: Path) -> str:
    """The relative path from a directory to a run, with slashes; absolute on another drive."""
    try:
        return Path(os.path.relpath(run, directory)).as_posix()
    except ValueError:
        return run.resolve().as_posix()


def failed(failures: Mapping[str, Failure]) -> dict[str, Failed]:
    """Convert failures to records."""
    return {model: Failed(one.message, one.details) for model, one in failures.items()}


def write_measured(
    directory: Path, profile: Profile, checked: CrossCheck, *, source: Path, figures: Figures = PNG
) -> None:
    """Write records, figures and interpretation of measured arrays into a new directory."""
    check_new(directory)
    manifest = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": str(source),
        "cross_checked": list(checked.layers),
        "versions": versions(),
    }
    with in_part(directory) as part, drawn_as(figures):
        write_figures(profile, part / "visualizations")
        write_atomically(part / "tda_interpretation.md", interpretation(profile))
        write_record(part, Record(profile, manifest), None)

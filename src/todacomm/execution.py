"""A study → directories: one experiment a model, one run a dataset and pooling, one comparison at the end.

A run is written under a name that ends in ``.part`` and renamed when it is complete, its reports after it, so that an
interrupted or failed study leaves only finished runs.
"""

import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from todacomm._version import __version__
from todacomm.comparison import Comparison, compare, groups_of
from todacomm.errors import CannotWrite, InvalidInput, ModelFailed, TodacommError
from todacomm.experiment import Result, load, load_texts, profile_of
from todacomm.measurement import Checked
from todacomm.models import resolve
from todacomm.progress import Track, silent
from todacomm.report.plots import write_figures
from todacomm.report.render import interpretation_markdown, write_comparison_reports, write_experiment_reports
from todacomm.store import Record, safe, to_json, write_atomically, write_record
from todacomm.study import Study, dump_study
from todacomm.types import Profile, Texts
from todacomm.versions import versions

Say = Callable[[str], None]
FAILURES = (TodacommError, OSError, RuntimeError, MemoryError)  # torch tells of memory and kernels as RuntimeError


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """A model that could not be measured: what the user is told, and the traceback for the record."""

    message: str
    details: str


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a study has written, and which models failed."""

    experiments: tuple[Path, ...]
    profiles: tuple[Profile, ...]
    comparison: Path | None
    failures: Mapping[str, Failure]


def execute(study: Study, *, command: str = "", track: Track = silent, say: Say = lambda _: None) -> Outcome:
    """Run a study and write everything it gives.

    Names, datasets and the output directory are checked before any work. A model that fails among several is reported
    and the others go on; the only model's failure is raised.
    """
    names = {name: resolve(name, revision=study.revision).name for name in study.models}
    refuse_one_name("models", names)
    texts = {dataset: load_texts(study, dataset) for dataset in study.datasets}
    refuse_one_name("datasets", {dataset: found.name for dataset, found in texts.items()})
    output_dir = writable(Path(study.output_dir))
    experiments, profiles, failures = [], [], {}
    for model, name in names.items():
        one = study.but(models=(model,), output=named(study.output, name, several=len(names) > 1))
        try:
            directory, found = run_model(one, name, texts, output_dir, command=command, track=track, say=say)
        except FAILURES as problem:
            if len(names) == 1:
                raise told(problem) from problem
            failures[name] = Failure(str(told(problem)), traceback.format_exc())
            say(f"{name} failed: {problem}")
            continue
        experiments.append(directory)
        profiles.extend(found)
    comparison = None
    if len(names) > 1 and profiles:
        comparison = write_comparison(profiles, output_dir, name=study.output, failures=failures)
    return Outcome(tuple(experiments), tuple(profiles), comparison, failures)


def told(problem: BaseException) -> TodacommError:
    """What went wrong while a model was measured, as an error that the command line tells without a traceback."""
    if isinstance(problem, TodacommError):
        return problem
    return ModelFailed(
        f"{type(problem).__name__}: {problem}. Where memory ran out, try fewer --samples or --batch-size 1"
    )


def named(output: str | None, model: str, *, several: bool) -> str | None:
    """``--output`` for one model; of several each adds its own name, so that they can be told apart."""
    return f"{output}_{safe(model)}" if output and several else output


def refuse_one_name(kind: str, names: Mapping[str, str]) -> None:
    """Raise InvalidInput where two models or two datasets would have the same address."""
    first: dict[str, str] = {}
    for given, name in names.items():
        if name in first:
            raise InvalidInput(f"the {kind} {first[name]} and {given} are both called '{name}'; rename one of them")
        first[name] = given


def writable(directory: Path) -> Path:
    """The directory, made where it is missing. Raises CannotWrite."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".todacomm_probe"
        probe.touch()
        probe.unlink()
    except OSError as problem:
        raise CannotWrite(
            f"cannot write to {directory}: {problem.strerror}. Choose another place with --output-dir"
        ) from problem
    return directory


def run_model(
    study: Study, name: str, texts: Mapping[str, Texts], output_dir: Path, *, command: str, track: Track, say: Say
) -> tuple[Path, list[Profile]]:
    """Load one model, measure every dataset with every pooling, write the experiment."""
    say(f"{name}: loading")
    model = load(study.models[0], study)
    profiles: list[Profile] = []
    with new_experiment(output_dir, study.output or f"{safe(name)}_tda") as directory:
        for dataset, found in texts.items():
            for pooling in study.pooling or (None,):
                say(f"{name}: {dataset}, pooling {pooling or 'by kind'}")
                result = profile_of(model, found, study, pooling=pooling, track=track)
                about = {"dataset": dataset, "command": command, "device": model.device, "dtype": model.dtype}
                write_run(directory / "runs" / f"run_{len(profiles)}", result, study, about, say=say)
                profiles.append(result.profile)
                write_experiment(directory, study, profiles)
    return directory, profiles


def new_directory(parent: Path, stem: str) -> Path:
    """A new directory ``<stem>_<timestamp>``; one that is there already is never written into."""
    while True:
        directory = parent / f"{stem}_{datetime.now(UTC).astimezone():%Y%m%d_%H%M%S}"
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            time.sleep(0.2)
        else:
            return directory


@contextmanager
def new_experiment(parent: Path, stem: str) -> Iterator[Path]:
    """A new directory that stays when at least one run in it was finished, whatever happened after."""
    directory = new_directory(parent, stem)
    try:
        yield directory
    finally:
        if not any((directory / "runs").glob("run_*/manifest.json")):
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def in_part(directory: Path) -> Iterator[Path]:
    """A place to write into that becomes ``directory`` when all went well and vanishes when it did not."""
    part = directory.resolve().with_name(f"{directory.resolve().name}.part")
    try:
        part.mkdir(parents=True)
        yield part
        part.replace(directory)
    except OSError as problem:
        raise CannotWrite(f"cannot write {directory}: {problem.strerror or problem}") from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_run(directory: Path, result: Result, study: Study, about: Mapping[str, Any], *, say: Say) -> None:
    """Write one run: figures, interpretation, records, and the activations unless ``cache`` is off."""
    say(f"{result.profile.model}: figures and records")
    with in_part(directory) as part:
        begun = time.perf_counter()
        write_figures(result.profile, part / "visualizations")
        seconds = {**result.seconds, "figures": time.perf_counter() - begun}
        write_atomically(part / "tda_interpretation.md", interpretation_markdown(result.profile))
        record = Record(result.profile, manifest_of(result, about, seconds))
        write_record(part, record, result.activations if study.cache else None)


def manifest_of(result: Result, about: Mapping[str, Any], seconds: Mapping[str, float]) -> dict[str, Any]:
    """How the run was made."""
    texts = result.activations.texts
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **about,
        "texts": {"name": texts.name, "count": len(texts), "sha256": texts.sha256},
        "extraction": dict(result.activations.notes),
        "cross_checked": list(result.checked.layers),
        "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
        "versions": versions(),
    }


def write_experiment(directory: Path, study: Study, profiles: Sequence[Profile]) -> None:
    """The reports on the runs so far as Markdown and as one HTML page, and the configuration."""
    configuration = dump_study(study, version=__version__)
    write_atomically(directory / "experiment_config.yaml", configuration)
    write_experiment_reports(directory, profiles, config=configuration)


def write_comparison(
    profiles: Sequence[Profile], output_dir: Path, *, name: str | None, failures: Mapping[str, Failure] | None = None
) -> Path:
    """``comparison_<name>_<timestamp>/``: JSON, Markdown, HTML and figures."""
    models = list(dict.fromkeys(p.model for p in profiles))
    writable(output_dir)
    stem = name or ("_vs_".join(map(safe, models)) if len(models) < 4 else f"{len(models)}_models")
    directory = new_directory(output_dir, f"comparison_{stem}")
    told = {model: failure.message for model, failure in (failures or {}).items()}
    comparisons = {group: compare(found, failures=told) for group, found in groups_of(profiles).items()}
    write_atomically(directory / "comparison.json", to_json(comparison_record(comparisons, failures or {})))
    write_comparison_reports(directory, comparisons)
    return directory


def comparison_record(comparisons: Mapping[str, Comparison], failures: Mapping[str, Failure]) -> dict[str, Any]:
    """The rows and warnings of each group, and the failures with their tracebacks, ready for JSON."""
    groups = {
        name: {"rows": [asdict(row) for row in comparison.rows], "warnings": list(comparison.warnings)}
        for name, comparison in comparisons.items()
    }
    return {"schema": 1, "groups": groups, "failures": {model: asdict(f) for model, f in failures.items()}}


def write_measured(directory: Path, profile: Profile, checked: Checked, *, source: Path) -> None:
    """The records, figures and interpretation of arrays that were measured, into a new directory."""
    if directory.is_file() or (directory.is_dir() and any(directory.iterdir())):
        raise CannotWrite(f"{directory} is not an empty directory; give --output a new one")
    manifest = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": str(source),
        "cross_checked": list(checked.layers),
        "versions": versions(),
    }
    with in_part(directory) as part:
        write_figures(profile, part / "visualizations")
        write_atomically(part / "tda_interpretation.md", interpretation_markdown(profile))
        write_record(part, Record(profile, manifest), None)

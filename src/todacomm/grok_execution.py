"""An experiment of training → a directory: records of every run, the signature, figures and reports; resumed where it was stopped."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from todacomm.errors import InvalidInput, ModelFailed
from todacomm.execution import new_directory, unsaid, writable
from todacomm.files import to_json, write_atomically
from todacomm.grok_store import has_records, read_course
from todacomm.grokking.presets import RunPlan, Settings
from todacomm.jobs import Say
from todacomm.laboratory import (
    SIGNATURE,
    Experiment,
    Finished,
    by_cell,
    check_memory,
    directory_of,
    perform_all,
    read_plan,
)
from todacomm.loading import device_of
from todacomm.memory import spoken
from todacomm.planning import limit_of
from todacomm.progress import Track, silent
from todacomm.report.grok_sections import write_grok_report
from todacomm.report.reading import share
from todacomm.signature import GENERALISED, LEVEL, MEMORISED, PLATEAU_END, Signature, signature
from todacomm.workers import Number

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Means:
    """With what an experiment is done: how many runs at a time, on which device, how much memory, who is told."""

    jobs: Number = "auto"
    device: str = "cpu"
    max_memory: str | None = None
    track: Track = silent
    say: Say = unsaid


@dataclass(frozen=True, slots=True, eq=False)
class Grokked:
    """What an experiment has found: a signature for each cell (one, nameless, without a sweep), or why there is none."""

    directory: Path
    signatures: Mapping[str, Signature]
    problems: Mapping[str, str]
    failures: Mapping[str, str]


def execute_grok(
    experiment: Experiment,
    *,
    output_dir: str = "experiments",
    output: str | None = None,
    means: Means,
    command: str = "",
) -> Grokked:
    """Make every run of an experiment, or go on with one that was stopped, and write what they show.

    Raises TooLarge before any work, ModelFailed where no run has anything to show.
    """
    from joblib import cpu_count

    device = device_of(means.device)
    at_once = min(cpu_count() if means.jobs == "auto" else means.jobs, len(experiment.plans))
    needed = check_memory(experiment, limit=limit_of(means.max_memory), at_once=at_once)
    place = writable(Path(output_dir))
    directory, resumed = directory_of(experiment, place, output or stem_of(experiment.base), new_directory)
    means.say(
        f"{len(experiment.plans)} runs, {at_once} at a time, about {spoken(needed)} of memory"
        + (f"; going on with {directory}" if resumed else "")
    )
    for warning in dict.fromkeys(w for plan in experiment.plans[:1] for w in plan.task.warnings):
        means.say(f"note: {warning}")
    done: list[Finished] = []
    runs = perform_all(directory, experiment.plans, number=at_once, device=device)
    for finished in means.track(runs, "training", len(experiment.plans)):
        done.append(finished)
        if finished.complaint:
            means.say(f"{finished.plan.name}: {finished.complaint}")
    if all(finished.failed for finished in done):
        raise ModelFailed(f"none of {len(done)} runs came to an end; the first: {done[0].complaint}")
    means.say("figures and reports")
    failures = {finished.plan.name: finished.complaint for finished in done if finished.complaint}
    return concluded(directory, failures, command=command)


def stem_of(settings: Settings) -> str:
    """``grok_<task>_p<prime>``."""
    task = settings["task"]
    return f"grok_{task}" if task in ("images", "s5") else f"grok_{task}_p{settings['prime']}"


# What the records show


def concluded(directory: Path, failures: Mapping[str, str], *, command: str = "") -> Grokked:
    """Signature, figures and reports from the records of a directory; no network is needed."""
    signatures: dict[str, Signature] = {}
    problems: dict[str, str] = {}
    for cell, plans in by_cell(read_plan(directory)).items():
        try:
            signatures[cell] = signature_of(directory, plans)
        except InvalidInput as problem:
            problems[cell] = str(problem)
    write_grok_report(directory, signatures, problems, command=command)
    record = {
        "schema": SCHEMA,
        "command": command,
        "cells": {cell: signature_record(found) for cell, found in signatures.items()},
        "problems": problems,
        "failures": dict(failures),
    }
    write_atomically(directory / SIGNATURE, to_json(record))
    return Grokked(directory, signatures, problems, failures)


def signature_of(directory: Path, plans: Sequence[RunPlan]) -> Signature:
    """The signature of one cell."""
    places = [directory / "runs" / plan.name for plan in plans]
    courses = [read_course(place) for place in places if has_records(place)]
    runs = [course for course in courses if course.kind == "run"]
    controls = [course for course in courses if course.kind != "run"]
    return signature(runs, controls=controls, follow=plans[0].followed)


def signature_record(found: Signature) -> dict[str, Any]:
    """A signature ready for JSON, with the definitions that it rests on."""
    return {**_plain(asdict(found)), "definitions": DEFINITIONS}


DEFINITIONS = {
    "memorised_at": "step of the first of three consecutive evaluations on the whole training set with an accuracy of "
    f"{share(MEMORISED, 0)} or more",
    "generalised_at": f"step of the first of three consecutive evaluations on the test set with an accuracy of {share(GENERALISED, 0)} or more",
    "grokked": "generalised_at is twice memorised_at or more",
    "plateau": f"median of the followed number from memorised_at to {PLATEAU_END:g} × generalised_at; of a run that does not generalise, over the "
    "first half after memorised_at",
    "after": "median of the followed number over the last five checkpoints",
    "band": f"{share(LEVEL, 0)} prediction interval for the ratio after / plateau of one more control (Student's t of the log ratios of the controls)",
    "lag": "shift, in steps, at which changes of the followed number correlate most with changes of test accuracy; positive: topology is later",
}


def _plain(value: Any) -> Any:
    """NaN and infinity, which JSON does not have, as null."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""``todacomm plan``: what a run or a measurement will take, before it is begun."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from todacomm.cli import options
from todacomm.cli import run as running
from todacomm.cli import track as tracking
from todacomm.cli.terminal import console, streams
from todacomm.core.errors import ModelFailed
from todacomm.runs.config import OPTIONS, Study

if TYPE_CHECKING:
    from todacomm.runs.plan.plan import JobPlan, Plan

PLAN = "Plan"


@options.with_options(OPTIONS)
def plan(
    given: Mapping[str, Any],
    path: Annotated[
        Path | None,
        typer.Argument(
            help="An array file, for the plan of todacomm measure; a folder of checkpoints, for todacomm track; "
            "none plans todacomm run."
        ),
    ] = None,
    config: running.Config = None,
    calibrate: Annotated[
        bool, options.own(PLAN, "Measure this machine anew, not once a day.", "", "--calibrate")
    ] = False,
    revisions: tracking.Revisions = None,
    json: Annotated[bool, options.own(PLAN, "Print JSON: seconds and bytes.", "", "--json")] = False,
) -> None:
    """Say what a run will take: texts, tokens, points, layers, FLOPs, time and memory of each stage. Nothing is run.

    Takes every option of todacomm run, an array file with the options of todacomm measure, or checkpoints with those of
    todacomm track. Texts are tokenised,
    networks are built without their weights, and the speed of this machine is measured in a second or two, once a
    day. What the cache has costs nothing. Leaves with exit code 2 where the run would be refused, for want of memory or
    for a model that cannot be measured; with 1 where some of several models cannot.

    Examples:
      todacomm plan --model gpt2 --samples 2000
      todacomm plan --config article --max-memory 8GiB
      todacomm plan cloud.npy --landmarks 5000
      todacomm plan runs/my-training
      todacomm plan --model EleutherAI/pythia-70m --revisions log:12

    """
    found = plan_of(path, config, revisions, given, calibrate=calibrate)
    if len(found.jobs) == 1 and (problem := found.jobs[0].failure):
        raise ModelFailed(problem)
    if json:
        streams.print_json(found.as_dict())
    else:
        show(found)
    for job in (failed := [job for job in found.jobs if job.failure]):
        console.err.tell("failed:", "bold red", f"{job.model}: {job.failure}")
    if failed:
        console.stop(console.FAILED)


def plan_of(
    path: Path | None, config: str | None, revisions: str | None, given: Mapping[str, Any], *, calibrate: bool
) -> "Plan":
    """The plan of a track, of a file of arrays or of a study, by what was given."""
    if revisions is not None or (path is not None and path.is_dir()):
        return plan_of_checkpoints(path, config, revisions, given, calibrate=calibrate)
    if path is not None:
        options.refuse_of_models(path, given)
    study = running.study_of(config, given)
    return plan_of_file(path, study, calibrate=calibrate) if path else plan_of_study(study, calibrate=calibrate)


def plan_of_checkpoints(
    path: Path | None, config: str | None, revisions: str | None, given: Mapping[str, Any], *, calibrate: bool
) -> "Plan":
    """The plan of a track; ``--config`` is then the directory of a configuration, as of todacomm track."""
    from todacomm.runs.tracking.track import plan_of_track

    sources = None if path is None else [str(path)]
    asked = tracking.asked_of(sources, given, revisions, None if config is None else Path(config), "all")
    return plan_of_track(asked, tracking.study_of(given), calibrate=calibrate)


def plan_of_study(study: Study, *, calibrate: bool) -> "Plan":
    """The plan of a study as it would be run; TooLarge where it would be refused."""
    from todacomm.runs.jobs import cache_of, jobs_of
    from todacomm.runs.plan.estimate import rates_of
    from todacomm.runs.plan.memory_limit import fitted

    cache = cache_of(study)
    return fitted(jobs_of(study), cache, rates_of(cache, fresh=calibrate))[1]


def plan_of_file(path: Path, study: Study, *, calibrate: bool) -> "Plan":
    """The plan of measuring the arrays of a file."""
    from todacomm.clouds.array_files import read_clouds
    from todacomm.core.memory import limit_of
    from todacomm.runs.jobs import cache_of
    from todacomm.runs.plan.estimate import rates_of
    from todacomm.runs.plan.memory_limit import check_arrays, plan_of_arrays, shapes_of

    shapes = shapes_of(read_clouds(path, limit=limit_of(study.max_memory)).layers, path.stem)
    recipe = study.recipe_of_arrays()
    at_once = check_arrays(shapes, recipe, jobs=study.jobs, max_memory=study.max_memory)
    rates = rates_of(cache_of(study), fresh=calibrate)
    return plan_of_arrays(
        shapes,
        recipe,
        name=path.stem,
        asked=study.asked(),
        jobs=at_once,
        max_memory=study.max_memory,
        rates=rates,
    )


def show(found: "Plan") -> None:
    """A table a job, the totals, and what was changed to fit."""
    from todacomm.core.memory import format_bytes

    for job in found.jobs:
        show_job(job, found)
    if len(found.jobs) > 1:
        show_stages("all jobs", [(name, seconds, 0, 0.0) for name, seconds in found.stages.items()], found)
    limit = f" {format_bytes(found.limit)} may be used." if found.limit else ""
    alone = f"The program alone holds {format_bytes(found.base)}; every figure but counts is an estimate.{limit}"
    for line in (f"In all: {found.line()}.", alone, *(f"To fit into memory: {change}." for change in found.changes)):
        console.out.print(line, soft_wrap=True)


def show_job(job: "JobPlan", whole: "Plan") -> None:
    """Show the counts of one job, and a row for each stage."""
    title = f"{job.model} · {job.dataset}{f' · pooling {job.pooling}' if job.pooling else ''}"
    if job.problem:
        console.out.print(title, style="bold", soft_wrap=True)
        console.out.print(f"  {job.problem}\n", soft_wrap=True)
        return
    show_stages(title, [(s.name, s.seconds, s.memory, s.flops) for s in job.stages], whole)
    for line in (counts(job), *job.notes):
        console.out.print(f"  {line}", soft_wrap=True)
    console.out.print()


def show_stages(title: str, stages: list[tuple[str, float, int, float]], whole: "Plan") -> None:
    """Seconds, memory of the process and GFLOP of each stage, and their totals."""
    from rich import box
    from rich.table import Table

    from todacomm.core.memory import format_bytes
    from todacomm.runs.plan.plan import duration

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("stage")
    for head in ("time, about", "memory, about", "GFLOP"):
        table.add_column(head, justify="right")
    for name, seconds, held, flops in stages:
        memory = format_bytes(whole.workers * (whole.base + held)) if held else ""
        table.add_row(name, duration(seconds), memory, f"{flops / 1e9:,.3g}" if flops else "")
    console.out.print(table)


def counts(job: "JobPlan") -> str:
    """The exact numbers of a job."""
    texts = f"{job.texts:,} texts, {job.content_tokens:,} content tokens" if job.texts else ""
    padded = f"{job.padded_tokens:,} tokens in batches" if job.padded_tokens else ""
    passes = f"{job.passes} forward pass{'es' if job.passes > 1 else ''}" if job.passes else ""
    points = f"{job.layers} layers of {job.points:,} points in {job.width:,} dimensions"
    model = f"{job.parameters:,} parameters in {job.blocks} blocks" if job.parameters else ""
    before = f"{job.measured} layers were measured before" if job.measured else ""
    return "; ".join(part for part in (model, texts, padded, passes, points, before) if part)

"""Fit a study into memory: fewer layers at a time, smaller batches, or a refusal that names the way out.

These two change no number beyond its rounding. Fewer points do, so the user is asked for them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from todacomm.core.errors import TooLarge
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.memory import format_bytes, limit_of
from todacomm.core.recipe import Recipe
from todacomm.profiles.measure import as_clouds
from todacomm.runs.cache.store import Cache
from todacomm.runs.experiment import Job
from todacomm.runs.plan.calibration import Rates
from todacomm.runs.plan.estimate import Planner, measured_points, plan_of, threads
from todacomm.runs.plan.memory_sizes import OF_ARRAYS, base, cloud_bytes
from todacomm.runs.plan.plan import CLAIMS, FURTHER_NULLS, NULL_PASSES, JobPlan, Plan, Stage

MEASURING = ("homology", "cross-check", CLAIMS, FURTHER_NULLS)


def fitted(jobs: Sequence[Job], cache: Cache | None, rates: Rates) -> tuple[tuple[Job, ...], Plan]:
    """Fit jobs into memory; return them with their plan, which says what was changed.

    Raises TooLarge, which says what does not fit and what to do. Jobs of a cluster are never refused: the memory of its
    workers is unknown here.
    """
    plan = plan_of(jobs, cache, rates)
    if plan.fits or jobs[0].study.scheduler is not None:
        return tuple(jobs), plan
    thinner = {"jobs": fewer_at_once(plan), "batch_size": smaller_batch(plan)}
    if found := {key: change for key, change in thinner.items() if change}:
        settings, told = ({key: change[i] for key, change in found.items()} for i in (0, 1))
        jobs = [replace(job, study=job.study.but(**settings)) for job in jobs]
        again = plan_of(jobs, cache, replace(rates, fresh=False))
        plan = replace(again, base=plan.base, limit=plan.limit, changes=tuple(map(str, told.values())))
    if not plan.fits:
        raise TooLarge(refusal(plan, jobs))
    return tuple(jobs), plan


def room(plan: Plan) -> int:
    """The bytes that a job may take beside what the process holds."""
    return (plan.limit or 0) // plan.workers - plan.base


def too_large(plan: Plan, names: Sequence[str]) -> list[tuple[JobPlan, Stage]]:
    """The stages of these names that do not fit, with their jobs."""
    return [(job, s) for job in plan.jobs for s in job.stages if s.name in names and s.memory > room(plan)]


def fewer_at_once(plan: Plan) -> tuple[int, str] | None:
    """Limit parallel layers, or processes, to those that fit."""
    if plan.workers > 1:
        number = (plan.limit or 0) // (plan.memory // plan.workers)
        return (number, f"{number} processes in place of {plan.workers}") if 0 < number < plan.workers else None
    over = [(job, s) for job, s in too_large(plan, MEASURING) if s.each]
    if not over or plan.at_once < 2:
        return None
    number = min(min(plan.at_once, job.layers) - math.ceil((s.memory - room(plan)) / s.each) for job, s in over)
    each = max(s.each for _, s in over)
    told = (
        f"{number} layers at a time in place of {plan.at_once}, for one takes {format_bytes(each)} while it is measured"
    )
    return (number, told) if number > 0 else None


def smaller_batch(plan: Plan) -> tuple[int, str] | None:
    """Limit the batch to the texts that fit, where the automatic one does not."""
    over = [(job, s) for job, s in too_large(plan, ["language", NULL_PASSES]) if job.batch]
    if not over:
        return None
    share = min((room(plan) - s.memory + s.each) / s.each for _, s in over)
    texts, before = int(share * min(j.batch for j, _ in over)), max(j.batch for j, _ in over)
    return (texts, f"{texts} of the longest texts in a batch in place of {before}") if texts > 0 else None


def refusal(plan: Plan, jobs: Sequence[Job]) -> str:
    """Say what does not fit, with numbers, and what to do."""
    worst, stage = max(((job, s) for job in plan.jobs for s in job.stages), key=lambda pair: pair[1].memory)
    needed = (
        f"{worst.model} on {worst.dataset} does not fit: {format_bytes(plan.memory)} of memory would be needed, "
        f"{format_bytes(plan.base)} of it by the program itself and {format_bytes(stage.memory)} in the stage "
        f"{stage.name}"
    )
    there = f"{format_bytes(plan.limit or 0)} may be used"
    if stage.name in MEASURING:
        least = stage.memory - stage.each * min(plan.at_once, worst.layers)
        ways = fewer_points(worst.width, jobs[0].study.recipe(worst.pooling), room(plan) - least)
        return f"{needed}, for the distances of {worst.points:,} points; {there}. {ways}"
    weights = min((s.memory for s in worst.stages if s.name in ("load", "tokenise")), default=0)
    half = "Halve the weights with --dtype bfloat16, take" if jobs[0].study.dtype == "float32" else "Take"
    return (
        f"{needed}, where {format_bytes(weights)} are the weights of {worst.parameters:,} parameters; {there}. "
        f"{half} fewer --layers or --samples, a smaller model, or allow more with --max-memory"
    )


def fewer_points(width: int, recipe: Recipe, left: int) -> str:
    """The number of points that would fit, and the cost of each way to have fewer."""
    most = largest(width, recipe, left)
    if most < 3:
        return "Allow more with --max-memory, or take a machine with more memory"
    return (
        f"Measure fewer: --landmarks {most} (points that no other is far from; how far is said with the result, and no "
        f"bar moves by more than twice that) or --subsample {most} (drawn at random); or allow more with --max-memory"
    )


def largest(d: int, recipe: Recipe, left: int) -> int:
    """The most points in d dimensions whose distances fit, in two digits, besides all else of the cloud."""
    n = 3
    while cloud_bytes(n + max(1, n // 50), d, replace(recipe, landmarks=None)) <= left and n < 65536:
        n += max(1, n // 50)
    digits = 10 ** max(0, len(str(n)) - 2)
    return n // digits * digits if left > 0 else 0


# Arrays


def shapes_of(layers: Mapping[str, np.ndarray], name: str) -> dict[str, tuple[int, int]]:
    """Layer → (n, d). Raises InvalidCloud."""
    return {cloud.address.layer: cloud.points.shape for cloud in as_clouds(layers, name)}


def plan_of_arrays(
    shapes: Mapping[str, tuple[int, int]],
    recipe: Recipe,
    *,
    name: str,
    asked: InferenceSettings,
    jobs: str | int,
    max_memory: str | None,
    rates: Rates,
) -> Plan:
    """The plan of measuring arrays (n, d)."""
    planner, sizes = Planner(None, rates, threads(jobs)), list(shapes.values())
    alike = [JobPlan(name, "arrays", points=n, width=d, layers=sizes.count((n, d))) for n, d in dict.fromkeys(sizes)]
    (n, d), each = max(sizes), [planner.measuring(recipe, one, held=0, asked=asked) for one in alike]
    found = JobPlan(name, "arrays", points=n, width=d, layers=len(sizes))
    homology, check, *drawn = planner.measuring(recipe, found, held=0, asked=asked)
    seconds = [sum(stage.seconds for stage in same) for same in zip(*each, strict=True)]
    drawn = [replace(stage, seconds=total) for stage, total in zip(drawn, seconds[2:], strict=True)]
    stages = (replace(homology, seconds=seconds[0]), check, *drawn)
    found = replace(found, points=measured_points(recipe, n), stages=stages)
    return Plan((found,), base(OF_ARRAYS), limit_of(max_memory), planner.at_once)


def check_arrays(
    shapes: Mapping[str, tuple[int, int]], recipe: Recipe, *, jobs: str | int, max_memory: str | None
) -> int:
    """The number of layers that fit at a time; raises TooLarge, before any work, where not even one does."""
    limit, held = limit_of(max_memory), base(OF_ARRAYS)
    each = {layer: cloud_bytes(recipe.subsample or n, d, recipe) for layer, (n, d) in shapes.items()}
    at_once, worst = min(threads(jobs), len(shapes)), max(each, key=lambda layer: each[layer])
    if limit is None or held + each[worst] * at_once <= limit:
        return at_once
    if (number := (limit - held) // each[worst]) >= 1:
        return number
    (n, d), may = shapes[worst], f"{format_bytes(limit)} may be used"
    most = largest(d, recipe, limit - held)
    if most < 3:
        raise TooLarge(
            f"{worst}: {format_bytes(held)} are held by the program itself, {may}; allow more with --max-memory"
        )
    raise TooLarge(
        f"{worst}: the distances of {n:,} points take {format_bytes(each[worst])} of memory beside the "
        f"{format_bytes(held)} of the program, {may}. Measure fewer: --landmarks {most} or --subsample {most}; or "
        "allow more with --max-memory"
    )

"""A study and the memory there is: what is thinned so that it fits, and what is said where it cannot.

Smaller batches and fewer layers at a time change no number beyond its rounding. Fewer points do, so they are asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from todacomm.core.errors import TooLarge
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.memory import limit_of, spoken
from todacomm.core.recipe import Recipe
from todacomm.profiles.measure import as_clouds
from todacomm.runs.cache.store import Cache
from todacomm.runs.experiment import Job
from todacomm.runs.plan.estimate import OF_ARRAYS, Planner, base, cloud_bytes, measured_points, plan_of, threads
from todacomm.runs.plan.machine_rates import Rates
from todacomm.runs.plan.plan import JobPlan, Plan, Stage

READING = ("forward", "language", "pooling")
MEASURING = ("homology", "cross-check")


def fitted(jobs: Sequence[Job], cache: Cache | None, rates: Rates) -> tuple[tuple[Job, ...], Plan]:
    """The jobs as they fit into the memory there is, and their plan, which says what was changed.

    Raises TooLarge, which says what does not fit and what to do. Nothing is held against the workers of a cluster, whose
    memory is not known here.
    """
    plan = plan_of(jobs, cache, rates)
    if plan.fits or jobs[0].study.scheduler is not None:
        return tuple(jobs), plan
    changes: list[str] = []
    for key, thinner in (("jobs", fewer_at_once(plan)), ("batch_size", smaller_batch(plan))):
        if thinner:
            value, change = thinner
            jobs = [replace(job, study=job.study.but(**{key: value})) for job in jobs]
            changes.append(change)
    again = plan_again(jobs, cache, rates, plan, changes) if changes else plan
    if not again.fits:
        raise TooLarge(refusal(again, jobs))
    return tuple(jobs), again


def plan_again(jobs: Sequence[Job], cache: Cache | None, rates: Rates, plan: Plan, changes: Sequence[str]) -> Plan:
    """The plan of the jobs after the changes; what was measured for the first one is not measured again."""
    again = plan_of(jobs, cache, replace(rates, fresh=False))
    return replace(again, base=plan.base, limit=plan.limit, changes=tuple(changes))


def room(plan: Plan) -> int:
    """The bytes that a job may take beside what the process holds."""
    return (plan.limit or 0) // plan.workers - plan.base


def fewer_at_once(plan: Plan) -> tuple[int, str] | None:
    """As many layers, or processes, at a time as fit, where fewer do."""
    if plan.workers > 1:
        number = (plan.limit or 0) // (plan.memory // plan.workers)
        return (number, f"{number} processes in place of {plan.workers}") if 0 < number < plan.workers else None
    measuring = [(job, s) for job in plan.jobs for s in job.stages if s.name == "homology" and s.memory > room(plan)]
    if not measuring or plan.at_once < 2:
        return None
    number = min((room(plan) - beside(job, s, plan)) // s.each for job, s in measuring)
    each = max(s.each for _, s in measuring)
    told = f"at a time in place of {plan.at_once}, for one takes {spoken(each)} while it is measured"
    return (max(1, number), f"{'1 layer' if number < 2 else f'{number} layers'} {told}")


def beside(job: JobPlan, stage: Stage, plan: Plan) -> int:
    """The bytes of a stage that stay however few layers are measured at a time."""
    return stage.memory - stage.each * min(plan.at_once, job.layers)


def smaller_batch(plan: Plan) -> tuple[int, str] | None:
    """A batch of as many texts as fit, where the automatic one does not."""
    reading = [(j, s) for j in plan.jobs for s in j.stages if s.name == "language" and s.memory > room(plan)]
    if not reading:
        return None
    share = min((room(plan) - s.memory + s.each) / s.each for _, s in reading)
    texts, before = int(share * min(j.batch for j, _ in reading)), max(j.batch for j, _ in reading)
    return (texts, f"{texts} of the longest texts in a batch in place of {before}") if texts > 0 else None


def refusal(plan: Plan, jobs: Sequence[Job]) -> str:
    """What does not fit, the numbers, and what to do."""
    worst, stage = max(((job, s) for job in plan.jobs for s in job.stages), key=lambda pair: pair[1].memory)
    needed = (
        f"{worst.model} on {worst.dataset} does not fit: {spoken(plan.memory)} of memory would be needed, {spoken(plan.base)} of "
        f"it by the program itself and {spoken(stage.memory)} in the stage {stage.name}"
    )
    there = f"{spoken(plan.limit or 0)} may be used"
    if stage.name in MEASURING:
        recipe = jobs[0].study.recipe(worst.pooling)
        return f"{needed}, for the distances of {worst.points:,} points; {there}. {fewer_points(worst, recipe, room(plan))}"
    return (
        f"{needed}, where {spoken(weights_of(worst))} are the weights of {worst.parameters:,} parameters; {there}. "
        f"{ways_out(jobs[0].study.dtype)} or allow more with --max-memory"
    )


def weights_of(job: JobPlan) -> int:
    """The bytes of the weights: what is held while texts are tokenised."""
    return next((stage.memory for stage in job.stages if stage.name == "tokenise"), 0)


def ways_out(dtype: str) -> str:
    """What makes a model smaller."""
    half = "Halve the weights with --dtype bfloat16, take" if dtype == "float32" else "Take"
    return f"{half} fewer --layers or --samples, a smaller model,"


def fewer_points(job: JobPlan, recipe: Recipe, left: int) -> str:
    """How many points would fit, and what each way to have fewer costs."""
    stays = min(s.memory - s.each for s in job.stages if s.name == "homology")
    most = largest(job.width, recipe, left - stays)
    if most < 3:
        return "Allow more with --max-memory, or take a machine with more memory"
    return (
        f"Measure fewer: --landmarks {most} (points that no other is far from; how far is said with the result, and no bar "
        f"moves by more than twice that) or --subsample {most} (drawn at random); or allow more with --max-memory"
    )


def largest(d: int, recipe: Recipe, left: int) -> int:
    """The most points of a cloud in d dimensions whose distances fit, in two digits; all else of the cloud apart."""
    n = 3
    while cloud_bytes(n + max(1, n // 50), d, replace(recipe, landmarks=None)) <= left and n < 65536:
        n += max(1, n // 50)
    digits = 10 ** max(0, len(str(n)) - 2)
    return n // digits * digits if left > 0 else 0


# Arrays


def shapes_of(layers: Mapping[str, np.ndarray], name: str) -> dict[str, tuple[int, int]]:
    """Layer → (n, d); InvalidCloud for what is no point cloud."""
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
    """The plan of measuring arrays (n, d); InvalidInput where they do not fit."""
    planner, greatest = Planner(None, rates, threads(jobs)), max(shapes.values())
    alike = {shape: list(shapes.values()).count(shape) for shape in shapes.values()}
    groups = {shape: planner.after(recipe, shape, count, 0, held=0, asked=asked) for shape, count in alike.items()}
    homology, claims = (
        replace(groups[greatest][k], seconds=sum(stages[k].seconds for stages in groups.values())) for k in (0, 2)
    )
    check = planner.after(recipe, greatest, len(shapes), 0, held=0, asked=asked)[1]
    points = measured_points(recipe, greatest[0])
    found = JobPlan(
        name, "arrays", points=points, layers=len(shapes), width=greatest[1], stages=(homology, check, claims)
    )
    return Plan((found,), base(OF_ARRAYS), limit_of(max_memory), planner.at_once)


def check_arrays(
    shapes: Mapping[str, tuple[int, int]], recipe: Recipe, *, jobs: str | int, max_memory: str | None
) -> int:
    """How many layers can be measured at a time; raises TooLarge where not even one can, before anything is computed."""
    limit = limit_of(max_memory)
    each = {layer: cloud_bytes(recipe.subsample or n, d, recipe) for layer, (n, d) in shapes.items()}
    at_once, worst = min(threads(jobs), len(shapes)), max(each, key=lambda layer: each[layer])
    if limit is None or base(OF_ARRAYS) + each[worst] * at_once <= limit:
        return at_once
    if (number := (limit - base(OF_ARRAYS)) // each[worst]) >= 1:
        return number
    n, d = shapes[worst]
    most = largest(d, recipe, limit - base(OF_ARRAYS))
    raise TooLarge(
        f"{worst}: the distances of {n:,} points take {spoken(each[worst])} of memory beside the {spoken(base(OF_ARRAYS))} of the "
        f"program, {spoken(limit)} may be used. Measure fewer: --landmarks {most} or --subsample {most}; or allow more with "
        "--max-memory"
        if most > 2
        else f"{worst}: {spoken(base(OF_ARRAYS))} are held by the program itself, {spoken(limit)} may be used; allow more with --max-memory"
    )

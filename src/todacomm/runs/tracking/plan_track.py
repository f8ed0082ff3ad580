"""What a track will take: one checkpoint of each architecture is planned, the others are like it."""

import json
from collections.abc import Sequence
from dataclasses import replace

from todacomm.models.checkpoints.base_and_adapter import parts_of
from todacomm.models.checkpoints.checkpoint_files import file_of, object_of
from todacomm.runs.cache.store import Cache
from todacomm.runs.experiment import Job
from todacomm.runs.jobs import FAILURES
from todacomm.runs.plan.estimate import rates_of
from todacomm.runs.plan.memory_limit import fitted
from todacomm.runs.plan.plan import JobPlan, Plan


def fitted_to(jobs: Sequence[Job], cache: Cache | None, *, calibrate: bool = False) -> tuple[tuple[Job, ...], Plan]:
    """Fit the jobs of a track into memory; each is planned as the first one of its architecture.

    Raises TooLarge as `todacomm run` does.
    """
    kinds = [kind_of(job) for job in jobs]
    firsts = [kinds.index(kind) for kind in dict.fromkeys(kinds)]
    some, plan = fitted([jobs[i] for i in firsts], cache, rates_of(cache, fresh=calibrate))
    place = {kinds[i]: k for k, i in enumerate(firsts)}
    adapted = tuple(like(job, some[place[kind]]) for job, kind in zip(jobs, kinds, strict=True))
    told = tuple(of_job(job, plan.jobs[place[kind]]) for job, kind in zip(jobs, kinds, strict=True))
    return adapted, replace(plan, jobs=told)


def kind_of(job: Job) -> str:
    """What two checkpoints share where one takes as long as the other: the configuration, or for one that is not here
    the place on the hub.
    """
    try:
        base = parts_of(job.source).base
        config = file_of(base, "config.json")
        told = object_of(config, base.name) if config else {"location": job.source.location}
    except FAILURES:  # a broken checkpoint is planned by itself, and says why it cannot be
        told = {"broken": job.source.name}
    kept = {key: value for key, value in told.items() if not key.startswith("_")}
    return json.dumps([kept, job.source.tokenizer], sort_keys=True, default=str)


def like(job: Job, other: Job) -> Job:
    """The job with the settings that made another one fit."""
    return replace(job, study=job.study.but(jobs=other.study.jobs, batch_size=other.study.batch_size))


def of_job(job: Job, found: JobPlan) -> JobPlan:
    """The plan of another job under the name of this one."""
    problem = found.problem.replace(found.model, job.source.name)
    return replace(found, model=job.source.name, problem=problem)

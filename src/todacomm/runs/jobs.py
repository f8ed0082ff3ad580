"""The jobs of a study, done by way of the cache or else by their model.

A job is a model, a dataset and a pooling: one reading, and then each of its layers. What is done stands in the cache at
once, so that a study which was stopped, or a worker which was killed, goes on at the layer where it was.
"""

import gc
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from todacomm.clouds.prepare import Prepare, PreparedOnce, prepare
from todacomm.core.errors import EngineDisagreement, InvalidInput, ModelFailed, TodacommError, ran_out
from todacomm.core.parallel import Number, in_threads, one_thread
from todacomm.core.progress import Say, Track, silent, unsaid
from todacomm.models.names import ModelSource, resolve
from todacomm.profiles.measure import MeasuredCloud, Task, measure_profile, measure_task
from todacomm.records.disagreements import kept_disagreement
from todacomm.runs.cache.entries import (
    find_claims,
    find_measured,
    find_reading,
    keep_claims,
    keep_measured,
    keep_reading,
)
from todacomm.runs.cache.keys import checkpoint_of, claims_key
from todacomm.runs.cache.store import Cache, array_digest, default_place
from todacomm.runs.config import Study
from todacomm.runs.experiment import (
    OF_LOADING,
    Job,
    Reading,
    Result,
    claimed,
    groups_of,
    load,
    load_texts,
    read,
    recipe_of,
    result_of,
)

if TYPE_CHECKING:
    from todacomm.models.checkpoints.loading import LoadedModel

FAILURES = (TodacommError, OSError, RuntimeError, MemoryError)  # torch tells of memory and kernels as RuntimeError


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """A failed job: message for the user, traceback for the record.

    ``cause`` is the error, where it happened in this process; ``again``: another try may succeed.
    """

    message: str
    details: str
    cause: TodacommError | None = None
    again: bool = False

    def error(self) -> TodacommError:
        """The failure as an error."""
        return self.cause or ModelFailed(self.message)

    def kept_in(self, directory: Path) -> "Failure":
        """The failure, with what two engines found written into a directory, where they differ."""
        if not isinstance(self.cause, EngineDisagreement):
            return self
        told = kept_disagreement(self.cause, directory)
        return replace(self, message=str(told), cause=told)

    def sent(self, *, again: bool = False) -> "Failure":
        """The failure as a worker sends it: with a cause only where that holds more than its message."""
        return replace(self, cause=self.cause if isinstance(self.cause, EngineDisagreement) else None, again=again)


def as_todacomm_error(problem: BaseException) -> TodacommError:
    """Convert a job's error to one that the command line shows without a traceback."""
    if isinstance(problem, TodacommError):
        return problem
    advice = ": memory ran out; try fewer --samples or --batch-size 1" if ran_out(problem) else ""
    return ModelFailed(f"{type(problem).__name__}: {str(problem).rstrip('.')}{advice}")


def failure(problem: BaseException) -> Failure:
    """Record an error that is being handled."""
    return Failure(str(as_todacomm_error(problem)), traceback.format_exc(), as_todacomm_error(problem))


# What would be done


def jobs_of(study: Study) -> tuple[Job, ...]:
    """List the jobs of a study in order, model by model; loads only the texts.

    Raises UnknownName, InvalidTexts and the like for missing models and datasets, InvalidInput for two of one name.
    """
    sources = sources_of(study)
    texts = {dataset: load_texts(study, dataset) for dataset in study.datasets}
    refuse_one_name({dataset: found.name for dataset, found in texts.items()}, "datasets")
    ones = {given: study.but(models=(given,)) for given in sources}
    return tuple(
        Job(source, dataset, pooling, found, ones[given])
        for given, source in sources.items()
        for dataset, found in texts.items()
        for pooling in study.pooling or (None,)
    )


def sources_of(study: Study) -> dict[str, ModelSource]:
    """Locate each model of a study, by the name given. Raises as `jobs_of` does."""
    found = {given: resolve(given, revision=study.revision, tokenizer=study.tokenizer) for given in study.models}
    places = [source.location for source in found.values()]
    named = ",".join(f"{letter}={place}" for letter, place in zip("abcdefghijklmnopqrstuvwxyz", places, strict=False))
    refuse_one_name(
        {given: source.name for given, source in found.items()}, "models", f"give them names: --models {named}"
    )
    return found


def refuse_one_name(names: Mapping[str, str], kind: str, remedy: str = "rename one of them") -> None:
    """Raise InvalidInput where two models or two datasets would have the same address."""
    first: dict[str, str] = {}
    for given, name in names.items():
        if name in first:
            raise InvalidInput(f"the {kind} {first[name]} and {given} are both called '{name}'; {remedy}")
        first[name] = given


def cache_of(study: Study) -> Cache | None:
    """The user's cache, unless the study wants none."""
    return Cache(default_place()) if study.cache else None


# Here


def one_by_one(
    jobs: Sequence[Job], cache: Cache | None, *, track: Track = silent, say: Say = unsaid
) -> Iterator[tuple[Job, Result | Failure]]:
    """Do the jobs in this process, one after the other; yield each with its result."""
    try:
        for job in jobs:
            try:
                found: Result | Failure = here(job, cache, track=track, say=say)
            except FAILURES as problem:
                found = failure(problem)
            yield job, found
    finally:
        release()


def here(job: Job, cache: Cache | None, *, track: Track = silent, say: Say = unsaid) -> Result:
    """Do one job in this process, its layers in threads."""
    reading = reading_of(job, cache, track=track, say=say)
    each, prepared = CachedEach(cache, job.study.jobs), PreparedOnce()
    begun, recipe = time.perf_counter(), recipe_of(job.study, reading.activations)
    with one_thread:
        found = measure_profile(reading.activations.clouds(), recipe, track=track, each=each, prepared=prepared)
    if each.remembered:
        say(f"{job}: {len(each.remembered)} of {len(found[0].layers)} layers loaded from cache")
    result = result_of(reading, *found, seconds=time.perf_counter() - begun, remembered=each.remembered)
    return with_kept_claims(result, job, cache, number=job.study.jobs, track=track, prepared=prepared)


def with_kept_claims(
    result: Result,
    job: Job,
    cache: Cache | None,
    *,
    number: Number = 1,
    track: Track = silent,
    prepared: Prepare = prepare,
) -> Result:
    """Add claims to a result: from the cache, else computed and cached."""
    reading, asked = result.reading, job.study.asked()
    digests = {layer: reading.digests.get(layer, "") for layer in result.profile.layers}
    key = ""
    if cache and all(digests.values()) and asked.anything:
        key = claims_key(digests, result.profile.recipe, asked, groups_of(reading.activations))
        if claims := find_claims(key, cache):
            return replace(result, profile=replace(result.profile, claims=claims))
    with one_thread:
        model = partial(loaded_model, job, cache)
        found = claimed(result, job.study, model, number=number, track=track, prepared=prepared)
    if cache and key and found.profile.claims:
        keep_claims(found.profile.claims, key, found.profile, cache)
    return found


def reading_of(job: Job, cache: Cache | None, *, track: Track = silent, say: Say = unsaid) -> Reading:
    """The activations of a job: from the cache, else from the model, and then cached."""
    found = find_reading(job, cache) if cache else None
    if found is not None:
        say(f"{job}: activations loaded from cache; model not loaded")
        return found
    with _READING:  # the hooks of two passes over one network would see each other's states
        model = loaded_model(job, cache, say=say)
        say(str(job))
        reading = read(model, job.texts, job.study, pooling=job.pooling, track=track)
    return keep_reading(reading, job, cache) if cache else reading


_READING = threading.Lock()
_HELD: dict[Any, "LoadedModel"] = {}  # the model of the last job of this process


def loaded_model(job: Job, cache: Cache | None, *, say: Say = unsaid) -> "LoadedModel":
    """The model of a job, kept from the last job if it is the same; another one is released first."""
    checkpoint = checkpoint_of(job.source, cache, remote_code=job.study.trust_remote_code) if cache else None
    key = (job.source, checkpoint, *(getattr(job.study, option) for option in sorted({*OF_LOADING, "max_memory"})))
    if key not in _HELD:
        release()
        say(f"{job.source.name}: loading")
        digest = checkpoint.weights_sha256 if checkpoint else ""
        _HELD[key] = load(job.study.models[0], job.study, weights_sha256=digest)
    return _HELD[key]


def release() -> None:
    """Release the model of the last job."""
    if _HELD:
        _HELD.clear()
        gc.collect()


@dataclass(slots=True, eq=False)
class CachedEach:
    """The `Each` that takes layers from the cache, measures the others in threads, and caches each.

    ``remembered`` lists the layers from the cache.
    """

    cache: Cache | None
    number: Number = "auto"
    remembered: tuple[str, ...] = ()

    def __call__(self, tasks: Sequence[Task]) -> Iterator[MeasuredCloud]:
        """Yield the result of each task, in order."""
        clouds = [array_digest(task.cloud.points) if self.cache else "" for task in tasks]
        known = [self._known(*pair) for pair in zip(tasks, clouds, strict=True)]
        self.remembered = tuple(found.measurement.address.layer for found in known if found)
        missing = [(task, cloud) for task, cloud, found in zip(tasks, clouds, known, strict=True) if found is None]
        fresh = in_threads(self._measured, missing, number=self.number)
        for found in known:
            yield found or next(fresh)
        fresh.close()

    def _known(self, task: Task, cloud: str) -> MeasuredCloud | None:
        address = task.cloud.address
        return find_measured(cloud, address, task.recipe, self.cache, check=task.check) if self.cache else None

    def _measured(self, pair: tuple[Task, str]) -> MeasuredCloud:
        found = measure_task(pair[0])
        if self.cache:
            keep_measured(found, pair[1], self.cache)
        return found

"""Run the jobs of a study on the workers of a pool: forward passes, then all their layers, then the figures.

A worker that sees the cache leaves its results there and answers with the key; otherwise the arrays travel.
"""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from todacomm.core._version import __version__
from todacomm.core.errors import InvalidInput, InvalidRecord
from todacomm.core.parallel import LostTask, Pool, one_thread
from todacomm.core.progress import Say, Track, silent, unsaid
from todacomm.core.recipe import Recipe
from todacomm.core.types import Activations, Address, PointCloud, Points, Profile, layer_key
from todacomm.core.versions import installed
from todacomm.homology.engines import engines
from todacomm.profiles.measure import MeasuredCloud, Task, assembled, drawn_for_check, measure_task
from todacomm.runs.cache.entries import CachedLayers, find_measured, find_reading, keep_measured, keep_reading
from todacomm.runs.cache.keys import OF_A_MEASUREMENT, OF_A_READING, code_digest
from todacomm.runs.cache.store import Cache, array_digest, digest_of
from todacomm.runs.experiment import Job, Reading, Result, recipe_of, result_of
from todacomm.runs.jobs import FAILURES, Failure, failure, reading_of, release, with_kept_claims

T = TypeVar("T")
Draw = Callable[[Profile], Mapping[str, bytes]]  # the figures of a profile, as files by name
JOBS_A_WORKER = 8  # in flight: enough that no worker waits long, few enough that runs appear early


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker must know of the process that sends it jobs.

    The cache (None: nothing is shared), a file that whoever sees that cache sees, and the code and library versions.
    """

    root: Path | None
    probe: Path | None
    numbers_from: Mapping[str, str]

    def cache(self) -> Cache | None:
        """Open the cache in a worker that sees it."""
        return Cache(self.root) if self.root and self.probe and self.probe.exists() else None

    def check(self) -> None:
        """Raise InvalidInput in a worker whose numbers would differ from the sender's."""
        own = numbers_from()
        other = [
            f"{name} {own.get(name)} (expected {found})"
            for name, found in self.numbers_from.items()
            if own.get(name) != found
        ]
        if other:
            raise InvalidInput(
                f"the worker on {platform.node()} has {', '.join(other)}: install there what is installed here, and "
                "start it anew"
            )


def numbers_from() -> dict[str, str]:
    """What numbers depend on: the digest of todacomm's code, and library versions."""
    code = digest_of([code_digest("models.extraction"), code_digest("profiles.measure")])
    of_engines = {library for engine in engines.values() for library in engine.libraries}
    libraries = {name: str(installed(name)) for name in sorted({*OF_A_READING, *OF_A_MEASUREMENT, *of_engines})}
    return {"todacomm": f"{__version__}, code {code[:12]}", **libraries}


@dataclass(frozen=True, slots=True, eq=False)
class LayerTask:
    """One layer to measure; ``layers`` holds its array or its place in the cache."""

    layers: Mapping[str, Points]
    address: Address
    recipe: Recipe
    check: bool


@dataclass(frozen=True, slots=True, eq=False)
class Answer(Generic[T]):
    """A worker's answer: result, seconds, and complaints of the cache."""

    found: T | Failure
    seconds: float
    complaints: tuple[str, ...] = ()


def read_there(job: Job, *, place: Place) -> Answer[Reading]:
    """Run a job's forward pass in a worker. In a shared cache the arrays stay there; otherwise they travel."""
    begun, cache = time.perf_counter(), place.cache()
    try:
        place.check()
        found: Reading | Failure = reading_of(job, cache)
    except FAILURES as problem:
        found = failure(problem).sent()
    if cache and isinstance(found, Reading) and found.key:
        stays = CachedLayers(cache.root, found.key, tuple(sorted(found.activations.layers, key=layer_key)))
        found = replace(found, activations=replace(found.activations, layers=stays))
    return Answer(found, time.perf_counter() - begun, cache.told() if cache else ())


def measure_there(task: LayerTask, *, place: Place) -> Answer[MeasuredCloud]:
    """Measure one layer in a worker; cache it if the cache is shared."""
    begun, cache = time.perf_counter(), place.cache()
    try:
        place.check()
        cloud = PointCloud(task.layers[task.address.layer], task.address)
        with one_thread:
            found: MeasuredCloud | Failure = measure_task(Task(cloud, task.recipe, task.check))
    except FAILURES as problem:
        found = failure(problem).sent(again=isinstance(problem, InvalidRecord))
    if cache and isinstance(found, MeasuredCloud):
        keep_measured(found, array_digest(cloud.points), cache)
    return Answer(found, time.perf_counter() - begun, cache.told() if cache else ())


def claim_there(run: tuple[Result, Job], *, place: Place) -> Answer[Profile]:
    """Compute the claims of one profile in a worker; cache them if the cache is shared."""
    begun, cache = time.perf_counter(), place.cache()
    try:
        found: Profile | Failure = with_kept_claims(*run, cache).profile
    except FAILURES as problem:
        found = failure(problem).sent(again=isinstance(problem, InvalidRecord))
    return Answer(found, time.perf_counter() - begun, cache.told() if cache else ())


def address_of(activations: Activations, layer: str) -> Address:
    """The address of a layer."""
    return Address(activations.model, activations.texts.name, layer)


def draw_there(profile: Profile, *, draw: Draw) -> Mapping[str, bytes] | None:
    """Draw the figures of a profile in a worker; None on failure, which is then raised here."""
    try:
        return draw(profile)
    except FAILURES:
        return None


@dataclass(slots=True, eq=False)
class Run:
    """A job on its way through a pool, with its layers as they come; those ``drawn`` are to be confirmed."""

    job: Job
    reading: Reading
    recipe: Recipe
    layers: dict[str, MeasuredCloud | Failure | None]
    drawn: AbstractSet[str]
    remembered: tuple[str, ...] = ()
    seconds: float = 0.0

    def task(self, layer: str) -> LayerTask:
        """The layer's array for a worker, or its place in the cache."""
        layers, address = self.reading.activations.layers, address_of(self.reading.activations, layer)
        there = layers if isinstance(layers, CachedLayers) else {layer: layers[layer]}
        return LayerTask(there, address, self.recipe, layer in self.drawn)

    def result(self) -> Result | Failure:
        """The result once all layers are there, or the first failure."""
        failed = next((found for found in self.layers.values() if isinstance(found, Failure)), None)
        if failed:
            return failed
        found = [one for one in self.layers.values() if isinstance(one, MeasuredCloud)]
        try:
            with one_thread:
                profile, checked = assembled(found, self.cloud)
        except FAILURES as problem:
            return failure(problem)
        return result_of(self.reading, profile, checked, seconds=self.seconds, remembered=self.remembered)

    def cloud(self, layer: str) -> PointCloud:
        """The cloud of one layer, wherever its array is."""
        return PointCloud(self.reading.activations.layers[layer], address_of(self.reading.activations, layer))


def by_pool(
    jobs: Sequence[Job],
    cache: Cache | None,
    pool: Pool,
    *,
    draw: Draw,
    track: Track = silent,
    say: Say = unsaid,
) -> Iterator[tuple[Job, Result | Failure]]:
    """Yield each job and its result, in order, done by the workers of a pool.

    The jobs in flight are first all read, then all their layers measured, then their figures drawn. Without a shared
    cache arrays travel through this process, so fewer jobs are in flight.
    """
    with probed(pool, cache) as place:
        if place.root is None:
            say("the workers do not see the cache: activations travel through this process")
        size = pool.number * (JOBS_A_WORKER if place.root else 1)
        try:
            for start in range(0, len(jobs), size):
                yield from Window(place, cache, pool, draw, track, say).done(jobs[start : start + size])
        finally:
            pool.everywhere(release)


@contextmanager
def probed(pool: Pool, cache: Cache | None) -> Iterator[Place]:
    """The place for workers, with a probe in the cache that shows whether they see it."""
    probe = cache.probe() if cache else None
    try:
        shared = cache is not None and probe is not None and pool.sees(str(probe))
        yield Place(cache.root if cache and shared else None, probe, numbers_from())
    finally:
        if probe:
            with suppress(OSError):
                probe.unlink()


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The jobs in flight."""

    place: Place
    cache: Cache | None
    pool: Pool
    draw: Draw
    track: Track
    say: Say

    def done(self, jobs: Sequence[Job], *, last: bool = False) -> Iterator[tuple[Job, Result | Failure]]:
        """Yield each job and its result; those whose activations vanished from the cache again, at the end."""
        again = []
        for job, found in self.results(jobs):
            if isinstance(found, Failure) and found.again and not last:
                again.append(job)
            else:
                yield job, found
        if again:
            yield from self.done(again, last=True)

    def results(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Result | Failure]]:
        """Yield each job and its result, in order."""
        runs = [self.begun(job, found) for job, found in zip(jobs, self.readings(jobs), strict=True)]
        for _ in self.measured([run for run in runs if isinstance(run, Run)]):
            pass
        found = [run.result() if isinstance(run, Run) else run for run in runs]
        yield from zip(jobs, self.drawn(self.claimed(jobs, found)), strict=True)

    def claimed(self, jobs: Sequence[Job], found: list[Result | Failure]) -> list[Result | Failure]:
        """Add claims to the results."""
        ready = [(i, one) for i, one in enumerate(found) if isinstance(one, Result)]
        answers = self.pool.each(partial(claim_there, place=self.place), [(one, jobs[i]) for i, one in ready])
        for place, answer in self.track(answers, "intervals and nulls", len(ready)):
            i, one = ready[place]
            found[i] = self.with_claims(one, answer)
        return found

    def with_claims(self, result: Result, answer: Answer[Profile] | LostTask) -> Result | Failure:
        """Add claims to one result."""
        if isinstance(answer, LostTask):
            return lost(answer)
        self.complain(answer)
        if isinstance(answer.found, Failure):
            return answer.found
        return replace(result, profile=answer.found, seconds={**result.seconds, "intervals and nulls": answer.seconds})

    def drawn(self, found: list[Result | Failure]) -> list[Result | Failure]:
        """Add figures to the results; this process draws those that failed there."""
        places = [i for i, one in enumerate(found) if isinstance(one, Result)]
        profiles = [one.profile for one in found if isinstance(one, Result)]
        answers = self.pool.each(partial(draw_there, draw=self.draw), profiles)
        for i, figures in self.track(answers, "figures", len(profiles)):
            if isinstance(one := found[places[i]], Result) and not isinstance(figures, LostTask):
                found[places[i]] = replace(one, figures=figures)
        return found

    def readings(self, jobs: Sequence[Job]) -> list[Reading | Failure]:
        """The activations of the jobs, computed where they are not cached."""
        found: list[Reading | Failure | None] = [
            find_reading(job, self.cache, lazily=self.place.root is not None) if self.cache else None for job in jobs
        ]
        unread = [i for i, one in enumerate(found) if one is None]
        if unread:
            self.say(f"{len(unread)} of {len(jobs)} jobs to read, {self.pool.number} at a time")
        answers = self.pool.each(partial(read_there, place=self.place), [jobs[i] for i in unread])
        for i, answer in self.track(answers, "activations", len(unread)):
            found[unread[i]] = self.received(jobs[unread[i]], answer)
        return [one for one in found if one is not None]

    def received(self, job: Job, answer: Answer[Reading] | LostTask) -> Reading | Failure:
        """Take activations; cache them here if the worker could not."""
        if isinstance(answer, LostTask):
            return lost(answer)
        self.complain(answer)
        found = answer.found
        if self.cache and isinstance(found, Reading) and not isinstance(found.activations.layers, CachedLayers):
            found = keep_reading(found, job, self.cache)
        return found

    def begun(self, job: Job, reading: Reading | Failure) -> Run | Failure:
        """The layers of a job to be measured; those measured before are filled in."""
        if isinstance(reading, Failure):
            return reading
        activations, known = reading.activations, {}
        recipe = recipe_of(job.study, activations)
        layers = sorted(activations.layers, key=layer_key)
        drawn = drawn_for_check(layers, recipe)
        for layer in layers:
            address = address_of(activations, layer)
            digest = reading.digests.get(layer)
            if self.cache and digest:
                known[layer] = find_measured(digest, address, recipe, self.cache, check=layer in drawn)
        remembered = tuple(layer for layer, found in known.items() if found)
        return Run(job, reading, recipe, {layer: known.get(layer) for layer in layers}, drawn, remembered)

    def measured(self, runs: Sequence[Run]) -> Iterator[None]:
        """Measure the missing layers, yielding after each."""
        tasks = [(run, layer) for run in runs for layer, found in run.layers.items() if found is None]
        answers = self.pool.each(partial(measure_there, place=self.place), [run.task(layer) for run, layer in tasks])
        for i, answer in self.track(answers, "persistent homology", len(tasks)):
            run, layer = tasks[i]
            run.layers[layer] = self.measurement(run, answer)
            yield

    def measurement(self, run: Run, answer: Answer[MeasuredCloud] | LostTask) -> MeasuredCloud | Failure:
        """Take one layer; cache it here if the worker could not."""
        if isinstance(answer, LostTask):
            return lost(answer)
        self.complain(answer)
        run.seconds += answer.seconds
        found = answer.found
        if self.cache and isinstance(found, MeasuredCloud) and self.place.root is None:
            layer = found.measurement.address.layer
            keep_measured(found, array_digest(run.reading.activations.layers[layer]), self.cache)
        return found

    def complain(self, answer: Answer[Any]) -> None:
        """Pass on a worker's complaints of the cache."""
        if self.cache:
            self.cache.complaints.extend(answer.complaints)


def lost(answer: LostTask) -> Failure:
    """The failure of a job whose worker was killed at every try."""
    message = (
        f"its worker was killed each time that it was tried ({answer.reason.rstrip('.')}). Where memory ran out, try "
        "fewer --samples, --batch-size 1 or fewer workers on a machine"
    )
    return Failure(message, answer.reason)

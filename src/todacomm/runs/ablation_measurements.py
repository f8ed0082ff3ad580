"""Measure an ablation: one forward pass a pooling and length, then every setting on its layers, by way of the cache."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from todacomm.ablation.judge import Rerun
from todacomm.ablation.settings import Setting
from todacomm.clouds.prepare import PreparedOnce
from todacomm.core.errors import InvalidCloud, InvalidInput
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.parallel import Number, in_threads, one_thread
from todacomm.core.progress import Say, Track, silent, unsaid
from todacomm.core.recipe import Recipe
from todacomm.core.types import PointCloud, Profile, Texts
from todacomm.profiles.intervals_and_nulls import with_claims
from todacomm.profiles.measure import as_clouds, measure_profile
from todacomm.runs.cache.entries import find_reading
from todacomm.runs.cache.store import Cache
from todacomm.runs.config import Study
from todacomm.runs.experiment import Job, load_texts
from todacomm.runs.jobs import FAILURES, CachedEach, Failure, failure, reading_of, release, sources_of


@dataclass(frozen=True, slots=True)
class Means:
    """The means of an ablation: cache, draws of the null, layers at a time, progress."""

    cache: Cache | None
    asked: InferenceSettings
    number: Number = "auto"
    track: Track = silent
    say: Say = unsaid


def base_of(study: Study) -> Setting:
    """The setting of the study itself; of several poolings the first."""
    return Setting(
        components=study.components,
        points=study.subsample,
        distance=study.distance,
        scale=study.scale,
        seed=study.seed,
        pooling=study.pooling[0] if study.pooling else None,
        max_length=study.max_length,
    )


# Models


def jobs_of(study: Study, settings: Sequence[Setting], cache: Cache | None) -> dict[str, tuple[Job, ...]]:
    """Model → one job for each pooling and length of the settings, the base first; loads nothing but texts."""
    if len(study.datasets) != 1:
        raise InvalidInput(
            f"an ablation is on one dataset, found {', '.join(study.datasets)}; choose one with --dataset"
        )
    texts = load_texts(study, study.datasets[0])
    for setting in settings:
        setting.count(study.samples)
    first = dict.fromkeys((s.pooling, s.max_length) for s in settings)
    pairs = sorted(first, key=lambda pair: pair[1] != settings[0].max_length)  # one length keeps the model loaded
    found = {}
    for given, source in sources_of(study).items():
        ones = {length: study.but(models=(given,), max_length=length) for _, length in pairs}
        found[source.name] = tuple(
            without_language(Job(source, study.datasets[0], pool, texts, ones[length]), cache) for pool, length in pairs
        )
    return found


def of_models(
    jobs: Mapping[str, Sequence[Job]], settings: Sequence[Setting], means: Means
) -> Iterator[tuple[str, list[Rerun] | Failure]]:
    """Yield each model with its reruns, or its failure; one model and one forward pass in memory at a time."""
    try:
        for model, of_model in jobs.items():
            found: list[Rerun] | Failure
            try:
                found = [rerun for job in of_model for rerun in of_reading(job, settings, means)]
            except FAILURES as problem:
                found = failure(problem)
            yield model, found
    finally:
        release()


def of_reading(job: Job, settings: Sequence[Setting], means: Means) -> Iterator[Rerun]:
    """Run the settings of one pooling and length on the activations of one forward pass."""
    activations = reading_of(job, means.cache, track=means.track, say=means.say).activations
    clouds = list(activations.clouds())
    mine = [s for s in settings if (s.pooling, s.max_length) == (job.pooling, job.study.max_length)]
    yield from of_clouds(clouds, job.study.recipe(activations.pooling), mine, means, activations.texts)


def without_language(job: Job, cache: Cache | None) -> Job:
    """The job without language metrics, unless the cache has it with them."""
    if cache and job.study.language and find_reading(job, cache, lazily=True):
        return job
    return replace(job, study=job.study.but(language=False))


# Arrays


def of_arrays(
    layers: Mapping[str, np.ndarray], name: str, recipe: Recipe, settings: Sequence[Setting], means: Means
) -> list[Rerun]:
    """Measure arrays (n, d) under every setting. Raises InvalidInput for more points than one of them has."""
    clouds = list(as_clouds(layers, name))
    for setting in settings:
        setting.count(min(map(len, clouds)))
    return list(of_clouds(clouds, recipe, settings, means))


# Both


def of_clouds(
    clouds: Sequence[PointCloud],
    recipe: Recipe,
    settings: Sequence[Setting],
    means: Means,
    texts: Texts | None = None,
) -> Iterator[Rerun]:
    """Measure clouds under each setting; one that they do not allow is a `Rerun` without a profile."""
    model = clouds[0].address.model
    each = partial(of_setting, clouds, recipe, means)
    for setting in means.track(settings, f"{model}: settings", len(settings)):
        try:
            profile = each(setting)
        except InvalidCloud as problem:
            yield Rerun(setting, model, None, str(problem))
        else:
            yield Rerun(setting, model, replace(profile, texts_sha256=texts.sha256) if texts else profile)


def of_setting(clouds: Sequence[PointCloud], recipe: Recipe, means: Means, setting: Setting) -> Profile:
    """Measure clouds under one setting, with the requested tests."""
    known: dict[str, Any] = {cloud.address.layer: cloud for cloud in clouds}
    chosen = setting.recipe(recipe, min(map(len, clouds)))
    spread, once = partial(in_threads, number=means.number), PreparedOnce()
    with one_thread:
        profile, _ = measure_profile(clouds, chosen, each=CachedEach(means.cache, means.number), prepared=once)
        return with_claims(profile, known.__getitem__, means.asked, spread=spread, prepared=once)

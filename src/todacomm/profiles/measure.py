"""Measure one prepared cloud, or all clouds along a model. Pure: no disk, no clock, no printing."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from os import PathLike
from typing import Any

import numpy as np

from todacomm.clouds.prepare import Prepare, PreparedCloud, prepare
from todacomm.core.errors import InvalidCloud
from todacomm.core.progress import Track, silent
from todacomm.core.recipe import Recipe
from todacomm.core.types import Activations, Address, Measurement, Number, PointCloud, Profile
from todacomm.homology import bitlink
from todacomm.homology.engines import REFERENCE, cross_check, over_field, persistence, with_limit
from todacomm.homology.metrics import max_lifetime, summarise
from todacomm.profiles.expansion import expansions_of

CHECKED_SHARE = 0.1


def measure_prepared(cloud: PreparedCloud, recipe: Recipe, *, both_fields: bool = True) -> Measurement:
    """Compute the diagrams of a prepared cloud and every metric of them, over Z/2, and the longest H1 bar over Z/3."""
    diagrams = persistence(cloud.condensed, engine=recipe.engine, maxdim=recipe.maxdim, threshold=recipe.threshold)
    summary = summarise(diagrams, scale=cloud.median_distance)
    over_z3 = longest_over_z3(cloud, recipe) if both_fields else None
    return Measurement(cloud.address, recipe, cloud.facts, diagrams, summary, over_z3)


def longest_over_z3(cloud: PreparedCloud, recipe: Recipe) -> Number:
    """H1_max_lifetime over Z/3; None where H1 is not measured, and without our own engine, as others take too long."""
    if recipe.maxdim < 1 or not bitlink.available():
        return None
    condensed, limit = with_limit(cloud.condensed, recipe.threshold)
    return max_lifetime.of(over_field(condensed, maxdim=1, threshold=limit, prime=3).finite[1])


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """The layers that the reference engine computed as well; a disagreement raises an error."""

    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One cloud to be measured, its recipe, and whether the reference engine checks it."""

    cloud: PointCloud
    recipe: Recipe
    check: bool = False
    prepared: Prepare = prepare


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredCloud:
    """One measured cloud; ``confirmed`` where the reference engine agreed."""

    measurement: Measurement
    confirmed: bool


Each = Callable[[Sequence[Task]], Iterable[MeasuredCloud]]  # maps tasks to results, in order


def one_by_one(tasks: Sequence[Task]) -> Iterable[MeasuredCloud]:
    """Measure one cloud after the other."""
    return map(measure_task, tasks)


def measure_task(task: Task) -> MeasuredCloud:
    """Prepare and measure one cloud; compare with the reference engine on request."""
    ready = task.prepared(task.cloud, task.recipe)
    found = measure_prepared(ready, task.recipe)
    if task.check:
        rng = np.random.default_rng(task.recipe.seed)
        cross_check(ready.condensed, engine=task.recipe.engine, rng=rng, where=str(ready.address))
    return MeasuredCloud(found, task.check)


def measure_profile(
    clouds: Iterable[PointCloud],
    recipe: Recipe,
    *,
    track: Track = silent,
    each: Each = one_by_one,
    prepared: Prepare = prepare,
) -> tuple[Profile, CrossCheck]:
    """Measure every cloud, check a random tenth with the reference engine, add the expansions.

    ``each`` decides order, threads and memory. Raises InvalidCloud where no cloud has two unique points,
    EngineDisagreement where the engines differ.
    """
    given = list(clouds)
    drawn = drawn_for_check([cloud.address.layer for cloud in given], recipe)
    tasks = [Task(cloud, recipe, cloud.address.layer in drawn, prepared) for cloud in given]
    found = list(track(each(tasks), "persistent homology", len(tasks)))
    return assembled(found, {cloud.address.layer: cloud for cloud in given}.__getitem__, prepared)


def assembled(
    found: Sequence[MeasuredCloud], cloud: Callable[[str], PointCloud], prepared: Prepare = prepare
) -> tuple[Profile, CrossCheck]:
    """Build the profile of measured clouds with its expansions; return which layers were confirmed.

    ``cloud`` gives the cloud of a layer, ``prepared`` prepares those at the ends of an expansion, no others.
    """
    measurements = [one.measurement for one in found]
    refuse_points(measurements)
    profile = Profile(tuple(measurements))  # in the order of depth
    ready = cache(lambda layer: prepared(cloud(layer), profile.recipe))
    expansions = expansions_of(profile.measurements, ready)
    confirmed = {one.measurement.address.layer for one in found if one.confirmed}
    return replace(profile, expansions=expansions), CrossCheck(tuple(x for x in profile.layers if x in confirmed))


def refuse_points(measurements: list[Measurement]) -> None:
    """Raise InvalidCloud where every point of every cloud is the same."""
    if measurements and all(m.facts.distinct_points < 2 for m in measurements):
        first = measurements[0]
        raise InvalidCloud(
            f"{first.address}: all {first.facts.points} points are equal; there is no shape to measure. "
            "Is the right array given? For a model, does another --pooling tell the texts apart?"
        )


def drawn_for_check(layers: Sequence[str], recipe: Recipe) -> set[str]:
    """Draw a tenth of the layers, at least one, by the recipe's seed; none where the reference itself measures."""
    if recipe.engine == REFERENCE or not layers:
        return set()
    rng = np.random.default_rng(recipe.seed)
    drawn = rng.choice(len(layers), max(1, math.ceil(CHECKED_SHARE * len(layers))), replace=False)
    return {layers[i] for i in drawn.tolist()}


def refuse_no_arrays(data: Any) -> None:
    """Raise InvalidCloud for what is often given in place of an array, saying what to give."""
    if isinstance(data, str | PathLike):
        raise InvalidCloud(
            f"arrays are measured, found the name '{data}'. "
            f"A file: todacomm measure {data}, or read it with NumPy; a model: td.run"
        )
    if isinstance(data, list | tuple) and any(np.ndim(one) == 2 for one in data if not isinstance(one, list | tuple)):
        raise InvalidCloud(
            f"a list of {len(data)} arrays; give each the name of its layer: "
            "td.measure({'layer_0': first, 'layer_1': second})"
        )
    if isinstance(data, Mapping):
        wrong = [repr(layer) for layer in data if not isinstance(layer, str)]
        if wrong or not data:
            found = f"a layer is called {wrong[0]}, which is no string" if wrong else "no layer was given"
            raise InvalidCloud(f"{found}; expected names and arrays, as {{'layer_0': array}}")


def as_clouds(data: Any, name: str) -> Iterable[PointCloud]:
    """Convert what `measure` takes to point clouds."""
    if isinstance(data, PointCloud):
        return [data]
    if isinstance(data, Activations):
        return list(data.clouds())
    refuse_no_arrays(data)
    if isinstance(data, Mapping):
        return [PointCloud(a, Address(name, "arrays", layer)) for layer, a in data.items()]
    return [PointCloud(data, Address(name, "arrays", "cloud"))]

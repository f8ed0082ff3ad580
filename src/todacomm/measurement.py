"""Point cloud and recipe → Measurement; clouds along a model → Profile. Pure: no disk, no clock, no printing."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from todacomm.cloud import PreparedCloud, prepare
from todacomm.engines import cross_check, persistence
from todacomm.errors import InvalidCloud, InvalidInput, UnknownName
from todacomm.expansion import expansions_of
from todacomm.metrics import summarise
from todacomm.progress import Track, silent
from todacomm.recipe import Recipe
from todacomm.types import Activations, Address, Measurement, PointCloud, Profile

CHECKED_SHARE = 0.1


def measure_prepared(cloud: PreparedCloud, recipe: Recipe) -> Measurement:
    """The diagrams of a prepared cloud and every number of them."""
    diagrams = persistence(cloud.distances, engine=recipe.engine, maxdim=recipe.maxdim, threshold=recipe.threshold)
    summary = summarise(diagrams, scale=cloud.median_distance)
    return Measurement(cloud.address, recipe, cloud.facts, diagrams, summary)


@dataclass(frozen=True, slots=True)
class Checked:
    """Which layers were computed by the reference engine as well; it agreed on all of them, or an error was raised."""

    layers: tuple[str, ...]


def measure_profile(clouds: Iterable[PointCloud], recipe: Recipe, *, track: Track = silent) -> tuple[Profile, Checked]:
    """Measure every cloud, compare a random tenth of them with the reference engine, add the expansions.

    Raises InvalidCloud where no cloud has two distinct points, EngineDisagreement where the engines differ.
    """
    given = list(clouds)
    prepared: dict[str, PreparedCloud] = {}
    measurements = []
    for cloud in track(given, "persistent homology", len(given)):
        ready = prepare(cloud, recipe)
        prepared[cloud.address.layer] = ready
        measurements.append(measure_prepared(ready, recipe))
    refuse_points(measurements)
    checked = check_some(prepared, recipe)
    profile = Profile(tuple(measurements))  # in the order of depth
    return replace(profile, expansions=expansions_of(profile.measurements, prepared)), checked


def refuse_points(measurements: list[Measurement]) -> None:
    """Raise InvalidCloud where every point of every cloud is the same."""
    if measurements and all(m.facts.distinct_points < 2 for m in measurements):
        first = measurements[0]
        raise InvalidCloud(
            f"{first.address}: all {first.facts.points} points are equal; there is no shape to measure. "
            "Is the right array given? For a model, does another --pool tell the texts apart?"
        )


def check_some(prepared: Mapping[str, PreparedCloud], recipe: Recipe) -> Checked:
    """Cross-check a tenth of the layers, at least one, drawn by the recipe's seed; none where the reference was used."""
    if recipe.engine == "ripser" or not prepared:
        return Checked(())
    rng = np.random.default_rng(recipe.seed)
    layers = list(prepared)
    drawn = sorted(rng.choice(len(layers), max(1, math.ceil(CHECKED_SHARE * len(layers))), replace=False).tolist())
    for i in drawn:
        cross_check(
            prepared[layers[i]].distances, engine=recipe.engine, rng=rng, where=str(prepared[layers[i]].address)
        )
    return Checked(tuple(layers[i] for i in drawn))


def measure(
    data: np.ndarray | PointCloud | Activations | Mapping[str, np.ndarray],
    *,
    name: str = "array",
    recipe: Recipe | None = None,
    track: Track = silent,
    **settings: Any,
) -> Profile:
    """The topology of arrays that you already have; no model and no torch is needed.

    ``data`` is an (n, d) array, a mapping of layer names to arrays, a `PointCloud` or `Activations`. Settings are the
    fields of `Recipe`: ``measure(array, components=None, maxdim=2)``. Raises InvalidCloud for NaN, infinity, fewer than
    three points or points that are all equal.

    >>> import numpy as np
    >>> angle = 2 * np.pi * np.arange(24) / 24
    >>> measure(np.c_[np.cos(angle), np.sin(angle)])["H1_count"]
    array([1.])
    """
    if recipe is not None and settings:
        raise InvalidInput(f"give a recipe or its settings, not both; found both, settings {', '.join(settings)}")
    return measure_arrays(data, name=name, recipe=recipe or recipe_of(settings), track=track)[0]


def measure_arrays(data: Any, *, name: str, recipe: Recipe, track: Track = silent) -> tuple[Profile, Checked]:
    """`measure`, and which layers the reference engine has confirmed."""
    return measure_profile(as_clouds(data, name), recipe, track=track)


def recipe_of(settings: Mapping[str, Any]) -> Recipe:
    """A Recipe from keyword settings; an unknown one raises UnknownName that lists those there are."""
    known = Recipe.__dataclass_fields__
    for key in settings:
        if key not in known:
            raise UnknownName("setting of a recipe", key, known)
    return Recipe(**settings)


def as_clouds(data: Any, name: str) -> Iterable[PointCloud]:
    """Point clouds of whatever `measure` takes."""
    if isinstance(data, PointCloud):
        return [data]
    if isinstance(data, Activations):
        return list(data.clouds())
    if isinstance(data, Mapping):
        return [PointCloud(np.asarray(a), Address(name, "arrays", layer)) for layer, a in data.items()]
    return [PointCloud(np.asarray(data), Address(name, "arrays", "cloud"))]

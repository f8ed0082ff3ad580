"""Measure arrays, clouds or activations: `td.measure` and ``todacomm measure``. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Unpack

import numpy as np
from scipy.spatial.distance import squareform

from todacomm.clouds.distance_matrices import array_of_distances, condensed_of, warn_of_distances
from todacomm.clouds.prepare import PreparedOnce
from todacomm.core.errors import InvalidCloud, InvalidInput, UnknownName
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.progress import Track, shown, silent
from todacomm.core.recipe import FEWEST_POINTS, Recipe, RecipeSettings, called_here, with_keywords
from todacomm.core.threads import one_thread
from todacomm.core.types import Activations, PointCloud, Profile
from todacomm.profiles.intervals_and_nulls import Map, with_claims
from todacomm.profiles.measure import CrossCheck, Each, as_clouds, measure_profile, one_by_one
from todacomm.statistics.null_models import checked_nulls


@with_keywords(RecipeSettings, asdict(Recipe()))
@one_thread
def measure(  # noqa: PLR0913 - the keywords that a user gives
    data: np.ndarray | PointCloud | Activations | Mapping[str, np.ndarray],
    *,
    name: str = "array",
    recipe: Recipe | None = None,
    confidence: float = 0.95,
    resamples: int = 100,
    null_draws: int = 199,
    nulls: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    track: Track = silent,
    progress: bool = False,
    **settings: Unpack[RecipeSettings],
) -> Profile:
    """Measure the topology of arrays that you already have; no model and no torch is needed.

    Every number gets a confidence interval and a test against the Gaussian null. ``resamples=0`` and ``null_draws=0``
    leave them out, which takes about a hundredth of the time.

    Parameters
    ----------
    data : array, mapping of str to arrays, PointCloud or Activations
        An (n, d) array of points, or one for each layer by name; (n, n) distances for ``distance="precomputed"``.
        Lists, tables, tensors and sparse arrays are accepted.
    name : str, default "array"
        What stands for the model in figures and records.
    recipe : Recipe, optional
        How clouds are prepared and measured; or give its fields as ``settings``.
    confidence : float, default 0.95
        Confidence level of the intervals.
    resamples : int, default 100
        Random halves of each cloud behind the intervals.
    null_draws : int, default 199
        Draws of the Gaussian null, and of each null model in ``nulls``.
    nulls : sequence of str, default ()
        Further null models that are drawn from points, such as ``"columns"``.
    groups : sequence of str, optional
        The group of each point (an article, say); intervals then draw whole groups.
    track : callable, optional
        Wraps an iterable with a progress bar of your own.
    progress : bool, default False
        Show a progress bar.
    **settings
        Fields of `Recipe`: ``measure(array, components=None, maxdim=2)``.

    Returns
    -------
    Profile
        Along the layers, with ``claims``.

    Raises
    ------
    InvalidCloud
        For NaN, infinity, fewer than three points, or points that are all equal.
    InvalidInput, UnknownName
        For a setting or a null model that does not exist, and for a recipe beside settings.

    Examples
    --------
    >>> import numpy as np
    >>> angle = 2 * np.pi * np.arange(24) / 24
    >>> measure(np.c_[np.cos(angle), np.sin(angle)], null_draws=0)["H1_count"]
    array([1.])

    """
    if recipe is not None and settings:
        raise InvalidInput(f"give a recipe or its settings, not both; found both, settings {', '.join(settings)}")
    asked = InferenceSettings(confidence, resamples, null_draws, (nulls,) if isinstance(nulls, str) else tuple(nulls))
    found = recipe or recipe_of(settings)
    return measure_arrays(
        data, name=name, recipe=found, asked=asked, groups=groups, track=shown(track, progress=progress)
    )[0]


def measure_arrays(
    data: Any,
    *,
    name: str,
    recipe: Recipe,
    asked: InferenceSettings,
    groups: Sequence[str] | None = None,
    track: Track = silent,
    each: Each = one_by_one,
    spread: Map = map,
) -> tuple[Profile, CrossCheck]:
    """Do the work of `measure`; return also which layers the reference engine confirmed."""
    checked_nulls(asked.nulls, of_points=True)
    if groups is None and isinstance(data, Activations) and data.pooling != "tokens":
        groups = data.texts.groups
    clouds = list(as_clouds(data, name))
    if recipe.distance == "precomputed":
        clouds = [evened(cloud) for cloud in clouds]
    else:
        for cloud in clouds:
            warn_of_distances(cloud.points, 'distance="precomputed"')
    prepared = PreparedOnce()
    profile, checked = measure_profile(clouds, recipe, track=track, each=each, prepared=prepared)
    known = {cloud.address.layer: cloud for cloud in clouds}
    claimed = with_claims(
        profile, known.__getitem__, asked, groups=groups, track=track, spread=spread, prepared=prepared
    )
    return claimed, checked


def evened(cloud: PointCloud) -> PointCloud:
    """Remove rounding errors from a cloud given by its distances, with at most one warning."""
    try:
        array = array_of_distances(cloud.points, fewest=FEWEST_POINTS)
        return PointCloud(squareform(condensed_of(array, infinite=False)), cloud.address)
    except InvalidInput as problem:
        raise InvalidCloud(f"{cloud.address}: {problem}") from problem


def recipe_of(settings: Mapping[str, Any]) -> Recipe:
    """Build a Recipe from keywords; UnknownName lists the known ones."""
    known = Recipe.__dataclass_fields__
    for key in settings:
        if key not in known:
            alone = "Choose layers of arrays by giving those alone, as {'layer_3': array}."
            hint = alone if key == "layers" else called_here(key)
            raise UnknownName("setting of a recipe", key, known, hint=hint)
    return Recipe(**settings)

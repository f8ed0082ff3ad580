"""The numbers that a monitor records of one cloud. Pure; the measuring process and the alerts know no others."""

from dataclasses import replace

from todacomm.clouds.prepare import prepare
from todacomm.core.recipe import Recipe
from todacomm.core.types import Measurement, Number, PointCloud
from todacomm.homology.metrics import SCALED, names_of
from todacomm.profiles.measure import measure_prepared
from todacomm.profiles.trajectory import FACTS, facts_of

PLANE, SPHERE = Recipe(components=2), Recipe(scale="sphere", components=None)
VIEWS = {  # number → how the cloud is seen for it, and the metric
    "H1_screen_2_components": (PLANE, "H1_screen"),
    "H1_max_lifetime_sphere": (SPHERE, "H1_max_lifetime"),
}
RELATIVE_SCALE = "relative_scale"  # median distance over median norm


def names_recorded(recipe: Recipe) -> tuple[str, ...]:
    """The names of the numbers of a layer."""
    metrics = names_of(recipe.maxdim)
    twins = [f"{name}{SCALED}" for name, (_, metric) in metrics.items() if metric.degree]
    return (*metrics, *twins, *FACTS, "doubtful", RELATIVE_SCALE, *(VIEWS if recipe.maxdim else ()))


def numbers_of(cloud: PointCloud, recipe: Recipe) -> dict[str, Number]:
    """Measure one cloud: metrics, diagnostics, and what the alarm of loops looks at. Raises InvalidCloud."""
    found = measured(cloud, recipe)
    views = {name: seen_as(cloud, view, recipe).summary[metric] for name, (view, metric) in viewed(recipe, cloud)}
    return {**found.summary, **facts_of(found.facts), RELATIVE_SCALE: relative_scale(found), **views}


def measured(cloud: PointCloud, recipe: Recipe) -> Measurement:
    """Prepare and measure one cloud."""
    return measure_prepared(prepare(cloud, recipe), recipe, both_fields=False)


def viewed(recipe: Recipe, cloud: PointCloud) -> list[tuple[str, tuple[Recipe, str]]]:
    """The views that are measured: none without H1, or of a line."""
    return list(VIEWS.items()) if recipe.maxdim and cloud.points.shape[1] > 1 else []


def seen_as(cloud: PointCloud, view: Recipe, recipe: Recipe) -> Measurement:
    """Measure a cloud in another view, on the points and by the engine of a recipe."""
    return measured(cloud, replace(view, subsample=recipe.subsample, seed=recipe.seed, engine=recipe.engine))


def relative_scale(found: Measurement) -> Number:
    """The median distance over the median norm of the points: near 0 where they all have become one."""
    return found.facts.scale / found.facts.norm if found.facts.norm > 0 else None

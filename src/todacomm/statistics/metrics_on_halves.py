"""Measure every metric of a cloud on random halves and quarters: the input of intervals and paired comparisons."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float64

from todacomm.clouds.distances import median, rms
from todacomm.clouds.prepare import PreparedCloud
from todacomm.core.errors import InvalidInput
from todacomm.core.inference_types import Halves
from todacomm.core.recipe import Recipe
from todacomm.core.types import CloudFacts, Diagrams, Measurement, Number
from todacomm.homology.engines import restriction, subsampler
from todacomm.homology.metrics import names_of, summarise
from todacomm.statistics.random_halves import FEWEST, QUARTERED_GROUPS, Indices, Splits

SCALE, TREE = "scale", "tree_length"


def no_interval_reason(facts: CloudFacts, rows: int | None = None) -> str:
    """Why a cloud with so many rows that are no copies has no intervals; empty where it has."""
    if facts.landmarks_of is not None:
        return "landmarks are chosen to lie apart and are no random sample; a subsample is one"
    n = facts.points if rows is None else rows
    return "" if n >= FEWEST else f"{n} points are too few, at least {FEWEST} are needed"


def halves_of(cloud: PreparedCloud, found: Measurement, drawn: Splits) -> Halves:
    """Measure a cloud on the halves and quarters of each split; ``found`` is its measurement.

    The projection stays that of the whole cloud. Raises InvalidInput for a cloud with a
    `no_interval_reason`, and for splits of another number of points.
    """
    if why := no_interval_reason(cloud.facts):
        raise InvalidInput(f"{cloud.address}: {why}")
    if drawn.parts.shape[1] != len(cloud.points):
        raise InvalidInput(
            f"{cloud.address}: {len(cloud.points)} points, but {drawn.drawn}; expected splits of as many"
        )
    recipe = found.recipe
    diagrams = subsampler(cloud.condensed, engine=recipe.engine, maxdim=recipe.maxdim, threshold=recipe.threshold)
    distances = restriction(cloud.condensed)
    apart = cloud.first_of_each_kind

    def on(parts: Iterable[Sequence[Indices]]) -> Float64[np.ndarray, "s parts k"]:
        return _array(
            [
                [_numbers(diagrams(part), distances(part), recipe, cloud.unit) for part in map(apart, cut)]
                for cut in parts
            ]
        )

    values = on(drawn.halves())
    cut_groups = 0 < drawn.groups < QUARTERED_GROUPS
    return Halves(
        names=(*found.summary, SCALE, TREE),
        whole=_array(_whole(cloud, found)),
        values=values,
        quarters=np.full((len(values), 4, values.shape[2]), np.nan) if cut_groups else on(drawn.quarters()),
        points=len(cloud.points) - drawn.copies,
        half=drawn.half,
        groups=drawn.groups,
        drawn=drawn.drawn,
        effective=drawn.effective,
    )


def _whole(cloud: PreparedCloud, found: Measurement) -> list[Number]:
    total = found.summary["H0_total_persistence"] or 0.0
    return [*found.summary.values(), found.facts.scale, total * cloud.unit]


def _numbers(
    diagrams: Diagrams, condensed: Float64[np.ndarray, " pairs"] | np.ndarray, recipe: Recipe, unit: float
) -> list[Number]:
    """The metrics of a part; where the recipe normalises, each part by its own scale."""
    scale = median(condensed)
    summary = summarise(diagrams, scale=scale)
    total = summary["H0_total_persistence"] or 0.0
    if own := _own_unit(condensed, scale, recipe):
        for name, (_, entry) in names_of(diagrams.maxdim).items():
            value = summary[name]
            summary[name] = None if value is None else value / own**entry.degree
    return [*summary.values(), scale * unit, total * unit]


def _own_unit(condensed: np.ndarray, scale: float, recipe: Recipe) -> float:
    """What a part is divided by; 0 for nothing."""
    return {"median": scale, "rms": rms(condensed)}[recipe.scale] if recipe.scale in ("median", "rms") else 0.0


def _array(numbers: Sequence[object]) -> Float64[np.ndarray, "..."]:
    return np.array(numbers, dtype=np.float64)

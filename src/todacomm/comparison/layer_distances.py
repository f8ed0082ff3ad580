"""Distances between the diagrams of a profile's layers, independent of scale.

The Wasserstein distance of order 2 between the diagrams of one dimension, each over the median distance of its cloud,
as in comparisons of models. H0 bars, which lie on a line, are all matched; of H1 the longest
(docs/decisions/020, 026).
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

from todacomm.comparison.diagram_tests import DEGREE, scale_free
from todacomm.core.types import Bars, Profile
from todacomm.core.value_types import by_value
from todacomm.homology.diagram_distances import to_diagonal, wasserstein

Kept = Float[np.ndarray, "k 2"]  # k of m bars

MOST_BARS = 400  # of a diagram of H1 and beyond are matched: the longest


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class LayerDistances:
    """Distances ``values`` (L, L), NaN where a layer is undefined; each is within ``error`` of that of whole diagrams.

    ``matched`` is how many of the longest bars were matched; None for all.
    """

    dimension: int
    values: Float[np.ndarray, "L L"]
    matched: int | None
    error: float


def layer_distances(profile: Profile, *, most: int = MOST_BARS) -> tuple[LayerDistances, ...]:
    """Compute the distances between the layers of a profile in H0 and, if measured, H1; none for one layer."""
    if len(profile.measurements) < 2:
        return ()
    return tuple(between_layers(profile, k, most if k else None) for k in range(min(profile.recipe.maxdim, 1) + 1))


def between_layers(profile: Profile, dimension: int, most: int | None) -> LayerDistances:
    """Compute the distances in one dimension from the ``most`` longest bars.

    Dropping bars moves a diagram by at most (Σ (length / 2)²)^½, as sending them to the diagonal does, and a distance
    by at most the sum of both moves.
    """
    found = [None if m.facts.undefined else scale_free(m, dimension) for m in profile.measurements]
    cut = {i: longest(bars, most) for i, bars in enumerate(found) if bars is not None}
    values = np.full((len(found), len(found)), np.nan)
    for i in cut:
        values[i, i] = 0.0
    for i, j in combinations(cut, 2):
        values[i, j] = values[j, i] = wasserstein(cut[i][0], cut[j][0], degree=DEGREE)
    lost = sorted(error for _, error in cut.values())
    error = sum(lost[-2:])
    return LayerDistances(dimension, values, most if error else None, error)


def longest(bars: Bars, most: int | None) -> tuple[Kept, float]:
    """The ``most`` longest bars (None: all), the first of equal ones, and the distance to the whole diagram."""
    if most is None or len(bars) <= most:
        return bars, 0.0
    order = np.argsort(-(bars[:, 1] - bars[:, 0]), kind="stable")
    return bars[np.sort(order[:most])], float((to_diagonal(bars[order[most:]]) ** DEGREE).sum() ** (1 / DEGREE))

"""A profile → layer × layer: how far apart the diagrams of its layers lie, whatever their size.

The Wasserstein distance of degree 2 between the diagrams of one dimension, each over the median distance of its cloud: the number
that comparisons of models give. Of H0, whose bars lie on a line, all are matched; of H1 the longest (docs/decisions/020, 026).
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
    """``values`` (L, L), NaN where a layer is undefined; each is within ``error`` of the distance of the whole diagrams.

    ``dimension`` is that of the homology, ``matched`` is how many of the longest bars of a diagram took part; None where all did, then ``error`` is 0.
    """

    dimension: int
    values: Float[np.ndarray, "L L"]
    matched: int | None
    error: float


def layer_distances(profile: Profile, *, most: int = MOST_BARS) -> tuple[LayerDistances, ...]:
    """The distances between the layers of a profile, H0 and, where it was measured, H1; none for one layer."""
    if len(profile.measurements) < 2:
        return ()
    return tuple(between_layers(profile, k, most if k else None) for k in range(min(profile.recipe.maxdim, 1) + 1))


def between_layers(profile: Profile, dimension: int, most: int | None) -> LayerDistances:
    """The distances in one dimension, of the ``most`` longest bars.

    Leaving a bar out moves a diagram by no more than sending it to the diagonal does, (Σ (length / 2)²)^½ for several, and the
    distance of two diagrams by no more than both together.
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
    """The ``most`` longest bars (all for None), of equal ones the first, and how far that is from all of them in the same distance."""
    if most is None or len(bars) <= most:
        return bars, 0.0
    order = np.argsort(-(bars[:, 1] - bars[:, 0]), kind="stable")
    return bars[np.sort(order[:most])], float((to_diagonal(bars[order[most:]]) ** DEGREE).sum() ** (1 / DEGREE))

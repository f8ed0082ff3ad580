"""A profile → layer × layer: how far apart the loops of its layers lie, whatever their size.

The Wasserstein distance of degree 2 between the diagrams of H1, each over the median distance of its cloud: the number that
comparisons of models give. H0 takes no part: its diagrams have as many bars as there are points, and matching those takes
tens of milliseconds a pair (docs/decisions/020).
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

from todacomm.blocks import DEGREE, scale_free
from todacomm.diagram_distances import to_diagonal, wasserstein
from todacomm.types import Bars, Profile

Kept = Float[np.ndarray, "k 2"]  # k of m bars

DIMENSION = 1
MOST_BARS = 400  # of a diagram are matched: the longest


@dataclass(frozen=True, slots=True, eq=False)
class LayerDistances:
    """``values`` (L, L), NaN where a layer is undefined; each is within ``error`` of the distance of the whole diagrams.

    ``matched`` is how many of the longest bars of a diagram took part; None where all did, then ``error`` is 0.
    """

    values: Float[np.ndarray, "L L"]
    matched: int | None
    error: float


def layer_distances(profile: Profile, *, most: int = MOST_BARS) -> LayerDistances | None:
    """The distances between the layers of a profile; None for one layer, and where H1 was not measured.

    Leaving a bar out moves a diagram by no more than sending it to the diagonal does, (Σ (length / 2)²)^½ for several, and the
    distance of two diagrams by no more than both together.
    """
    if profile.recipe.maxdim < DIMENSION or len(profile.measurements) < 2:
        return None
    found = [None if m.facts.undefined else scale_free(m, DIMENSION) for m in profile.measurements]
    cut = {i: longest(bars, most) for i, bars in enumerate(found) if bars is not None}
    values = np.full((len(found), len(found)), np.nan)
    for i in cut:
        values[i, i] = 0.0
    for i, j in combinations(cut, 2):
        values[i, j] = values[j, i] = wasserstein(cut[i][0], cut[j][0], degree=DEGREE)
    lost = sorted(error for _, error in cut.values())
    error = sum(lost[-2:])
    return LayerDistances(values, most if error else None, error)


def longest(bars: Bars, most: int) -> tuple[Kept, float]:
    """The ``most`` longest bars, of equal ones the first, and how far that is from all of them in the same distance."""
    order = np.argsort(-(bars[:, 1] - bars[:, 0]), kind="stable")
    return bars[np.sort(order[:most])], float((to_diagonal(bars[order[most:]]) ** DEGREE).sum() ** (1 / DEGREE))

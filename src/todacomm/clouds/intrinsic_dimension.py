"""Estimate the intrinsic dimension of a cloud from the distances to the two nearest neighbours."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from todacomm.clouds.distances import checked_points, within_reach
from todacomm.clouds.duplicates import firsts_of, kinds_of, rounding_of
from todacomm.core.array_input import array_of
from todacomm.core.errors import InvalidCloud, InvalidInput
from todacomm.core.threads import one_thread

Points = Float[np.ndarray, "n d"]
Ratios = Float[np.ndarray, " n"]
TIES = 1e-9  # relative: neighbours are equally far where their distances differ by less
FEWEST = 10  # ratios to fit a line through


@one_thread
def two_nn(points: Any, *, discard: float = 0.1) -> float:
    """Estimate the intrinsic dimension by TwoNN, without the largest ``discard`` of the ratios.

    The ratio of the distances to the second and the first neighbour follows a Pareto law whose exponent is the
    dimension: the slope, through the origin, of −log(1 − F) over log ratio. Duplicates (`todacomm.clouds.duplicates`)
    count once. Raises InvalidInput for what are no points, InvalidCloud where most points have two equally near
    neighbours, as on a lattice: the law holds for random points. Facco et al. 2017,
    https://doi.org/10.1038/s41598-017-11873-y
    """
    if not 0 <= discard < 1:
        raise InvalidInput(f"a discarded share of {discard}; expected 0 or more and less than 1")
    first, second = nearest_two(unique_points(points))
    ratios = second[first > 0] / first[first > 0]
    if problem := undefined(ratios):
        raise InvalidCloud(f"no TwoNN dimension: {problem}")
    return slope(ratios, discard)


def undefined(ratios: Ratios) -> str:
    """Why these ratios give no dimension; empty where they do."""
    if len(ratios) < FEWEST:
        return f"{len(ratios)} distinct points; expected {FEWEST} or more"
    ties = float((ratios < 1 + TIES).mean())
    if ties > 0.5:
        return (
            f"{ties:.0%} of the points have ties, two neighbours equally near, as points in equal steps have; the "
            "estimate is for points drawn at random. Add noise, or draw a subsample of the points at random"
        )
    return ""


def slope(ratios: Ratios, discard: float) -> float:
    """The slope of the fitted line."""
    n = len(ratios)
    kept = int(n * (1 - discard))
    x = np.log(np.sort(ratios)[:kept])
    share = np.arange(1, kept + 1) / n
    if share[-1] == 1:  # log 0: the largest ratio is not on the line
        x, share = x[:-1], share[:-1]
    squares = float(x @ x)
    return float(x @ -np.log1p(-share)) / squares if squares > 0 else math.inf


def unique_points(given: Any) -> Points:
    """The unique points, centred and divided by a power of two."""
    array = array_of(given)
    near, _ = within_reach(checked_points(array))
    if len(near) < 3:
        raise InvalidCloud(f"{len(near)} points; expected 3 or more, since each needs two neighbours")
    centred = near - near.mean(axis=0)
    return centred[firsts_of(kinds_of(centred, rounding=rounding_of(near, array.dtype)))]


def nearest_two(rows: Points) -> tuple[Ratios, Ratios]:
    """The distances of each point to its two nearest neighbours, as float64 differences; none for one or two points."""
    if len(rows) < 3:
        return np.empty(0), np.empty(0)
    near = np.argpartition(squared(rows), 1, axis=1)[:, :2]
    steps = np.linalg.norm(rows[:, None] - rows[near], axis=2)
    steps.sort(axis=1)
    return steps[:, 0], steps[:, 1]


def squared(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n n"]:
    """Squared distances between centred rows; infinite on the diagonal."""
    norms = np.einsum("ij,ij->i", rows, rows)
    found = np.maximum(norms[:, None] + norms - 2 * rows @ rows.T, 0)
    np.fill_diagonal(found, math.inf)
    return found


@one_thread
def local_dimension(points: Points, *, neighbours: int = 64, centres: int | None = None, seed: int = 0) -> float | None:
    """Average TwoNN over neighbourhoods of ``neighbours`` points; None where no neighbourhood gives a value.

    Each of ``centres`` points, drawn by ``seed`` (None: all), is taken with its nearest neighbours as a cloud of its
    own. A cloud of fewer points is one neighbourhood.
    """
    rows = unique_points(points)
    size = min(neighbours, len(rows))
    if size < 3:
        return None
    chosen = np.arange(len(rows))
    if centres is not None and centres < len(rows):
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(len(rows), centres, replace=False))
    distances = squared(rows)
    near = np.argpartition(distances[chosen], size - 2, axis=1)[:, : size - 1]
    around = np.column_stack([chosen, near])
    inside = distances[around[:, :, None], around[:, None, :]]
    first = inside.argmin(axis=2)[..., None]
    nearest = np.take_along_axis(inside, first, axis=2)[..., 0]
    np.put_along_axis(inside, first, math.inf, axis=2)
    found = [_of_neighbourhood(*pair) for pair in zip(nearest, inside.min(axis=2), strict=True)]
    defined = [value for value in found if value is not None and math.isfinite(value)]
    return float(np.mean(defined)) if defined else None


def _of_neighbourhood(first: Ratios, second: Ratios) -> float | None:
    """The estimate from squared distances to the two nearest neighbours; None where undefined."""
    ratios = np.sqrt(second[first > 0] / first[first > 0])
    return None if undefined(ratios) else slope(ratios, 0.1)

"""Part many points into clusters, and blend the angles of their centres into those of any point.

Averages and not a choice of points: a chosen point carries the noise of one, and those that are far from all others
(maxmin) carry the most. Clusters of one or two points are averages of nothing and are left out.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist

from todacomm.cohomology.windings import within_a_turn
from todacomm.core.types import Points

MANY = 300  # points, above which centres stand for them
SHARE, MOST = 5, 100  # so many points a centre, and so many centres at most
FEWEST = 3  # points of a cluster
ROUNDS = 30  # of Lloyd's algorithm at most
REACH = 1.5  # times the distance of the nearest centre: no weight from there on

Angles = Float[np.ndarray, "n c"]
Labels = Int[np.ndarray, " n"]


def number_of_centres(n: int) -> int:
    """How many clusters n points are parted into, before small ones go."""
    return min(MOST, n // SHARE)


def centres_of(points: Points, rng: np.random.Generator) -> tuple[Points, Labels]:
    """The centres of k-means clusters of three points or more, and the cluster of each point, -1 in smaller ones.

    Of few points each is its own centre. Lloyd's algorithm from points drawn at random.
    """
    n = len(points)
    if n <= MANY:
        return points, np.arange(n)
    centres = points[np.sort(rng.choice(n, number_of_centres(n), replace=False))]
    label = nearest(points, centres)
    for _ in range(ROUNDS):
        centres, before = means(points, label, len(centres)), label
        label = nearest(points, centres)
        if np.array_equal(label, before):
            break
    sizes = np.bincount(label, minlength=len(centres))
    kept = sizes >= FEWEST
    renamed = np.where(kept, np.cumsum(kept) - 1, -1)
    return means(points, label, len(centres))[kept], renamed[label]


def nearest(points: Points, centres: Points) -> Labels:
    """The nearest centre of each point."""
    return (np.einsum("ij,ij->i", centres, centres) - 2 * points @ centres.T).argmin(axis=1)


def means(points: Points, label: Labels, k: int) -> Points:
    """The mean of each cluster that has a point; a cluster without one is far from everything."""
    member = np.zeros((k, len(points)))
    member[label, np.arange(len(points))] = 1
    sizes = member.sum(axis=1, keepdims=True)
    far = 2 * np.abs(points).max() + 1
    return np.where(sizes > 0, member @ points / np.maximum(sizes, 1), far)


def blended(points: Points, centres: Points, angles: Angles) -> Angles:
    """The angles of points from those of the centres: arg Σ w e^{iθ}, w = max(0, 1 − d / (1.5 d_min)).

    A point at a centre has its angle. NaN where no centre with an angle is near.
    """
    distances = cdist(points, centres)
    least = distances.min(axis=1, keepdims=True)
    ratios = np.divide(distances, REACH * least, out=np.ones_like(distances), where=least > 0)
    weights = np.where(least > 0, np.maximum(0, 1 - ratios), distances == 0)
    known = ~np.isnan(angles)
    total = weights @ np.where(known, np.exp(1j * np.nan_to_num(angles)), 0)
    return np.where(weights @ known > 0, within_a_turn(np.angle(total)), np.nan)

"""Choose centres that stand for many points, and blend their angles into those of any point.

Each point is replaced by the mean of its nearest points, which takes most of the noise off. Two thirds of the centres
are landmarks among these means, so that no mean is far from one and rare places have centres too; a third is drawn at
random, so that crowded places have many. Landmarks among the points themselves would be those with
the most noise.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import cdist

from todacomm.clouds.landmarks import maxmin
from todacomm.cohomology.curve import within_a_turn
from todacomm.core.types import Points

MANY = 300  # points, above which centres stand for them
SHARE, MOST = 3, 150  # so many points a centre, and so many centres at most
ALIKE = 50  # a mean is taken over the points / ALIKE nearest
SEEN = 2000  # points at most, drawn at random, that means are taken of
REACH = 1.5  # times the distance of the nearest centre: no weight from there on

Angles = Float[np.ndarray, "n c"]
Labels = Int[np.ndarray, " n"]


def number_of_centres(n: int) -> int:
    """How many centres stand for n points, all of them where they are few."""
    return n if n <= MANY else min(MOST, n // SHARE)


def centres_of(points: Points, rng: np.random.Generator) -> tuple[Points, Labels]:
    """The centres of a cloud, and the nearest of each point; of few points each is its own."""
    n = len(points)
    if n <= MANY:
        return points, np.arange(n)
    seen = points if n <= SEEN else points[np.sort(rng.choice(n, SEEN, replace=False))]
    means = local_means(seen, len(seen) // ALIKE)
    number = number_of_centres(n)
    landmarks, _ = maxmin(means, 2 * number // 3, int(rng.integers(len(means))))
    others = np.setdiff1d(np.arange(len(means)), landmarks)
    drawn = rng.choice(others, number - len(landmarks), replace=False)
    centres = means[np.sort(np.concatenate([landmarks, drawn]))]
    return centres, nearness(points, centres).argmin(axis=1)


def local_means(points: Points, k: int) -> Points:
    """The mean of the k nearest points of each point, itself among them."""
    near = np.argpartition(nearness(points, points), k - 1, axis=1)[:, :k]
    return points[near].mean(axis=1)


def nearness(points: Points, others: Points) -> Float[np.ndarray, "n k"]:
    """Squared distances, but for the square of each point."""
    return np.einsum("ij,ij->i", others, others) - 2 * points @ others.T


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

"""The vertices of the Rips complexes in which loops are tested: all points of a cloud, or the centroids of clusters.

The mean of ten points has less noise than each, so that centroids show smaller loops. A draw of a null is replaced by
centroids as the cloud is, which keeps the test as exact as it is on points (docs/decisions/037).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from todacomm.clouds.distances import pairwise, within_reach
from todacomm.clouds.prepare import PreparedCloud
from todacomm.core.recipe import FEWEST_POINTS, Recipe
from todacomm.core.types import Bars, Points
from todacomm.homology.engines import persistence
from todacomm.statistics.gaussian_null import Change, as_drawn

SHARE, MOST, FEWEST = 5, 200, 6  # points a centroid; centroids at most, and at least
PART, LEAST, LARGEST = 20, 2, 10  # a centroid is the mean of a twentieth of the points, of two to ten of them
ITERATIONS = 5  # of Lloyd's algorithm; with ten the power is the same
STREAM = 4  # keeps these random numbers apart from others of the same seed
OBSERVED = -1  # the number of the cloud among its draws

Labels = Int[np.ndarray, " u"]
Centroids = Float[np.ndarray, "c _"]


@dataclass(frozen=True, slots=True, eq=False)
class Vertices:
    """The vertices (c, k) of a cloud's Rips complex.

    ``labels`` (u,) are the vertex of each unique point, ``nearest`` (c,) the unique point that is nearest to each
    vertex. ``drawn`` turns the points of a draw into so many vertices. ``centroids``: how many there are, 0 where each
    point is a vertex.
    """

    points: Centroids
    labels: Labels
    nearest: Int[np.ndarray, " c"]
    drawn: Callable[[int], Change]
    centroids: int = 0

    def points_at(self, vertices: Int[np.ndarray, " g"]) -> Int[np.ndarray, " u"]:
        """The unique points that belong to some vertices."""
        return np.flatnonzero(np.isin(self.labels, vertices))


def bars_among(vertices: Centroids, recipe: Recipe) -> Bars:
    """The bars of H1 of some vertices; none of fewer than three, which the points of a sphere in one dimension are."""
    if len(vertices) < FEWEST_POINTS:
        return np.zeros((0, 2))
    return persistence(pairwise(vertices, recipe.distance), engine=recipe.engine, maxdim=1).finite[1]


def all_points(cloud: PreparedCloud) -> Vertices:
    """Every unique point is a vertex."""
    points = cloud.points[cloud.first_of_each_kind()]
    each = np.arange(len(points))
    return Vertices(points, each, each, lambda _number: as_drawn)


def centroids(cloud: PreparedCloud, *, seed: int) -> Vertices:
    """The centroids of the unique points, about a fifth as many."""
    points = cloud.points[cloud.first_of_each_kind()]
    near, exponent = within_reach(points)
    around = points_of_a_centroid(len(points))
    found, labels = k_means(near, number_of_centroids(len(points)), around, generator(seed, OBSERVED))
    order = np.lexsort((np.linalg.norm(near - found[labels], axis=1), labels))
    nearest = order[np.searchsorted(labels[order], np.arange(len(found)))]
    drawn = partial(centroids_drawn, around=around, seed=seed)
    return Vertices(np.ldexp(found, exponent), labels, nearest, drawn, len(found))


def centroids_drawn(number: int, *, around: int, seed: int) -> Change:
    """Turn the points of a draw into so many centroids, each the mean of the points ``around`` it."""

    def drawn(points: Points, draw: int) -> Centroids:
        near, exponent = within_reach(points)
        return np.ldexp(k_means(near, number, around, generator(seed, draw))[0], exponent)

    return drawn


def centroids_of_draw(points: Points, draw: int, *, seed: int) -> Centroids:
    """The centroids of the points of a draw; points too few to have any stay."""
    if too_few(n := len(points)):
        return points
    return centroids_drawn(number_of_centroids(n), around=points_of_a_centroid(n), seed=seed)(points, draw)


def number_of_centroids(points: int) -> int:
    """How many centroids stand for so many points."""
    return min(MOST, points // SHARE)


def points_of_a_centroid(points: int) -> int:
    """How many points a centroid is the mean of."""
    return max(LEAST, min(LARGEST, points // PART))


def too_few(points: int) -> str:
    """Why so few points have no centroids; empty where they have some."""
    if number_of_centroids(points) >= FEWEST:
        return ""
    return f"{points} distinct points; centroids are of at least {FEWEST * SHARE}, {SHARE} a centroid"


def generator(seed: int, number: int) -> np.random.Generator:
    """The random numbers of the centroids of one draw."""
    return np.random.default_rng([seed, STREAM, number - OBSERVED])


def k_means(points: Points, k: int, around: int, rng: np.random.Generator) -> tuple[Centroids, Labels]:
    """The centroids of at most k clusters by Lloyd's algorithm, smoothed, and the cluster of each point; none is empty.

    A centroid becomes the mean of the points ``around`` it, so that all have as little noise. Squares of
    the points must not overflow: kmeans2 would read beyond its arrays. Raises ValueError for more clusters than points.
    """
    from scipy.cluster.vq import kmeans2

    start = points[rng.choice(len(points), k, replace=False)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")
        found, labels = kmeans2(points, start, iter=ITERATIONS, minit="matrix")
    kept, labels = np.unique(labels, return_inverse=True)
    return smoothed(found[kept], points, around), labels


def smoothed(found: Centroids, points: Points, number: int) -> Centroids:
    """The mean of so many points that are nearest to each."""
    if len(points) <= number:
        return found
    squares = np.einsum("ij,ij->i", points, points) - 2 * found @ points.T  # but for the square of each centroid
    return points[np.argpartition(squares, number - 1, axis=1)[:, :number]].mean(axis=1)

"""Show a prepared cloud: its points in two planes, and the clusters of H0.

One plane is that of the first two principal components. The other is metric multidimensional scaling of the measured
distances, by the majorisation of stress: SMACOF, de Leeuw 1977; Borg and Groenen 2005, chapter 8,
https://doi.org/10.1007/0-387-28981-X. It starts from the classical solution, not at random, so that equal clouds look
alike.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist, squareform

from todacomm.clouds.pca import principal
from todacomm.clouds.prepare import PreparedCloud
from todacomm.core.types import Distances, Points

Plane = Float[np.ndarray, "v 2"]
Labels = Int[np.ndarray, " n"]
Indices = Int[np.ndarray, " v"]
Tree = Float[np.ndarray, "_ 4"]  # as of scipy.cluster.hierarchy

MOST_POINTS = 1000
ITERATIONS = 60  # of the majorisation, at most
STEADY = 1e-4  # relative decrease of stress below which the iteration stops
FEWEST, SHARE = 3, 0.02  # least size of a cluster: points, and fraction of all points
ALONE = -1  # the label of points in no cluster


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Single-linkage components of at least ``fewest`` points, over the widest range of distances with as many.

    The range is ``since`` to ``until``, in the unit of the distances. ``labels`` (n,) are 0 for the largest component,
    then 1 …, and -1 in smaller ones. ``count`` is at least 2, or 1 (all points, ``until`` infinite) where no distance
    has two.
    """

    labels: Labels
    count: int
    since: float
    until: float
    fewest: int


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Two planes and the clusters of v points of a cloud, in the unit of the distances (cosine: of the points)."""

    rows: Indices  # of the raw cloud
    components: Plane  # the first two principal components
    variance: float  # the fraction that they hold
    scaled: Plane  # multidimensional scaling
    stress: float
    clusters: Clusters  # of all points
    labels: Labels  # of the points shown


def views_of(cloud: PreparedCloud, *, distance: str = "euclidean", most: int = MOST_POINTS) -> Views:
    """Compute the views of a cloud prepared with this ``distance``, on at most ``most`` evenly spaced points."""
    shown = evenly(len(cloud.points), most)
    points = cloud.points
    components, variance = first_two(points) if points.shape[1] else embedded(cloud.distances)
    among = squareform(cloud.restricted(shown)) if len(shown) < len(cloud.points) else cloud.distances
    start = first_two(points[shown])[0] if distance == "euclidean" else classical(among)
    scaled, stress = smacof(among, start)
    found = clusters(cloud)
    return Views(cloud.rows[shown], components[shown], variance, scaled, stress, found, found.labels[shown])


def evenly(n: int, most: int) -> Indices:
    """The indices 0 … n-1, or ``most`` evenly spaced ones, including both ends."""
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(np.int64)


# Planes


def first_two(points: Points) -> tuple[Plane, float]:
    """The first two principal components of centred points, and their fraction of the variance.

    For points on a line the second is 0. Oriented by `oriented`.
    """
    around = points - points.mean(axis=0)
    directions, share = principal(around, min(2, points.shape[1]))
    return oriented(around @ directions.T), share


def embedded(distances: Distances) -> tuple[Plane, float]:
    """The counterpart of `first_two` for distances: the classical solution and its fraction of the mean square."""
    plane = classical(distances)
    total = float((distances.astype(np.float64) ** 2).sum()) / (2 * len(distances))
    return plane, min(float((plane**2).sum()) / total, 1.0) if total else 1.0


def classical(distances: Distances) -> Plane:
    """Classical scaling (Torgerson 1952, https://doi.org/10.1007/BF02288916): the two strongest axes."""
    n = len(distances)
    products = -0.5 * distances.astype(np.float64) ** 2
    means = products.mean(axis=0)
    products -= means + means[:, None] - means.mean()
    values, axes = scipy.linalg.eigh(products, subset_by_index=(n - 2, n - 1), overwrite_a=True, check_finite=False)
    return oriented((axes * np.sqrt(np.maximum(values, 0)))[:, ::-1])


def smacof(distances: Distances, start: Plane, *, iterations: int = ITERATIONS) -> tuple[Plane, float]:
    """Minimise `stress` in the plane by majorisation from ``start``; return points and stress.

    Each step is a Guttman transform, which never raises Σ (distance - given)². Computed in float32, which is visually
    exact. On principal axes, oriented by `oriented`.
    """
    given, plane = distances.astype(np.float32), start.astype(np.float32)
    last = np.inf
    for _ in range(iterations):
        between = plane_distances(plane)
        excess = given - between
        raw = float(np.vdot(excess, excess))
        if raw >= (1 - STEADY) * last:
            break
        last, plane = raw, guttman(given, between, plane)
    found = first_two(plane.astype(np.float64))[0]
    return found, stress(squareform(distances, checks=False), pdist(found))


def plane_distances(plane: Plane) -> Distances:
    """The distances between points of the plane."""
    squares = np.einsum("ij,ij->i", plane, plane)
    found = plane @ (-2 * plane.T)
    found += squares
    found += squares[:, None]
    np.maximum(found, 0, out=found)
    return np.sqrt(found, out=found)


def guttman(given: Distances, between: Distances, plane: Plane) -> Plane:
    """One Guttman transform: the minimum of the parabola above the stress at ``plane``; overwrites ``between``."""
    between[between == 0] = np.inf
    ratios = np.divide(given, between, out=between)
    moved: Plane = (ratios.sum(axis=1)[:, None] * plane - ratios @ plane) / len(plane)
    return moved - moved.mean(axis=0)


def stress(given: Float[np.ndarray, " pairs"], found: Float[np.ndarray, " pairs"]) -> float:
    """Kruskal's stress-1, √(Σ (found - given)² / Σ found²); 0 where all points are one.

    Kruskal 1964, https://doi.org/10.1007/BF02289565
    """
    size = float(found @ found)
    return float(np.sqrt(((found - given) ** 2).sum() / size)) if size else 0.0


def oriented(plane: Float[np.ndarray, "v k"]) -> Plane:
    """Orient axes so that the largest coordinate of each is positive; y is 0 for a single axis."""
    largest = plane[np.abs(plane).argmax(axis=0), np.arange(plane.shape[1])]
    signed = plane * np.where(largest < 0, -1.0, 1.0)
    return signed if signed.shape[1] == 2 else np.column_stack([signed[:, 0], np.zeros(len(signed))])


# Clusters


def clusters(cloud: PreparedCloud) -> Clusters:
    """Find the clusters of a cloud. Why the widest range, and how wide it is in noise: docs/decisions/020."""
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(cloud.condensed, "single")
    fewest = max(FEWEST, int(np.ceil(SHARE * len(cloud.points))))
    since, last, until = widest_range(tree, fewest)
    labels, count = numbered(fcluster(tree, last, "distance"), fewest)
    return Clusters(labels, count, since, until, fewest)


def widest_range(tree: Tree, fewest: int) -> tuple[float, float, float]:
    """Find the widest range with a constant number, at least two, of components of ``fewest`` points.

    Returns its first and last merging distance, and the next one, which changes the number; the last of equal ranges.
    """
    large = np.concatenate([np.ones(len(tree) + 1), tree[:, 3]]) >= fewest
    parts = large[tree[:, :2].astype(int)]
    counts = np.cumsum(large[len(tree) + 1 :].astype(int) - parts.sum(axis=1))
    at = np.flatnonzero(np.append(np.diff(tree[:, 2]) > 0, True))  # of several merges at one distance the last
    heights, counts = tree[at, 2], counts[at]
    starts = np.flatnonzero(np.diff(counts, prepend=-1))
    widths = np.where(counts[starts[:-1]] > 1, np.diff(heights[starts]), -1)
    if not (widths > 0).any():
        return float(heights[-1]), float(heights[-1]), np.inf
    best = int(np.flatnonzero(widths == widths.max())[-1])
    since, until = heights[starts[best : best + 2]]
    return float(since), float(heights[starts[best + 1] - 1]), float(until)


def numbered(components: Labels, fewest: int) -> tuple[Labels, int]:
    """Number the components of ``fewest`` points or more by size, then first point; return their count."""
    _, first, place, sizes = np.unique(components, return_index=True, return_inverse=True, return_counts=True)
    order = [i for i in np.lexsort((first, -sizes)) if sizes[i] >= fewest]
    names = np.full(len(sizes), ALONE)
    names[order] = np.arange(len(order))
    return names[place], len(order)

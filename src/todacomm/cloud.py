"""From a cloud as it came to the distances that are measured: subsample, centre, sphere, project, landmarks, distances, rescale."""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import squareform

from todacomm.distances import (
    CHUNK,
    Condensed,
    median,
    pairwise,
    rms,
    rows_and_columns,
    squared_differences,
    start_of,
    unit_rows,
)
from todacomm.errors import InvalidCloud, InvalidInput
from todacomm.landmarks import maxmin
from todacomm.projection import project
from todacomm.recipe import Recipe
from todacomm.types import Address, CloudFacts, Distances, PointCloud, Points

Labels = Int[np.ndarray, " n"]
Indices = Int[np.ndarray, " m"]
FLOAT32 = float(np.finfo(np.float32).eps)
BORDER = 1e-6  # a float32 distance within this of a limit is measured again in float64


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCloud:
    """A cloud ready to be measured.

    ``points`` (n, k) float64 after the recipe, ``condensed`` the n(n-1)/2 distances in float32, the precision in which every
    engine works, in ``scipy.spatial.distance.pdist`` order, both divided by ``unit`` (the median or RMS distance, or 1),
    ``kinds`` the label of the distinct point that each point is, ``facts`` what must be known of the cloud, ``rows`` which
    points of the cloud as it came they are, ascending.
    """

    address: Address
    points: Points
    condensed: Condensed
    kinds: Labels
    facts: CloudFacts
    rows: Indices
    unit: float = 1.0

    @property
    def distances(self) -> Distances:
        """The symmetric (n, n) matrix of the distances."""
        return squareform(self.condensed)

    @property
    def median_distance(self) -> float:
        return median(self.condensed)

    def first_of_each_kind(self) -> Int[np.ndarray, " distinct"]:
        """The index of the first point of each distinct position, ascending."""
        return np.sort(np.unique(self.kinds, return_index=True)[1])

    def restricted(self, indices: Indices) -> Condensed:
        """The distances between the points at ``indices``, in pdist order."""
        rows, columns = np.triu_indices(len(indices), k=1)
        i, j = indices[rows], indices[columns]
        low, high = np.minimum(i, j), np.maximum(i, j)
        return self.condensed[start_of(low, len(self.points)) + high - low - 1]


def prepare(cloud: PointCloud, recipe: Recipe) -> PreparedCloud:
    """Apply ``recipe`` to ``cloud``, in the order that `Recipe` states.

    Raises InvalidCloud where the sphere or the cosine distance is asked of a point at the centre.
    """
    raw = subsample(cloud.points, recipe)
    centred = raw.astype(np.float64)
    squares = np.einsum("ij,ij->i", centred, centred)
    rounding = 4 * FLOAT32 * float(np.sqrt(squares.mean()))
    centred -= centred.mean(axis=0)
    variances = np.einsum("ij,ij->j", centred, centred)
    if is_one_point(centred, float(variances.sum()), rounding):
        shape = one_point(len(raw), raw.shape[1], recipe)
    else:
        points = centred if recipe.centre else raw.astype(np.float64)
        shape = shape_of(points, recipe, rounding=rounding, address=cloud.address)
    facts = facts_of(shape, dimension=raw.shape[1], squares=squares, variances=variances)
    unit = {"median": facts.scale, "rms": facts.rms_distance}.get(recipe.scale, 1.0) or 1.0
    if unit != 1.0:
        np.divide(shape.condensed, unit, out=shape.condensed)
        np.divide(shape.points, unit, out=shape.points)
    rows = np.arange(len(cloud))[drawn(len(cloud), recipe)][shape.rows]
    return PreparedCloud(cloud.address, shape.points, shape.condensed, shape.kinds, facts, rows, unit)


def subsample(points: Points, recipe: Recipe) -> Float[np.ndarray, "k d"]:
    """``recipe.subsample`` of the points, drawn by the recipe's seed without replacement, in their old order."""
    return points[drawn(len(points), recipe)]


def drawn(n: int, recipe: Recipe) -> Indices | slice:
    """Which of n points `subsample` takes."""
    if recipe.subsample is None or recipe.subsample == n:
        return slice(None)
    if recipe.subsample > n:
        raise InvalidInput(f"a subsample of {recipe.subsample} points was asked for, but there are {n}")
    rng = np.random.default_rng(recipe.seed)
    return np.sort(rng.choice(n, recipe.subsample, replace=False))


# Points to distances


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What is left of a cloud to measure, before any rescaling; both arrays are its own. ``rows`` are the points that were chosen."""

    points: Points
    variance_kept: float
    condensed: Condensed
    kinds: Labels
    landmarks_of: int | None = None
    covering_radius: float | None = None
    bar_error: float | None = None
    rows: Indices | slice = field(default_factory=lambda: slice(None))


def facts_of(
    shape: Shape, *, dimension: int, squares: Float[np.ndarray, " n"], variances: Float[np.ndarray, " d"]
) -> CloudFacts:
    """What must be known of a cloud with these squared norms of its points and variances of its coordinates."""
    return CloudFacts(
        points=len(shape.points),
        dimension=dimension,
        components=shape.points.shape[1],
        variance_kept=shape.variance_kept,
        distinct_points=int(shape.kinds.max()),
        scale=median(shape.condensed),
        rms_distance=rms(shape.condensed),
        largest_variance_share=float(variances.max() / variances.sum()) if variances.any() else 0.0,
        norm=float(np.median(np.sqrt(squares))),
        landmarks_of=shape.landmarks_of,
        covering_radius=shape.covering_radius,
        bar_error=shape.bar_error,
    )


def is_one_point(centred: Points, total: float, rounding: float) -> bool:
    """Whether all points are within ``rounding`` of one another; ``total`` is the sum of their squared norms."""
    within = (rounding / 2) ** 2
    return total <= within * len(centred) and float(np.einsum("ij,ij->i", centred, centred).max()) <= within


def one_point(n: int, d: int, recipe: Recipe) -> Shape:
    """A cloud that is one point n times: what is left of it is rounding, which has neither direction nor length."""
    width = d if recipe.components is None or d <= recipe.components else min(recipe.components, n)
    m = min(n, recipe.landmarks or n)
    pairs = np.zeros(m * (m - 1) // 2, dtype=np.float32)
    shape = Shape(np.zeros((m, width)), 1.0, pairs, np.ones(m, dtype=np.int64), rows=slice(m))
    return shape if m == n else covered(shape, 0.0, recipe.distance, whole=n)


def shape_of(points: Points, recipe: Recipe, *, rounding: float, address: Address) -> Shape:
    """Sphere, projection, landmarks and distances. Distinct points are counted before any sphere or angle, which blow
    rounding up to full size.
    """
    flat, kept = project(points, recipe.components, centred=recipe.centre)
    final = flat
    if recipe.scale == "sphere":
        final, kept = project(on_sphere(points, address), recipe.components)
    if recipe.distance == "cosine":
        refuse_centre(final, address)
    chosen, radius = landmarks(final, recipe)
    condensed = pairwise(flat[chosen])
    kinds = distinct(condensed, flat[chosen], within=max(1e-6 * median(condensed), rounding))
    final = final[chosen]
    if kinds.max() == 1:
        final, condensed = np.zeros_like(final), np.zeros_like(condensed)
    elif recipe.scale == "sphere" or recipe.distance == "cosine":
        condensed = pairwise(final, recipe.distance)
    shape = Shape(final, kept, condensed, kinds, rows=chosen)
    return shape if radius is None else covered(shape, radius, recipe.distance, whole=len(points))


def on_sphere(points: Points, address: Address) -> Points:
    """Each point divided by its norm."""
    refuse_centre(points, address)
    return unit_rows(points)


def refuse_centre(points: Points, address: Address) -> None:
    """Raise InvalidCloud where a point has no direction."""
    at_centre = int((~points.any(axis=1)).sum())
    if at_centre:
        raise InvalidCloud(
            f"{address}: {at_centre} points stand at the centre, where there is no place on the sphere and no angle; "
            "remove them, or measure euclidean distances without the sphere"
        )


# Landmarks


def landmarks(points: Points, recipe: Recipe) -> tuple[Indices | slice, float | None]:
    """Which points are measured, ascending, and how far any other is from them; all of them where no fewer are asked for.

    Maxmin landmarks by the distance of the recipe (for cosine, by that of the unit vectors) from a first one drawn by its seed.
    """
    if recipe.landmarks is None or recipe.landmarks >= len(points):
        return slice(None), None
    rng = np.random.default_rng(recipe.seed)
    first = int(rng.integers(len(points)))
    space = unit_rows(points) if recipe.distance == "cosine" else points
    chosen, radius = maxmin(space, recipe.landmarks, first=first)
    return np.sort(chosen), radius


def covered(shape: Shape, radius: float, distance: str, *, whole: int) -> Shape:
    """What landmarks leave open. Moving each of the ``whole`` points to its landmark, ``radius`` away at most, changes no
    distance, and so no end of a bar, by more than 2 radius (`todacomm.landmarks`). The cosine distance t is half of the square of
    a distance c = √(2t) between unit vectors: c ± 2 radius is at most t ± (2 c radius + 2 radius²).
    """
    if distance == "euclidean":
        return replace(shape, landmarks_of=whole, covering_radius=radius, bar_error=2 * radius)
    longest = float(np.sqrt(2 * shape.condensed.max()))
    return replace(
        shape,
        landmarks_of=whole,
        covering_radius=radius**2 / 2,
        bar_error=2 * longest * radius + 2 * radius**2,
    )


# Distinct points


def distinct(condensed: Condensed, points: Points, *, within: float) -> Labels:
    """Labels 1 … k of the distinct points: chains of steps no longer than ``within`` make one.

    The steps are those of the points in float64. A label is new where the first point of its kind stands.
    """
    labels = np.arange(len(points))
    if not condensed.size or condensed.min() > within * (1 + BORDER):
        return labels + 1
    for start in range(0, condensed.size, CHUNK):
        near = start + np.flatnonzero(condensed[start : start + CHUNK] <= within * (1 + BORDER))
        i, j = rows_and_columns(near, len(points))
        apart = labels[i] != labels[j]
        i, j, steps = i[apart], j[apart], condensed[near[apart]]
        same = steps < within * (1 - BORDER)
        unsure = np.flatnonzero(~same)
        same[unsure] = squared_differences(points, i[unsure], j[unsure]) <= within**2
        labels = joined(labels, i[same], j[same])
    return np.unique(labels, return_inverse=True)[1] + 1


def joined(labels: Labels, i: Indices, j: Indices) -> Labels:
    """The labels once the kinds of the points i and j are one: that of the lowest."""
    while (apart := labels[i] != labels[j]).any():
        i, j = i[apart], j[apart]
        kind = np.arange(len(labels))
        np.minimum.at(kind, np.maximum(labels[i], labels[j]), np.minimum(labels[i], labels[j]))
        while not np.array_equal(kind, lower := kind[kind]):
            kind = lower
        labels = kind[labels]
    return labels


def spanning_tree_length(condensed: Condensed) -> float:
    """The length of the minimum spanning tree, which is the H0 total persistence."""
    from scipy.cluster.hierarchy import linkage

    return float(linkage(condensed, "single")[:, 2].sum()) if len(condensed) else 0.0

"""Prepare clouds: subsample, merge duplicates, centre, sphere, project, landmarks, distances, rescale."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import squareform

from todacomm.clouds.distance_matrices import array_of_distances, compact, condensed_of
from todacomm.clouds.distances import Condensed, median, pairwise, rescaled, rms, unit_rows, within_reach
from todacomm.clouds.duplicates import SAME, distinct, firsts_of, kinds_among, kinds_of, restricted, rounding_of
from todacomm.clouds.landmarks import maxmin, maxmin_among
from todacomm.clouds.pca import project
from todacomm.core.errors import InvalidCloud, InvalidInput
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, CloudFacts, Distances, PointCloud, Points

Labels = Int[np.ndarray, " n"]
Copies = Int[np.ndarray, " chosen"]  # the unique point of each chosen point
Indices = Int[np.ndarray, " m"]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCloud:
    """A cloud ready to be measured; copies have the coordinates of the first of them."""

    address: Address
    points: Points  # (n, k) float64, over ``unit``; none where distances were given
    condensed: Condensed  # n(n-1)/2 float32 (float64 beyond its range) in pdist order, over ``unit``
    kinds: Labels  # the unique point of each point
    facts: CloudFacts
    rows: Indices  # of the raw cloud, ascending
    unit: float = 1.0  # the median or RMS distance, or 1

    @property
    def distances(self) -> Distances:
        """The symmetric (n, n) matrix of the distances."""
        return squareform(self.condensed)

    @property
    def median_distance(self) -> float:
        """The median distance of unique points."""
        return self.facts.scale / self.unit

    def first_of_each_kind(self, among: Indices | None = None) -> Int[np.ndarray, " distinct"]:
        """The index of the first point of each unique position, ascending, among all or some points."""
        if among is None:
            return firsts_of(self.kinds)
        return among if self.facts.distinct_points == len(self.kinds) else among[firsts_of(self.kinds[among])]

    def restricted(self, indices: Indices) -> Condensed:
        """The distances between the points at ``indices``, in pdist order."""
        return restricted(self.condensed, indices, len(self.points))


def prepare(cloud: PointCloud, recipe: Recipe) -> PreparedCloud:
    """Apply ``recipe`` to ``cloud``, in the order that `Recipe` states.

    Duplicates (`todacomm.clouds.duplicates`) count once for mean, directions, scale, and distances, which are 0 between
    copies. Raises InvalidCloud for a point at the centre with the sphere or the cosine distance.
    """
    rows = np.arange(len(cloud))[subsample_rows(len(cloud), recipe)]
    if recipe.distance == "precomputed":
        return prepared_distances(cloud, recipe, rows)
    near, exponent = within_reach(cloud.points[rows].astype(np.float64))
    rounding = rounding_of(near, cloud.points.dtype)
    copies = kinds_of(near - near.mean(axis=0), rounding=rounding)
    points = near if copies.max() == len(near) - 1 else near[firsts_of(copies)]
    centred = points - points.mean(axis=0)
    shape = (
        shape_of(centred if recipe.centre else points, recipe, copies, rounding=rounding, address=cloud.address)
        if len(points) > 1
        else one_point(len(rows), near.shape[1], recipe)
    )
    facts = facts_of(
        shape, dimension=near.shape[1], norm=middle_norm(cloud.points[rows[firsts_of(copies)]]), centred=centred
    )
    angles = recipe.scale == "sphere" or recipe.distance == "cosine"
    return finished(cloud.address, recipe, shape, facts, rows=rows, exponent=0 if angles else exponent)


Prepare = Callable[[PointCloud, Recipe], PreparedCloud]
ROOM = 32 * 2**20  # bytes: about forty layers of 500 points


@dataclass(slots=True, eq=False)
class PreparedOnce:
    """Cache `prepare` for the clouds of one run, by address, while they fit into ``room`` bytes."""

    room: int = ROOM
    kept: dict[tuple[Address, Recipe], PreparedCloud] = field(default_factory=dict)

    def __call__(self, cloud: PointCloud, recipe: Recipe) -> PreparedCloud:
        """Prepare a cloud, or return it from the cache."""
        found = self.kept.get((cloud.address, recipe)) or prepare(cloud, recipe)
        self.keep(found, recipe)
        return found

    def keep(self, found: PreparedCloud, recipe: Recipe) -> None:
        """Cache a prepared cloud if there is room."""
        size = found.points.nbytes + found.condensed.nbytes
        if size <= self.room and (found.address, recipe) not in self.kept:
            self.room -= size
            self.kept[found.address, recipe] = found


def copies_of(cloud: PointCloud, recipe: Recipe) -> Labels:
    """Label each point by its unique point, before any projection."""
    rows = np.arange(len(cloud))[subsample_rows(len(cloud), recipe)]
    if recipe.distance == "precomputed":
        return kinds_among(condensed_among(cloud, rows), len(rows))
    near, _ = within_reach(cloud.points[rows].astype(np.float64))
    return kinds_of(near - near.mean(axis=0), rounding=rounding_of(near, cloud.points.dtype))


def finished(
    address: Address, recipe: Recipe, shape: "Shape", facts: CloudFacts, *, rows: Indices, exponent: int
) -> PreparedCloud:
    """Put copies back and rescale; the points are 2^exponent times as large."""
    unit = {"median": facts.scale, "rms": facts.rms_distance}.get(recipe.scale, 0.0)
    condensed, points, back = shape.condensed, shape.points, 0 if unit else exponent
    if unit:
        condensed, points = condensed / unit, points / unit
    if shape.kinds.max() < len(shape.kinds):
        kinds = shape.kinds - 1
        condensed, points = restricted(condensed, kinds, len(points)), points[kinds]
    return PreparedCloud(
        address=address,
        points=np.ldexp(points, back),
        condensed=rescaled(condensed, back),
        kinds=shape.kinds,
        facts=in_unit(facts, exponent),
        rows=rows[shape.rows],
        unit=float(np.ldexp(unit, exponent)) or 1.0,
    )


def in_unit(facts: CloudFacts, exponent: int) -> CloudFacts:
    """The diagnostics of points that are 2^exponent times as large; their norm is of the raw points already."""
    if not exponent:
        return facts

    def times(length: float) -> float:
        return float(np.ldexp(length, exponent))

    return replace(
        facts,
        scale=times(facts.scale),
        rms_distance=times(facts.rms_distance),
        covering_radius=None if facts.covering_radius is None else times(facts.covering_radius),
        bar_error=None if facts.bar_error is None else times(facts.bar_error),
    )


def subsample(points: Points, recipe: Recipe) -> Float[np.ndarray, "k d"]:
    """Draw ``recipe.subsample`` of the points by the recipe's seed, without replacement, in their old order."""
    return points[subsample_rows(len(points), recipe)]


def subsample_rows(n: int, recipe: Recipe) -> Indices | slice:
    """Which of n points `subsample` draws."""
    if recipe.subsample is None or recipe.subsample == n:
        return slice(None)
    if recipe.subsample > n:
        raise InvalidInput(f"a subsample of {recipe.subsample} points was asked for, but there are {n}")
    rng = np.random.default_rng(recipe.seed)
    return np.sort(rng.choice(n, recipe.subsample, replace=False))


# Points to distances


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A cloud before rescaling: its unique points and their distances, in arrays of its own."""

    points: Points
    variance_kept: float
    condensed: Condensed
    kinds: Copies  # the unique point of each chosen point, 1 …
    landmarks_of: int | None = None
    covering_radius: float | None = None
    bar_error: float | None = None
    rows: Indices | slice = field(default_factory=lambda: slice(None))  # the chosen points


def facts_of(shape: Shape, *, dimension: int, norm: float, centred: Points) -> CloudFacts:
    """Compute the diagnostics of a cloud whose unique points, ``centred``, are given."""
    shares = np.sort(np.einsum("ij,ij->j", centred, centred))[::-1]
    shares = np.append(shares / (shares.sum() or 1.0), [0.0, 0.0])
    return CloudFacts(
        points=len(shape.kinds),
        dimension=dimension,
        components=shape.points.shape[1],
        variance_kept=shape.variance_kept,
        distinct_points=int(shape.kinds.max()),
        scale=median(shape.condensed),
        rms_distance=rms(shape.condensed),
        largest_variance_share=float(shares[0]),
        norm=norm,
        landmarks_of=shape.landmarks_of,
        covering_radius=shape.covering_radius,
        bar_error=shape.bar_error,
        second_variance_share=float(shares[1]),
        participation_ratio=participation_ratio(shape.points),
    )


def participation_ratio(points: Points) -> float | None:
    """The number of dimensions that a cloud spreads in, (Σ λ)² / Σ λ² of its variances λ; None without any.

    Gao et al. 2017, https://doi.org/10.1101/214262
    """
    centred = points - points.mean(axis=0)
    largest = float(np.abs(centred).max(initial=0.0))
    if not largest:
        return None
    unit = centred / largest
    products = unit @ unit.T if len(unit) < unit.shape[1] else unit.T @ unit
    return float(products.trace() ** 2 / (products**2).sum())


def middle_norm(points: Points) -> float:
    """The median norm of points of any size."""
    largest = float(np.abs(points).max()) or 1.0
    return float(np.median(np.linalg.norm(points.astype(np.float64) / largest, axis=1))) * largest


def one_point(n: int, d: int, recipe: Recipe) -> Shape:
    """A cloud that is one point n times: only rounding is left, without direction or length."""
    width = d if recipe.components is None or d <= recipe.components else min(recipe.components, n)
    m = min(n, recipe.landmarks or n)
    shape = Shape(np.zeros((1, width)), 1.0, np.empty(0, dtype=np.float32), np.ones(m, dtype=np.int64), rows=slice(m))
    return shape if m == n else covered(shape, 0.0, recipe.distance, whole=n)


def shape_of(points: Points, recipe: Recipe, copies: Copies, *, rounding: float, address: Address) -> Shape:
    """Apply sphere, projection, landmarks and distances to unique points; ``copies`` are the labels of all.

    Points that the projection merges are counted before sphere or angle, which blow rounding up to full size.
    """
    flat, kept = project(points, recipe.components, centred=recipe.centre)
    final = flat
    if recipe.scale == "sphere":
        final, kept = project(on_sphere(points, address), recipe.components)
    if recipe.distance == "cosine":
        refuse_centre(final, address)
    chosen, radius = landmarks(final, recipe)
    flat, final = flat[chosen], final[chosen]
    condensed = pairwise(flat)
    kinds = distinct(condensed, flat, within=max(SAME * median(condensed), rounding))
    if kinds.max() < len(kinds):
        firsts = firsts_of(kinds)
        final, condensed = final[firsts], restricted(condensed, firsts, len(flat))
    if kinds.max() == 1:
        final = np.zeros_like(final)
    elif recipe.scale == "sphere" or recipe.distance == "cosine":
        condensed = pairwise(final, recipe.distance)
    if radius is None:
        return Shape(final, kept, condensed, kinds[copies])
    shape = Shape(final, kept, condensed, kinds, rows=firsts_of(copies)[chosen])
    return covered(shape, radius, recipe.distance, whole=len(copies))


def on_sphere(points: Points, address: Address) -> Points:
    """Divide each point by its norm."""
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
    """Choose landmarks, ascending, and their covering radius; all points unless fewer are asked for.

    Maxmin landmarks by the recipe's distance (for cosine, that of unit vectors), the first drawn by its seed.
    """
    if recipe.landmarks is None or recipe.landmarks >= len(points):
        return slice(None), None
    rng = np.random.default_rng(recipe.seed)
    first = int(rng.integers(len(points)))
    space = unit_rows(points) if recipe.distance == "cosine" else points
    chosen, radius = maxmin(space, recipe.landmarks, first=first)
    return np.sort(chosen), radius


def covered(shape: Shape, radius: float, distance: str, *, whole: int) -> Shape:
    """Bound the error of landmarks: moving each of the ``whole`` points by at most ``radius`` to its landmark.

    That changes no distance, and no end of a bar, by more than 2 radius (`todacomm.clouds.landmarks`). The cosine
    distance t is half the square of a distance c = √(2t) between unit vectors: c ± 2 radius is at most
    t ± (2 c radius + 2 radius²).
    """
    if distance != "cosine":
        return replace(shape, landmarks_of=whole, covering_radius=radius, bar_error=2 * radius)
    longest = float(np.sqrt(2 * shape.condensed.max(initial=0.0)))
    return replace(
        shape,
        landmarks_of=whole,
        covering_radius=radius**2 / 2,
        bar_error=2 * longest * radius + 2 * radius**2,
    )


# Distances that are given


def prepared_distances(cloud: PointCloud, recipe: Recipe, rows: Indices) -> PreparedCloud:
    """Prepare a cloud given by its distances: no centre, no directions, no variance."""
    condensed = condensed_among(cloud, rows)
    copies = kinds_among(condensed, len(rows))
    shape = shape_of_distances(condensed, recipe, copies)
    facts = facts_of(shape, dimension=0, norm=0.0, centred=shape.points)
    return finished(cloud.address, recipe, shape, facts, rows=rows, exponent=0)


def condensed_among(cloud: PointCloud, rows: Indices) -> Condensed:
    """The distances among some of the points."""
    try:
        matrix = array_of_distances(cloud.points)
        return compact(condensed_of(matrix[np.ix_(rows, rows)], infinite=False))
    except InvalidInput as problem:
        raise InvalidCloud(f"{cloud.address}: {problem}") from problem


def shape_of_distances(condensed: Condensed, recipe: Recipe, copies: Copies) -> Shape:
    """The distances of unique points, or of landmarks among them."""
    n, firsts = len(copies), firsts_of(copies)
    if recipe.landmarks is None or recipe.landmarks >= len(firsts):
        apart = condensed if len(firsts) == n else restricted(condensed, firsts, n)
        return Shape(np.empty((len(firsts), 0)), 1.0, apart, copies + 1)
    apart = restricted(condensed, firsts, n)
    rng = np.random.default_rng(recipe.seed)
    chosen, radius = maxmin_among(apart, recipe.landmarks, int(rng.integers(len(firsts))))
    chosen = np.sort(chosen)
    shape = Shape(
        np.empty((len(chosen), 0)),
        1.0,
        restricted(apart, chosen, len(firsts)),
        np.arange(1, len(chosen) + 1),
        rows=firsts[chosen],
    )
    return covered(shape, radius, "precomputed", whole=n)


def spanning_tree_length(condensed: Condensed) -> float:
    """The length of the minimum spanning tree: H0 total persistence."""
    from scipy.cluster.hierarchy import linkage

    return float(linkage(condensed, "single")[:, 2].sum()) if len(condensed) else 0.0

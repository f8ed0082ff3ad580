"""From a cloud as it came to the distances that are measured: subsample, centre, sphere, project, distances, rescale."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from todacomm.errors import InvalidCloud, InvalidInput
from todacomm.recipe import Recipe
from todacomm.types import Address, CloudFacts, Distances, PointCloud, Points

Condensed = Float[np.ndarray, " pairs"]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCloud:
    """A cloud ready to be measured.

    ``points`` (n, k) float64 after the recipe, ``condensed`` the n(n-1)/2 distances in ``scipy.spatial.distance.pdist``
    order, both divided by ``unit`` (the median or RMS distance, or 1), ``kinds`` the label of the distinct point that each
    point is, ``facts`` what must be known of the cloud.
    """

    address: Address
    points: Points
    condensed: Condensed
    kinds: Int[np.ndarray, " n"]
    facts: CloudFacts
    unit: float = 1.0

    @property
    def distances(self) -> Distances:
        """The symmetric (n, n) matrix in float32, the precision in which every engine works."""
        return squareform(self.condensed.astype(np.float32))

    @property
    def median_distance(self) -> float:
        return median(self.condensed)

    def first_of_each_kind(self) -> Int[np.ndarray, " distinct"]:
        """The index of the first point of each distinct position, ascending."""
        return np.sort(np.unique(self.kinds, return_index=True)[1])

    def restricted(self, indices: Int[np.ndarray, " k"]) -> Condensed:
        """The distances between the points at ``indices``, in pdist order."""
        rows, columns = np.triu_indices(len(indices), k=1)
        i, j = indices[rows], indices[columns]
        n = len(self.points)
        low, high = np.minimum(i, j), np.maximum(i, j)
        return self.condensed[n * low - low * (low + 1) // 2 + high - low - 1]


def prepare(cloud: PointCloud, recipe: Recipe) -> PreparedCloud:
    """Apply ``recipe`` to ``cloud``, in the order that `Recipe` states.

    Raises InvalidCloud where the sphere or the cosine distance is asked of a point at the centre.
    """
    raw = subsample(cloud.points, recipe).astype(np.float64)
    centred = raw - raw.mean(axis=0) if recipe.centre else raw
    points, kept = project(centred, recipe.components)
    condensed = pdist(points)
    kinds = distinct(condensed, len(points), within=tolerance(condensed, raw))
    if kinds.max() == 1:  # what is left is rounding: it has neither direction nor length
        points, condensed = np.zeros_like(points), np.zeros_like(condensed)
    elif recipe.scale == "sphere" or recipe.distance == "cosine":
        shaped = on_sphere(centred, cloud.address) if recipe.scale == "sphere" else centred
        points, kept = project(shaped, recipe.components)
        condensed = pairwise(points, recipe.distance, cloud.address)
    facts = CloudFacts(
        points=len(raw),
        dimension=raw.shape[1],
        components=points.shape[1],
        variance_kept=kept,
        distinct_points=int(kinds.max()),
        scale=median(condensed),
        rms_distance=rms(condensed),
        largest_variance_share=largest_share(raw),
        norm=float(np.median(np.linalg.norm(raw, axis=1))),
    )
    unit = {"median": facts.scale, "rms": facts.rms_distance}.get(recipe.scale, 1.0) or 1.0
    return PreparedCloud(cloud.address, points / unit, condensed / unit, kinds, facts, unit)


def subsample(points: Points, recipe: Recipe) -> Float[np.ndarray, "k d"]:
    """``recipe.subsample`` of the points, drawn by the recipe's seed without replacement, in their old order."""
    if recipe.subsample is None or recipe.subsample == len(points):
        return points
    if recipe.subsample > len(points):
        raise InvalidInput(f"a subsample of {recipe.subsample} points was asked for, but there are {len(points)}")
    rng = np.random.default_rng(recipe.seed)
    return points[np.sort(rng.choice(len(points), recipe.subsample, replace=False))]


def on_sphere(points: Points, address: Address) -> Points:
    """Each point divided by its norm; a cloud whose points all stand at the centre is left as it is."""
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    if not norms.any():
        return points
    if not norms.all():
        raise InvalidCloud(
            f"{address}: {int((norms == 0).sum())} points stand at the centre and have no place on the sphere"
        )
    return points / norms


def project(points: Points, components: int | None) -> tuple[Float[np.ndarray, "n k"], float]:
    """The points on their first principal components, and the share of the variance that these keep.

    The directions come from the centred points, the points are rotated and not moved. Each direction is turned so that
    its largest entry is positive. With no more dimensions than ``components`` the points are returned as they are.
    """
    n, d = points.shape
    if components is None or d <= components:
        return points, 1.0
    centred = points - points.mean(axis=0)
    _, singular, directions = scipy.linalg.svd(centred, full_matrices=False, check_finite=False)
    total = float((singular**2).sum())
    kept = directions[: min(components, n)]
    kept = kept * np.sign(kept[np.arange(len(kept)), np.abs(kept).argmax(axis=1)])[:, None]
    return points @ kept.T, float((singular[: len(kept)] ** 2).sum()) / total if total else 1.0


def pairwise(points: Points, distance: str, address: Address) -> Condensed:
    """Distances in pdist order; ``cosine`` is 1 - cos of the angle at the centre."""
    if distance == "cosine" and points.any():
        at_centre = int((~points.any(axis=1)).sum())
        if at_centre:
            raise InvalidCloud(
                f"{address}: {at_centre} points stand at the centre, where the cosine distance is undefined"
            )
        return np.maximum(pdist(points, "cosine"), 0.0)
    return pdist(points)


def tolerance(condensed: Condensed, raw: Points) -> float:
    """How far apart two points may be and still count as one: 1e-6 of the median distance, or the float32 rounding of
    the activations (4 units in the last place of their root mean square norm), whichever is more.
    """
    rounding = 4 * float(np.finfo(np.float32).eps) * float(np.sqrt((raw**2).sum(axis=1).mean()))
    return max(1e-6 * median(condensed), rounding)


def distinct(condensed: Condensed, n: int, *, within: float) -> Int[np.ndarray, " n"]:
    """Labels 1 … k of the distinct points: chains of steps no longer than ``within`` make one.

    Counted on Euclidean distances, before any sphere or angle, which blow rounding up to full size.
    """
    if n < 2:
        return np.ones(n, dtype=np.int64)
    return np.asarray(fcluster(linkage(condensed, "single"), within, criterion="distance"), dtype=np.int64)


def median(condensed: Condensed) -> float:
    """The median pairwise distance: the scale of a cloud."""
    return float(np.median(condensed))


def rms(condensed: Condensed) -> float:
    """The root mean square pairwise distance."""
    return float(np.sqrt(np.mean(condensed**2)))


def largest_share(raw: Points) -> float:
    """The share of the total variance that the one coordinate with the most of it holds; 0 without variance."""
    variances = raw.var(axis=0)
    return float(variances.max() / variances.sum()) if variances.any() else 0.0


def spanning_tree_length(condensed: Condensed) -> float:
    """The length of the minimum spanning tree, which is the H0 total persistence."""
    return float(linkage(condensed, "single")[:, 2].sum()) if len(condensed) else 0.0

"""The Gaussian null: metrics of a profile if its layers were jointly Gaussian with the same covariances.

A rotation test (Langsrud 2005, https://doi.org/10.1007/s11222-005-4789-5). If the rows of all layers are jointly
Gaussian, the points may be rotated among themselves: X → R X, R orthogonal, uniform, R 1 = 1, the same for all layers.
All means, covariances and covariances between layers, which determine a Gaussian, stay exactly: a metric of the cloud
and of its rotations are exchangeable, as is the maximum over layers, for any n and d. The projection depends on
covariances alone, so rotating the projected points is rotating the cloud and projecting again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
from jaxtyping import Float, Int
from scipy.linalg import lapack

from todacomm.clouds.distances import Condensed, median, pairwise, rms
from todacomm.clouds.duplicates import firsts_of, unique_rows
from todacomm.clouds.prepare import PreparedCloud, prepare, subsample
from todacomm.core.errors import InvalidInput
from todacomm.core.inference_types import Alternative, NullTest
from todacomm.core.recipe import FEWEST_POINTS, Recipe
from todacomm.core.types import Address, Number, PointCloud, Points
from todacomm.homology.engines import persistence
from todacomm.homology.metrics import SCALED, names_of, summarise
from todacomm.statistics import pvalues

Rows = Int[np.ndarray, " k"]
Values = Float[np.ndarray, "draws layers names"]
Change = Callable[[Points, int], Points]  # the points and the number of a draw → other points

NULL_DRAWS = 199
LAPACK_BLOCK = 64
STREAM = 1  # keeps these random numbers apart from others of the same seed


# One profile, ready to be rotated


@dataclass(frozen=True, slots=True, eq=False)
class JointLayers:
    """The layers of a profile in common coordinates of rotation.

    ``coordinates`` (D + 1, K): the points of every layer that has a null, side by side, in an orthonormal basis of all
    their columns that begins with the direction of ones (its row holds the means, times √n). ``widths`` are the columns
    of each layer, 0 without a null, for the ``reasons`` given. Rows that are copies in every layer are left out;
    ``own`` are the indices of each layer's unique points among the rest, empty for all of them.
    """

    addresses: tuple[Address, ...]
    points: int
    coordinates: Float[np.ndarray, "D_and_1 K"]
    widths: tuple[int, ...]
    reasons: tuple[str, ...]
    own: tuple[Rows, ...] = ()


def joint(clouds: Sequence[PreparedCloud], recipe: Recipe, *, raw: Sequence[PointCloud] = ()) -> JointLayers:
    """Prepare the layers of one profile, prepared by ``recipe``, for `gaussian_null`.

    The sphere bends a Gaussian: with ``scale="sphere"`` the ``raw`` clouds are needed, and are prepared again after
    each rotation. Raises InvalidInput where they are missing, or layers have different numbers of points.
    """
    if not clouds:
        raise InvalidInput("no layer to draw a null for: give at least one prepared cloud")
    if len({len(cloud.points) for cloud in clouds}) > 1:
        raise InvalidInput(
            "the layers have different numbers of points; a null that they share needs the same texts in each"
        )
    reasons = tuple(without_null(cloud) for cloud in clouds)
    rows = unique_rows([cloud.kinds for cloud in clouds])
    layers = [points[rows] for points in points_to_rotate(clouds, recipe, raw)]
    kept = [layer for layer, reason in zip(layers, reasons, strict=True) if not reason]
    widths = tuple(0 if reason else layer.shape[1] for layer, reason in zip(layers, reasons, strict=True))
    coordinates = in_common(kept) if kept else np.empty((1, 0))
    own = tuple(firsts_of(cloud.kinds[rows]) for cloud in clouds)
    return JointLayers(tuple(cloud.address for cloud in clouds), len(rows), coordinates, widths, reasons, own)


def without_null(cloud: PreparedCloud) -> str:
    """Why a layer has no Gaussian null; empty where it has one."""
    if not cloud.points.shape[1]:
        return "distances were given, and a Gaussian null is drawn from points: give these"
    if cloud.facts.landmarks_of is not None:
        return "landmarks were measured, and a rotated cloud has others: measure all points, or a random subsample"
    return cloud.facts.undefined if cloud.facts.distinct_points < FEWEST_POINTS else ""


def points_to_rotate(clouds: Sequence[PreparedCloud], recipe: Recipe, raw: Sequence[PointCloud]) -> list[Points]:
    """The points that are Gaussian under the null: projected, or before the sphere."""
    if recipe.scale != "sphere":
        return [cloud.points for cloud in clouds]
    if [cloud.address for cloud in raw] != [cloud.address for cloud in clouds]:
        raise InvalidInput(
            "points on a sphere are not Gaussian: their null needs the clouds as they came. Found raw clouds for "
            f"{len(raw)} of {len(clouds)} layers; give those of the same layers in the same order"
        )
    return [subsample(cloud.points, recipe).astype(np.float64) for cloud in raw]


def in_common(layers: Sequence[Points]) -> Float[np.ndarray, "D_and_1 K"]:
    """The coordinates of the layers, side by side.

    R of a QR of (ones, centred layers) holds them: below its first row are the coordinates in the other columns of Q,
    which are orthogonal to ones. The rank does not matter, and no basis is formed.
    """
    beside = np.hstack(layers)
    n, k = beside.shape
    means = beside.mean(axis=0)
    with_ones = np.column_stack([np.ones(n), beside - means])
    (triangle,) = scipy.linalg.qr(with_ones, mode="r", overwrite_a=True, check_finite=False)
    return np.vstack([np.sqrt(n) * means, triangle[1 : min(n, k + 1), 1:]])


# Draws


def haar_frame(n: int, width: int, rng: np.random.Generator) -> Float[np.ndarray, "n width"]:
    """Draw orthonormal columns, the first 1/√n everywhere, the others uniform among all such; 1 ≤ width ≤ n.

    Q of a Gaussian matrix with a first column of ones and positive diagonal of R, from its reflections alone: each maps
    a Gaussian vector of the remaining space to an axis (Stewart 1980, https://doi.org/10.1137/0717034).
    """
    vectors = np.triu(rng.standard_normal((width, n)))  # rows are columns for LAPACK
    vectors[0] = 1.0
    ends = vectors.diagonal().copy()
    images = -np.copysign(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), ends)
    vectors /= (ends - images)[:, None]
    frame, _, _ = lapack.dorgqr(vectors.T, (images - ends) / images, lwork=LAPACK_BLOCK * width, overwrite_a=True)
    return frame * np.sign(images)


def rotated(layers: JointLayers, number: int, *, seed: int) -> list[Points | None]:
    """Draw ``number`` of every layer, in order; None without a null. Decided by seed and number."""
    rng = np.random.default_rng([seed, STREAM, number])
    beside = haar_frame(layers.points, len(layers.coordinates), rng) @ layers.coordinates
    ends = np.cumsum(layers.widths)
    own = layers.own or (slice(None),) * len(ends)
    places = zip(ends, layers.widths, own, strict=True)
    return [beside[rows, end - width : end] if width else None for end, width, rows in places]


def as_drawn(points: Points, _number: int) -> Points:
    """Rotate the points: the draw of the Gaussian null."""
    return points


def tested_names(recipe: Recipe) -> tuple[str, ...]:
    """The metrics that have a p-value: all that may vary under the null (``H0_count`` counts points)."""
    return tuple(name for name in names_of(recipe.maxdim) if name != "H0_count")


def gaussian_null(
    layers: JointLayers,
    recipe: Recipe,
    draws: Sequence[int] = range(NULL_DRAWS),
    *,
    names: Sequence[str] | None = None,
    change: Change = as_drawn,
    vertices: Change = as_drawn,
) -> Values:
    """The metrics of each draw of each layer, (draws, layers, names); NaN where undefined or without a null.

    ``draws`` are numbers of draws: blocks of them can be computed anywhere and joined by `numpy.concatenate`. ``names``
    defaults to `tested_names`. ``change`` turns rotated points and the number of their draw into points of another
    null, and ``vertices``, once they are prepared, into the vertices to measure. One rotation is in memory at a time.
    """
    wanted = tested_names(recipe) if names is None else tuple(names)
    found = np.full((len(draws), len(layers.widths), len(wanted)), np.nan)
    for row, number in zip(found, draws, strict=True):
        for cell, address, points in zip(row, layers.addresses, rotated(layers, number, seed=recipe.seed), strict=True):
            if points is not None:
                seen = condensed_of(change(points, number), recipe, address, vertices=vertices, number=number)
                cell[:] = numbers_of(seen, recipe, wanted)
    return found


def condensed_of(
    points: Points, recipe: Recipe, address: Address, *, vertices: Change = as_drawn, number: int = 0
) -> Condensed:
    """The distances of rotated points, or of vertices made of them, by the recipe, each draw in its own unit."""
    if recipe.scale == "sphere":
        ready = prepared_again(points, recipe, address)
        return ready.condensed if vertices is as_drawn else pairwise(vertices(ready.points, number), recipe.distance)
    condensed = pairwise(vertices(points, number), recipe.distance)
    if recipe.scale != "none":
        condensed /= {"median": median, "rms": rms}[recipe.scale](condensed) or 1.0
    return condensed


def prepared_again(points: Points, recipe: Recipe, address: Address) -> PreparedCloud:
    """Prepare a draw of a raw cloud as the cloud was; it is subsampled already."""
    return prepare(PointCloud(points, address), replace(recipe, subsample=None))


def numbers_of(condensed: Condensed, recipe: Recipe, names: Sequence[str]) -> list[float]:
    """The metrics of one draw, NaN where undefined, and of fewer than three vertices."""
    if len(condensed) < FEWEST_POINTS:  # pairs: two points have one, three have three
        return [np.nan] * len(names)
    diagrams = persistence(condensed, engine=recipe.engine, maxdim=recipe.maxdim, threshold=recipe.threshold)
    scale = median(condensed) if any(name.endswith(SCALED) for name in names) else 0.0
    summary = summarise(diagrams, scale=scale, only=names)
    return [np.nan if (value := summary[name]) is None else value for name in names]


# Tests


def null_tests(
    summaries: Sequence[Mapping[str, Number]],
    values: Values,
    names: Sequence[str],
    *,
    reasons: Sequence[str] = (),
    null: str = "gaussian",
) -> tuple[dict[str, NullTest], ...]:
    """Test each layer and name: summaries of the layers against the draws of the null.

    Draw b must be the same draw on every layer. ``reasons`` say why a layer has no null, empty where it has one.
    """
    if values.shape[1:] != (len(summaries), len(names)) or not len(values):
        raise InvalidInput(
            f"draws of shape {values.shape} for {len(summaries)} layers and {len(names)} names; "
            "expected (draws, layers, names) with at least one draw"
        )
    reasons = reasons or [""] * len(summaries)
    columns = [
        tests_of_one(
            name, [s[name] for s in summaries], values[:, :, i], way=alternative_of(name), reasons=reasons, null=null
        )
        for i, name in enumerate(names)
    ]
    return tuple({test.metric: test for test in row} for row in zip(*columns, strict=True))


def tests_of_one(
    name: str, numbers: Sequence[Number], drawn: pvalues.Draws, *, way: Alternative, reasons: Sequence[str], null: str
) -> list[NullTest]:
    """Test one number on all layers; adjustments skip layers without a null."""
    given = zip(numbers, reasons, strict=True)
    observed = np.array([np.nan if number is None or reason else number for number, reason in given])
    p = pvalues.p_values(observed, drawn, way)
    after, most = pvalues.adjusted(p), pvalues.family_wise(observed, drawn, way)
    mean, spread = pvalues.moments(drawn)
    layers = int((~np.isnan(p)).sum())
    return [
        NullTest(
            metric=name,
            observed=number,
            mean=number_or_none(mean[i]),
            spread=number_or_none(spread[i]),
            p=number_or_none(p[i]),
            adjusted=number_or_none(after[i]),
            family_wise=number_or_none(most[i]),
            alternative=way,
            draws=len(drawn),
            smallest=pvalues.smallest(len(drawn), way),
            null=null,
            layers=layers,
            note=reasons[i] or note_of(number),
        )
        for i, number in enumerate(numbers)
    ]


def alternative_of(name: str) -> Alternative:
    """The alternative of the metric of a name."""
    return names_of(2)[name.removesuffix(SCALED)][1].alternative


def number_or_none(value: float) -> Number:
    """Convert NaN to None."""
    return None if np.isnan(value) else float(value)


def note_of(number: Number) -> str:
    """Why a number has no test."""
    return "the number is undefined" if number is None else ""

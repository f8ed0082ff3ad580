"""Null models: what the numbers of a profile would be, if its layers were jointly Gaussian with the same covariances.

A rotation test (Langsrud 2005, https://doi.org/10.1007/s11222-005-4789-5). Where the rows of all layers are jointly Gaussian,
the points may be rotated among themselves: X → R X with R orthogonal, uniform, and R 1 = 1, the same for all layers. Every mean,
covariance and covariance between layers stays exactly as it is, and these are all that a Gaussian has: a number of the cloud
and the same number of its rotations are exchangeable, the largest over the layers included, whatever n and d are. The projection
depends on covariances alone, so that rotating the projected points is rotating the cloud and projecting again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
from jaxtyping import Float, Int
from scipy.linalg import lapack

from todacomm.clouds.distances import Condensed, median, pairwise, rms
from todacomm.clouds.duplicates import firsts_of, told_apart
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

NULL_DRAWS = 199
LAPACK_BLOCK = 64
STREAM = 1  # keeps these random numbers apart from others of the same seed


# One profile, ready to be rotated


@dataclass(frozen=True, slots=True, eq=False)
class JointLayers:
    """The layers of a profile in coordinates in which they rotate together.

    ``coordinates`` (D + 1, K): the points of every layer that has a null, side by side, in an orthonormal basis that begins with
    the direction of ones (its row holds the means, times √n) and holds all their columns. ``widths`` are the columns of each
    layer, 0 for one without a null; ``reasons`` say why it has none, empty otherwise. Rows that are copies in every layer take no part;
    ``own`` are the places of each layer's distinct points among those that do, all of them where it is empty.
    """

    addresses: tuple[Address, ...]
    points: int
    coordinates: Float[np.ndarray, "D_and_1 K"]
    widths: tuple[int, ...]
    reasons: tuple[str, ...]
    own: tuple[Rows, ...] = ()


def joint(clouds: Sequence[PreparedCloud], recipe: Recipe, *, raw: Sequence[PointCloud] = ()) -> JointLayers:
    """The layers of one profile, prepared by ``recipe``, ready for `gaussian_null`.

    The sphere bends a Gaussian: for ``scale="sphere"`` the clouds as they came are needed as ``raw``, and are prepared again after
    each rotation. Raises InvalidInput where they are not given, or the layers have different numbers of points.
    """
    if not clouds:
        raise InvalidInput("no layer to draw a null for: give at least one prepared cloud")
    if len({len(cloud.points) for cloud in clouds}) > 1:
        raise InvalidInput(
            "the layers have different numbers of points; a null that they share needs the same texts in each"
        )
    reasons = tuple(without_null(cloud) for cloud in clouds)
    rows = told_apart([cloud.kinds for cloud in clouds])
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
    """What is Gaussian under the null: the projected points, or those before the sphere."""
    if recipe.scale != "sphere":
        return [cloud.points for cloud in clouds]
    if [cloud.address for cloud in raw] != [cloud.address for cloud in clouds]:
        raise InvalidInput(
            f"points on a sphere are not Gaussian: their null needs the clouds as they came. Found raw clouds for {len(raw)} "
            f"of {len(clouds)} layers; give those of the same layers in the same order"
        )
    return [subsample(cloud.points, recipe).astype(np.float64) for cloud in raw]


def in_common(layers: Sequence[Points]) -> Float[np.ndarray, "D_and_1 K"]:
    """The coordinates of the layers, side by side.

    The triangle R of a QR of (ones, centred layers) holds them: below its first row stand the coordinates in the other columns of Q,
    which are orthogonal to ones. Nothing is asked of the rank, and no basis is formed.
    """
    beside = np.hstack(layers)
    n, k = beside.shape
    means = beside.mean(axis=0)
    with_ones = np.column_stack([np.ones(n), beside - means])
    (triangle,) = scipy.linalg.qr(with_ones, mode="r", overwrite_a=True, check_finite=False)
    return np.vstack([np.sqrt(n) * means, triangle[1 : min(n, k + 1), 1:]])


# Draws


def haar_frame(n: int, width: int, rng: np.random.Generator) -> Float[np.ndarray, "n width"]:
    """Orthonormal columns, the first 1/√n everywhere, the others uniform among all such; 1 ≤ width ≤ n.

    The Q of a Gaussian matrix whose first column is ones, with a positive diagonal of R, from its reflections alone: each maps a
    Gaussian vector of what is left of the space to an axis (Stewart 1980, https://doi.org/10.1137/0717034).
    """
    vectors = np.triu(rng.standard_normal((width, n)))  # rows are columns for LAPACK
    vectors[0] = 1.0
    ends = vectors.diagonal().copy()
    images = -np.copysign(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), ends)
    vectors /= (ends - images)[:, None]
    frame, _, _ = lapack.dorgqr(vectors.T, (images - ends) / images, lwork=LAPACK_BLOCK * width, overwrite_a=True)
    return frame * np.sign(images)


def rotated(layers: JointLayers, number: int, *, seed: int) -> list[Points | None]:
    """Draw ``number`` of every layer, in their order; None for one without a null. The same for the same seed and number."""
    rng = np.random.default_rng([seed, STREAM, number])
    beside = haar_frame(layers.points, len(layers.coordinates), rng) @ layers.coordinates
    ends = np.cumsum(layers.widths)
    own = layers.own or (slice(None),) * len(ends)
    places = zip(ends, layers.widths, own, strict=True)
    return [beside[rows, end - width : end] if width else None for end, width, rows in places]


def as_drawn(points: Points, _number: int) -> Points:
    """The rotated points: those of the Gaussian null."""
    return points


def tested_names(recipe: Recipe) -> tuple[str, ...]:
    """The numbers that have a p-value: every metric that may vary under the null. ``H0_count`` counts points."""
    return tuple(name for name in names_of(recipe.maxdim) if name != "H0_count")


def gaussian_null(
    layers: JointLayers,
    recipe: Recipe,
    draws: Sequence[int] = range(NULL_DRAWS),
    *,
    names: Sequence[str] | None = None,
    change: Callable[[Points, int], Points] = as_drawn,
) -> Values:
    """The numbers of each draw of each layer, (draws, layers, names); NaN where one is undefined or a layer has no null.

    ``draws`` are numbers of draws: any block of them can be computed anywhere, and blocks are put together by
    `numpy.concatenate`. ``names`` are names of a summary, `tested_names` by default. ``change`` makes the points of another null of the
    rotated points and the number of their draw. One rotation is in memory at a time.
    """
    wanted = tested_names(recipe) if names is None else tuple(names)
    found = np.full((len(draws), len(layers.widths), len(wanted)), np.nan)
    for row, number in zip(found, draws, strict=True):
        for cell, address, points in zip(row, layers.addresses, rotated(layers, number, seed=recipe.seed), strict=True):
            if points is not None:
                cell[:] = numbers_of(condensed_of(change(points, number), recipe, address), recipe, wanted)
    return found


def condensed_of(points: Points, recipe: Recipe, address: Address) -> Condensed:
    """The distances of rotated points as the recipe wants them, each draw in its own unit."""
    if recipe.scale == "sphere":
        return prepared_again(points, recipe, address)
    condensed = pairwise(points, recipe.distance)
    if recipe.scale != "none":
        condensed /= {"median": median, "rms": rms}[recipe.scale](condensed) or 1.0
    return condensed


def prepared_again(points: Points, recipe: Recipe, address: Address) -> Condensed:
    """The distances of a draw of a cloud as it came, prepared as the cloud was; its subsample has been taken."""
    return prepare(PointCloud(points, address), replace(recipe, subsample=None)).condensed


def numbers_of(condensed: Condensed, recipe: Recipe, names: Sequence[str]) -> list[float]:
    """The numbers of one draw, NaN for one that is undefined."""
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
    """One test a layer and name: the summaries of the layers against the values of the null's draws on the same layers.

    Draw b must be one and the same draw on every layer. ``reasons`` say why a layer has no null, "" where it has one.
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
    """The tests of one number on all layers; those without a null take no part in the adjustments."""
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
    """The alternative that the metric of a name in a summary states."""
    return names_of(2)[name.removesuffix(SCALED)][1].alternative


def number_or_none(value: float) -> Number:
    """NaN to None."""
    return None if np.isnan(value) else float(value)


def note_of(number: Number) -> str:
    """Why a number has no test."""
    return "the number is undefined" if number is None else ""

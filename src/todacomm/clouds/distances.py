"""Compute the distances between points: condensed float32 in the order of `scipy.spatial.distance.pdist`.

All pairs come from one blocked float64 product, |x|² + |y|² − 2x·y, on centred points. Where the subtraction would show
in float32, the pair is measured again by the difference of its points, so that every distance is right to one unit in
the last place of float32 (2⁻²³, relative 1.2e-7) and equal points are at distance 0 exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.spatial.distance import cdist, pdist

from todacomm.clouds.distance_matrices import compact
from todacomm.core.array_input import NUMBERS, array_of
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.recipe import DISTANCES

Points = Float[np.ndarray, "n k"]
Condensed = Float[np.ndarray, " pairs"]  # float32; pair (i, j), i < j, has index n·i − i(i+1)/2 + j − i − 1
Pairs = Int[np.ndarray, " m"]
Row = TypeVar("Row", int, Int[np.ndarray, " m"])

BLOCK = 128  # rows of a product: fewer are slow, more leave the cache
WIDE = 2.0**400  # beyond it, or below its inverse, float64 may not hold a square
LARGE = 2.0**40  # beyond this range of coordinates, or below its inverse, float32 may not hold a square
CHUNK = 2**18  # distances in one pass over all
SAMPLE = 2**16  # distances that bracket the median
MANY = 1 / 16  # with this fraction of a block to measure again, all of it is measured by differences


def pairwise(points: np.ndarray, distance: str = "euclidean") -> Condensed:
    """Compute the distances between points, an (n, k) array, condensed to n(n−1)/2 float32.

    ``euclidean``, or ``cosine``: 1 − cos of the angle at the origin, half the squared distance of the unit vectors; an
    angle below the rounding of float64 is 0. Distances beyond the range of float32 come as float64, with the digits of
    float32. Memory is that of the result, one copy of the points, and a block of 128 n float64.

    Raises InvalidInput for what is not finite, for a point at the origin (cosine), and for distances beyond float64.
    """
    if distance not in DISTANCES:
        raise UnknownName("distance", distance, DISTANCES)
    array = checked_points(points)
    if distance == "cosine":
        return blocked(unit_rows(array), angular(array.shape[1]))
    near, exponent = within_reach(array)
    found = pdist(near).astype(np.float32) if few(*near.shape) else blocked(near, EUCLIDEAN)
    return rescaled(found, exponent)


def checked_points(points: Any) -> Points:
    """Convert points to float64 rows, or raise InvalidInput."""
    array = array_of(points)
    if array.ndim != 2 or not array.size or array.dtype.kind not in NUMBERS:
        raise InvalidInput(
            f"expected numbers of shape (n points, k dimensions), found shape {array.shape} of type {array.dtype}"
        )
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        broken = int((~np.isfinite(array)).any(axis=1).sum())
        raise InvalidInput(f"{broken} of {len(array)} points hold NaN or infinity; remove these rows")
    return array


def few(n: int, k: int) -> bool:
    """Whether differences are faster than the product: measured, docs/decisions/009."""
    return n <= 1000 and n * k <= 5000


# Any unit


def within_reach(points: Points) -> tuple[Points, int]:
    """Divide points by a power of two so that squares of differences fit float64 and float32; return both.

    Points that fit already are returned with exponent 0.
    """
    lowest, highest = points.min(axis=0), points.max(axis=0)
    with np.errstate(over="ignore"):
        extent = float((highest - lowest).max())
    if extent < WIDE <= float(np.maximum(highest, -lowest).max()):
        points = points - points[0]
    if not extent or 1 / LARGE <= extent <= LARGE:
        return points, 0
    exponent = int(np.frexp(extent)[1]) if np.isfinite(extent) else 1025
    return np.ldexp(points, -exponent), exponent


def rescaled(distances: Shaped[np.ndarray, " m"], exponent: int) -> Condensed:
    """Multiply float32 distances by a power of two, in float32 if its range allows. Raises InvalidInput."""
    return compact(times(distances.astype(np.float64), exponent)) if exponent else distances


def times(distances: Float[np.ndarray, " m"], exponent: int) -> Float[np.ndarray, " m"]:
    """Multiply float64 distances by a power of two. Raises InvalidInput beyond float64."""
    with np.errstate(over="ignore"):
        found = np.ldexp(distances, exponent)
    if not np.isfinite(found).all():
        raise InvalidInput("distances are beyond float64; divide the points by a constant")
    return found


def in_double(points: np.ndarray, distance: str) -> Float[np.ndarray, " pairs"]:
    """Compute distances in float64 by differences: as `pairwise`, but for the precision."""
    array = checked_points(points)
    if distance == "cosine":
        return np.maximum(pdist(rows_of_one_size(array), "cosine"), 0.0)  # rounding gives -1e-16
    near, exponent = within_reach(array)
    return times(pdist(near), exponent)


def unit_rows(points: Points) -> Points:
    """Divide each point by its norm; InvalidInput for one at the origin."""
    rows = rows_of_one_size(points)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def rows_of_one_size(points: Points) -> Points:
    """Scale each point by a power of two where squares would leave float64; InvalidInput for one at the origin."""
    largest = np.abs(points).max(axis=1, keepdims=True)
    if not largest.all():
        raise InvalidInput(
            f"{int((largest == 0).sum())} points stand at the origin, where the cosine distance is undefined; remove "
            "them"
        )
    extreme = largest.max() >= WIDE or largest.min() <= 1 / WIDE
    return np.ldexp(points, -np.frexp(largest)[1]) if extreme else points


# One blocked product


@dataclass(frozen=True, slots=True)
class Measure:
    """How squared distances become distances: in place, exactly in float64, and 0 up to ``rounding``."""

    of_many: Callable[[Condensed], object]
    of_few: Callable[[np.ndarray], np.ndarray]
    rounding: float = 0.0


def angular(k: int) -> Measure:
    """1 − cos of unit vectors in k dimensions: half the square, 0 within rounding."""
    return Measure(
        lambda found: np.multiply(found, 0.5, out=found), lambda squares: squares / 2, ((k + 8) * 2.0**-53) ** 2
    )


EUCLIDEAN = Measure(lambda found: np.sqrt(found, out=found), np.sqrt)


def blocked(points: Points, measure: Measure, *, block: int = BLOCK) -> Condensed:
    """Compute distances by products of ``block`` rows with all later ones, written into the result."""
    n, k = points.shape
    found = np.empty(n * (n - 1) // 2, dtype=np.float32)
    right = lifted(points)
    norms = right[:, k + 1]
    limit = np.float32(max(cancelled(k) * float(norms.max()), 2 * measure.rounding))
    for first in range(0, n - 1, block):
        last = min(first + block, n - 1)
        left = -2 * right[first:last]
        left[:, k], left[:, k + 1] = norms[first:last], 1
        here = found[start_of(first, n) : start_of(last, n)]
        write_upper(left @ right[first + 1 :].T, here)
        finish(here, points, measure, rows=(first, last), limit=limit)
    return found


def lifted(points: Points) -> Float[np.ndarray, "n k_and_2"]:
    """Rows (x, 1, |x|²) of centred points: |x − y|² is (−2x, |x|², 1)·(y, 1, |y|²)."""
    n, k = points.shape
    rows = np.empty((n, k + 2))
    np.subtract(points, points.mean(axis=0), out=rows[:, :k])
    rows[:, k] = 1
    rows[:, k + 1] = np.einsum("ij,ij->i", rows[:, :k], rows[:, :k])
    return rows


def cancelled(k: int) -> float:
    """Squared distances below this share of the largest squared norm M are measured again.

    A product of k+2 terms, whose absolute sum is at most 4M, and two squared norms are off by at most 6(k+2)·2⁻⁵³·M
    (Higham 2002, section 3.1). From 3(k+2)·2⁻²⁷·M on, that is 2⁻²⁶ of the distance; rounding the square and its root to
    float32 adds 2⁻²⁵ + 2⁻²⁴: less than 2⁻²³ together.
    """
    return 3 * (k + 2) * 2.0**-27


def start_of(row: Row, n: int) -> Row:
    """The index of the first of the pairs (row, row+1), (row, row+2), …"""
    return n * row - row * (row + 1) // 2


def write_upper(block: Float[np.ndarray, "b m"], out: Condensed) -> None:
    """Write row r of the block from column r on, one after the other."""
    start = 0
    for r, row in enumerate(block):
        end = start + len(row) - r
        out[start:end] = row[r:]
        start = end


def finish(found: Condensed, points: Points, measure: Measure, *, rows: tuple[int, int], limit: np.float32) -> None:
    """Turn squares into distances in place; measure those below ``limit`` from the points themselves."""
    if not found.size or found.min() >= limit:
        measure.of_many(found)
        return
    near = np.flatnonzero(found < limit)
    if near.size > MANY * found.size:
        write_upper(exact(cdist(points[slice(*rows)], points[rows[0] + 1 :], "sqeuclidean"), measure), found)
        return
    found[near] = limit
    measure.of_many(found)
    i, j = rows_and_columns(near + start_of(rows[0], len(points)), len(points))
    found[near] = exact(squared_differences(points, i, j), measure)


def exact(squares: Float[np.ndarray, "*m"], measure: Measure) -> Float[np.ndarray, "*m"]:
    """The distances of squares, in float64."""
    return measure.of_few(np.where(squares <= measure.rounding, 0.0, squares) if measure.rounding else squares)


def squared_differences(points: Points, i: Pairs, j: Pairs) -> Float[np.ndarray, " m"]:
    """|x_i − x_j|² of the pairs in float64, without cancellation; a few MB at a time."""
    found = np.empty(len(i))
    step = max(1, CHUNK // points.shape[1])
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        difference = points[i[part]] - points[j[part]]
        found[part] = np.einsum("ij,ij->i", difference, difference)
    return found


# Condensed vectors


def rows_and_columns(indices: Int[np.ndarray, " m"], n: int) -> tuple[Pairs, Pairs]:
    """The pairs i < j at these indices of a condensed vector of n points."""
    starts = start_of(np.arange(n - 1), n)
    i = np.searchsorted(starts, indices, side="right") - 1
    return i, indices - starts[i] + i + 1


def median(condensed: Condensed) -> float:
    """The median distance, 0 without distances."""
    if not condensed.size:
        return 0.0
    half = condensed.size // 2
    values, below = about_the_middle(condensed) if condensed.size > 4 * CHUNK else (condensed, 0)
    if not 0 < half - below < values.size:  # the sample was misleading
        values, below = condensed, 0
    parted = np.partition(values, half - below)
    upper = float(parted[half - below])
    return upper if condensed.size % 2 else (float(parted[: half - below].max()) + upper) / 2


def about_the_middle(condensed: Condensed) -> tuple[Condensed, int]:
    """The distances in an interval around the median, found by a sample, and how many are below it."""
    sample = np.sort(condensed[:: condensed.size // SAMPLE])
    low, high = sample[int(0.49 * sample.size)], sample[int(0.51 * sample.size)]
    parts = [condensed[start : start + CHUNK] for start in range(0, condensed.size, CHUNK)]
    below = sum(int(np.count_nonzero(part < low)) for part in parts)
    return np.concatenate([part[(part >= low) & (part <= high)] for part in parts]), below


def rms(condensed: Condensed) -> float:
    """The root mean square of the distances, summed in float64; 0 of none."""
    if not condensed.size:
        return 0.0
    if condensed.dtype != np.float32 and (largest := float(condensed.max(initial=0.0))):
        return rms((condensed / largest).astype(np.float32)) * largest
    parts = (condensed[start : start + CHUNK].astype(np.float64) for start in range(0, condensed.size, CHUNK))
    return float(np.sqrt(sum(float(part @ part) for part in parts) / condensed.size))

"""Check and condense given distances to `scipy.spatial.distance.pdist` order.

Rounding in the diagonal, in the symmetry and below zero is corrected up to ``TAKEN`` of the largest distance, with a
warning where it exceeds the rounding of the type.
"""

import math
import warnings
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Shaped

from todacomm.core.array_input import NUMBERS, array_of
from todacomm.core.errors import InvalidInput

Square = Float[np.ndarray, "n n"]
Condensed = Float[np.ndarray, " pairs"]

TAKEN = 1e-5  # of the largest distance
ROUNDING = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 3e-14}  # of sums of a thousand products
SMALLEST, LARGEST = 2.0**-60, 2.0**126  # largest distances whose neighbours float32 holds with all digits


def array_of_distances(given: Any, *, fewest: int = 1) -> np.ndarray:
    """Convert to a square matrix, or a vector of all pairs, of float32 or float64; sparse gaps are infinite."""
    array = array_of(given, absent=np.inf)
    if array.dtype.kind not in NUMBERS:
        raise InvalidInput(f"distances of type {array.dtype}; expected real numbers")
    if array.ndim == 1 and array.size and points_among(array.size) >= fewest:
        return array
    if array.ndim == 1:
        raise InvalidInput(
            f"{array.size} distances; expected those of all pairs of n points, n of at least {fewest}: n(n-1)/2 of "
            "them, as scipy.spatial.distance.pdist gives them, or a square matrix"
        )
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < fewest:
        raise InvalidInput(f"distances of shape {array.shape}; expected (n, n) with n of at least {fewest}")
    return array


def points_among(pairs: int) -> int:
    """The number of points with so many pairs; 0 where there is none."""
    n = (1 + math.isqrt(1 + 8 * pairs)) // 2
    return n if n * (n - 1) // 2 == pairs else 0


def condensed_of(array: np.ndarray, *, infinite: bool) -> Float64[np.ndarray, " pairs"]:
    """Condense and correct the output of `array_of_distances`; ``infinite`` allows infinity."""
    refuse_undefined(array, infinite=infinite)
    finite = np.abs(array[np.isfinite(array)])
    largest, rounding = float(finite.max(initial=0.0)), ROUNDING[array.dtype]
    if array.ndim == 2:
        pairs, uneven, place = of_matrix(array, largest)
    else:
        pairs, uneven, place = array.astype(np.float64), 0.0, ""
    below = float(-pairs.min(initial=0.0))
    if below > TAKEN * largest:
        count, first = int((pairs < 0).sum()), pair_at(int(pairs.argmin()), pairs.size)
        raise InvalidInput(
            f"{count} distances are negative, the least is {-below:.6g} at {first}; expected 0 or more. Similarities "
            "are no distances: take 1 - similarity, say"
        )
    if max(below, uneven) > rounding * largest:
        what = place if uneven >= below else f"the least distance is {-below:.3g}"
        warnings.warn(
            f"distances are made symmetric, with 0 on the diagonal and none below 0: {what}, within {TAKEN:g} of the "
            f"largest, {largest:.6g}",
            stacklevel=5,
        )
    return np.maximum(pairs, 0.0)


def refuse_undefined(array: np.ndarray, *, infinite: bool) -> None:
    """Raise InvalidInput for NaN, and for infinity unless allowed."""
    wrong = np.isnan(array) if infinite else ~np.isfinite(array)
    if not wrong.any():
        return
    first = np.argwhere(wrong)[0].tolist()
    if infinite:
        count = int(wrong[np.triu_indices(len(wrong))].sum()) if array.ndim == 2 else int(wrong.sum())
        raise InvalidInput(f"{count} distances are NaN, the first at {first}; expected numbers, inf for no edge")
    raise InvalidInput(
        f"{int(wrong.sum())} distances are NaN or infinite, the first at {first}; expected finite numbers"
    )


def of_matrix(matrix: Square, largest: float) -> tuple[Float64[np.ndarray, " pairs"], float, str]:
    """The mean of both triangles, the largest violation of symmetry or zero diagonal, and where it is."""
    wide = matrix.astype(np.float64, copy=False)
    diagonal = np.abs(wide.diagonal())
    k = int(diagonal.argmax())
    if diagonal[k] > TAKEN * largest or (not largest and diagonal[k]):
        raise InvalidInput(
            f"distances must not be negative, and the diagonal must be zero: [{k}, {k}] is {matrix[k, k]}, and the "
            f"largest distance is {largest:.6g}. Where it is rounding, np.fill_diagonal(D, 0); similarities are no "
            "distances"
        )
    upper = np.triu_indices(len(matrix), 1)
    above, below = wide[upper], wide.T[upper]
    with np.errstate(invalid="ignore"):  # inf - inf
        apart = np.where(above == below, 0.0, np.abs(above - below))
    worst = int(apart.argmax()) if apart.size else 0
    uneven = float(apart[worst]) if apart.size else 0.0
    i, j = (int(side[worst]) for side in upper) if apart.size else (0, 0)
    told = f"[{i}, {j}] is {matrix[i, j]} but [{j}, {i}] is {matrix[j, i]}"
    if uneven > TAKEN * largest:
        raise InvalidInput(
            f"distances are not symmetric: {told}. Where both directions mean the same, give (D + D.T) / 2, or "
            "np.minimum(D, D.T)"
        )
    on = f"[{k}, {k}] is {matrix[k, k]}"
    return (
        np.where(apart > 0, above / 2 + below / 2, above),
        max(uneven, float(diagonal[k])),
        told if uneven >= diagonal[k] else on,
    )


def pair_at(place: int, pairs: int) -> list[int]:
    """The two points at an index of a condensed vector."""
    i, j = (side[place] for side in np.triu_indices(points_among(pairs), 1))
    return [int(i), int(j)]


def compact(condensed: Condensed) -> Condensed:
    """Convert distances to float32; beyond its range to float64, with the digits of float32.

    A power of two moves them into the range and back, so that diagrams scale exactly with the unit.
    """
    if condensed.dtype == np.float32:
        return condensed
    largest = float(condensed.max(initial=0.0, where=np.isfinite(condensed)))
    if not largest or SMALLEST <= largest < LARGEST:
        return condensed.astype(np.float32)
    least = float(condensed.min(initial=largest, where=condensed > 0))
    if least >= float(np.finfo(np.float32).tiny) and largest < LARGEST:
        return condensed.astype(np.float32)
    exponent = math.frexp(largest)[1]
    return np.ldexp(np.ldexp(condensed, -exponent).astype(np.float32).astype(np.float64), exponent)


def are_distances(points: Shaped[np.ndarray, "n d"]) -> bool:
    """Whether an array given as points looks like distances: square, symmetric, non-negative, zero diagonal."""
    n, d = points.shape
    if n != d or n < 3 or points.dtype.kind not in NUMBERS:
        return False
    largest = float(np.abs(points).max())
    near = TAKEN * largest
    return bool(
        largest
        and points.min() >= -near
        and np.abs(points.diagonal()).max() <= near
        and np.abs(points - points.T).max() <= near
    )


def warn_of_distances(points: Shaped[np.ndarray, "n d"], remedy: str) -> None:
    """Warn that points look like distances; ``remedy`` says how to give distances."""
    if are_distances(points):
        warnings.warn(
            f"the {len(points)} points in {points.shape[1]} dimensions look like a matrix of distances (symmetric, "
            f"with a zero diagonal), but are measured as points; {remedy} measures them as distances",
            stacklevel=4,
        )

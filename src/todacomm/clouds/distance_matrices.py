"""Distances that are handed over → condensed, in `scipy.spatial.distance.pdist` order, or an InvalidInput that says what is wrong.

A matrix may have rounding in its diagonal, its symmetry and below zero: up to ``TAKEN`` of its largest distance it is evened out, with a
warning where it is more than rounding of its type.
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
    """A square matrix, or a vector of all pairs, of real numbers of float32 or float64; what a sparse one lacks is infinite."""
    array = array_of(given, absent=np.inf)
    if array.dtype.kind not in NUMBERS:
        raise InvalidInput(f"distances of type {array.dtype}; expected real numbers")
    if array.ndim == 1 and array.size and points_among(array.size) >= fewest:
        return array
    if array.ndim == 1:
        raise InvalidInput(
            f"{array.size} distances; expected those of all pairs of n points, n of at least {fewest}: n(n-1)/2 of them, "
            "as scipy.spatial.distance.pdist gives them, or a square matrix"
        )
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < fewest:
        raise InvalidInput(f"distances of shape {array.shape}; expected (n, n) with n of at least {fewest}")
    return array


def points_among(pairs: int) -> int:
    """How many points have so many pairs; 0 where none have."""
    n = (1 + math.isqrt(1 + 8 * pairs)) // 2
    return n if n * (n - 1) // 2 == pairs else 0


def condensed_of(array: np.ndarray, *, infinite: bool) -> Float64[np.ndarray, " pairs"]:
    """The distances of a matrix or a vector of `array_of_distances`, evened out; ``infinite`` where they may be."""
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
            f"{count} distances are negative, the least is {-below:.6g} at {first}; expected 0 or more. Similarities are no "
            "distances: take 1 - similarity, say"
        )
    if max(below, uneven) > rounding * largest:
        what = place if uneven >= below else f"the least distance is {-below:.3g}"
        warnings.warn(
            f"distances are made symmetric, with 0 on the diagonal and none below 0: {what}, within {TAKEN:g} of the largest, "
            f"{largest:.6g}",
            stacklevel=5,
        )
    return np.maximum(pairs, 0.0)


def refuse_undefined(array: np.ndarray, *, infinite: bool) -> None:
    """Raise InvalidInput for NaN, and for infinity but where an edge may never come."""
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
    """The mean of both sides of the diagonal, how far they and the diagonal are from what they should be, and where."""
    wide = matrix.astype(np.float64, copy=False)
    diagonal = np.abs(wide.diagonal())
    k = int(diagonal.argmax())
    if diagonal[k] > TAKEN * largest or (not largest and diagonal[k]):
        raise InvalidInput(
            f"distances must not be negative, and the diagonal must be zero: [{k}, {k}] is {matrix[k, k]}, and the largest "
            f"distance is {largest:.6g}. Where it is rounding, np.fill_diagonal(D, 0); similarities are no distances"
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
            f"distances are not symmetric: {told}. Where both directions mean the same, give (D + D.T) / 2, or np.minimum(D, D.T)"
        )
    on = f"[{k}, {k}] is {matrix[k, k]}"
    return (
        np.where(apart > 0, above / 2 + below / 2, above),
        max(uneven, float(diagonal[k])),
        told if uneven >= diagonal[k] else on,
    )


def pair_at(place: int, pairs: int) -> list[int]:
    """The two points of a place of a condensed vector."""
    i, j = (side[place] for side in np.triu_indices(points_among(pairs), 1))
    return [int(i), int(j)]


def compact(condensed: Condensed) -> Condensed:
    """The distances in float32; those beyond its range in float64, with the digits that float32 would keep.

    A power of two carries them into the range and back, so that a cloud of any size gives the same diagram but for the unit.
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
    """Whether an array that was given as points looks like distances: square, symmetric, a diagonal of zeros, none negative."""
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
    """Say that an array given as points looks like distances; ``remedy`` is what they want to be given as."""
    if are_distances(points):
        warnings.warn(
            f"the {len(points)} points in {points.shape[1]} dimensions look like a matrix of distances (symmetric, with a zero diagonal), "
            f"but are measured as points; {remedy} measures them as distances",
            stacklevel=4,
        )

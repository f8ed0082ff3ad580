"""Cloud × cloud → number: how alike the geometry of two clouds of the same texts is."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float64

from todacomm.core.errors import InvalidInput

Cloud = Float[np.ndarray, "n _"]

FEWEST = 4  # points: of three, a U-centred Gram matrix is zero
OF_SUMS = 1e-12  # what rounding of sums in float64 leaves, over the trace of the Gram matrix
BLOCK = 2**21  # numbers of a Gram matrix that are held at a time


def linear_cka(first: Cloud, second: Cloud) -> float | None:
    """Linear centred kernel alignment, debiased: 1 for clouds that are equal up to rotation and one scale, 0 in the mean for clouds that have nothing in common.

    HSIC(X, Y) / √(HSIC(X, X) · HSIC(Y, Y)) of clouds whose rows are the same texts in the same order, each HSIC the mean product of
    U-centred Gram matrices, which no dimension inflates; it may lie a little below 0. Without the correction two unrelated Gaussian clouds of 500 points have
    0.80 in 2,048 dimensions. None for fewer than four points, and where no more than one point of a cloud differs from the others.
    Song et al. 2012, https://jmlr.org/papers/v13/song12a.html; Kornblith et al. 2019, https://arxiv.org/abs/1905.00414
    """
    if len(first) != len(second):
        raise InvalidInput(f"clouds of {len(first)} and {len(second)} points; expected the same texts in both")
    if len(first) < FEWEST:
        return None
    x, y = centred(first), centred(second)
    both = both_self = other_self = 0.0
    for k, other in zip(u_centred(x), u_centred(y), strict=True):
        both += float(np.vdot(k, other))
        both_self += float(np.vdot(k, k))
        other_self += float(np.vdot(other, other))
    if not (stands_out(both_self, x, first) and stands_out(other_self, y, second)):
        return None
    return max(-1.0, min(1.0, both / (math.sqrt(both_self) * math.sqrt(other_self))))


def u_centred(x: Float64[np.ndarray, "n d"]) -> Iterator[Float64[np.ndarray, "b n"]]:
    """The U-centred Gram matrix of points about their mean, rows at a time: the mean of what is off the diagonal of each row is 0.

    Székely and Rizzo 2014, https://doi.org/10.1214/14-AOS1255
    """
    n = len(x)
    squares = np.einsum("nd,nd->n", x, x)
    sums = -squares  # of each row without its diagonal: about the mean, whole rows sum to zero
    shift = sums / (n - 2) - sums.sum() / (2 * (n - 1) * (n - 2))
    step = max(1, BLOCK // n)
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        gram = x[rows] @ x.T - shift[rows, None] - shift
        gram[rows - start, rows] = 0.0
        yield gram


def stands_out(squares: float, x: Float64[np.ndarray, "n d"], cloud: Cloud) -> bool:
    """Whether the sum of the squares of a U-centred Gram matrix is more than rounding of the points leaves of it."""
    return math.sqrt(squares) > max(rounding_of(cloud), OF_SUMS) * float(np.vdot(x, x))


def centred(cloud: Cloud) -> Float64[np.ndarray, "n d"]:
    """The cloud in float64 about its mean, over its largest coordinate, which changes no alignment and keeps squares finite."""
    points = cloud.astype(np.float64)
    points = np.ldexp(points, -int(np.frexp(np.abs(points).max())[1]))
    points -= points[0].copy()  # so that equal points stay equal
    points -= points.mean(axis=0)
    largest = np.abs(points).max()
    return points / largest if largest > rounding_of(cloud) else np.zeros_like(points)


def rounding_of(cloud: Cloud) -> float:
    """What rounding can make of equal numbers about 1, in the precision of a cloud."""
    return 4 * float(np.finfo(cloud.dtype if cloud.dtype.kind == "f" else np.float64).eps)

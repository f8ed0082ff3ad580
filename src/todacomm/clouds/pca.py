"""Project on principal components by the symmetric eigenproblem of the smaller side, with the SVD as fallback.

The products of the n centred points make an (n, n) matrix, those of their d coordinates a (d, d) one; the smaller is
solved. Squaring leaves eigenvalues right to the rounding of the largest; for weaker components the SVD is used.
"""

import numpy as np
import scipy.linalg
from jaxtyping import Float
from scipy.linalg import blas

Points = Float[np.ndarray, "n d"]
Pairs = tuple[Float[np.ndarray, " k"], Float[np.ndarray, "m k"]]

WEAK = 1e-8  # of the largest eigenvalue: below it a coordinate would keep less than half of the digits of float64
SMALL = 400  # below so many rows LAPACK's divide and conquer is faster than a range of eigenvalues


def project(points: Points, components: int | None, *, centred: bool = False) -> tuple[Float[np.ndarray, "n k"], float]:
    """Project on the first principal components; return also the fraction of variance kept.

    The directions come from the centred points (``centred``: they are); points are rotated, not moved. The largest
    entry of each direction is positive. With at most ``components`` dimensions the points are returned unchanged.
    """
    found = axes(points, components, centred=centred)
    return (points, 1.0) if found is None else (points @ found[0].T, found[1])


def axes(
    points: Points, components: int | None, *, centred: bool = False
) -> tuple[Float[np.ndarray, "k d"], float] | None:
    """The directions that `project` uses, and the fraction of variance they keep; None for unchanged points."""
    n, d = points.shape
    if components is None or d <= components:
        return None
    around = points if centred else points - points.mean(axis=0)
    directions, share = principal(around, min(components, n))
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])
    return directions * signs[:, None], share


def principal(around: Points, k: int) -> tuple[Float[np.ndarray, "k d"], float]:
    """The k orthonormal directions of most variance of centred points, descending, and the fraction they keep."""
    n, d = around.shape
    if k == n:  # centred points: the last direction has no variance
        return by_svd(around, k)
    products = products_of(around)
    total = float(products.trace())
    values, vectors = by_eigh(products, k)
    if not values[-1] > WEAK * values[0]:
        return by_svd(around, k)
    share = min(float(values.sum()) / total, 1.0)
    return (vectors.T @ around / np.sqrt(values)[:, None] if n < d else vectors.T), share


def products_of(around: Points) -> Float[np.ndarray, "m m"]:
    """The scalar products of points, or of coordinates if fewer: the lower triangle, in Fortran order."""
    n, d = around.shape
    return blas.dsyrk(1.0, around.T, trans=int(n < d), lower=1)


def by_eigh(matrix: Float[np.ndarray, "m m"], k: int) -> Pairs:
    """The k largest eigenvalues, descending, and their eigenvectors, of a lower triangle."""
    m = len(matrix)
    if m < SMALL:
        values, vectors = scipy.linalg.eigh(matrix, driver="evd", check_finite=False)
    else:
        values, vectors = scipy.linalg.eigh(matrix, subset_by_index=(m - k, m - 1), driver="evr", check_finite=False)
    return values[: -k - 1 : -1], vectors[:, : -k - 1 : -1]


def by_svd(around: Points, k: int) -> tuple[Float[np.ndarray, "k d"], float]:
    """Compute `principal` by singular values, which keep what squaring loses."""
    _, singular, directions = scipy.linalg.svd(around, full_matrices=False, check_finite=False)
    squares = singular**2
    return directions[:k], float(squares[:k].sum() / squares.sum()) if squares.any() else 1.0

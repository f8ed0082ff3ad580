"""Vietoris–Rips persistent homology of points or distances, for anybody who wants diagrams and nothing else."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from todacomm.distances import checked_points, pairwise
from todacomm.engines import own, upper_triangle
from todacomm.errors import InvalidInput, UnknownName

METRICS = ("euclidean", "cosine", "precomputed")
PRECISIONS = ("float32", "float64")
Diagram = Float[np.ndarray, "m 2"]


def rips(
    X: np.ndarray,  # noqa: N803 - the name that scikit-learn and ripser.py have made usual
    *,
    maxdim: int = 1,
    metric: Literal["euclidean", "cosine", "precomputed"] = "euclidean",
    threshold: float = np.inf,
    precision: Literal["float32", "float64"] = "float32",
) -> list[Diagram]:
    """Persistence diagrams over Z/2 of the Vietoris–Rips filtration, one (m, 2) float64 array a dimension.

    ``X`` is (n, d) points, or, with ``metric="precomputed"``, a symmetric (n, n) matrix of distances, metric or not, in which
    infinity is an edge that never comes. A row is birth and death, in the unit of the distances (the diameter convention),
    by birth and death; bars of length zero are left out, and classes that never die have death inf and stand last: H0 has
    one for each component. Distances are taken in float32, so that ends of bars are right to 6e-8 of themselves;
    ``precision="float64"`` keeps more, in about twice the time. H0 and H1 are computed by `todacomm.engines.bitlink`, H0 alone
    by Prim's algorithm, H2 by RedZeD in float32.

    Raises InvalidInput where ``X`` is not such an array, UnknownName for a metric or precision that there is not.

    >>> import numpy as np
    >>> angle = 2 * np.pi * np.arange(12) / 12
    >>> rips(np.c_[np.cos(angle), np.sin(angle)])[1].round(3)
    array([[0.518, 1.732]])
    """
    for kind, name, known in (("metric", metric, METRICS), ("precision", precision, PRECISIONS)):
        if name not in known:
            raise UnknownName(kind, name, known)
    if maxdim not in (0, 1, 2):
        raise InvalidInput(f"maxdim is {maxdim}; expected 0 (clusters), 1 (and loops) or 2 (and voids)")
    if np.isnan(threshold):
        raise InvalidInput("the threshold is NaN; expected a distance, or inf for no threshold")
    found = own(_condensed(np.asarray(X), metric, np.dtype(precision)), maxdim=maxdim, threshold=threshold)
    endless = ([(birth, np.inf) for birth in births] for births in found.essential)
    return [np.concatenate([bars, np.reshape(e, (-1, 2))]) for bars, e in zip(found.finite, endless, strict=True)]


def _condensed(array: np.ndarray, metric: str, precision: np.dtype) -> Float[np.ndarray, " pairs"]:
    """The distances in pdist order."""
    if metric == "precomputed":
        return _given(array).astype(precision, copy=False)
    if array.ndim != 2 or not len(array):
        raise InvalidInput(f"points of shape {array.shape}; expected (n, d) with n of at least 1")
    if precision == np.float32:
        return pairwise(array, metric)
    from scipy.spatial.distance import pdist

    return np.maximum(pdist(checked_points(array), metric), 0.0)  # cosine: rounding gives -1e-16


def _given(matrix: np.ndarray) -> Float[np.ndarray, " pairs"]:
    """The upper triangle of a matrix of distances, some perhaps infinite."""
    condensed = upper_triangle(matrix.astype(np.float64, copy=False), fewest=1)
    if np.isnan(condensed).any():
        raise InvalidInput(f"{int(np.isnan(condensed).sum())} distances are NaN; expected numbers, inf for no edge")
    if (condensed < 0).any():
        raise InvalidInput(f"{int((condensed < 0).sum())} distances are negative; expected 0 or more")
    return condensed

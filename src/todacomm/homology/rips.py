"""Vietoris–Rips persistent homology of points or distances: `td.rips`, diagrams and nothing else."""

from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from todacomm.clouds.distance_matrices import points_among, warn_of_distances
from todacomm.clouds.distances import checked_points, in_double, pairwise, unit_rows, within_reach
from todacomm.clouds.landmarks import maxmin, maxmin_among
from todacomm.core.array_input import array_of
from todacomm.core.diagrams import Diagrams, by_birth_and_death
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.threads import one_thread
from todacomm.homology import bitlink
from todacomm.homology.bitlink.edge_order import points_of
from todacomm.homology.engines import (
    among,
    checked,
    checked_dimension,
    checked_limit,
    checked_prime,
    limit_among,
    over_field,
)

METRICS = ("euclidean", "cosine", "precomputed")
PRECISIONS = ("float32", "float64")
Diagram = Float[np.ndarray, "m 2"]
Points = Float[np.ndarray, "n d"]
Condensed = Float[np.ndarray, " pairs"]


class Generators(NamedTuple):
    """Diagrams with the edges and triangles that make their bars, as indices of the input's points.

    ``birth_edges`` (m, 2) close the loops of H1, ``death_triangles`` (m, 3) fill them (-1 for none).
    ``merging_edges`` (k, 2) join components, in the order of the finite bars of H0 of positive length.
    """

    diagrams: list[Diagram]
    birth_edges: Int[np.ndarray, "m 2"]
    death_triangles: Int[np.ndarray, "m 3"]
    merging_edges: Int[np.ndarray, "k 2"]


def rips(
    X: Any,  # noqa: N803 - the name that scikit-learn and ripser.py have made usual
    *,
    maxdim: int = 1,
    metric: Literal["euclidean", "cosine", "precomputed"] = "euclidean",
    threshold: float = np.inf,
    precision: Literal["float32", "float64"] = "float32",
    landmarks: int | None = None,
    seed: int = 0,
    coeff: int = 2,
) -> list[Diagram]:
    """Persistence diagrams of the Vietoris–Rips filtration, over Z/2 or Z/p.

    H0 and H1 are computed by todacomm's own engine, H0 alone by Prim's algorithm, and H2 by RedZeD, or Ripser for odd
    primes, always in float32. Any unit from 1e-300 to 1e300 is accepted.

    Parameters
    ----------
    X : (n, d) array_like or (n, n) array_like
        Points, or distances for ``metric="precomputed"``: symmetric, zero on the diagonal, metric or not, with infinity
        for an edge that never comes. One axis means distances condensed as by `scipy.spatial.distance.pdist`. Lists,
        tables, tensors and sparse arrays are accepted; what sparse distances do not store is no edge.
    maxdim : {0, 1, 2}, default 1
        Highest homology dimension: clusters, loops, voids.
    metric : {"euclidean", "cosine", "precomputed"}, default "euclidean"
        Distance between points.
    threshold : float, default infinity
        Longest edge of the filtration.
    precision : {"float32", "float64"}, default "float32"
        Of the distances. In float32, births and deaths have a relative error of 6e-8; float64 takes about twice the
        time.
    landmarks : int, optional
        Use so many maxmin landmarks: births and deaths are then within twice the covering radius of those of all
        points.
    seed : int, default 0
        Draws the first landmark.
    coeff : int, default 2
        Field of coefficients Z/coeff: a prime up to 127. H0 is the same over every field; H1 and H2 may not be, where
        a cycle is filled only when run through several times (torsion), as in a projective plane or by the residues on
        the embedding of a network that adds.

    Returns
    -------
    list of (m, 2) float64 arrays
        One a dimension: birth and death in the unit of the distances (the diameter convention), sorted by birth and
        death, without bars of length zero. Classes that never die have death infinity and stand last.

    Raises
    ------
    InvalidInput
        Where ``X`` is not such an array, and for a ``coeff`` that is no prime up to 127.
    UnknownName
        For a metric or precision that does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> angle = 2 * np.pi * np.arange(12) / 12
    >>> rips(np.c_[np.cos(angle), np.sin(angle)])[1].round(3)
    array([[0.518, 1.732]])

    References
    ----------
    Boissonnat, Dey and Maria 2015, https://doi.org/10.1007/s00453-015-9999-4

    """
    highest, limit, prime = checked_dimension(maxdim), checked_limit(threshold), checked_prime(coeff)
    condensed, _ = chosen(X, metric, precision, landmarks, seed)
    limit = limit_among(condensed, limit, np.dtype(precision))
    if highest == 1 and bitlink.available():
        return bars_of(bitlink.homology(condensed, threshold=limit, prime=prime))
    return rows_of(over_field(condensed, maxdim=highest, threshold=limit, prime=prime))


def generators(
    X: Any,  # noqa: N803 - as in `rips`
    *,
    metric: Literal["euclidean", "cosine", "precomputed"] = "euclidean",
    threshold: float = np.inf,
    precision: Literal["float32", "float64"] = "float32",
    landmarks: int | None = None,
    seed: int = 0,
    coeff: int = 2,
) -> Generators:
    """Diagrams of H0 and H1 as `rips` gives them, with the edges and triangles that make their bars.

    The length of a birth edge is the birth of its bar, and the longest side of a death triangle is its death. Of edges
    of equal length the one with the lower indices comes first. Which of them are paired depends on the field, Z/coeff.

    Parameters
    ----------
    X, metric, threshold, precision, landmarks, seed, coeff
        As in `rips`. Indices are those of the points in ``X``, with landmarks too.

    Returns
    -------
    Generators
        ``diagrams``, then row for row of H1 ``birth_edges`` (m, 2) and ``death_triangles`` (m, 3; -1 for a loop that is
        never filled), and for the finite bars of H0 ``merging_edges`` (k, 2).

    Raises
    ------
    InvalidInput
        Where ``X`` is not such an array, for a ``coeff`` that is no prime up to 127, or numba is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> square = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    >>> generators(square).birth_edges
    array([[2, 3]])

    """
    limit, prime = checked_limit(threshold), checked_prime(coeff)
    condensed, rows = chosen(X, metric, precision, landmarks, seed)
    if not bitlink.available():
        raise InvalidInput("generators are given by the engine that numba compiles, which is not installed here")
    limit = limit_among(condensed, limit, np.dtype(precision))
    found = bitlink.homology(condensed, threshold=limit, prime=prime)
    order = order_of(found.bars)
    triangles = found.death_triangles[order]
    return Generators(
        bars_of(found),
        rows[found.birth_edges[order]],
        np.where(triangles < 0, -1, rows[triangles]),
        rows[found.merging_edges[found.merges > 0]],
    )


def chosen(
    given: Any, metric: str, precision: str, landmarks: int | None, seed: int
) -> tuple[Condensed, Int[np.ndarray, " m"]]:
    """The distances to measure, and the indices of their points."""
    for kind, name, known in (("metric", metric, METRICS), ("precision", precision, PRECISIONS)):
        if not isinstance(name, str) or name not in known:
            raise UnknownName(kind, str(name), known)
    if metric == "precomputed":
        return of_distances(given, precision, landmarks, seed)
    array = array_of(given)
    if array.ndim == 1 and metric == "euclidean" and points_among(array.size) > 1 and array.any():
        return of_distances(array, precision, landmarks, seed)
    if array.ndim != 2 or not len(array):
        raise InvalidInput(f"points of shape {array.shape}; expected (n, d) with n of at least 1")
    points = checked_points(array)
    warn_of_distances(points, 'metric="precomputed"')
    with one_thread:
        return of_points(points, metric, precision, first_of(len(points), landmarks, seed))


def of_points(
    points: Points, metric: str, precision: str, first: tuple[int, int] | None
) -> tuple[Condensed, Int[np.ndarray, " m"]]:
    """Do `chosen` for points, all of them or landmarks."""
    if first:
        space = unit_rows(points) if metric == "cosine" else within_reach(points)[0]
        rows = np.sort(maxmin(space, *first)[0])
        points = points[rows]
    else:
        rows = np.arange(len(points))
    return (in_double if precision == "float64" else pairwise)(points, metric), rows


def of_distances(
    given: Any, precision: str, landmarks: int | None, seed: int
) -> tuple[Condensed, Int[np.ndarray, " m"]]:
    """Do `chosen` for distances."""
    condensed = checked(given, infinite=True, fewest=1, precision=np.dtype(precision))
    n = points_of(len(condensed))
    if first := first_of(n, landmarks, seed):
        rows = np.sort(maxmin_among(condensed, *first)[0])
        return among(condensed, rows), rows
    return condensed, np.arange(n)


def first_of(n: int, landmarks: int | None, seed: int) -> tuple[int, int] | None:
    """The number of landmarks of n points and the first of them; None where all points are measured."""
    if landmarks is None:
        return None
    for name, number, least in (("landmarks", landmarks, 1), ("seed", seed, 0)):
        if not isinstance(number, (int, np.integer)) or number < least:
            raise InvalidInput(f"{name} is {number!r}; expected a whole number of at least {least}")
    rng = np.random.default_rng(seed)
    return None if landmarks >= n else (int(landmarks), int(rng.integers(n)))


def bars_of(found: bitlink.Barcode) -> list[Diagram]:
    """Convert the result of our own engine to rows."""
    deaths = found.merges[found.merges > 0]
    clusters = np.zeros((len(deaths) + found.points - len(found.merges), 2))
    clusters[: len(deaths), 1], clusters[len(deaths) :, 1] = deaths, np.inf
    return [clusters, found.bars[order_of(found.bars)]]


def order_of(bars: Diagram) -> Int[np.ndarray, " m"]:
    """Argsort by birth and death, bars that never die last."""
    endless = np.isinf(bars[:, 1])
    return np.lexsort((bars[:, 1], bars[:, 0], endless)) if endless.any() else by_birth_and_death(bars)


def rows_of(found: Diagrams) -> list[Diagram]:
    """Concatenate finite and essential bars, one array a dimension."""
    endless = ([(birth, np.inf) for birth in births] for births in found.essential)
    return [np.concatenate([bars, np.reshape(e, (-1, 2))]) for bars, e in zip(found.finite, endless, strict=True)]

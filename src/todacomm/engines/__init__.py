"""Distances to persistence diagrams: a registry of engines, one border check, one cross-check.

Every engine computes Vietoris–Rips persistent homology over Z/2 in the diameter convention, from a symmetric (n, n)
matrix of float32 distances, up to ``threshold``. The laws in tests/laws run for every engine that is registered.
"""

from collections.abc import Callable

import numpy as np

from todacomm.errors import EngineDisagreement, InvalidInput
from todacomm.recipe import FEWEST_POINTS
from todacomm.registry import Registry
from todacomm.types import Bars, Diagrams, Distances

Engine = Callable[..., Diagrams]  # (distances, *, maxdim: int, threshold: float) -> Diagrams

engines: Registry[Engine] = Registry("engine")
REFERENCE = "ripser"


@engines.register("redzed")
def redzed(distances: Distances, *, maxdim: int, threshold: float) -> Diagrams:
    """RedZeD, active enumeration: Kapulkin and Kershaw 2026, https://arxiv.org/abs/2606.06310."""
    import redzed_tda as library

    found: list[Bars] = library.rips(distances, maxdim=maxdim, threshold=threshold)  # type: ignore[assignment]
    return Diagrams.from_arrays(found)


@engines.register("ripser")
def ripser(distances: Distances, *, maxdim: int, threshold: float) -> Diagrams:
    """Ripser, the reference: Bauer 2021, https://doi.org/10.1007/s41468-021-00071-5."""
    import ripser as library

    found = library.ripser(distances, distance_matrix=True, maxdim=maxdim, thresh=threshold, coeff=2)
    return Diagrams.from_arrays(found["dgms"])


def persistence(
    distances: np.ndarray, *, engine: str = "redzed", maxdim: int = 1, threshold: float | None = None
) -> Diagrams:
    """The persistence diagrams of a distance matrix, dimensions 0 to ``maxdim``.

    ``threshold`` None stops at the enclosing radius, after which homology does not change. Raises InvalidInput when the
    matrix is not square, symmetric, finite, non-negative with a zero diagonal.
    """
    matrix = checked(distances)
    limit = enclosing_radius(matrix) if threshold is None else threshold
    return engines[engine](matrix, maxdim=maxdim, threshold=limit)


def checked(distances: np.ndarray) -> Distances:
    """The matrix in float32, or an InvalidInput that says what is wrong with it."""
    matrix = np.ascontiguousarray(distances, dtype=np.float32)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < FEWEST_POINTS:
        raise InvalidInput(f"distances of shape {matrix.shape}; expected (n, n) with n of at least {FEWEST_POINTS}")
    if not np.isfinite(matrix).all():
        raise InvalidInput(
            f"{int((~np.isfinite(matrix)).sum())} distances are NaN or infinite; expected finite numbers"
        )
    if (matrix < 0).any() or matrix.diagonal().any():
        raise InvalidInput("distances must not be negative, and the diagonal must be zero")
    if not np.array_equal(matrix, matrix.T):
        i, j = np.argwhere(matrix != matrix.T)[0]
        raise InvalidInput(
            f"distances are not symmetric: [{i}, {j}] is {matrix[i, j]} but [{j}, {i}] is {matrix[j, i]}"
        )
    return matrix


def enclosing_radius(distances: Distances) -> float:
    """The least r such that some point is within r of all others; the complex is a cone from there on."""
    return float(distances.max(axis=1).min())


def assert_agreement(found: Diagrams, reference: Diagrams, *, scale: float, where: str) -> None:
    """Raise EngineDisagreement unless the bars agree to 1e-6 of ``scale``, those shorter than 1e-5 of it aside."""
    for k, (ours, theirs) in enumerate(zip(found.finite, reference.finite, strict=True)):
        a, b = (bars[bars[:, 1] - bars[:, 0] > 1e-5 * scale] for bars in (ours, theirs))
        if len(a) != len(b) or not np.allclose(a, b, rtol=0, atol=1e-6 * scale):
            raise EngineDisagreement(
                f"{where}: two engines differ in dimension {k}: {describe(a)} against {describe(b)}. "
                "Run again with --engine ripser, and please report this cloud"
            )


def describe(bars: Bars) -> str:
    """Count and total persistence of the bars, for a message."""
    return f"{len(bars)} bars of total {float((bars[:, 1] - bars[:, 0]).sum()):.6g}"


def cross_check(distances: Distances, *, engine: str, rng: np.random.Generator, where: str, largest: int = 600) -> None:
    """Compute H0 and H1 of the distances with ``engine`` and with the reference, and compare.

    Of more than ``largest`` points a random subset of that size is taken, for both engines alike.
    """
    if len(distances) > largest:
        chosen = np.sort(rng.choice(len(distances), largest, replace=False))
        distances = np.ascontiguousarray(distances[np.ix_(chosen, chosen)])
    ours, theirs = (persistence(distances, engine=name, maxdim=1) for name in (engine, REFERENCE))
    assert_agreement(ours, theirs, scale=float(np.median(distances)) or 1.0, where=where)

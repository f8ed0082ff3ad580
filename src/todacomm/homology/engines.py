"""Compute persistence diagrams of distances by a registered engine; check input, compare engines.

Every engine computes Vietoris–Rips persistent homology over Z/2 in the diameter convention, from condensed float32
distances (``scipy.spatial.distance.pdist`` order), up to ``threshold``; `over_field` does so over Z/p. The laws in
tests/laws run for every registered engine.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from todacomm.clouds.distance_matrices import array_of_distances, compact, condensed_of, points_among
from todacomm.core.errors import EngineDisagreement, InvalidInput
from todacomm.core.recipe import FEWEST_POINTS
from todacomm.core.registry import Registry
from todacomm.core.types import Bars, Diagrams, Distances
from todacomm.homology import bitlink
from todacomm.homology.bitlink.edge_order import LARGEST, encoded, points_of

Condensed = Float[np.ndarray, " pairs"]  # float32; own() keeps float64
Compute = Callable[..., Diagrams]  # (condensed, *, maxdim: int, threshold: float) -> Diagrams


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine: its function, and the ``libraries`` (PyPI names) whose versions decide the result."""

    name: str
    compute: Compute
    libraries: tuple[str, ...] = ()

    def __call__(self, condensed: Condensed, *, maxdim: int, threshold: float) -> Diagrams:
        """Compute the diagrams of dimensions 0 to ``maxdim``, up to ``threshold``."""
        return self.compute(condensed, maxdim=maxdim, threshold=threshold)


engines: Registry[Engine] = Registry("engine")


def engine(name: str, *libraries: str) -> Callable[[Compute], Engine]:
    """Register a function as an engine; the versions of its ``libraries`` enter the cache key of its results."""
    return lambda compute: engines.add(name, Engine(name, compute, libraries))


DEFAULT, REFERENCE = "bitlink", "ripser"
SINGLE = np.dtype(np.float32)


@engine("bitlink", "numba", "redzed-tda")
def own(condensed: Condensed, *, maxdim: int, threshold: float) -> Diagrams:
    """Run todacomm's own engine, `todacomm.homology.bitlink`; RedZeD computes H2, and all where numba is missing."""
    if not bitlink.available():
        return redzed(condensed, maxdim=maxdim, threshold=threshold)
    if maxdim > 1:
        return in_double_below_h2(condensed, redzed(condensed, maxdim=2, threshold=threshold), threshold, prime=2)
    if maxdim:
        return bitlink.homology(condensed, threshold=threshold).diagrams()
    joined = bitlink.merges(condensed, threshold=threshold)
    return Diagrams.from_arrays([bitlink.clusters(joined, points_of(len(condensed)))])


def in_double_below_h2(condensed: Condensed, found: Diagrams, threshold: float, *, prime: int) -> Diagrams:
    """Replace H0 and H1 of float64 distances, which an engine of H2 rounded to float32, by those of our own engine."""
    if condensed.dtype == SINGLE:
        return found
    ours = bitlink.homology(condensed, threshold=threshold, prime=prime).diagrams()
    return Diagrams((*ours.finite, found.finite[2]), (*ours.essential, found.essential[2]))


def engine_ready() -> None:
    """Load or compile the default engine, so that the first measurement is not timed with it."""
    if bitlink.available():
        bitlink.ready()


@engine("redzed", "redzed-tda")
def redzed(condensed: Condensed, *, maxdim: int, threshold: float) -> Diagrams:
    """Run RedZeD, active enumeration: Kapulkin and Kershaw 2026, https://arxiv.org/abs/2606.06310."""
    import redzed_tda as library

    square = _square(condensed, threshold)
    found: list[Bars] = library.rips(square.matrix, maxdim=maxdim, threshold=square.limit)  # type: ignore[assignment]
    return Diagrams.from_arrays(found).scaled(square.unit)


@engine("ripser", "ripser")
def ripser(condensed: Condensed, *, maxdim: int, threshold: float) -> Diagrams:
    """Run Ripser, the reference: Bauer 2021, https://doi.org/10.1007/s41468-021-00071-5."""
    return in_ripser(condensed, maxdim=maxdim, threshold=threshold, prime=2)


def in_ripser(condensed: Condensed, *, maxdim: int, threshold: float, prime: int) -> Diagrams:
    """Run Ripser over Z/prime; a coefficient has eight bits there, so that primes beyond 127 would be wrong."""
    import ripser as library

    square = _square(condensed, threshold)
    found = library.ripser(square.matrix, distance_matrix=True, maxdim=maxdim, thresh=square.limit, coeff=prime)
    return Diagrams.from_arrays(found["dgms"]).scaled(square.unit)


def over_field(condensed: Condensed, *, maxdim: int, threshold: float, prime: int) -> Diagrams:
    """Diagrams over Z/prime: H0 and H1 by our own engine, H2 by Ripser, as RedZeD knows Z/2 alone.

    H0 is the same over every field.
    """
    if prime == 2 or maxdim == 0:
        return own(condensed, maxdim=maxdim, threshold=threshold)
    if maxdim == 1 and bitlink.available():
        return bitlink.homology(condensed, threshold=threshold, prime=prime).diagrams()
    found = in_ripser(condensed, maxdim=maxdim, threshold=threshold, prime=prime)
    return in_double_below_h2(condensed, found, threshold, prime=prime) if bitlink.available() else found


class _Square(NamedTuple):
    """The distance matrix and limit for other engines, both divided by a power of two, ``unit``."""

    matrix: Distances
    limit: float
    unit: float


def _square(condensed: Condensed, threshold: float) -> _Square:
    """Round limits as distances are, so that an edge as long as the limit is kept."""
    from scipy.spatial.distance import squareform

    longest = float(condensed.max(initial=0.0, where=np.isfinite(condensed)))
    unit = 1.0 if compact(condensed.astype(np.float64)).dtype == np.float32 else 2.0 ** (math.frexp(longest)[1] - 1)
    found, longest = (condensed / unit).astype(np.float32), longest / unit
    matrix = squareform(np.minimum(found, np.float32(2 * longest + 1)))
    limit = float(np.float32(max(-1.0, min(threshold / unit, longest))))
    return _Square(matrix, min(limit, enclosing_radius(matrix)), unit)  # beyond the longest there is no edge


def persistence(
    distances: np.ndarray, *, engine: str = DEFAULT, maxdim: int = 1, threshold: float | None = None
) -> Diagrams:
    """Persistence diagrams of distances by a named engine, dimensions 0 to ``maxdim``.

    This is what the pipeline calls for each cloud. Rounding in the diagonal, in the symmetry and below zero is
    corrected.

    Parameters
    ----------
    distances : (n(n-1)/2,) or (n, n) array
        Condensed distances in the order of `scipy.spatial.distance.pdist`, or a symmetric matrix.
    engine : str, default "bitlink"
        A registered engine: ``"bitlink"`` (ours), ``"redzed"`` or ``"ripser"`` (the reference).
    maxdim : {0, 1, 2}, default 1
        Highest homology dimension.
    threshold : float, optional
        Longest edge; None takes every distance at which homology changes.

    Returns
    -------
    Diagrams
        Over Z/2, in the unit of the distances.

    Raises
    ------
    InvalidInput
        For distances that are negative or not finite, and for a matrix that is not symmetric with a zero diagonal.
    UnknownName
        For an engine that is not registered.

    Examples
    --------
    >>> import numpy as np
    >>> persistence(np.array([1.0, 1.0, 1.5]), engine="ripser")
    Diagrams(H0: 2 finite, 1 essential; H1: 0 finite, 0 essential)

    """
    condensed, limit = with_limit(distances, threshold)
    return engines[engine](condensed, maxdim=checked_dimension(maxdim), threshold=limit)


def checked_dimension(maxdim: Any) -> int:
    """Check the highest dimension; raise InvalidInput."""
    if maxdim not in (0, 1, 2):
        raise InvalidInput(f"maxdim is {maxdim}; expected 0 (clusters), 1 (and loops) or 2 (and voids)")
    return int(maxdim)


def checked_prime(coeff: Any) -> int:
    """Check the number of elements of a field; raise InvalidInput."""
    whole = isinstance(coeff, (int, np.integer)) and not isinstance(coeff, bool)
    if not whole or not 2 <= coeff <= bitlink.LARGEST_PRIME or any(coeff % k == 0 for k in range(2, int(coeff))):
        raise InvalidInput(
            f"coeff is {coeff!r}; expected a prime from 2 to {bitlink.LARGEST_PRIME}: 3 for homology over Z/3"
        )
    return int(coeff)


def checked_limit(threshold: Any) -> float:
    """Check the threshold, infinite for None; raise InvalidInput."""
    try:
        limit = math.inf if threshold is None else float(threshold)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(f"the threshold is {threshold!r}; expected a distance, or inf for no threshold") from None
    if math.isnan(limit):
        raise InvalidInput("the threshold is NaN; expected a distance, or inf for no threshold")
    return limit


def with_limit(distances: Any, threshold: Any) -> tuple[Condensed, float]:
    """Check distances and the threshold on them, which both engines and fields take. Raises InvalidInput."""
    condensed = checked(distances)
    return condensed, limit_among(condensed, checked_limit(threshold))


def limit_among(condensed: Condensed, limit: float, precision: np.dtype = SINGLE) -> float:
    """Round a limit as distances of this precision were rounded, so that it keeps those that equal it.

    `compact` keeps those beyond the range of float32 in float64, with the digits of float32; the engines round the
    limit of the others.
    """
    if condensed.dtype == SINGLE or precision != SINGLE:
        return limit
    fraction, exponent = math.frexp(limit)
    with np.errstate(over="ignore"):
        return float(np.ldexp(float(np.float32(fraction)), exponent))


def checked(
    distances: Any, *, infinite: bool = False, fewest: int = FEWEST_POINTS, precision: np.dtype = SINGLE
) -> Condensed:
    """Check and condense distances to float32 or ``precision``, or raise InvalidInput.

    Distances beyond the range of float32 are float64 always (`todacomm.clouds.distance_matrices.compact`).
    """
    if is_condensed(distances):
        return distances
    array = array_of_distances(distances, fewest=fewest)
    if array.ndim == 2 and (found := bitlink.condense(array, precision)) is not None:
        return found
    whole = condensed_of(array, infinite=infinite)
    return compact(whole) if precision == SINGLE else whole


def is_condensed(distances: Any) -> bool:
    """Whether these are the output of `pairwise`: finite float32 distances, none negative."""
    if not isinstance(distances, np.ndarray) or distances.ndim != 1 or distances.dtype != np.float32:
        return False
    bits = distances.view(np.uint32)
    return bool(points_among(len(bits)) >= FEWEST_POINTS and bits.max() <= LARGEST)


def enclosing_radius(distances: Distances) -> float:
    """The least r such that some point is within r of all others; beyond it the complex is a cone."""
    return float(distances.max(axis=1).min())


def among(condensed: Shaped[np.ndarray, " _"], chosen: Int[np.ndarray, " k"]) -> Shaped[np.ndarray, " _"]:
    """The condensed distances among the points at some ascending indices."""
    n = points_of(len(condensed))
    u, v = (chosen[side] for side in np.triu_indices(len(chosen), 1))
    return condensed[n * u - u * (u + 1) // 2 + v - u - 1]


def restriction(condensed: Condensed) -> Callable[[Int[np.ndarray, " k"]], Condensed]:
    """Return `among` for many subsets of these distances, compiled where possible."""
    if condensed.dtype != np.float32 or not bitlink.available():
        return lambda chosen: among(condensed, chosen)
    bitlink.ready()
    coded = encoded(condensed)
    return lambda chosen: coded.among(chosen).codes


def subsampler(
    condensed: Condensed, *, engine: str = DEFAULT, maxdim: int = 1, threshold: float | None = None
) -> Callable[[Int[np.ndarray, " k"]], Diagrams]:
    """Return the function from ascending, distinct indices to the diagrams of these points.

    The default engine sorts the edges of the cloud once, for all subsets. Thread-safe.
    """
    given, limit = with_limit(condensed, threshold)
    if engine == DEFAULT and maxdim == 1 and bitlink.available():
        edges = bitlink.sorted_edges(given)
        return lambda chosen: bitlink.resample(edges, chosen, threshold=limit).diagrams()
    part = restriction(given)
    return lambda chosen: engines[engine](part(chosen), maxdim=maxdim, threshold=limit)


def assert_agreement(
    found: Diagrams, reference: Diagrams, *, scale: float, where: str, condensed: Condensed | None = None
) -> None:
    """Raise EngineDisagreement unless bars longer than 1e-5 of ``scale`` agree to 1e-6 of it.

    The error holds both diagrams, and the distances where they are given.
    """
    for k, (ours, theirs) in enumerate(zip(found.finite, reference.finite, strict=True)):
        a, b = (bars[bars[:, 1] - bars[:, 0] > 1e-5 * scale] for bars in (ours, theirs))
        if len(a) != len(b) or not np.allclose(a, b, rtol=0, atol=1e-6 * scale):
            raise EngineDisagreement(
                f"{where}: two engines differ in dimension {k}: {describe(a)} against {describe(b)}. "
                "Run again with --engine ripser, and please report this cloud",
                evidence(found, reference, condensed),
            )


def evidence(found: Diagrams, reference: Diagrams, condensed: Condensed | None) -> dict[str, np.ndarray]:
    """Two diagrams and their distances as arrays by name: ``found/H1``, ``reference/H1_essential``, ``distances``."""
    sides = {"found": found, "reference": reference}
    arrays = {f"{side}/{name}": array for side, of in sides.items() for name, array in of.arrays().items()}
    return arrays if condensed is None else {"distances": condensed, **arrays}


def describe(bars: Bars) -> str:
    """Count and total persistence of the bars, for a message."""
    return f"{len(bars)} bars of total {float((bars[:, 1] - bars[:, 0]).sum()):.6g}"


def cross_check(
    condensed: np.ndarray, *, engine: str, rng: np.random.Generator, where: str, largest: int = 600
) -> None:
    """Compute H0 and H1 of condensed distances with ``engine`` and the reference, and compare.

    Of more than ``largest`` points both take the same random subset of that size.
    """
    n = points_of(len(condensed))
    if n > largest:
        condensed = among(condensed, np.sort(rng.choice(n, largest, replace=False)))
    ours, theirs = (persistence(condensed, engine=name, maxdim=1) for name in (engine, REFERENCE))
    assert_agreement(ours, theirs, scale=float(np.median(condensed)) or 1.0, where=where, condensed=condensed)

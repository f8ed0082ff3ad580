"""Exact Vietoris–Rips H0 and H1 over Z/p, by annotations of edges over neighbourhoods kept as bit sets.

Edges enter in order of length. An edge uv whose ends have no common neighbour yet joins two components or bears a class
of H1: these are edges of the relative neighbourhood graph. Any other closes a triangle uvw with each common neighbour
w; the annotation of uv (the classes that a loop through it winds around) is that of uw plus that of vw, and where two
triangles differ, the youngest class in the difference dies. Nearly every edge has common neighbours and only zero
annotations around, as two rows of bits tell. The run ends when no class is alive and no longer edge can bear one.

Related: Boissonnat, Dey and Maria 2015, https://doi.org/10.1007/s00453-015-9999-4 (annotations); Koyama et al. 2023,
https://arxiv.org/abs/2307.16333 (births at edges of the relative neighbourhood graph).

Distances are float32, where relative differences below 6e-8 vanish: bar ends move by that much. float64 distances are
kept at about twice the time.
"""

import importlib.util
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float64, Int, Shaped, UInt32

from todacomm.clouds.distance_matrices import LARGEST as LARGEST_MATRIX
from todacomm.clouds.distance_matrices import SMALLEST
from todacomm.core.errors import InvalidInput
from todacomm.core.types import Diagrams
from todacomm.homology.bitlink.edge_order import (
    LARGEST,
    CodedDistances,
    Codes,
    Condensed,
    LazyEdges,
    SortedEdges,
    encoded,
    ends,
    sample_of,
)

__all__ = [
    "LARGEST_PRIME",
    "Barcode",
    "available",
    "clusters",
    "condense",
    "edge_order",
    "homology",
    "merges",
    "ready",
    "resample",
    "sorted_edges",
]

log = logging.getLogger("todacomm")

PATIENCE = 2.0  # seconds before a message
WORDS = {np.dtype(np.float32): np.uint32, np.dtype(np.float64): np.uint64}
LARGEST_PRIME = 127  # a coefficient has seven bits
NEAR = 32  # points whose distances from all others are kept


@dataclass(frozen=True, slots=True, eq=False)
class Barcode:
    """The bars of a cloud of ``points`` points, with the edges and triangles that make them.

    ``merges`` (k,) are the lengths at which components join, ascending. ``bars`` (m, 2) are birth and death of each H1
    class of positive lifetime, by birth; death is inf where a threshold kept it alive.
    """

    points: int
    merges: Float64[np.ndarray, " k"]
    bars: Float64[np.ndarray, "m 2"]
    _found: tuple[
        Int[np.ndarray, " m"], Int[np.ndarray, " m"], Int[np.ndarray, " m"], Int[np.ndarray, " k"]
    ]  # keys of birth and death, apexes, keys of merges
    _names: Int[np.ndarray, " points"] | None = None  # of the points, in the cloud that they were chosen from

    @property
    def birth_edges(self) -> Int[np.ndarray, "m 2"]:
        """The edge that closes each loop, as indices of points."""
        return self._named(ends(self._found[0]))

    @property
    def death_triangles(self) -> Int[np.ndarray, "m 3"]:
        """The triangle that fills each loop, as indices of points; -1 for none."""
        _, died, apexes, _ = self._found
        found = self._named(np.column_stack([ends(died), apexes]))
        found[np.isinf(self.bars[:, 1])] = -1
        return found

    @property
    def merging_edges(self) -> Int[np.ndarray, "k 2"]:
        """The edge that joins two components, as indices of points, in the order of ``merges``."""
        return self._named(ends(self._found[3]))

    def _named(self, points: Int[np.ndarray, "m k"]) -> Int[np.ndarray, "m k"]:
        return points if self._names is None else self._names[points % self.points]

    def diagrams(self) -> Diagrams:
        """The diagrams of H0 and H1."""
        return Diagrams.from_arrays([self.clusters(), self.bars])

    def clusters(self) -> Float64[np.ndarray, "points 2"]:
        """The bars of H0, including those of length zero; those that never die last."""
        return clusters(self.merges, self.points)


def clusters(merges: Float64[np.ndarray, " k"], points: int) -> Float64[np.ndarray, "points 2"]:
    """The bars of H0 from the lengths at which components join."""
    died = np.concatenate([merges, np.full(points - len(merges), np.inf)])
    return np.column_stack([np.zeros(points), died])


def available() -> bool:
    """Whether numba is installed; it supports a new Python months late, and redzed stands in until then."""
    return importlib.util.find_spec("numba") is not None


# What can be computed


def homology(condensed: Condensed, *, threshold: float = np.inf, prime: int = 2) -> Barcode:
    """H0 and H1 of condensed distances (``scipy.spatial.distance.pdist`` order), up to ``threshold``, over Z/prime.

    float64 distances keep their precision, all others are taken as float32. Needs, beyond the distances, 8 bytes for
    each edge up to the last that matters (a third of all in most clouds) and n²/4 bytes. Raises InvalidInput for more
    than 65,536 points. Primes from 2 to `LARGEST_PRIME`.
    """
    ready()
    coded = encoded(condensed)
    return _computed(coded, coded.bits_of(threshold), prime)


def sorted_edges(condensed: Condensed) -> SortedEdges:
    """Sort all edges of a cloud for `resample`; takes 8 bytes an edge beyond the distances."""
    ready()
    coded = encoded(condensed)
    return _sorted(coded)


def resample(edges: SortedEdges, indices: Int[np.ndarray, " k"], *, threshold: float = np.inf) -> Barcode:
    """H0 and H1 of the points at ``indices``; repeated points count once.

    No distance is computed and nothing is sorted. Edges and triangles are indices of the full cloud.
    """
    drawn = np.asarray(indices, dtype=np.int64)
    if not len(drawn) or drawn.min() < 0 or drawn.max() >= edges.n:
        raise InvalidInput(f"the indices of a resample must be some of 0 … {edges.n - 1}")
    return _resampled(edges, drawn, edges.condensed.bits_of(threshold))


def merges(condensed: Condensed, *, threshold: float = np.inf) -> Float64[np.ndarray, " k"]:
    """The lengths at which components join, ascending: H0 alone, by Prim's algorithm."""
    ready()
    coded = encoded(condensed)
    bits = np.sort(_joins(coded).view(np.uint32))
    return coded.lengths(bits[bits <= coded.bits_of(threshold)])


def _joins(coded: CodedDistances) -> Codes:
    """The codes of the edges of the minimum spanning tree."""
    from todacomm.homology.bitlink import edges

    lengths = np.empty(coded.n - 1, np.float32)
    edges.spanning_tree(coded.codes, coded.n, np.empty(coded.n, np.float32), np.empty(coded.n, np.int32), lengths)
    return lengths


def condense(matrix: Shaped[np.ndarray, "n n"], precision: np.dtype) -> Condensed | None:
    """Condense a square matrix of float32 or float64 numbers to one of the two, in one pass.

    None where it needs a closer look: not symmetric to the last bit with zeros on the diagonal, a number negative, NaN
    or infinite, or the largest beyond what float32 holds with all digits.
    """
    if not available():
        return None
    ready()
    return _condensed(matrix, precision)


def _condensed(matrix: Shaped[np.ndarray, "n n"], precision: np.dtype) -> Condensed | None:
    from todacomm.homology.bitlink import edges

    n = len(matrix)
    given = matrix.T if matrix.flags.f_contiguous else np.ascontiguousarray(matrix)
    given = given.view()
    given.flags.writeable = False  # one compiled loop for arrays of either kind
    out = np.empty(n * (n - 1) // 2, precision)
    codes = out.view(WORDS[out.dtype])
    highest = edges.condense(given, given.view(WORDS[given.dtype]), out, codes)
    ends = np.array([SMALLEST, LARGEST_MATRIX], precision).view(codes.dtype)
    return out if ends[0] <= highest < ends[1] or not matrix.any() else None


# The computation


def _computed(coded: CodedDistances, top: int, prime: int = 2) -> Barcode:
    """H0 and H1 up to the length with the bits ``top``, sorting edges only as far as needed."""
    from todacomm.homology.bitlink import insertion

    edges, state = LazyEdges(coded), _new_state(coded.n, prime)
    course = _course(coded.n, coded.codes, np.sort(sample_of(coded.codes.view(np.uint32))), top)
    why = insertion.MORE
    while why != insertion.ENDED:
        if why == insertion.MORE:
            keys = edges.take(int(course.at[insertion.BITS]))
            course.at[insertion.AT], course.at[insertion.STOP] = 0, len(keys)
        else:
            state = _with_room(state)
        why = insertion.advance(keys, course, state)
    return _read_off(state, coded)


def _sorted(coded: CodedDistances) -> SortedEdges:
    keys = LazyEdges(coded).take(LARGEST)
    return SortedEdges(coded.n, keys, coded, (sample_of(keys) >> np.uint64(32)).astype(np.uint32))


def _resampled(edges: SortedEdges, drawn: Int[np.ndarray, " m"], top: int) -> Barcode:
    """H0 and H1 of the drawn points, in one compiled call that releases the GIL."""
    from todacomm.homology.bitlink import insertion

    label = np.full(edges.n, -1, np.int64)
    label[drawn] = 0
    chosen = np.flatnonzero(label == 0)
    k = len(chosen)
    label[chosen] = np.arange(k)
    codes = np.empty(k * (k - 1) // 2, np.float32)
    kept = np.empty(len(codes) + 1, np.uint64)  # untouched pages take no memory
    course, state = _course(k, codes, edges.sample, top), _new_state(k)
    among = (edges.keys, edges.condensed.codes, edges.n, chosen, label, kept)
    while insertion.advance_among(*among, course, state) == insertion.ROOM:
        state = _with_room(state)
    return _read_off(state, edges.condensed, chosen)


def _course(n: int, codes: Codes, sample: UInt32[np.ndarray, " s"], top: int) -> Any:
    """The initial state, which asks for the first band of edges."""
    from todacomm.homology.bitlink import insertion

    share = min(1.0, 0.22 + 30 / n)  # of most clouds no class of H1 lives beyond this share
    first = min(int(sample[int(share * (len(sample) - 1))]), top) if share < 1 else top
    at = np.array([0, -1, first, top, 0, top, 0], np.int64)
    near, pending = np.empty((NEAR, n), np.float32), np.empty(n + 1, np.int64)
    return insertion.Course(at, sample, codes, np.empty(NEAR, np.int64), near, pending)


def _new_state(n: int, prime: int = 2) -> Any:
    """A state without edges, with room for what most clouds need."""
    from todacomm.homology.bitlink import annotations

    width = -(-n // 64)
    state = annotations.State(
        rows=np.zeros((n, 2 * width), np.uint64),
        parent=np.arange(n, dtype=np.int32),
        merges=np.empty(n, np.int64),
        table=np.full((1 << (4 * n + 64).bit_length(), 2), -1, np.int32),
        classes=np.empty((3 * n + 16, 5), np.int64),
        values=np.zeros((6 * n + 64, 2), np.int64),
        pool=np.empty(16 * n + 256, np.int32),
        work=np.empty(3 * n + 16, np.int32),
        link=np.empty(width, np.uint64),
        count=np.zeros(10, np.int64),
    )
    state.count[annotations.VALUES] = 1  # value 0 is empty
    state.count[annotations.PRIME] = prime
    return state


def _with_room(state: Any) -> Any:
    """The same state with twice the room wherever it is short."""
    from todacomm.homology.bitlink import annotations, odd_primes

    def longer(array: np.ndarray, used: int) -> np.ndarray:
        if len(array) >= 2 * used:
            return array
        return np.concatenate([array, np.empty_like(array)])

    classes, live, _, values, pool, marked, _, _, unlisted, prime = state.count.tolist()
    table, marks = state.table, marked + unlisted
    if len(table) < 4 * marks + 4:
        table = np.full((1 << (4 * marks + 4).bit_length(), 2), -1, np.int32)
        annotations.rehash(state.table, table)
    held = longer(state.classes, classes + 1)
    if prime != 2 and len(held) > odd_primes.MOST_CLASSES:
        raise InvalidInput(
            f"more than {classes:,} classes of H1, too many for this field; give coeff=2, or a threshold"
        )
    return state._replace(
        table=table,
        classes=held,
        values=longer(state.values, values + 8),
        pool=longer(state.pool, pool + 8 * live + values + 8),
        work=np.empty(len(held), np.int32),
    )


def _read_off(state: Any, coded: CodedDistances, names: Int[np.ndarray, " points"] | None = None) -> Barcode:
    """The bars of positive length."""
    from todacomm.homology.bitlink import annotations as a

    classes, count = state.classes, state.count
    born, died = classes[: count[a.CLASSES], a.BORN], classes[: count[a.CLASSES], a.DIED]
    lasting = ((died >> 32 > born >> 32) | (died == a.NEVER)).nonzero()[0]
    born, died, apexes = born[lasting], died[lasting], classes[lasting, a.APEX]
    bars = np.empty((len(born), 2))
    bars[:, 0], bars[:, 1] = coded.lengths_of(born), coded.lengths_of(np.maximum(died, born))
    bars[died == a.NEVER, 1] = np.inf
    merges = state.merges[: count[a.MERGES]]
    return Barcode(len(state.parent), coded.lengths_of(merges), bars, (born, died, apexes, merges), names)


# Compilation


@cache
def ready() -> None:
    """Load the compiled loops, or compile them: once a machine, as they are cached where the user can write."""
    with _announced():
        tiny = encoded(np.arange(1, 11, dtype=np.float32))
        _condensed(1.0 - np.eye(5), np.dtype(np.float32))
        _joins(tiny)
        _computed(tiny, LARGEST)
        _resampled(_sorted(tiny), np.arange(5), LARGEST)


@contextmanager
def _announced() -> Iterator[None]:
    """Announce compilation if it takes a while."""
    from todacomm.homology.compiled import anything_compiled

    def tell() -> None:
        if anything_compiled():  # where another process has the core, loading takes as long
            log.warning("compiling the engine for this machine, once; a few seconds")

    note = threading.Timer(PATIENCE, tell)
    note.start()
    try:
        yield
    finally:
        note.cancel()

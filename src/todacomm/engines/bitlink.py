"""Exact Vietoris–Rips H0 and H1 over Z/2, by annotations of edges over neighbourhoods kept as bit sets.

Edges enter in the order of their length. An edge uv whose ends have no common neighbour yet joins two components or bears a
class of H1: these are edges of the relative neighbourhood graph. Any other closes a triangle uvw with each common
neighbour w, and the annotation of uv, which classes a loop through it winds around, is that of uw plus that of vw; where
two triangles differ, the youngest class in the difference dies there. Nearly every edge has common neighbours and only
zero annotations about, which two rows of bits tell. It ends when no class is alive and no longer edge can bear one.

Related: Boissonnat, Dey and Maria 2015, https://doi.org/10.1007/s00453-015-9999-4 (annotations); Koyama et al. 2023,
https://arxiv.org/abs/2307.16333 (births at edges of the relative neighbourhood graph).

Distances are float32, in which those closer than 6e-8 of their size are equal: the ends of bars move by that much.
float64 distances are kept as they are, at about twice the time.
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
from jaxtyping import Float64, Int

from todacomm.engines.order import (
    LARGEST,
    ChosenEdges,
    Coded,
    Codes,
    Condensed,
    Edges,
    Keys,
    LazyEdges,
    SortedEdges,
    encoded,
    ends,
)
from todacomm.errors import InvalidInput
from todacomm.types import Diagrams

log = logging.getLogger("todacomm")

PATIENCE = 2.0  # seconds without a word
NEAR = 32  # points whose distances from all others are kept at hand


@dataclass(frozen=True, slots=True, eq=False)
class Barcode:
    """The bars of a cloud of ``points`` points, with the edges and triangles that make them.

    ``merges`` (k,) are the lengths at which components join, ascending. ``bars`` (m, 2) are birth and death of each class
    of H1 that lives for some length, by birth, the death inf where a threshold kept it alive; ``birth_edges`` (m, 2) the edge
    that closes the loop, ``death_triangles`` (m, 3) the triangle that fills it (-1 where none does), as indices of points.
    """

    points: int
    merges: Float64[np.ndarray, " k"]
    bars: Float64[np.ndarray, "m 2"]
    birth_edges: Int[np.ndarray, "m 2"]
    death_triangles: Int[np.ndarray, "m 3"]

    def diagrams(self) -> Diagrams:
        """The diagrams of H0 and H1."""
        return Diagrams.from_arrays([self.clusters(), self.bars])

    def clusters(self) -> Float64[np.ndarray, "points 2"]:
        """The bars of H0, those of length zero too, and those that never die last."""
        return clusters(self.merges, self.points)


def clusters(merges: Float64[np.ndarray, " k"], points: int) -> Float64[np.ndarray, "points 2"]:
    """The bars of H0 from the lengths at which components join."""
    died = np.concatenate([merges, np.full(points - len(merges), np.inf)])
    return np.column_stack([np.zeros(points), died])


def available() -> bool:
    """Whether numba is installed; it serves a new Python some months late, and redzed stands in until then."""
    return importlib.util.find_spec("numba") is not None


# What can be computed


def homology(condensed: Condensed, *, threshold: float = np.inf) -> Barcode:
    """H0 and H1 of condensed distances (``scipy.spatial.distance.pdist`` order), up to ``threshold``.

    float64 distances are ordered and given back as they are, all others as float32. Beyond the distances it takes 8 bytes
    for each edge up to the last that matters, a third of all in most clouds, and n²/4 bytes. Raises InvalidInput for more
    than 65,536 points.
    """
    ready()
    coded = encoded(condensed)
    return _barcode(LazyEdges(coded, coded.bits_of(threshold)), coded)


def sorted_edges(condensed: Condensed) -> SortedEdges:
    """Sort all edges of a cloud, for `resample`; 8 bytes an edge beyond the distances."""
    ready()
    coded = encoded(condensed)
    return SortedEdges(coded.n, LazyEdges(coded, LARGEST).take(LARGEST), coded)


def resample(edges: SortedEdges, indices: Int[np.ndarray, " k"], *, threshold: float = np.inf) -> Barcode:
    """H0 and H1 of the points at ``indices``; one that is drawn again changes nothing and counts once.

    No distance is computed and nothing is sorted. Edges and triangles are indices of the full cloud.
    """
    drawn = np.asarray(indices, dtype=np.int64)
    if not len(drawn) or drawn.min() < 0 or drawn.max() >= edges.n:
        raise InvalidInput(f"the indices of a resample must be some of 0 … {edges.n - 1}")
    chosen = np.flatnonzero(np.bincount(drawn, minlength=edges.n))
    among = edges.condensed.among(chosen)
    found = _barcode(ChosenEdges(edges, chosen, edges.condensed.bits_of(threshold)), among)
    triangles = found.death_triangles
    named = np.where(triangles < 0, -1, chosen[triangles])
    return Barcode(len(chosen), found.merges, found.bars, chosen[found.birth_edges], named)


def merges(condensed: Condensed, *, threshold: float = np.inf) -> Float64[np.ndarray, " k"]:
    """The lengths at which components join, ascending: H0 alone, by Prim's algorithm."""
    ready()
    coded = encoded(condensed)
    bits = np.sort(_joins(coded).view(np.uint32))
    return coded.lengths(bits[bits <= coded.bits_of(threshold)])


def _joins(coded: Coded) -> Codes:
    """The codes of the edges of the minimum spanning tree."""
    from todacomm.engines import edges

    lengths = np.empty(coded.n - 1, np.float32)
    edges.spanning_tree(coded.codes, coded.n, np.empty(coded.n, np.float32), np.empty(coded.n, np.int32), lengths)
    return lengths


# The computation


def _barcode(edges: Edges, coded: Coded) -> Barcode:
    """Take edges, shortest first, until no class is alive and none can be born."""
    state = _new_state(coded.n)
    share, longest = min(1.0, 0.22 + 30 / coded.n), edges.top  # of most clouds no class of H1 lives beyond this share
    bits = _cut(edges, share)
    while True:
        state = _inserted(edges.take(bits), state, bearing=bits <= longest)
        if bits == edges.top or (bits >= longest and not _alive(state)):
            break
        if _alive(state):
            share *= 1.5
            bits = max(bits, _cut(edges, share))
            continue
        longest = bits = min(_longest_bearing(coded, bits, state), edges.top)
        if not longest:
            break
    return _read_off(state, coded)


def _cut(edges: Edges, share: float) -> int:
    return min(edges.quantile(share), edges.top) if share < 1 else edges.top


def _new_state(n: int) -> Any:
    """No edge yet; room for what most clouds need."""
    from todacomm.engines import annotations

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
        count=np.zeros(8, np.int64),
    )
    state.count[annotations.VALUES] = 1  # value 0 is empty
    return state


def _inserted(keys: Keys, state: Any, *, bearing: bool) -> Any:
    """The state after these edges, or after those that matter where none of them can bear a class."""
    from todacomm.engines import annotations

    i, barren = 0, len(keys) if bearing else 0
    while True:
        why, i = annotations.run(keys, i, barren, state)
        if why == annotations.ENDED:
            return state
        state = _with_room(state)


def _with_room(state: Any) -> Any:
    """The same state with twice the room wherever it is short."""
    from todacomm.engines import annotations

    def longer(array: np.ndarray, used: int) -> np.ndarray:
        if len(array) >= 2 * used:
            return array
        return np.concatenate([array, np.empty_like(array)])

    classes, live, _, values, pool, marked, *_ = state.count.tolist()
    table = state.table
    if len(table) < 4 * marked + 4:
        table = np.full((4 * len(table), 2), -1, np.int32)
        annotations.rehash(state.table, table)
    held = longer(state.classes, classes + 1)
    return state._replace(
        table=table,
        classes=held,
        values=longer(state.values, values + 8),
        pool=longer(state.pool, pool + 8 * live + values + 8),
        work=np.empty(len(held), np.int32),
    )


def _alive(state: Any) -> bool:
    from todacomm.engines import annotations

    return bool(state.count[annotations.LIVE])


def _longest_bearing(coded: Coded, bits: int, state: Any) -> int:
    """The bits of a length that no edge exceeds which bears a class or joins components; 0 where all edges left are barren.

    Witnesses are looked for among the points of highest degree, which are near to most, and some others.
    """
    from todacomm.engines import edges

    n = coded.n
    degrees = np.empty(n, np.int64)
    edges.degrees(state.rows, degrees)
    central = np.argpartition(degrees, n - edges.HUBS)[-edges.HUBS :]
    hubs = np.concatenate([central, np.arange(NEAR - edges.HUBS) * n // (NEAR - edges.HUBS)])
    near = np.empty((NEAR, n), np.float32)
    edges.distances_from(coded.codes, n, hubs, near)
    low = np.array(bits, np.uint32).view(np.float32)[()]
    pending = np.empty(n + 1, np.int64)
    found = edges.longest_bearing(coded.codes, n, low, near, state.rows, pending, n // 2)
    return int(np.float32(found).view(np.uint32))


def _read_off(state: Any, coded: Coded) -> Barcode:
    """The bars of positive length."""
    from todacomm.engines import annotations as a

    joined = state.merges[: state.count[a.MERGES]]
    classes = state.classes[: state.count[a.CLASSES]]
    born, died = classes[:, a.BORN], classes[:, a.DIED]
    lasting = np.flatnonzero((died >> 32 > born >> 32) | (died == a.NEVER))
    born, died, apex = born[lasting], died[lasting], classes[lasting, a.APEX]
    bars = np.empty((len(born), 2))
    bars[:, 0], bars[:, 1] = coded.lengths_of(born), coded.lengths_of(np.maximum(died, born))
    triangles = np.empty((len(born), 3), np.int64)
    triangles[:, :2], triangles[:, 2] = ends(died), apex
    endless = died == a.NEVER
    bars[endless, 1], triangles[endless] = np.inf, -1
    return Barcode(coded.n, coded.lengths_of(joined), bars, ends(born), triangles)


# Compilation


@cache
def ready() -> None:
    """Load the compiled loops, or compile them: once for a machine, for they are kept where the user can write."""
    with _announced():
        tiny = encoded(np.arange(1, 11, dtype=np.float32))
        edges = SortedEdges(5, LazyEdges(tiny, LARGEST).take(LARGEST), tiny)
        chosen = np.arange(5)
        tiny.among(chosen)
        state = _new_state(5)
        _inserted(edges.keys, state, bearing=True)
        _longest_bearing(tiny, 0, state)
        ChosenEdges(edges, chosen, LARGEST).take(LARGEST)
        _joins(tiny)


@contextmanager
def _announced() -> Iterator[None]:
    """Say that it takes a while where it does."""
    note = threading.Timer(PATIENCE, log.warning, ["compiling the engine for this machine, once; a few seconds"])
    note.start()
    try:
        yield
    finally:
        note.cancel()

"""Sort the edges of a cloud by length, as many as are needed.

Lengths are float32 *codes* of the same order: the distances themselves, or the ranks of float64 distances. The bits of
a code, read as an unsigned integer, have that order too; an edge is the number ``bits << 32 | u << 16 | v``.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int, Shaped, UInt32, UInt64

from todacomm.clouds.distance_matrices import points_among
from todacomm.core.errors import InvalidInput

Condensed = Shaped[np.ndarray, " pairs"]
Codes = Float32[np.ndarray, " pairs"]
Keys = UInt64[np.ndarray, " _"]
MOST_POINTS = 2**16
LARGEST = int(np.array(np.finfo(np.float32).max).view(np.uint32))  # bits of the longest finite distance
NORMAL = 0x00800000  # bits of the smallest normal number
SLACK = 2.0**-50  # relative, of a limit: 3 * 0.1 is not above 0.3
SAMPLE = 1000  # distances from which quantiles are read


class CodedDistances(NamedTuple):
    """Condensed distances of ``n`` points as float32 ``codes``: themselves, or the ranks of float64 ``values``."""

    n: int
    codes: Codes
    values: Float64[np.ndarray, " v"] | None

    def lengths_of(self, keys: Int[np.ndarray, " _"]) -> Float64[np.ndarray, " _"]:
        """The lengths of edges."""
        return self.lengths((keys >> 32).astype(np.uint32))

    def lengths(self, bits: UInt32[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
        """The distances of codes with these bits."""
        return bits.view(np.float32).astype(np.float64) if self.values is None else self.values[bits - NORMAL]

    def bits_of(self, threshold: float) -> int:
        """The bits of the longest code whose distance is finite and at most ``threshold``; -1 for none.

        Compared in the precision of the distances: float32, or float64 up to rounding.
        """
        if self.values is not None:
            finite = self.values[np.isfinite(self.values)]
            return int(np.searchsorted(finite, threshold * (1 + SLACK), side="right")) - 1 + NORMAL
        if threshold < 0:
            return -1
        code = np.array(min(threshold, float(np.finfo(np.float32).max)), dtype=np.float32)
        return int(code.view(np.uint32))

    def among(self, chosen: Int[np.ndarray, " k"]) -> "CodedDistances":
        """The distances among some of the points."""
        from todacomm.homology.bitlink import edges

        k = len(chosen)
        out = np.empty(k * (k - 1) // 2, np.float32)
        edges.distances_among(self.codes, self.n, chosen, out)
        return CodedDistances(k, out, self.values)


def encoded(condensed: Condensed) -> CodedDistances:
    """Encode distances; float32 is not copied."""
    n = points_of(len(condensed))
    if condensed.dtype != np.float64:
        return CodedDistances(n, np.ascontiguousarray(condensed, dtype=np.float32), None)
    values, ranks = np.unique(condensed, return_inverse=True)
    return CodedDistances(n, (ranks.astype(np.uint32) + np.uint32(NORMAL)).view(np.float32), values)


def sample_of(lengths: Shaped[np.ndarray, " pairs"]) -> Shaped[np.ndarray, " s"]:
    """An evenly spaced sample of the distances."""
    return lengths[:: max(1, len(lengths) // SAMPLE)]


def points_of(pairs: int) -> int:
    """The number of points with so many pairs."""
    n = points_among(pairs)
    if n > MOST_POINTS:
        raise InvalidInput(f"{n} points; this engine takes at most {MOST_POINTS}: subsample, or take landmarks")
    return n


class LazyEdges:
    """The edges of a cloud, selected and sorted as far as they are needed."""

    def __init__(self, coded: CodedDistances) -> None:
        self._n, self._bits, self._next = coded.n, coded.codes.view(np.uint32), 0

    def take(self, bits: int) -> Keys:
        """The sorted keys from the last ones taken up to this length."""
        from todacomm.homology.bitlink import edges

        room = np.empty(len(self._bits) + 1, np.uint64)  # untouched pages take no memory
        low, self._next = self._next, bits + 1
        found = room[: edges.select(self._bits, self._n, np.uint32(low), np.uint32(bits), room) if bits >= low else 0]
        found.sort()
        return found


class SortedEdges(NamedTuple):
    """All edges of a cloud of ``n`` points, sorted once for all resamples and threads."""

    n: int
    keys: Keys
    condensed: CodedDistances
    sample: UInt32[np.ndarray, " s"]


def ends(keys: Int[np.ndarray, " _"]) -> Int[np.ndarray, "_ 2"]:
    """The two points of each edge."""
    found = np.empty((len(keys), 2), np.int64)
    found[:, 0], found[:, 1] = keys >> 16 & 0xFFFF, keys & 0xFFFF
    return found

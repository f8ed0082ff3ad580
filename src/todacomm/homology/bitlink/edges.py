"""Order pairs of points by distance, and bound the lengths that can bear a class; compiled.

Distances are condensed float32, in the order of ``scipy.spatial.distance.pdist``. Their bits, read as unsigned
integers, have the order of the distances.
"""

import numpy as np

from todacomm.homology.compiled import ONE, bits_set, ends, inlined, jit

HUBS = 4  # points tried as witnesses of every pair at once
STRIP = 8  # rows of a matrix compared with columns at a time, so that memory is read in runs
BLOCK = 64  # pairs skipped together where the hubs witness all of them


@jit
def condense(matrix: np.ndarray, bits: np.ndarray, out: np.ndarray, codes: np.ndarray) -> int:
    """Write the upper triangle of a matrix in pdist order, as float32; return its highest bits, -1 for an uneven one.

    ``bits`` and ``codes`` are those of ``matrix`` and ``out``; negative, NaN and infinite numbers have higher bits than
    any distance. Uneven: not equal bit for bit to its transpose, or not 0 on its diagonal.
    """
    n = np.uint64(len(matrix))
    odd, highest, begin = bits[0, 0], codes.dtype.type(0), np.uint64(0)
    for top in range(np.uint64(0), n, np.uint64(STRIP)):
        odd |= apart(bits, top, min(n, top + np.uint64(STRIP)))
        for i in range(top, min(n, top + np.uint64(STRIP))):
            begin -= i + ONE
            for j in range(i + ONE, n):
                out[begin + j] = matrix[i, j]
            for j in range(i + ONE, n):
                highest = max(highest, codes[begin + j])
            begin += n
    return np.int64(highest) if odd == 0 else np.int64(-1)


@inlined
def apart(bits: np.ndarray, top: int, stop: int) -> int:
    """The bits in which rows top … stop, up to the diagonal, differ from their columns, or the diagonal from 0."""
    odd = bits[top, top]
    if stop == top + np.uint64(STRIP):  # a constant number of columns, known to the compiler
        for j in range(top):
            for k in range(np.uint64(STRIP)):
                odd |= bits[top + k, j] ^ bits[j, top + k]
    else:
        for j in range(top):
            for i in range(top, stop):
                odd |= bits[i, j] ^ bits[j, i]
    for i in range(top, stop):
        odd |= bits[i, i]
        for j in range(top, i):
            odd |= bits[i, j] ^ bits[j, i]
    return odd


@jit
def select(bits: np.ndarray, n: int, low: int, high: int, keys: np.ndarray) -> int:
    """Write the keys of the pairs whose distance has bits in low … high, in pdist order; return their number.

    ``keys`` needs room for one more than there are.
    """
    found, p, last = np.uint64(0), np.uint64(0), np.uint64(n)
    span = np.uint32(high - low)
    for u in range(last):
        first = u << np.uint64(16)
        for v in range(u + ONE, last):
            keys[found] = np.uint64(bits[p]) << np.uint64(32) | first | v
            found += np.uint64(np.uint32(bits[p] - low) <= span)
            p += ONE
    return np.int64(found)


@jit
def after(keys: np.ndarray, i: int, stop: int, bits: int) -> int:
    """The index in the sorted keys[i:stop] of the first edge whose length has higher bits."""
    while i < stop:
        middle = (i + stop) // 2
        if np.int64(keys[middle] >> np.uint64(32)) > bits:
            stop = middle
        else:
            i = middle + 1
    return i


@jit
def restrict(keys: np.ndarray, label: np.ndarray, begin: int, stop: int, kept: np.ndarray) -> int:
    """Write the edges keys[begin:stop] between labelled vertices, relabelled; return their number.

    ``label`` is the new name of each vertex, -1 for one left out. New names keep the old order, so that the keys stay
    sorted. ``kept`` needs room for one more than there are.
    """
    found = np.uint64(0)
    for i in range(begin, stop):
        u, v = ends(keys[i])
        a, b = label[u], label[v]
        length = keys[i] >> np.uint64(32) << np.uint64(32)
        kept[found] = length | np.uint64((a & 0xFFFF) << 16) | np.uint64(b & 0xFFFF)
        found += np.uint64((a | b) >= 0)
    return np.int64(found)


@jit
def distances_among(condensed: np.ndarray, n: int, chosen: np.ndarray, out: np.ndarray) -> None:
    """The condensed distances of the chosen points, ascending indices."""
    k = 0
    for i in range(len(chosen)):
        u = chosen[i]
        begin = n * u - u * (u + 1) // 2 - u - 1
        for j in range(i + 1, len(chosen)):
            out[k] = condensed[begin + chosen[j]]
            k += 1


@jit
def distance(condensed: np.ndarray, n: int, u: int, v: int) -> float:
    """The distance of two points."""
    if u == v:
        return np.float32(0)
    a, b = min(u, v), max(u, v)
    return condensed[n * a - a * (a + 1) // 2 + b - a - 1]


@jit
def distances_from(condensed: np.ndarray, n: int, hubs: np.ndarray, out: np.ndarray) -> None:
    """Row k of ``out`` (len(hubs), n): the distances of all points from hubs[k]."""
    for k in range(len(hubs)):
        for v in range(n):
            out[k, v] = distance(condensed, n, hubs[k], v)


@jit
def choose_hubs(rows: np.ndarray, degrees: np.ndarray, hubs: np.ndarray) -> None:
    """Choose the HUBS points of highest degree, which are near to most, then some others; ``degrees`` is scratch."""
    n = len(rows)
    for u in range(n):
        degrees[u] = 0
        for k in range(rows.shape[1] // 2):
            degrees[u] += bits_set(rows[u, k])
    for j in range(HUBS):
        best = 0
        for u in range(n):
            if degrees[u] > degrees[best]:
                best = u
        hubs[j], degrees[best] = best, -1
    others = len(hubs) - HUBS
    for j in range(others):
        hubs[HUBS + j] = j * n // others


@inlined
def alone(r: float, low: float, near: np.ndarray, u: int, v: int) -> bool:
    """Whether the length r of uv exceeds ``low``, and no hub is nearer to both u and v than r."""
    first = min(max(near[0, u], near[0, v]), max(near[1, u], near[1, v]))
    second = min(max(near[2, u], near[2, v]), max(near[3, u], near[3, v]))
    return (r > low) & (min(first, second) >= r)


@jit
def unwitnessed(
    condensed: np.ndarray, begin: int, u: int, v: int, low: float, near: np.ndarray, pending: np.ndarray, found: int
) -> int:
    """Append to ``pending`` those of v … v + BLOCK that are `alone` with u; return their number."""
    first, stop, p = np.uint64(v), np.uint64(min(near.shape[1], v + BLOCK)), np.uint64(begin + v)
    some = False
    for k in range(stop - first):
        some |= alone(condensed[p + k], low, near, u, first + k)
    if some:
        for k in range(stop - first):
            pending[found] = first + k
            found += np.uint64(alone(condensed[p + k], low, near, u, first + k))
    return found


@jit
def has_witness(u: int, v: int, r: float, near: np.ndarray, rows: np.ndarray) -> bool:
    """Whether some hub, or some vertex joined to both, is nearer to u and v than r."""
    for k in range(HUBS, len(near)):
        if max(near[k, u], near[k, v]) < r:
            return True
    for k in range(rows.shape[1] // 2):
        if rows[u, k] & rows[v, k]:
            return True
    return False


@jit
def is_between(condensed: np.ndarray, n: int, u: int, v: int, r: float) -> bool:
    """Whether any point is nearer to u and v than r."""
    for w in range(n):
        if max(distance(condensed, n, u, w), distance(condensed, n, v, w)) < r:
            return True
    return False


@jit
def longest_bearing(
    condensed: np.ndarray, n: int, low: float, near: np.ndarray, rows: np.ndarray, pending: np.ndarray, searches: int
) -> float:
    """The longest distance above ``low`` at which an edge can bear a class or join components; 0 for none.

    Edge uv can only if no w is nearer to both than they are to each other: the relative neighbourhood graph. ``near``
    are distances from hubs, ``rows`` the graph of all edges up to ``low``. After ``searches`` searches over all w a
    pair counts as bearing without one: the answer is then an upper bound.
    """
    longest = np.float32(0)
    begin = 0
    for u in range(n):
        begin -= u + 1  # condensed[begin + v] is the distance from u to v
        found = np.uint64(0)
        for v in range(u + 1, n, BLOCK):
            found = unwitnessed(condensed, begin, u, v, low, near, pending, found)
        for k in range(np.int64(found)):
            v = np.int64(pending[k])
            r = condensed[begin + v]
            if r <= longest or has_witness(u, v, r, near, rows):
                continue
            searches -= 1
            if searches < 0 or not is_between(condensed, n, u, v, r):
                longest = r
        begin += n
    return longest


@jit
def farthest_bearing(
    condensed: np.ndarray, low: float, rows: np.ndarray, hubs: np.ndarray, near: np.ndarray, pending: np.ndarray
) -> float:
    """Compute `longest_bearing` with hubs as witnesses; arrays from ``hubs`` on are scratch."""
    n = len(rows)
    choose_hubs(rows, pending, hubs)
    distances_from(condensed, n, hubs, near)
    return longest_bearing(condensed, n, low, near, rows, pending, n // 2)


@jit
def spanning_tree(condensed: np.ndarray, n: int, nearest: np.ndarray, outside: np.ndarray, lengths: np.ndarray) -> None:
    """The n - 1 edge lengths of the minimum spanning tree, unsorted: Prim's algorithm.

    ``nearest`` (n,) float32 and ``outside`` (n,) int32 are scratch.
    """
    for v in range(n):
        nearest[v], outside[v] = np.inf, v
    last, there = 0, n - 1  # vertex 0 is inside; outside[:there] are not
    outside[0] = n - 1
    for step in range(n - 1):
        best, chosen = np.float32(np.inf), 0
        for k in range(there):
            v = np.int64(outside[k])
            r = min(nearest[k], distance(condensed, n, last, v))
            nearest[k] = r
            if r < best:
                best, chosen = r, k
        lengths[step] = best
        last = np.int64(outside[chosen])
        there -= 1
        outside[chosen], nearest[chosen] = outside[there], nearest[there]

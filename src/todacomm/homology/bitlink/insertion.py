"""Insert edges by length until no class is alive and none can be born; compiled.

Most edges need no algebra: some have no marked common neighbour, and where no class is alive one common neighbour is
enough. Edges come in bands, as most of them lie beyond the end and need not be sorted.
"""

from typing import NamedTuple

import numpy as np

from todacomm.homology.bitlink import odd_primes
from todacomm.homology.bitlink.annotations import (
    LIVE,
    MERGES,
    NO_ROOM,
    PRIME,
    SOLE,
    UNLISTED,
    State,
    bear,
    from_link,
    has_room,
    mark,
)
from todacomm.homology.bitlink.edges import after, distances_among, farthest_bearing, restrict
from todacomm.homology.bitlink.lone_class import from_lone_link, is_alone, list_marks, pass_lone
from todacomm.homology.compiled import bits_of, ends, float_of, inlined, jit, join

ENDED, ROOM, MORE = 0, 1, 2  # results of advance()

# places in Course.at
AT, STOP, BITS, LONGEST, BOUNDED, TOP, NEXT = range(7)


class Course(NamedTuple):
    """The progress of an insertion.

    ``at`` holds: the next edge and the number of edges in the band; the bits of the length up to which edges were taken
    or are requested; those of a length beyond which none bears a class, and whether that is known; those of the last
    length of all; where the next band begins among all edges (of a resample). ``sample``: bits of some lengths,
    ascending.
    """

    at: np.ndarray  # (7,) int64
    sample: np.ndarray  # (s,) uint32
    codes: np.ndarray  # (pairs,) float32
    hubs: np.ndarray  # (NEAR,) int64: scratch, as all below
    near: np.ndarray  # (NEAR, n) float32
    pending: np.ndarray  # (n + 1,) int64


@jit
def pass_bare(keys: np.ndarray, i: int, stop: int, rows: np.ndarray) -> int:
    """Insert edges while their link is not empty and no marked edge leads to it; return the index of the next."""
    width = rows.shape[1] // 2
    while i < stop:
        u, v = ends(keys[i])
        some, marked = np.uint64(0), np.uint64(0)
        for k in range(width):
            both = rows[u, k] & rows[v, k]
            some |= both
            marked |= both & (rows[u, width + k] | rows[v, width + k])
        if some == 0 or marked != 0:
            return i
        join(rows, u, v, 0)
        i += 1
    return i


@jit
def pass_linked(keys: np.ndarray, i: int, stop: int, rows: np.ndarray) -> int:
    """Insert edges while their link is not empty: enough where no class is alive."""
    width = rows.shape[1] // 2
    while i < stop:
        u, v = ends(keys[i])
        k = 0
        while k < width and (rows[u, k] & rows[v, k]) == 0:
            k += 1
        if k == width:
            return i
        join(rows, u, v, 0)
        i += 1
    return i


@inlined
def root(parent: np.ndarray, u: int) -> int:
    """The representative of the component of u, by path halving."""
    while parent[u] != u:
        parent[u] = parent[parent[u]]
        u = parent[u]
    return u


@jit
def inserted(s: State, key: int, u: int, v: int) -> bool:
    """Insert any edge; False where room ran out."""
    width = s.rows.shape[1] // 2
    if not has_room(s):
        return False
    some = np.uint64(0)
    for k in range(width):
        s.link[k] = s.rows[u, k] & s.rows[v, k]
        some |= s.link[k]
    x = 0
    if some:
        if s.count[PRIME] != 2:
            x = odd_primes.from_link(s, key, u, v)
        else:
            x = from_lone_link(s, key, u, v) if is_alone(s) else from_link(s, key, u, v)
        if x == NO_ROOM:
            return False
    else:
        a, b = root(s.parent, u), root(s.parent, v)
        if a == b:
            if s.count[UNLISTED] and not list_marks(s):
                return False
            x = bear(s, key) if s.count[PRIME] == 2 else odd_primes.bear(s, key)
        else:
            s.parent[a] = b
            s.merges[s.count[MERGES]] = key
            s.count[MERGES] += 1
    if x:
        mark(s, u, v, x)
    join(s.rows, u, v, 0)
    return True


@jit
def run(keys: np.ndarray, i: int, stop: int, barren: int, s: State) -> int:
    """Insert edges keys[i:stop] until none is left, no class is alive and none can be born, or room runs out; next i.

    Edges from keys[barren] on bear nothing.
    """
    while i < stop:
        if s.count[LIVE] == 0:
            if i >= barren:
                return i
            i = pass_linked(keys, i, barren, s.rows)
            if i == barren:
                continue
        else:
            i = pass_lone(keys, i, stop, s) if s.count[SOLE] else pass_bare(keys, i, stop, s.rows)
            if i == stop:
                break
        u, v = ends(keys[i])
        if not inserted(s, np.int64(keys[i]), u, v):
            return -i - 1
        i += 1
    return i


@jit
def advance(keys: np.ndarray, c: Course, s: State) -> int:
    """Insert the band; return ENDED, MORE (edges up to a length are needed) or ROOM (call again with more room)."""
    stop = c.at[STOP]
    barren = after(keys, c.at[AT], stop, c.at[LONGEST])
    i = run(keys, c.at[AT], stop, barren, s)
    if i < 0:
        c.at[AT] = -i - 1
        return ROOM
    alive, bits = s.count[LIVE] > 0, c.at[BITS]
    if bits >= c.at[TOP] or (not alive and bits >= c.at[LONGEST]):
        return ENDED
    if not (alive and c.at[BOUNDED]):
        found = farthest_bearing(c.codes, float_of(bits), s.rows, c.hubs, c.near, c.pending)
        c.at[LONGEST], c.at[BOUNDED] = min(np.int64(bits_of(found)), c.at[TOP]), 1
        if not alive and c.at[LONGEST] <= bits:
            return ENDED
    c.at[BITS] = next_band(c.sample, bits, c.at[TOP]) if alive else c.at[LONGEST]
    c.at[STOP] = -1
    return MORE


@inlined
def next_band(sample: np.ndarray, bits: int, top: int) -> int:
    """The bits of the length below which there are half as many edges again."""
    place = len(sample)
    while place and sample[place - 1] > bits:
        place -= 1
    place += place // 2 + 1
    return min(np.int64(sample[place]), top) if place < len(sample) else top


@jit
def advance_among(
    keys: np.ndarray,
    condensed: np.ndarray,
    n: int,
    chosen: np.ndarray,
    label: np.ndarray,
    kept: np.ndarray,
    c: Course,
    s: State,
) -> int:
    """Run `advance` for some of the points, on all edges ``keys`` (uint64, sorted), to the end: ENDED or ROOM.

    ``label`` is the index of each point among the chosen, or -1; ``kept`` and the codes of ``c`` are scratch.
    """
    if c.at[NEXT] == 0:
        distances_among(condensed, n, chosen, c.codes)
    while True:
        if c.at[STOP] < 0:
            stop = after(keys, c.at[NEXT], len(keys), c.at[BITS])
            c.at[STOP] = restrict(keys, label, c.at[NEXT], stop, kept)
            c.at[AT], c.at[NEXT] = 0, stop
        why = advance(kept, c, s)
        if why != MORE:
            return why

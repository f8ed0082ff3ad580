"""Annotate edges, in order of length, with the loops that they belong to, over Z/2; compiled, for `bitlink`.

Annotations (Boissonnat, Dey and Maria 2015, https://doi.org/10.1007/s00453-015-9999-4) over neighbourhoods kept as bit
sets: ``rows[u]`` holds the neighbours of u, then, after ``width`` words, those across edges whose annotation may not be
zero. An edge is the number ``length bits << 32 | u << 16 | v``, so that sorting the numbers sorts the edges by length.
"""

from typing import NamedTuple

import numpy as np

from todacomm.homology.compiled import ONE, first_bit, inlined, jit, join, unmark

HASH = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: Knuth's multiplicative hashing

# places in State.count
CLASSES, LIVE, MERGES, VALUES, POOL, MARKED, ASKED, SOLE, UNLISTED, PRIME = range(10)

# columns of State.classes; FLAG is scratch of rewritten()
BORN, DIED, APEX, RULE, FLAG = range(5)
NEVER = -1  # of DIED
NO_ROOM = -(2**31)  # in place of an annotation
ABSENT, EVEN, ODD = 0, 2, 3  # of FLAG: not met; met, and the class cancels; met, and it stays


class State(NamedTuple):
    """What is known after some edges; arrays that run out of room are replaced by longer ones between two calls.

    ``rows`` as above. ``values``: where in ``pool`` the classes of an annotation are, ascending; value 0 is the empty
    one. ``table`` maps marked edges to values. ``classes``: birth, death, apex of the death triangle, and the value
    that a dead class equals, -1 while it lives.
    """

    rows: np.ndarray  # (n, 2 width) uint64
    parent: np.ndarray  # (n,) int32: union-find
    merges: np.ndarray  # (n,) int64: keys of edges that joined two components
    table: np.ndarray  # (2^k, 2) int32: pair u << 16 | v or -1, and value
    classes: np.ndarray  # (c, 5) int64
    values: np.ndarray  # (v, 2) int64: begin and end in the pool
    pool: np.ndarray  # (p,) int32
    work: np.ndarray  # (c,) int32: scratch of rewritten()
    link: np.ndarray  # (width,) uint64: scratch of inserted()
    count: np.ndarray  # (10,) int64


@inlined
def place(table: np.ndarray, u: int, v: int) -> int:
    """The slot of a pair in the hash table, or the empty slot for it (linear probing)."""
    pair = min(u, v) << 16 | max(u, v)
    last = np.uint64(len(table) - 1)
    k = (np.uint64(pair) * HASH >> np.uint64(32)) & last
    while table[k, 0] != pair and table[k, 0] != -1:
        k = (k + ONE) & last
    return k


@jit
def rehash(old: np.ndarray, new: np.ndarray) -> None:
    """Fill an empty table with the entries of a smaller one."""
    for j in range(len(old)):
        if old[j, 0] != -1:
            k = place(new, np.int64(old[j, 0] >> 16), np.int64(old[j, 0] & 0xFFFF))
            new[k, 0], new[k, 1] = old[j, 0], old[j, 1]


# Annotations


@inlined
def mark(s: State, u: int, v: int, x: int) -> None:
    """Set the annotation of uv to the value x."""
    width = s.rows.shape[1] // 2
    k = place(s.table, u, v)
    s.table[k, 0], s.table[k, 1] = min(u, v) << 16 | max(u, v), x
    s.count[MARKED] += 1
    join(s.rows, u, v, width)


@inlined
def new_value(s: State, begin: int, end: int) -> int:
    """Make a value of the classes at pool[begin:end]."""
    x = s.count[VALUES]
    s.count[VALUES] = x + 1
    s.values[x, 0], s.values[x, 1] = begin, end
    s.count[POOL] = max(s.count[POOL], end)
    return x


@jit
def gather(s: State, x: int, used: int) -> int:
    """Add the classes of a value to those in s.work, modulo 2; return their number."""
    for j in range(s.values[x, 0], s.values[x, 1]):
        c = s.pool[j]
        if s.classes[c, FLAG] == ABSENT:
            s.work[used] = c
            used += 1
            s.classes[c, FLAG] = ODD
        else:
            s.classes[c, FLAG] ^= ODD ^ EVEN
    return used


@jit
def rewrite(s: State, x: int) -> None:
    """Express a value by living classes: the rule of a dead class names only older ones."""
    used = gather(s, x, 0)
    while True:
        dead = -1  # the youngest: its rule brings no younger one back, so that each class is replaced once
        for i in range(used):
            c = s.work[i]
            if c > dead and s.classes[c, FLAG] == ODD and s.classes[c, RULE] != -1:
                dead = c
        if dead == -1:
            break
        s.classes[dead, FLAG] = EVEN
        used = gather(s, s.classes[dead, RULE], used)
    begin = end = s.count[POOL]
    for i in range(used):
        c = s.work[i]
        if s.classes[c, FLAG] == ODD:
            k = end
            while k > begin and s.pool[k - 1] > c:
                s.pool[k] = s.pool[k - 1]
                k -= 1
            s.pool[k] = c
            end += 1
        s.classes[c, FLAG] = ABSENT
    s.values[x, 0], s.values[x, 1] = begin, end
    s.count[POOL] = end


@inlined
def settled(s: State, x: int) -> int:
    """The value in living classes; 0 where none is left."""
    for j in range(s.values[x, 0], s.values[x, 1]):
        if s.classes[s.pool[j], RULE] != -1:
            rewrite(s, x)
            break
    return x if s.values[x, 1] > s.values[x, 0] else 0


@inlined
def annotation(s: State, u: int, v: int) -> int:
    """The settled value of the edge uv."""
    width = s.rows.shape[1] // 2
    if (s.rows[u, width + (v >> 6)] >> np.uint64(v & 63)) & ONE == 0:
        return 0
    x = settled(s, np.int64(s.table[place(s.table, u, v), 1]))
    if x == 0:
        unmark(s.rows, u, v)
    return x


@inlined
def added(s: State, x: int, y: int) -> int:
    """The sum of two settled values modulo 2."""
    if x == y:
        return 0
    if x == 0 or y == 0:
        return x + y
    i, i_end = s.values[x, 0], s.values[x, 1]
    j, j_end = s.values[y, 0], s.values[y, 1]
    begin = end = s.count[POOL]
    while i < i_end or j < j_end:
        if j == j_end or (i < i_end and s.pool[i] < s.pool[j]):
            s.pool[end] = s.pool[i]
            i, end = i + 1, end + 1
        elif i == i_end or s.pool[j] < s.pool[i]:
            s.pool[end] = s.pool[j]
            j, end = j + 1, end + 1
        else:
            i, j = i + 1, j + 1
    return new_value(s, begin, end) if end > begin else 0


@inlined
def kill(s: State, x: int, key: int, apex: int) -> None:
    """Let the youngest class of the value die: it becomes the sum of the others."""
    begin, end = s.values[x, 0], s.values[x, 1]
    c = s.pool[end - 1]
    s.classes[c, RULE] = new_value(s, begin, end - 1)
    s.classes[c, DIED], s.classes[c, APEX] = key, apex
    s.count[LIVE] -= 1
    s.count[ASKED] = s.count[SOLE] = 0


@inlined
def bear(s: State, key: int) -> int:
    """Let a class be born; return its value."""
    c = s.count[CLASSES]
    s.count[CLASSES] = c + 1
    s.count[LIVE] += 1
    s.classes[c, BORN], s.classes[c, DIED] = key, NEVER
    s.classes[c, RULE], s.classes[c, FLAG] = -1, ABSENT
    s.count[ASKED] = s.count[SOLE] = 0
    s.pool[s.count[POOL]] = c
    return new_value(s, s.count[POOL], s.count[POOL] + 1)


@inlined
def has_room(s: State) -> bool:
    """Whether there is room for one more vertex of a link, one more birth, and `purify`."""
    return (
        len(s.pool) - s.count[POOL] >= 8 * s.count[LIVE] + s.count[VALUES] + 8
        and len(s.values) - s.count[VALUES] >= 8
        and len(s.classes) > s.count[CLASSES]
        and len(s.table) >= 2 * s.count[MARKED] + 2
    )


@jit
def from_link(s: State, key: int, u: int, v: int) -> int:
    """The annotation of uv from the triangles with the vertices w in s.link; NO_ROOM where room ran out.

    Triangle uvw gives that of uw plus that of vw. Vertices in one component of the link agree, so one is asked and its
    neighbours are skipped; where two components differ, a class dies. Vertices without a marked edge give zero. Nothing
    is lost where room runs out: what died stays dead, and the edge is tried again.
    """
    width = s.rows.shape[1] // 2
    x = -1
    for k in range(width):
        while True:
            marked = s.link[k] & (s.rows[u, width + k] | s.rows[v, width + k])
            if marked == 0:
                break
            if not has_room(s):
                return NO_ROOM
            w = 64 * k + first_bit(marked)
            s.link[k] &= ~(marked & (~marked + ONE))
            for j in range(k, width):
                s.link[j] &= ~s.rows[w, j]
            y = added(s, annotation(s, u, w), annotation(s, v, w))
            if x == -1:
                x = y
                continue
            y = added(s, x, y)
            if y:
                kill(s, y, key, w)
                x = settled(s, x) if x else 0
    if x < 1:
        return 0
    for k in range(width):
        if s.link[k]:
            kill(s, x, key, 64 * k + first_bit(s.link[k]))
            return 0
    return x

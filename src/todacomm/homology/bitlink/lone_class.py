"""Follow one class that outlives all others, as on a circle: exact marks are its cocycle; compiled.

No value is looked up or written: an edge is marked or it is not.
"""

import numpy as np

from todacomm.homology.bitlink.annotations import (
    ASKED,
    LIVE,
    MARKED,
    SOLE,
    UNLISTED,
    State,
    annotation,
    kill,
    mark,
    place,
)
from todacomm.homology.compiled import ONE, ends, first_bit, jit, join


@jit
def purify(s: State) -> None:
    """Remove the marks of edges whose annotation is zero; the others stand for the one class alive."""
    width = s.rows.shape[1] // 2
    for u in range(len(s.rows)):
        for k in range(width):
            marked = s.rows[u, width + k]
            while marked:
                x = annotation(s, u, 64 * k + first_bit(marked))
                marked &= marked - ONE
                s.count[SOLE] = max(s.count[SOLE], x)


@jit
def is_alone(s: State) -> bool:
    """Whether one class is alive and marks are exact; they are made exact after enough links to be worth it."""
    if s.count[LIVE] != 1:
        return False
    s.count[ASKED] += 1
    if s.count[SOLE] == 0 and 8 * s.count[ASKED] > s.count[MARKED]:
        purify(s)
    return s.count[SOLE] != 0


@jit
def list_marks(s: State) -> bool:
    """Enter all marks into the table; new ones stand for the one class alive. False without room."""
    if len(s.table) < 2 * (s.count[MARKED] + s.count[UNLISTED]) + 2:
        return False
    width = s.rows.shape[1] // 2
    for u in range(len(s.rows)):
        for k in range(u >> 6, width):
            marked = s.rows[u, width + k]
            while marked:
                v = 64 * k + first_bit(marked)
                marked &= marked - ONE
                if u < v and s.table[place(s.table, u, v), 0] == -1:
                    mark(s, u, v, s.count[SOLE])
    s.count[UNLISTED] = 0
    return True


@jit
def forget_marks(s: State) -> None:
    """Drop all marks: no class is alive."""
    s.rows[:, s.rows.shape[1] // 2 :] = 0
    s.table[:, 0] = -1
    s.count[MARKED] = s.count[UNLISTED] = 0


@jit
def from_lone_link(s: State, key: int, u: int, v: int) -> int:
    """Do `from_link` where one class is alive and its marks are exact."""
    width = s.rows.shape[1] // 2
    with_it, without = np.uint64(0), np.uint64(0)
    for k in range(width):
        odd = s.rows[u, width + k] ^ s.rows[v, width + k]
        with_it |= s.link[k] & odd
        without |= s.link[k] & ~odd
    if with_it == 0:
        return 0
    if without == 0:
        return s.count[SOLE]
    for k in range(width):
        odd = s.link[k] & (s.rows[u, width + k] ^ s.rows[v, width + k])
        if odd:
            kill(s, s.count[SOLE], key, 64 * k + first_bit(odd))
            forget_marks(s)
            return 0
    return 0


@jit
def pass_lone(keys: np.ndarray, i: int, stop: int, s: State) -> int:
    """Insert edges while one class is alive with exact marks, and neither dies nor gets company.

    An edge is marked where all triangles above it agree that it is. Marks suffice; the table, which would cost more
    than all else, is written once another class is born (`list_marks`).
    """
    width = s.rows.shape[1] // 2
    while i < stop:
        u, v = ends(keys[i])
        odd, even = np.uint64(0), np.uint64(0)
        for k in range(width):
            both = s.rows[u, k] & s.rows[v, k]
            differ = s.rows[u, width + k] ^ s.rows[v, width + k]
            odd |= both & differ
            even |= both & ~differ
        if (odd == 0) == (even == 0):
            return i
        if odd:
            s.count[UNLISTED] += 1
            join(s.rows, u, v, width)
        join(s.rows, u, v, 0)
        i += 1
    return i

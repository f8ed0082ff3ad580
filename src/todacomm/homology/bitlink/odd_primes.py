"""Annotate edges over Z/p for an odd prime p, where `annotations` and `lone_class` do so over Z/2; compiled.

Rows, marks, table and classes are those of `annotations.State`. What differs: an edge has a direction, from its lower
vertex to its higher, and classes have coefficients. A term of a value is ``class << 7 | coefficient`` in the pool, so
that primes up to 127 fit; an annotation is the number of a value, negative for the negative of that value.
"""

import numpy as np

from todacomm.homology.bitlink import annotations
from todacomm.homology.bitlink.annotations import (
    ABSENT,
    APEX,
    CLASSES,
    DIED,
    FLAG,
    LIVE,
    NO_ROOM,
    POOL,
    PRIME,
    RULE,
    State,
    has_room,
    new_value,
    place,
)
from todacomm.homology.compiled import ONE, first_bit, inlined, jit, unmark

SHIFT, COEFFICIENT = 7, 127
MOST_CLASSES = 2 ** (31 - SHIFT)
MET = 1  # of FLAG, plus the coefficient so far


@jit
def gather(s: State, x: int, factor: int, used: int) -> int:
    """Add ``factor`` times the terms of a value to those in s.work; return their number."""
    for j in range(s.values[x, 0], s.values[x, 1]):
        c, a = s.pool[j] >> SHIFT, s.pool[j] & COEFFICIENT
        if s.classes[c, FLAG] == ABSENT:
            s.work[used] = c
            used += 1
            s.classes[c, FLAG] = MET
        s.classes[c, FLAG] = MET + (s.classes[c, FLAG] - MET + factor * a) % s.count[PRIME]
    return used


@jit
def rewrite(s: State, x: int) -> None:
    """Express a value by living classes: the rule of a dead class names only older ones."""
    used = gather(s, x, 1, 0)
    while True:
        dead = -1  # the youngest: its rule brings no younger one back, so that each class is replaced once
        for i in range(used):
            c = s.work[i]
            if c > dead and s.classes[c, FLAG] > MET and s.classes[c, RULE] != -1:
                dead = c
        if dead == -1:
            break
        factor = s.classes[dead, FLAG] - MET
        s.classes[dead, FLAG] = MET
        used = gather(s, s.classes[dead, RULE], factor, used)
    begin = end = s.count[POOL]
    for i in range(used):
        c = s.work[i]
        if s.classes[c, FLAG] > MET:
            k = end
            while k > begin and s.pool[k - 1] >> SHIFT > c:
                s.pool[k] = s.pool[k - 1]
                k -= 1
            s.pool[k] = c << SHIFT | (s.classes[c, FLAG] - MET)
            end += 1
        s.classes[c, FLAG] = ABSENT
    s.values[x, 0], s.values[x, 1] = begin, end
    s.count[POOL] = end


@inlined
def settled(s: State, x: int) -> int:
    """The annotation in living classes; 0 where none is left."""
    value = abs(x)
    for j in range(s.values[value, 0], s.values[value, 1]):
        if s.classes[s.pool[j] >> SHIFT, RULE] != -1:
            rewrite(s, value)
            break
    return x if s.values[value, 1] > s.values[value, 0] else 0


@inlined
def annotation(s: State, u: int, v: int) -> int:
    """The settled annotation of the edge from u to v."""
    width = s.rows.shape[1] // 2
    if (s.rows[u, width + (v >> 6)] >> np.uint64(v & 63)) & ONE == 0:
        return 0
    x = settled(s, np.int64(s.table[place(s.table, u, v), 1]))
    if x == 0:
        unmark(s.rows, u, v)
    return x if u < v else -x


@jit
def added(s: State, x: int, y: int) -> int:
    """The sum of two settled annotations modulo p."""
    if x == -y:
        return 0
    if x == 0 or y == 0:
        return x + y
    prime = s.count[PRIME]
    i, i_end = s.values[abs(x), 0], s.values[abs(x), 1]
    j, j_end = s.values[abs(y), 0], s.values[abs(y), 1]
    of_x, of_y = 1 if x > 0 else prime - 1, 1 if y > 0 else prime - 1
    begin = end = s.count[POOL]
    while i < i_end or j < j_end:
        c, d = s.pool[min(i, i_end - 1)] >> SHIFT, s.pool[min(j, j_end - 1)] >> SHIFT
        left, right = i < i_end and (j == j_end or c <= d), j < j_end and (i == i_end or d <= c)
        a = 0
        if left:
            a += of_x * (s.pool[i] & COEFFICIENT)
            i += 1
        if right:
            a += of_y * (s.pool[j] & COEFFICIENT)
            j += 1
        if a % prime:
            s.pool[end] = (c if left else d) << SHIFT | a % prime
            end += 1
    return new_value(s, begin, end) if end > begin else 0


@inlined
def inverse(a: int, prime: int) -> int:
    """The number b with a·b = 1 modulo the prime."""
    b = 1
    while a * b % prime != 1:
        b += 1
    return b


@jit
def kill(s: State, x: int, key: int, apex: int) -> None:
    """Let the youngest class of the annotation die: a·c + rest = 0, so that c becomes -rest / a."""
    prime = s.count[PRIME]
    begin, last = s.values[abs(x), 0], s.values[abs(x), 1] - 1
    c, factor = s.pool[last] >> SHIFT, prime - inverse(s.pool[last] & COEFFICIENT, prime)
    end = s.count[POOL]
    for j in range(begin, last):
        s.pool[end] = s.pool[j] & ~COEFFICIENT | factor * (s.pool[j] & COEFFICIENT) % prime
        end += 1
    s.classes[c, RULE] = new_value(s, s.count[POOL], end)
    s.classes[c, DIED], s.classes[c, APEX] = key, apex
    s.count[LIVE] -= 1


@inlined
def bear(s: State, key: int) -> int:
    """Let a class be born; return its annotation, with coefficient 1."""
    x = annotations.bear(s, key)
    s.pool[s.values[x, 0]] = (s.count[CLASSES] - 1) << SHIFT | 1
    return x


@jit
def from_link(s: State, key: int, u: int, v: int) -> int:
    """The annotation of the edge from u to v, u < v, as `annotations.from_link` finds it.

    Triangle uvw gives that from u to w plus that from w to v.
    """
    width = s.rows.shape[1] // 2
    x, known = 0, False
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
            y = added(s, annotation(s, u, w), annotation(s, w, v))
            if not known:
                x, known = y, True
                continue
            y = added(s, x, -y)
            if y:
                kill(s, y, key, w)
                x = settled(s, x) if x else 0
    if x == 0:
        return 0
    for k in range(width):
        if s.link[k]:
            kill(s, x, key, 64 * k + first_bit(s.link[k]))
            return 0
    return x

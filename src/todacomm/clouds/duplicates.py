"""Decide which points are duplicates, for everything that counts points or searches neighbours.

Points are one where chains of steps connect them, none longer than ``SAME`` of the median distance, or than the
rounding of the raw numbers: copies from batches of other shapes differ by that. See docs/decisions/004 and 023.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from todacomm.clouds.distances import (
    CHUNK,
    Condensed,
    median,
    pairwise,
    rows_and_columns,
    squared_differences,
    start_of,
)

Points = Float[np.ndarray, "n k"]
Labels = Int[np.ndarray, " n"]
Indices = Int[np.ndarray, " m"]

SAME = 1e-6  # of the median distance
BORDER = 1e-6  # a float32 distance this close to a limit is measured again in float64
PLACES = 4  # units in the last place that copies may be apart
SAMPLE = 200  # points whose median distance is the scale
ENOUGH = 10  # unique points that suffice for the scale, however many copies there are
DIRECTIONS = 4


def rounding_of(points: Points, dtype: np.dtype) -> float:
    """How far copies of a point may be apart by the rounding of ``dtype``, their raw precision.

    A coordinate that is the same in all points differs in none of them, however large it is.
    """
    varying = points[:, (points != points[0]).any(axis=0)]
    squares = np.einsum("ij,ij->i", varying, varying)
    return PLACES * float(np.finfo(dtype).eps) * float(np.sqrt(squares.mean()))


def kinds_of(centred: Points, *, rounding: float) -> Labels:
    """Label each point 0 … k-1 by its unique point, in order of first appearance.

    ``centred`` are centred points, of a size whose squares float64 holds.
    """
    return linked(centred, within=max(SAME * scale_of(centred), rounding))


def firsts_of(kinds: Labels) -> Indices:
    """The index of the first point of each label, ascending."""
    return np.sort(np.unique(kinds, return_index=True)[1])


def scale_of(centred: Points) -> float:
    """The approximate median distance between different points."""
    largest = float(np.sqrt(np.einsum("ij,ij->i", centred, centred).max()))
    firsts = firsts_of(linked(centred, within=SAME * largest))
    apart = centred[firsts] if ENOUGH <= len(firsts) < len(centred) else centred
    some = apart[:: -(-len(apart) // SAMPLE)]
    return median(pairwise(some)) if len(some) > 1 else 0.0


def kinds_among(condensed: Condensed, n: int) -> Labels:
    """Compute `kinds_of` from distances alone."""
    if n < 2:
        return np.zeros(n, dtype=np.int64)
    coarse = joined_within(condensed, n, SAME * float(condensed.max()))
    firsts = firsts_of(coarse)
    scale = median(restricted(condensed, firsts, n) if ENOUGH <= len(firsts) < n else condensed)
    return in_order(joined_within(condensed, n, SAME * scale))


def unique_rows(kinds: Sequence[Labels]) -> Indices:
    """Rows that are not copies in all of several clouds at once, ascending."""
    beside = np.stack(kinds)
    distinct = any(len(np.unique(row)) == len(row) for row in kinds)
    return np.arange(beside.shape[1]) if distinct else np.sort(np.unique(beside, axis=1, return_index=True)[1])


# Chains of steps


def linked(points: Points, *, within: float) -> Labels:
    """Compute `distinct`, skipping distances of points that some direction separates."""
    labels, group = np.arange(len(points)), np.zeros(len(points), dtype=np.int64)
    slack = within * (1 + BORDER) + 2.0**-50 * points.shape[1] * float(np.abs(points).max(initial=0.0))
    rng = np.random.default_rng(0)
    for direction in rng.normal(size=(DIRECTIONS, points.shape[1])):
        group = split(group, points @ (direction / np.linalg.norm(direction)), slack)
        if group.max() == len(points) - 1:
            return labels
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if len(members) > 1:
            labels[members] = members[firsts_within(points[members], within)]
    return in_order(labels)


def split(group: Labels, along: Float[np.ndarray, " n"], within: float) -> Labels:
    """Split groups where a step along one direction is longer than ``within``."""
    order = np.lexsort((along, group))
    apart = (np.diff(group[order]) > 0) | (np.diff(along[order]) > within)
    found = np.empty_like(group)
    found[order] = np.append(0, np.cumsum(apart))
    return found


def firsts_within(points: Points, within: float) -> Labels:
    """For each point the index of the first of its duplicates."""
    steps = points - points[0]
    if float(np.sqrt(np.einsum("ij,ij->i", steps, steps).max())) <= within:
        return np.zeros(len(points), dtype=np.int64)
    kinds = distinct(pairwise(points), points, within=within)
    return np.unique(kinds, return_index=True)[1][kinds - 1]


def distinct(condensed: Condensed, points: Points, *, within: float) -> Labels:
    """Label unique points 1 … k: chains of steps no longer than ``within`` make one.

    Steps are measured in float64. Labels are in order of first appearance.
    """
    return in_order(joined_within(condensed, len(points), within, points)) + 1


def joined_within(condensed: Condensed, n: int, within: float, points: Points | None = None) -> Labels:
    """For each of n points the first of its duplicates; steps near the limit are measured again, given points."""
    labels = np.arange(n)
    if not condensed.size or condensed.min() > within * (1 + BORDER):
        return labels
    for start in range(0, condensed.size, CHUNK):
        near = start + np.flatnonzero(condensed[start : start + CHUNK] <= within * (1 + BORDER))
        i, j = rows_and_columns(near, n)
        apart = labels[i] != labels[j]
        i, j, steps = i[apart], j[apart], condensed[near[apart]]
        same = steps <= within if points is None else steps < within * (1 - BORDER)
        if points is not None:
            unsure = np.flatnonzero(~same)
            same[unsure] = np.sqrt(squared_differences(points, i[unsure], j[unsure])) <= within
        labels = joined(labels, i[same], j[same])
    return labels


def joined(labels: Labels, i: Indices, j: Indices) -> Labels:
    """Merge the labels of the points i and j: the lower one stays."""
    while (apart := labels[i] != labels[j]).any():
        i, j = i[apart], j[apart]
        kind = np.arange(len(labels))
        np.minimum.at(kind, np.maximum(labels[i], labels[j]), np.minimum(labels[i], labels[j]))
        while not np.array_equal(kind, lower := kind[kind]):
            kind = lower
        labels = kind[labels]
    return labels


def in_order(labels: Labels) -> Labels:
    """Renumber labels, each the first of its kind, as 0 … k-1."""
    return np.unique(labels, return_inverse=True)[1]


# Distances of some points, and of copies


def restricted(condensed: Condensed, rows: Indices, n: int) -> Float[np.ndarray, " some"]:
    """The distances between the points at ``rows`` of n, in pdist order; 0 between a point and itself."""
    found = np.zeros(len(rows) * (len(rows) - 1) // 2, dtype=condensed.dtype)
    start = 0
    for place, row in enumerate(rows):
        others = rows[place + 1 :]
        low, high = np.minimum(others, row), np.maximum(others, row)
        there = np.flatnonzero(low != high)
        found[start + there] = condensed[(start_of(low, n) + high - low - 1)[there]]
        start += len(others)
    return found

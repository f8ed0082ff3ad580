"""Bottleneck and Wasserstein distance between two diagrams, (m, 2) arrays of finite bars.

The ground metric is L∞ (the largest difference of birth and of death), in which a bar is half its lifetime from the
diagonal. A bar is matched to a bar or to the diagonal. In the unit of the bars; 0 for two empty diagrams; essential
classes are ignored.

Bottleneck: Cohen-Steiner, Edelsbrunner and Harer 2007, https://doi.org/10.1007/s00454-006-1276-5. Wasserstein of order
q: Cohen-Steiner, Edelsbrunner, Harer and Mileyko 2010, https://doi.org/10.1007/s10208-010-9060-6; in GUDHI
``wasserstein_distance(a, b, order=q, internal_p=inf)``. persim's ``wasserstein`` has order 1 and a Euclidean ground
metric.

Bars born at 0, as in H0, are points on a line, matched in m × k steps; other diagrams, and a Python without numba, take
a general assignment.
"""

import importlib.util
import math

import numpy as np
from jaxtyping import Bool, Float64

from todacomm.core.errors import InvalidInput
from todacomm.core.types import Bars

Cost = Float64[np.ndarray, "m k"]
Lengths = Float64[np.ndarray, " m"]


def wasserstein(first: Bars, second: Bars, *, degree: float = 2.0) -> float:
    """Wasserstein distance of order ``degree`` ≥ 1: (Σ |difference|^degree)^(1/degree) over the cheapest matching."""
    if not 1 <= degree < math.inf:
        raise InvalidInput(f"a Wasserstein distance of degree {degree}; expected 1 or more, and finite")
    exponent = size_of(first, second)
    a, b = np.ldexp(first, -exponent), np.ldexp(second, -exponent)  # no power leaves the range of float64
    total = least_sum(a, b, degree) if on_a_line(a, b) else cheapest(a, b, degree)
    return math.ldexp(total ** (1 / degree), exponent)


def bottleneck(first: Bars, second: Bars) -> float:
    """Bottleneck distance, exact: the least t such that some matching moves no bar by more than t."""
    return least_longest(first, second) if on_a_line(first, second) else shortest_reach(first, second)


def size_of(first: Bars, second: Bars) -> int:
    """The exponent of the least power of two above every coordinate."""
    largest = max(np.abs(first).max(initial=0.0), np.abs(second).max(initial=0.0))
    return int(np.frexp(largest)[1])


# Bars that are born at 0


def on_a_line(first: Bars, second: Bars) -> bool:
    """Whether all bars are born at 0 and the compiled matching is available."""
    return not (first[:, 0].any() or second[:, 0].any()) and importlib.util.find_spec("numba") is not None


def least_sum(first: Bars, second: Bars, degree: float) -> float:
    """The cost of the cheapest matching of bars born at 0."""
    from todacomm.homology import h0_matching

    a, b = lifetimes(first), lifetimes(second)
    return float(h0_matching.least_sum(a, b, (a / 2) ** degree, (b / 2) ** degree, float(degree), np.empty(len(b) + 1)))


def least_longest(first: Bars, second: Bars) -> float:
    """The bottleneck cost of bars born at 0.

    The bits of floats ≥ 0, read as integers, have their order: bisection among them finds the least sufficient float.
    """
    from todacomm.homology import h0_matching

    a, b = lifetimes(first), lifetimes(second)
    low, high = 0, int(max(a.max(initial=0.0), b.max(initial=0.0)).view(np.int64))
    while low < high:
        middle = (low + high) // 2
        t = float(np.int64(middle).view(np.float64))
        if h0_matching.served(a, b, t) and h0_matching.served(b, a, t):
            high = middle
        else:
            low = middle + 1
    return float(np.int64(low).view(np.float64))


def lifetimes(bars: Bars) -> Lengths:
    """The lifetimes of the bars, ascending."""
    return np.sort(np.asarray(bars[:, 1] - bars[:, 0], dtype=np.float64))


# Any bars


def cheapest(first: Bars, second: Bars, degree: float) -> float:
    """The cost of the cheapest matching.

    It is the cost of sending all bars to the diagonal, less what each pair saves: an assignment of m × k in place of
    (m + k)².
    """
    from scipy.optimize import linear_sum_assignment

    a, b, cost = to_diagonal(first) ** degree, to_diagonal(second) ** degree, between(first, second) ** degree
    saved = np.minimum(cost - a[:, None] - b[None, :], 0.0)
    rows, columns = linear_sum_assignment(saved)
    alone = np.ones(len(a), dtype=bool), np.ones(len(b), dtype=bool)
    paired = saved[rows, columns] < 0
    alone[0][rows[paired]] = alone[1][columns[paired]] = False
    return float(cost[rows[paired], columns[paired]].sum() + a[alone[0]].sum() + b[alone[1]].sum())


def shortest_reach(first: Bars, second: Bars) -> float:
    """The least distance within which a matching exists, by bisection among the candidates.

    No bar moves less than to the nearest bar or to the diagonal, and often that is the answer.
    """
    a, b, cost = to_diagonal(first), to_diagonal(second), between(first, second)
    nearest = np.concatenate([cost.min(axis=1, initial=np.inf), cost.min(axis=0, initial=np.inf)])
    alone = np.concatenate([a, b])
    least, most = np.minimum(nearest, alone).max(initial=0.0), alone.max(initial=0.0)
    if matched_within(least, a, b, cost):
        return float(least)
    every = np.concatenate([alone, cost.ravel()])
    candidates = np.unique(every[(every > least) & (every <= most)])
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if matched_within(candidates[middle], a, b, cost):
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])


def matched_within(t: float, a: Lengths, b: Lengths, cost: Cost) -> bool:
    """Whether some matching moves no bar by more than t.

    Bars further than t from the diagonal must be matched to bars. A matching that covers those of both sides exists if
    one covers the first and another the second: Mendelsohn and Dulmage 1958, https://doi.org/10.4153/CJM-1958-052-7.
    """
    near = cost <= t
    return serves_all(near[a > t]) and serves_all(near[:, b > t].T)


def serves_all(near: Bool[np.ndarray, "m k"]) -> bool:
    """Whether every row can be matched to a column of its own."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if not len(near):
        return True
    if not near.any(axis=1).all():
        return False
    return bool((maximum_bipartite_matching(csr_array(near), perm_type="column") >= 0).all())


def between(first: Bars, second: Bars) -> Cost:
    """The distance of each bar of the first diagram to each of the second."""
    births, deaths = (np.subtract.outer(first[:, end], second[:, end]) for end in (0, 1))
    return np.maximum(np.abs(births, out=births), np.abs(deaths, out=deaths), out=births)


def to_diagonal(bars: Bars) -> Lengths:
    """The distance of each bar to the diagonal: half its lifetime."""
    return (bars[:, 1] - bars[:, 0]) / 2

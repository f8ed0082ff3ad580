"""Diagram × diagram → number: bottleneck and Wasserstein distance of two (m, 2) arrays of finite bars.

The ground metric is the largest difference of birth and of death (L∞), in which a bar is half its lifetime away from the
diagonal. A bar may be matched to a bar or to the diagonal. In the unit of the bars; 0 for two empty diagrams. Essential classes take no part.

Bottleneck: Cohen-Steiner, Edelsbrunner and Harer 2007, https://doi.org/10.1007/s00454-006-1276-5. Wasserstein of degree q:
Cohen-Steiner, Edelsbrunner, Harer and Mileyko 2010, https://doi.org/10.1007/s10208-010-9060-6; GUDHI calls it
``wasserstein_distance(a, b, order=q, internal_p=inf)``. persim's ``wasserstein`` is another: degree 1 with the Euclidean ground metric.
"""

import numpy as np
from jaxtyping import Bool, Float64

from todacomm.errors import InvalidInput
from todacomm.types import Bars

Cost = Float64[np.ndarray, "m k"]
Lengths = Float64[np.ndarray, " m"]


def wasserstein(first: Bars, second: Bars, *, degree: float = 2.0) -> float:
    """The Wasserstein distance of a degree of 1 or more: (Σ |difference|^degree)^(1/degree) over the cheapest matching.

    Every matching costs what it would cost to send all bars to the diagonal, less what each pair saves: an assignment of
    m × k in place of one of (m + k)².
    """
    from scipy.optimize import linear_sum_assignment

    if degree < 1:
        raise InvalidInput(f"a Wasserstein distance of degree {degree}; expected 1 or more")
    a, b, cost = to_diagonal(first) ** degree, to_diagonal(second) ** degree, between(first, second) ** degree
    saved = np.minimum(cost - a[:, None] - b[None, :], 0.0)
    rows, columns = linear_sum_assignment(saved)
    alone = np.ones(len(a), dtype=bool), np.ones(len(b), dtype=bool)
    paired = saved[rows, columns] < 0
    alone[0][rows[paired]] = alone[1][columns[paired]] = False
    total = cost[rows[paired], columns[paired]].sum() + a[alone[0]].sum() + b[alone[1]].sum()
    return float(total ** (1 / degree))


def bottleneck(first: Bars, second: Bars) -> float:
    """The least t such that some matching moves no bar by more than t. Exact: t is one of the distances that there are."""
    a, b, cost = to_diagonal(first), to_diagonal(second), between(first, second)
    most = max(a.max(initial=0.0), b.max(initial=0.0))
    candidates = np.unique(np.concatenate([[0.0], a, b, cost[cost <= most]]))
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if matched_within(candidates[middle], a, b, cost):
            high = middle
        else:
            low = middle + 1
    return float(candidates[low])


def matched_within(t: float, a: Lengths, b: Lengths, cost: Cost) -> bool:
    """Whether a matching moves no bar by more than t.

    Bars further than t from the diagonal must be matched to bars. A matching that serves those of both sides exists as soon as one
    serves the first and another the second: Mendelsohn and Dulmage 1958, https://doi.org/10.4153/CJM-1958-052-7.
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
    births, deaths = (np.abs(first[:, None, end] - second[None, :, end]) for end in (0, 1))
    return np.maximum(births, deaths, out=births)


def to_diagonal(bars: Bars) -> Lengths:
    """The distance of each bar to the diagonal: half its lifetime."""
    return (bars[:, 1] - bars[:, 0]) / 2

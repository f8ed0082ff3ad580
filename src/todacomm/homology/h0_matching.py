"""Match diagrams whose bars are all born at 0, as in H0, at least cost: compiled.

Such bars are points on a line. Uncrossing two matched pairs costs no more, so some cheapest matching keeps the order of
the lifetimes: it is found bar by bar, exactly, in m × k steps. Both functions take ascending lifetimes.
"""

import numpy as np

from todacomm.homology.compiled import jit


@jit
def least_sum(
    a: np.ndarray, b: np.ndarray, a_alone: np.ndarray, b_alone: np.ndarray, degree: float, work: np.ndarray
) -> float:
    """The least sum of |difference|^degree over pairs and unmatched bars.

    ``work`` (k + 1,) holds the least cost of the bars of ``a`` so far with each prefix of ``b``.
    """
    work[0] = 0.0
    for j in range(len(b)):
        work[j + 1] = work[j] + b_alone[j]
    for i in range(len(a)):
        corner = work[0]
        work[0] += a_alone[i]
        for j in range(len(b)):
            gap = abs(a[i] - b[j])
            cost = gap * gap if degree == 2 else gap if degree == 1 else gap**degree
            least = min(corner + cost, work[j + 1] + a_alone[i], work[j] + b_alone[j])
            corner = work[j + 1]
            work[j + 1] = least
    return work[len(b)]


@jit
def served(a: np.ndarray, b: np.ndarray, t: float) -> bool:
    """Whether each bar of ``a`` further than t from the diagonal has a bar of ``b`` within t for itself.

    Each takes the first free one, which leaves the most for those to come.
    """
    j = 0
    for i in range(len(a)):
        if a[i] / 2 <= t:
            continue
        while j < len(b) and b[j] < a[i] and abs(a[i] - b[j]) > t:
            j += 1
        if j == len(b) or abs(a[i] - b[j]) > t:
            return False
        j += 1
    return True

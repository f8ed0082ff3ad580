"""Bottleneck and Wasserstein distance between diagrams of `todacomm.rips`, with bars that never die.

The public door of `todacomm.homology.diagram_distances`, which states conventions and sources.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float64

from todacomm.core.array_input import NUMBERS, array_of
from todacomm.core.errors import InvalidInput
from todacomm.homology import diagram_distances

Births = Float64[np.ndarray, " e"]
Bars = Float64[np.ndarray, "m 2"]


def bottleneck(first: Any, second: Any) -> float:
    """Bottleneck distance of two persistence diagrams of one dimension, exact.

    A bar that never dies can be matched only to another such bar, at the difference of their births; diagrams with
    different numbers of such bars are infinitely far apart. The ground distance is the largest difference of birth and
    death.

    Parameters
    ----------
    first, second : (m, 2) array_like
        Births and deaths, as one array of what `rips` returns; a death of infinity marks a class that never dies.

    Returns
    -------
    float
        In the unit of the births and deaths.

    Raises
    ------
    InvalidInput
        For an array of another shape, a birth that is not finite, or a death before its birth.

    Examples
    --------
    >>> import numpy as np
    >>> bottleneck([[0, 1], [0, np.inf]], [[0, 1.5], [0.2, np.inf]])
    0.5

    References
    ----------
    Cohen-Steiner, Edelsbrunner and Harer 2007, https://doi.org/10.1007/s00454-006-1276-5

    """
    (a, endless), (b, others) = bars_of(first), bars_of(second)
    if len(endless) != len(others):
        return math.inf
    return max(diagram_distances.bottleneck(a, b), float(np.abs(endless - others).max(initial=0.0)))


def wasserstein(first: Any, second: Any, *, degree: float = 2.0) -> float:
    """Wasserstein distance of two persistence diagrams of one dimension, exact.

    The ground distance is the largest difference of birth and death between two bars (L∞). Bars that never die are
    matched to one another, as in `bottleneck`.

    Parameters
    ----------
    first, second : (m, 2) array_like
        Births and deaths, as one array of what `rips` returns.
    degree : float, default 2
        Order of the distance, 1 or more; `bottleneck` is its limit.

    Returns
    -------
    float
        In the unit of the births and deaths; infinity for different numbers of bars that never die.

    Raises
    ------
    InvalidInput
        For what is not a diagram, and for an order below 1.

    Examples
    --------
    >>> import numpy as np
    >>> wasserstein([[0, 1], [0, np.inf]], [[0, 1], [0.5, np.inf]], degree=1)
    0.5

    References
    ----------
    Cohen-Steiner et al. 2010, https://doi.org/10.1007/s10208-010-9060-6

    """
    (a, endless), (b, others) = bars_of(first), bars_of(second)
    finite = diagram_distances.wasserstein(a, b, degree=degree)
    if len(endless) != len(others):
        return math.inf
    parts = np.append(np.abs(endless - others), finite)
    largest = float(parts.max())
    return largest * float(((parts / largest) ** degree).sum() ** (1 / degree)) if largest else 0.0


def bars_of(given: Any) -> tuple[Bars, Births]:
    """The finite bars of positive length, and the ascending births of those that never die."""
    array = array_of(given)
    if not array.size and array.ndim < 3:
        array = np.empty((0, 2))
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in NUMBERS:
        raise InvalidInput(
            f"a diagram of shape {array.shape} and type {array.dtype}; expected births and deaths of one dimension, "
            "(m, 2): of what rips gives, rips(X)[1], say"
        )
    bars = array.astype(np.float64)
    wrong = ~np.isfinite(bars[:, 0]) | np.isnan(bars[:, 1]) | (bars[:, 1] < bars[:, 0])
    if wrong.any():
        raise InvalidInput(
            f"{int(wrong.sum())} bars, the first {bars[wrong][0].tolist()}, are no births and deaths: expected a "
            "finite birth and a death that is not before it, inf where there is none"
        )
    endless = np.isinf(bars[:, 1])
    finite = bars[~endless]
    return finite[finite[:, 1] > finite[:, 0]], np.sort(bars[endless, 0])

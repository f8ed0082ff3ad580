"""Counts of draws to p-values, and p-values of many layers to ones that hold for all of them. Arithmetic, nothing else.

Everywhere the observed value counts as one more draw of the null: p = (1 + #{as extreme}) / (1 + B), which is valid for every
B (Davison and Hinkley 1997, section 4.2; Phipson and Smyth 2010, https://doi.org/10.2202/1544-6115.1585). A draw in which a
statistic is undefined (NaN) counts as extreme.
"""

import numpy as np
from jaxtyping import Float

from todacomm.core.inference_types import Alternative

Draws = Float[np.ndarray, "B L"]  # B draws of the null on L layers
PerLayer = Float[np.ndarray, " L"]


def p_values(observed: PerLayer, null: Draws, alternative: Alternative) -> PerLayer:
    """The p-value of each layer; NaN where the observed number is undefined.

    ``greater`` counts the draws at or above the observed number; ``two-sided`` doubles the smaller of both tails, 1 at most.
    Ties count as extreme.
    """
    draws = len(null) + 1
    upper = (1 + (~(null < observed)).sum(axis=0)) / draws
    if alternative == "two-sided":
        lower = (1 + (~(null > observed)).sum(axis=0)) / draws
        upper = np.minimum(1.0, 2 * np.minimum(lower, upper))
    return np.where(np.isnan(observed), np.nan, upper)


def smallest(draws: int, alternative: Alternative) -> float:
    """The least p-value that so many draws can give."""
    return min(1.0, (2 if alternative == "two-sided" else 1) / (draws + 1))


def adjusted(p: PerLayer) -> PerLayer:
    """Benjamini and Hochberg: below ``alpha`` a share of ``alpha`` is expected to be false. NaN takes no part and stays NaN.

    Benjamini and Hochberg 1995, https://doi.org/10.1111/j.2517-6161.1995.tb02031.x; holds under the positive dependence
    that neighbouring layers have (Benjamini and Yekutieli 2001, https://doi.org/10.1214/aos/1013699998).
    """
    from scipy.stats import false_discovery_control

    found, known = np.full(p.shape, np.nan), ~np.isnan(p)
    if known.any():
        found[known] = false_discovery_control(p[known])
    return found


def family_wise(observed: PerLayer, null: Draws, alternative: Alternative) -> PerLayer:
    """The p-value of each layer against the most extreme layer of each draw: at ``alpha``, any false finding at all has that chance.

    Draw b must be the same rotation (or shuffling) of all layers. Each layer is put in units of the mean and spread of its B draws
    and the observed number together, so that observed and drawn are treated alike and the test is as exact as that of one layer;
    the two-sided one takes distances from the mean. Westfall and Young 1993, single step.
    """
    known = np.flatnonzero(~np.isnan(observed))
    found = np.full(observed.shape, np.nan)
    if known.size:
        units = standardised(np.vstack([observed[known], null[:, known]]))
        units = np.abs(units) if alternative == "two-sided" else units
        counted = against_all(units[0], units[1:])
        found[known] = np.maximum(counted, p_values(observed[known], null[:, known], alternative))
    return found


def against_all(observed: Float[np.ndarray, " k"], null: Draws) -> Float[np.ndarray, " k"]:
    """The p-value of each of some numbers against the largest of each draw; all are in units that are comparable."""
    largest = np.where(np.isnan(null), np.inf, null).max(axis=1, keepdims=True)
    return p_values(observed, np.broadcast_to(largest, (len(null), observed.size)), "greater")


def standardised(values: Float[np.ndarray, "b L"]) -> Float[np.ndarray, "b L"]:
    """Each column in units of its mean and standard deviation, NaN aside; a column without spread becomes 0."""
    centre, spread = moments(values)
    return (values - centre) / np.where(spread > 0, spread, 1.0)


def moments(values: Float[np.ndarray, "b L"]) -> tuple[PerLayer, PerLayer]:
    """Mean and sample standard deviation of each column over the numbers that are defined; NaN where there are too few."""
    defined = ~np.isnan(values)
    count, known = defined.sum(axis=0), np.where(defined, values, 0.0)
    unit = np.ldexp(1.0, np.frexp(np.abs(known[np.isfinite(known)]).max(initial=0.0))[1] - 1)  # squares of any size
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (known / unit).sum(axis=0) / count
        squares = np.where(defined, (known / unit - centre) ** 2, 0.0).sum(axis=0)
        return centre * unit, np.sqrt(squares / (count - 1)) * unit

"""Compute p-values from draws, and adjust them over layers. Pure arithmetic.

The observed value counts as one more draw of the null: p = (1 + #{as extreme}) / (1 + B), valid for every B (Davison
and Hinkley 1997, section 4.2; Phipson and Smyth 2010, https://doi.org/10.2202/1544-6115.1585). A draw with an undefined
statistic (NaN) counts as extreme.
"""

import numpy as np
from jaxtyping import Float

from todacomm.core.inference_types import Alternative

Draws = Float[np.ndarray, "B L"]  # B draws of the null on L layers
PerLayer = Float[np.ndarray, " L"]


def p_values(observed: PerLayer, null: Draws, alternative: Alternative) -> PerLayer:
    """The p-value of each layer; NaN where the observed value is undefined.

    ``greater`` counts draws at or above the observed value; ``two-sided`` doubles the smaller tail, at most 1. Ties
    count as extreme.
    """
    draws = len(null) + 1
    upper = (1 + (~(null < observed)).sum(axis=0)) / draws
    if alternative == "two-sided":
        lower = (1 + (~(null > observed)).sum(axis=0)) / draws
        upper = np.minimum(1.0, 2 * np.minimum(lower, upper))
    return np.where(np.isnan(observed), np.nan, upper)


def smallest(draws: int, alternative: Alternative) -> float:
    """The least attainable p-value of so many draws."""
    return min(1.0, (2 if alternative == "two-sided" else 1) / (draws + 1))


def adjusted(p: PerLayer) -> PerLayer:
    """Control the false discovery rate (Benjamini and Hochberg); NaN is skipped.

    Benjamini and Hochberg 1995, https://doi.org/10.1111/j.2517-6161.1995.tb02031.x; valid under the positive dependence
    of neighbouring layers (Benjamini and Yekutieli 2001, https://doi.org/10.1214/aos/1013699998).
    """
    from scipy.stats import false_discovery_control

    found, known = np.full(p.shape, np.nan), ~np.isnan(p)
    if known.any():
        found[known] = false_discovery_control(p[known])
    return found


def family_wise(observed: PerLayer, null: Draws, alternative: Alternative) -> PerLayer:
    """The p-value of each layer against the most extreme layer of each draw: controls the family-wise error rate.

    Draw b must be the same rotation (or shuffling) of all layers. Each layer is standardised by its B draws and the
    observed value together, so that the test is as exact as that of one layer; two-sided takes absolute values.
    Westfall and Young 1993, single step.
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
    """The p-value of each number against the largest of each draw; all in comparable units."""
    largest = np.where(np.isnan(null), np.inf, null).max(axis=1, keepdims=True)
    return p_values(observed, np.broadcast_to(largest, (len(null), observed.size)), "greater")


def standardised(values: Float[np.ndarray, "b L"]) -> Float[np.ndarray, "b L"]:
    """Standardise each column, ignoring NaN; a constant column becomes 0."""
    centre, spread = moments(values)
    return (values - centre) / np.where(spread > 0, spread, 1.0)


def moments(values: Float[np.ndarray, "b L"]) -> tuple[PerLayer, PerLayer]:
    """Mean and sample standard deviation of each column over defined values; NaN where there are too few."""
    defined = ~np.isnan(values)
    count, known = defined.sum(axis=0), np.where(defined, values, 0.0)
    unit = np.ldexp(1.0, np.frexp(np.abs(known[np.isfinite(known)]).max(initial=0.0))[1] - 1)  # squares of any size
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = (known / unit).sum(axis=0) / count
        squares = np.where(defined, (known / unit - centre) ** 2, 0.0).sum(axis=0)
        return centre * unit, np.sqrt(squares / (count - 1)) * unit

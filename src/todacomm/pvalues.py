"""Counts of draws to p-values, and p-values of many layers to ones that hold for all of them. Arithmetic, nothing else.

Everywhere the observed value counts as one more draw of the null: p = (1 + #{as extreme}) / (1 + B), which is valid for every
B (Davison and Hinkley 1997, section 4.2; Phipson and Smyth 2010, https://doi.org/10.2202/1544-6115.1585). A draw in which a
statistic is undefined (NaN) counts as extreme.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

from todacomm.claims import Alternative

Draws = Float[np.ndarray, "B L"]  # B draws of the null on L layers
PerLayer = Float[np.ndarray, " L"]

ALPHA = 0.05


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


def draws_needed(layers: int, alternative: Alternative, *, alpha: float = ALPHA) -> int:
    """The fewest draws with which one layer alone among so many can be at or below ``alpha`` after `adjusted`."""
    return math.ceil(layers * (2 if alternative == "two-sided" else 1) / alpha - 1 - 1e-9)


def adjusted(p: PerLayer) -> PerLayer:
    """Benjamini and Hochberg: below ``alpha`` a share of ``alpha`` is expected to be false. NaN takes no part and stays NaN.

    Benjamini and Hochberg 1995, https://doi.org/10.1111/j.2517-6161.1995.tb02031.x; holds under the positive dependence
    that neighbouring layers have (Benjamini and Yekutieli 2001, https://doi.org/10.1214/aos/1013699998).
    """
    found = np.full(p.shape, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known])[::-1]]
    ranks = np.arange(len(known), 0, -1)
    found[order] = np.minimum.accumulate(np.minimum(1.0, p[order] * len(known) / ranks))
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
        most = np.where(np.isnan(units[1:]), np.inf, units[1:]).max(axis=1, keepdims=True)
        counted = p_values(units[0], np.broadcast_to(most, (len(most), known.size)), "greater")
        found[known] = np.maximum(counted, p_values(observed[known], null[:, known], alternative))
    return found


def standardised(values: Float[np.ndarray, "b L"]) -> Float[np.ndarray, "b L"]:
    """Each column in units of its mean and standard deviation, NaN aside; a column without spread becomes 0."""
    centre, spread = moments(values)
    return (values - centre) / np.where(spread > 0, spread, 1.0)


def moments(values: Float[np.ndarray, "b L"]) -> tuple[PerLayer, PerLayer]:
    """Mean and sample standard deviation of each column over the numbers that are defined; NaN where there are too few."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = np.where(defined, values, 0.0).sum(axis=0) / count
        squares = np.where(defined, (values - centre) ** 2, 0.0).sum(axis=0)
        return centre, np.sqrt(squares / (count - 1))


def decidable(
    p: PerLayer, after: PerLayer, draws: int, alternative: Alternative, *, alpha: float = ALPHA
) -> Bool[np.ndarray, " L"]:
    """False where p is the least that so many draws can give and yet is above ``alpha`` once adjusted (``after``).

    Such a layer is beyond every draw of its null, and more draws might well bring it below.
    """
    at_the_floor = p <= smallest(draws, alternative) * (1 + 1e-9)
    return ~(at_the_floor & (after > alpha))


def undecided(draws: int, layers: int, alternative: Alternative, *, alpha: float = ALPHA) -> str:
    """What to say of a test that is not `decidable`."""
    enough = draws_needed(layers, alternative, alpha=alpha)
    return f"beyond all draws, yet not decidable with {draws}; {enough} would be enough for {layers} layers"

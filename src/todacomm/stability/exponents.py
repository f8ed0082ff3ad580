"""Finite-time Lyapunov exponents from how far copies have spread: raw, renormalised, and along the steps.

All exponents are rates a step: a distance that is multiplied by e in n steps has the exponent 1/n.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.stats import t as student

SATURATED = 0.1  # of the weight norm: beyond it, copies are no longer close to each other
DROPPED = 0.2  # of the steps, in which differences turn to where they grow most
LEVEL = 0.95
IDENTICAL = "the copies are identical: they are at distance 0 at every step"
LOST = "no copy has finite weights to the end"
TOO_SHORT = "no whole window lies after the first fifth of the steps"


@dataclass(frozen=True, slots=True)
class Exponent:
    """A finite-time Lyapunov exponent, a step: the median over copies, each copy's own, and an interval.

    Attributes
    ----------
    value : float or None
        The median over copies; None where there is none, for the ``reason`` given.
    copies : tuple of float or None
        That of each copy.
    low, high : float or None
        Interval of 95 % for the mean over copies, by Student's t; None for fewer than two copies.
    reason : str
        Why there is no value; empty otherwise.

    """

    value: float | None
    copies: tuple[float | None, ...] = ()
    low: float | None = None
    high: float | None = None
    reason: str = ""


def raw_exponent(first: Float64[np.ndarray, " k"], last: Float64[np.ndarray, " k"], steps: int) -> Exponent:
    """ln(last / first) / steps of each copy, never rescaled.

    For a perturbation in a random direction of N weights it is too low by about ln(N) / (2 steps), as only 1/N of
    the first difference lies where it grows most.
    """
    if not np.any(first > 0) and not np.any(last > 0):
        return Exponent(None, (None,) * len(first), reason=IDENTICAL)
    fits = np.isfinite(first) & np.isfinite(last) & (first > 0) & (last > 0)
    ratio = np.divide(last, first, out=np.ones(len(first)), where=fits)
    return over_copies(np.where(fits, np.log(ratio) / steps, np.nan))


def renormalised_exponent(
    growths: Float64[np.ndarray, "W k"], lengths: Int64[np.ndarray, " W"], *, dropped: float = DROPPED
) -> Exponent:
    """The mean growth a step of each copy over the windows after the first ``dropped`` share of the steps."""
    kept = kept_windows(lengths, dropped)
    if not kept.any():
        return Exponent(None, reason=TOO_SHORT)
    if np.isnan(growths).all():
        return Exponent(None, (None,) * growths.shape[1], reason=IDENTICAL)
    return over_copies(growths[kept].sum(axis=0) / lengths[kept].sum())


def kept_windows(lengths: Int64[np.ndarray, " W"], dropped: float = DROPPED) -> Bool[np.ndarray, " W"]:
    """Which windows begin after the first ``dropped`` share of the steps."""
    ends = np.cumsum(lengths)
    return (ends - lengths) >= dropped * ends[-1] if len(ends) else np.zeros(0, dtype=bool)


def over_copies(each: Float64[np.ndarray, " k"]) -> Exponent:
    """The median over copies that have an exponent, with an interval of their mean."""
    known = each[np.isfinite(each)]
    copies = tuple(float(x) if np.isfinite(x) else None for x in each)
    if not len(known):
        return Exponent(None, copies, reason=LOST)
    low, high = interval_of(known)
    return Exponent(float(np.median(known)), copies, low, high)


def interval_of(values: Float64[np.ndarray, " k"]) -> tuple[float | None, float | None]:
    """Student's interval of the mean at 95 %; None for fewer than two values."""
    if len(values) < 2:
        return None, None
    reach = float(student.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    middle = float(values.mean())
    return middle - reach, middle + reach


def local_exponents(
    growths: Float64[np.ndarray, "W k"], lengths: Int64[np.ndarray, " W"]
) -> Float64[np.ndarray, "W k"]:
    """The exponent of each window alone, a step."""
    return growths / lengths[:, None]


def cumulated_exponents(
    growths: Float64[np.ndarray, "W k"], lengths: Int64[np.ndarray, " W"], *, dropped: float = DROPPED
) -> Float64[np.ndarray, "W k"]:
    """The renormalised exponent as it would be had the run ended with each window; NaN in those that are dropped."""
    kept = kept_windows(lengths, dropped)
    found = np.full(growths.shape, np.nan)
    found[kept] = np.cumsum(growths[kept], axis=0) / np.cumsum(lengths[kept])[:, None]
    return found


def spread(distances: Float64[np.ndarray, "V k"]) -> Float64[np.ndarray, " V"]:
    """The mean distance of the copies from the unperturbed one; NaN where none is finite."""
    fits = np.isfinite(distances)
    total = np.where(fits, distances, 0.0).sum(axis=1)
    return np.divide(total, fits.sum(axis=1), out=np.full(len(distances), np.nan), where=fits.any(axis=1))


def saturated_at(
    spreads: Float64[np.ndarray, " V"], norms: Float64[np.ndarray, " V"], steps: Int64[np.ndarray, " V"]
) -> int | None:
    """The first step at which the spread exceeds a tenth of the weight norm; None where it never does."""
    over = np.flatnonzero(spreads > SATURATED * norms)
    return int(steps[over[0]]) if len(over) else None


def missing_for_random_start(parameters: int, steps: int) -> float:
    """How much the raw exponent is too low, a step, for a random perturbation of so many weights: ln(N) / (2T)."""
    return float(np.log(parameters) / (2 * steps))


def flat_range(epsilons: Sequence[float], values: Sequence[float | None], at: int, slack: float) -> tuple[int, int]:
    """The first and the last of the epsilons, ascending and next to the one ``at``, whose exponents are as that one's.

    Within ``slack`` is as; an unknown exponent ends the range.
    """
    middle = values[at]

    def alike(i: int) -> bool:
        value = values[i]
        return middle is not None and value is not None and abs(value - middle) <= slack

    low = high = at
    while low > 0 and alike(low - 1):
        low -= 1
    while high < len(epsilons) - 1 and alike(high + 1):
        high += 1
    return low, high

"""Compare two series along a run: when one begins to rise, which moves first, how they correlate. Pure.

Neighbouring checkpoints are alike, so every interval comes from blocks of them: of residuals or of steps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

Series = Float[np.ndarray, " T"]
DRAWS = 400
LEVEL = 0.95
FEWEST = 8  # checkpoints to say anything from
LEAST_CORRELATION, BY_CHANCE = (
    0.3,
    4.0,
)  # of a lag; independent noise reaches 3.4 to 4.2 over √T at the best shift in 1 of 100 runs
RECENT, GAIN, STEADY = 10, 0.02, 0.7  # checkpoints, rise of a share, and rank correlation with time of what still rises


@dataclass(frozen=True, slots=True)
class Onset:
    """The step at which a series leaves its level, with a 95 % interval from blocks of residuals."""

    step: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How many steps the changes of a series lag behind those of another (negative: lead), and the correlations.

    With a 95 % interval from blocks of residuals.
    """

    steps: int
    correlation: float
    at_zero: float
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Rank:
    """Spearman's correlation over ``points`` checkpoints, with a 95 % interval from resampled blocks."""

    rho: float
    low: float
    high: float
    points: int


def block_length(count: int) -> int:
    """Block length: n^(1/3) is the rate of Künsch 1989; at least three."""
    return max(3, math.ceil(count ** (1 / 3)))


def blocks(rng: np.random.Generator, count: int) -> Int[np.ndarray, " count"]:
    """Resample indices 0 … count − 1 in moving blocks. Künsch 1989, https://doi.org/10.1214/aos/1176347265"""
    length = min(block_length(count), count)
    starts = rng.integers(0, count - length + 1, size=math.ceil(count / length))
    return (starts[:, None] + np.arange(length)).ravel()[:count]


def rank_correlation(x: Series, y: Series, *, seed: int = 0) -> Rank | None:
    """Spearman's correlation of two series; None for fewer than eight defined pairs or a constant series."""
    from scipy.stats import rankdata

    both = np.isfinite(x) & np.isfinite(y)
    a, b = x[both], y[both]
    if len(a) < FEWEST or not (np.ptp(a) and np.ptp(b)):
        return None
    rng = np.random.default_rng(seed)
    drawn = np.stack([blocks(rng, len(a)) for _ in range(DRAWS)])
    whole = float(pearson(rankdata(a), rankdata(b)))
    found = pearson(rankdata(a[drawn], axis=1), rankdata(b[drawn], axis=1))
    low, high = np.nanquantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Rank(whole, min(float(low), whole), max(float(high), whole), len(a))


def pearson(a: Float[np.ndarray, "*draws T"], b: Float[np.ndarray, "*draws T"]) -> Float[np.ndarray, "*draws"]:
    """Pearson's correlation along the last axis; NaN for a constant series."""
    x, y = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    scale = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    return np.divide((x * y).sum(axis=-1), scale, out=np.full(np.shape(scale), np.nan), where=scale > 0)


def lag_of(steps: Sequence[int], follower: Series, leader: Series, *, seed: int = 0) -> Lag | None:
    """The lag at which changes of ``follower`` and ``leader`` correlate most, over shifts that leave eight in common.

    Medians of three checkpoints are compared, so that a single dip decides nothing. None where no correlation reaches
    0.3 and 4 / √T, which independent noise seldom reaches at its best shift.
    """
    if len(steps) < FEWEST + 2 or not (np.isfinite(follower).all() and np.isfinite(leader).all()):
        return None
    found = correlations(follower, leader)
    if found is None:
        return None
    best, highest, at_zero = found
    if highest < max(LEAST_CORRELATION, BY_CHANCE / math.sqrt(len(steps))):
        return None
    rng, interval = np.random.default_rng(seed), float(np.median(np.diff(steps)))
    drawn = (correlations(redrawn(follower, rng), redrawn(leader, rng)) for _ in range(DRAWS // 2))
    shifts = [one[0] for one in drawn if one is not None] or [best]
    low, high = np.quantile([*shifts, best], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
    ends = (min(int(low), best), max(int(high), best))
    return Lag(round(best * interval), highest, at_zero, *(round(end * interval) for end in ends))


def correlations(follower: Series, leader: Series) -> tuple[int, float, float] | None:
    """The shift in checkpoints of the largest correlation, and the correlations there and at 0; None for a constant."""
    a, b = np.diff(running_median(follower, 3)), np.diff(running_median(leader, 3))
    if not (np.ptp(a) and np.ptp(b)):
        return None
    n = len(a)
    found = np.correlate((a - a.mean()) / a.std(), (b - b.mean()) / b.std(), "full") / n
    shifts = np.arange(1 - n, n)
    within = np.abs(shifts) <= n - FEWEST
    found, shifts = found[within], shifts[within]
    best = int(np.lexsort((np.abs(shifts), -found))[0])
    return int(shifts[best]), float(found[best]), float(found[shifts == 0][0])


def running_median(values: Series, width: int) -> Series:
    """The running median of ``width`` values, padded with the end values."""
    padded = np.pad(values, width // 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))


def redrawn(values: Series, rng: np.random.Generator) -> Series:
    """Resample a series: its running median of five plus its residuals in blocks."""
    level = running_median(values, 5)
    return np.asarray(level + (values - level)[blocks(rng, len(values))])


def steady_rise(values: Series) -> bool:
    """Whether a share rises over its last ten values or last fifth: by 0.02 or more, with ρ ≥ 0.7 to time."""
    return any(_rises(values[-count:]) for count in (RECENT, len(values) // 5) if count >= RECENT)


def _rises(values: Series) -> bool:
    from scipy.stats import rankdata

    if len(values) < FEWEST or not np.ptp(values):
        return False
    third = len(values) // 3
    gain = float(np.median(values[-third:]) - np.median(values[:third]))
    finest = float(np.diff(np.unique(values)).min())  # of few test inputs one answer more is no rise
    return (
        gain >= max(GAIN, min(2 * finest, 5 * GAIN))
        and float(pearson(rankdata(values), np.arange(len(values)))) >= STEADY
    )


def onset_of(steps: Sequence[int], values: Series, begin: int = 0, *, seed: int = 0) -> Onset | None:
    """Find when a series, level from the checkpoint ``begin`` on, starts to rise towards its highest.

    Least squares fit a level joined to a line, up to the first checkpoint that reaches nine tenths of the way to the
    top. None where there is no rise or too little before it.
    """
    y = values[begin:]
    x = np.asarray(steps[begin:], dtype=np.float64)
    if len(y) < FEWEST or not np.isfinite(y).all():
        return None
    top = int(np.argmax(y >= y[:3].mean() + 0.9 * (y.max() - y[:3].mean())))
    if top < 4:
        return None
    x, y = x[: top + 1], y[: top + 1]
    place, fitted = hinge(x, y)
    rng = np.random.default_rng(seed)
    residuals = y - fitted
    found = [hinge(x, fitted + residuals[blocks(rng, len(y))])[0] for _ in range(DRAWS // 2)]
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
    return Onset(int(x[place]), int(x[min(place, int(low))]), int(x[max(place, int(high))]))


def hinge(x: Series, y: Series) -> tuple[int, Series]:
    """The index of the knee of the best continuous level and line, and the fit."""
    bends = np.maximum(0.0, x[None, :] - x[:-1, None])  # one row for each knee
    centred, level = bends - bends.mean(axis=1, keepdims=True), y.mean()
    slopes = centred @ (y - level) / np.einsum("ij,ij->i", centred, centred)
    residual = (y - level) - slopes[:, None] * centred
    best = int(np.einsum("ij,ij->i", residual, residual).argmin())
    return best, y - residual[best]

"""Compare two series along a run: when one begins to rise, which moves first, how they correlate. Pure.

Neighbouring checkpoints are alike, so every interval comes from blocks of them: of residuals or of steps. The onset of
a change in a short series, which has no blocks, comes from the fits that are nearly as good as the best
(`change_of`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from todacomm.core.inference_types import at_most_alpha

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


# The onset of a change in a short series

FEWEST_OF_A_CHANGE = 6  # checkpoints: level, onset, end and size of a change leave two degrees of freedom
FITTED = 4
SURPLUS = 5  # p-values are of the F test times the checkpoints but for these: see benchmarks/onsets.py
MOST_PLACES = 160  # at which a change may begin; of few checkpoints several between two of them
BETWEEN = 4
BEYOND = (1.25, 1.5)  # where a change ends that goes on after the last checkpoint, in lengths of the series
MOST_ALIKE = 0.8  # correlation of neighbouring residuals
SPAN_OF_LOGS = 50.0  # the factor that positive values span whose logarithms are tried as well
WAYS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (  # from one level to the other, as a share of the time
    lambda share: share,  # evenly; between two checkpoints: at once
    lambda share: 0.5 - 0.5 * np.cos(np.pi * share),  # slowly first
    lambda share: 1 - (1 - share) ** 2,  # fast first
)


@dataclass(frozen=True, slots=True)
class Change:
    """The step at which a series begins to leave its level for another, with an interval, and the p-value of a change.

    The change begins after the checkpoint ``low`` and by the checkpoint ``high``; ``step`` is the best guess,
    ``before`` and ``after`` the levels that were fitted. ``p`` is of no change, over all onsets tried.
    """

    step: int
    low: int
    high: int
    before: float
    after: float
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """The best fit of a change that begins at each of some places: its residual sum of squares, and its residuals."""

    places: Float[np.ndarray, " o"]
    squares: Float[np.ndarray, " o"]
    residuals: Float[np.ndarray, "o T"]
    total: float

    @property
    def best(self) -> int:
        """Which place fits best."""
        return int(self.squares.argmin())

    @property
    def least(self) -> float:
        """The residual sum of squares there; not below rounding."""
        return max(float(self.squares.min()), 1e-12 * self.total)


def change_of(steps: Sequence[int], values: Series, *, level: float = LEVEL) -> Change | None:
    """When a series begins to move from one level to another: at once or over some checkpoints, up or down.

    A level, a way to a second level (even, slow or fast at first) and that level are fitted by least squares, over
    the order of the checkpoints, so that steps may be spaced evenly or by their logarithms; of positive values
    that span a factor of more than 50 the logarithms are tried as well. The interval holds the onsets whose fit is not
    worse than the best by the F test, widened by the correlation of neighbouring residuals. It ends at checkpoints, and
    begins at the last one before the earliest such onset: right after an onset a checkpoint may show nothing of it yet.
    Six to forty checkpoints were simulated (benchmarks/onsets.py). None for fewer than six defined values, and where a
    constant does as well: p above 0.05, of the F test of the best onset times the number of onsets tried.
    """
    from scipy.special import fdtrc, fdtri

    known = np.flatnonzero(np.isfinite(values))
    if len(known) < FEWEST_OF_A_CHANGE or not np.ptp(values[known]):
        return None
    there, freedom = np.asarray(steps, dtype=np.float64)[known], len(known) - FITTED
    scales = [values[known], *([np.log(values[known])] if spans_factors(values[known]) else [])]
    found = [changes(y) for y in scales]
    fits = max(found, key=lambda one: one.total / one.least)
    logs, wider = fits is not found[0], widened(fits.residuals[fits.best])
    y = scales[int(logs)]
    ratio = (fits.total - fits.least) / (FITTED - 1) / (fits.least / freedom) / wider
    p = min(1.0, (len(y) - SURPLUS) * float(fdtrc(FITTED - 1, freedom, ratio)))
    if not at_most_alpha(p):
        return None
    reach = float(fdtri(1, freedom, level)) * wider / freedom
    alike = fits.places[fits.squares <= fits.least * (1 + reach)]
    low, high = max(0, int(np.ceil(alike.min())) - 1), int(np.floor(alike.max())) + 1
    onset = float(np.interp(fits.places[fits.best], np.arange(len(y)), there))
    before, after = ends_of(y - fits.residuals[fits.best], logs=logs)
    return Change(round(onset), int(there[low]), int(there[high]), before, after, p)


def ends_of(fitted: Series, *, logs: bool) -> tuple[float, float]:
    """The levels at both ends of a fit, in the unit of the values."""
    before, after = (float(end) for end in (np.exp(fitted) if logs else fitted)[[0, -1]])
    return before, after


def spans_factors(values: Series) -> bool:
    """Whether values are positive and span a factor of more than 50."""
    return bool(values.min() > 0 and values.max() / values.min() > SPAN_OF_LOGS)


def changes(y: Series) -> Fits:
    """The best change that begins at each place from the first checkpoint to before the last one."""
    between = max(1, min(BETWEEN, MOST_PLACES // len(y)))
    grid = np.arange((len(y) - 1) * between + 1) / between
    ends = np.concatenate([grid[1:], np.array(BEYOND) * (len(y) - 1)])
    centred = y - y.mean()
    found = [_best_way(centred, begin, ends[ends > begin]) for begin in grid[:-1]]
    residuals = np.stack(found)
    return Fits(grid[:-1], np.einsum("oT,oT->o", residuals, residuals), residuals, float(centred @ centred))


def _best_way(centred: Series, begin: float, ends: Float[np.ndarray, " e"]) -> Series:
    """The residuals of the best change that begins there, over its ends and ways."""
    share = np.clip((np.arange(len(centred)) - begin) / (ends[:, None] - begin), 0, 1)
    ways = np.concatenate([way(share) for way in WAYS])
    ways -= ways.mean(axis=1, keepdims=True)
    norms = np.einsum("wT,wT->w", ways, ways)
    sizes = np.divide(ways @ centred, norms, out=np.zeros_like(norms), where=norms > 0)
    best = int((sizes**2 * norms).argmax())
    return np.asarray(centred - sizes[best] * ways[best])


def widened(residuals: Series) -> float:
    """By how much the correlation of neighbouring residuals widens an interval: (1 + r) / (1 - r), r from 0 to 0.8."""
    squares = float(residuals @ residuals)
    alike = float(residuals[1:] @ residuals[:-1]) / squares if squares else 0.0
    bounded = min(max(alike + 1.5 / len(residuals), 0.0), MOST_ALIKE)
    return (1 + bounded) / (1 - bounded)


# The onset of a rise in a long series


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

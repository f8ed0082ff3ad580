"""Which bars are loops: those long among the bars of their cloud and long for their birth, both more than in Gaussian noise.

The longest bar alone answers "not Gaussian": spheres have longer bars throughout. The longest over the usual lifetime does not see
spheres, but heavy tails and clusters, which shorten the usual one; death over birth is not moved by these, but by spheres of few
dimensions and cubes. A loop moves both: a bar has the larger of its two p-values (an intersection–union test, Berger 1982,
https://doi.org/10.1080/00401706.1982.10487790), which errs no more often than either. docs/decisions/014 has the simulations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from todacomm import pvalues
from todacomm.claims import NullTest
from todacomm.errors import InvalidInput
from todacomm.metrics import lifetimes, usual_lifetime
from todacomm.types import Bars

LOOP, PROMINENCE, RATIO = "H1_loop", "H1_prominence", "H1_death_birth_ratio"

PerDraw = Float[np.ndarray, " B"]


def bar_p_values(bars: Bars, prominences: PerDraw, ratios: PerDraw) -> Float[np.ndarray, " m"]:
    """The p-value of each H1 bar against the most extreme bar of each draw of the null, so that it holds for all bars at once.

    ``prominences`` and ``ratios`` are the draws of ``H1_prominence`` and ``H1_death_birth_ratio`` of the same layer; a ratio is NaN
    for a draw without bars, which has no loop.
    """
    if len(prominences) != len(ratios) or not len(ratios):
        raise InvalidInput(
            f"{len(prominences)} prominences and {len(ratios)} death/birth ratios of a null; expected one of each a draw"
        )
    if not len(bars):
        return np.empty(0)
    among = of_all(lifetimes(bars) / usual_lifetime(bars), prominences)
    return np.maximum(among, of_all(bars[:, 1] / bars[:, 0], np.nan_to_num(ratios, nan=1.0)))


def of_all(numbers: Float[np.ndarray, " m"], null: PerDraw) -> Float[np.ndarray, " m"]:
    """The p-value of each number against the same draws."""
    return pvalues.p_values(numbers, np.broadcast_to(null[:, None], (len(null), len(numbers))), "greater")


def significant_bars(
    bars: Bars, prominences: PerDraw, ratios: PerDraw, *, alpha: float = pvalues.ALPHA
) -> Bool[np.ndarray, " m"]:
    """Which bars are signal: of Gaussian clouds, a share of ``alpha`` at most has any such bar."""
    return bar_p_values(bars, prominences, ratios) <= alpha


def loop_tests(
    bars: Sequence[Bars],
    tests: Sequence[Mapping[str, NullTest]],
    prominences: pvalues.Draws,
    ratios: pvalues.Draws,
    *,
    reasons: Sequence[str] = (),
    alpha: float = pvalues.ALPHA,
) -> tuple[NullTest, ...]:
    """Is there a loop? One test ``H1_loop`` a layer, with the p-value of its most significant H1 bar, 1 where it has no bar.

    At or below ``alpha`` exactly where a bar is signal. ``tests`` are those of `todacomm.nulls.null_tests` of the same layers,
    ``prominences`` and ``ratios`` their draws, (B, L), ``reasons`` why a layer has no null. What it shows is the prominence.
    """
    why = reasons or [""] * len(tests)
    given = zip(bars, prominences.T, ratios.T, why, strict=True)
    p = np.array([np.nan if reason else bar_p_values(b, x, y).min(initial=1.0) for b, x, y, reason in given])
    after = pvalues.adjusted(p)
    decided = pvalues.decidable(p, after, len(prominences), "greater", alpha=alpha)
    open_question = pvalues.undecided(len(prominences), int((~np.isnan(p)).sum()), "greater", alpha=alpha)
    return tuple(
        replace(test[PROMINENCE], metric=LOOP)
        if why[i]
        else replace(
            test[PROMINENCE],
            metric=LOOP,
            p=float(p[i]),
            adjusted=float(after[i]),
            family_wise=over_layers(test, float(p[i])),
            decidable=bool(decided[i]),
            note="" if decided[i] else open_question,
        )
        for i, test in enumerate(tests)
    )


def over_layers(test: Mapping[str, NullTest], p: float) -> float:
    """The family-wise p-value of a loop: the largest of those of its two statistics and its own p."""
    found = (test[name].family_wise for name in (PROMINENCE, RATIO))
    return max(p, *(1.0 if value is None else value for value in found))

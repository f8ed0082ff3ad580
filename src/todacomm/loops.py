"""Which bars are loops: those that are long for their birth, and longer for it than the bars of their cloud, more than in Gaussian noise.

The longest bar alone answers "not Gaussian": spheres have longer bars throughout. Death over birth is not moved by clusters and
heavy tails, but by spheres of few dimensions and cubes, all of whose bars are long for their birth; prominence, death over birth
against that of the upper tenth of the bars, is not moved by these, but by heavy tails and clusters. A loop moves both. A bar scores the lesser of the two, each in
standard deviations of the draws of the null; the score of a cloud is that of its best bar, and is held against those of the draws:
an exact test, as any number of a cloud gives against rotations of it. docs/decisions/014 has the simulations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from todacomm import pvalues
from todacomm.claims import NullTest
from todacomm.errors import InvalidInput
from todacomm.metrics import log_ratios, usual_log_ratio
from todacomm.types import Bars

LOOP, PROMINENCE, RATIO = "H1_loop", "H1_prominence", "H1_death_birth_ratio"

PerDraw = Float[np.ndarray, " B"]


def scores(
    bars: Bars, prominences: PerDraw, ratios: PerDraw
) -> tuple[Float[np.ndarray, " m_and_1"], Float[np.ndarray, " B"]]:
    """The score of no bar at all and of each H1 bar, and that of the best bar of each draw of the null.

    ``prominences`` and ``ratios`` are the draws of ``H1_prominence`` and ``H1_death_birth_ratio`` of the same layer; a ratio is NaN
    for a draw without bars. One bar is the first of a cloud in both, so that both numbers of the best bar are the largest. The
    units are mean and deviation of the draws *and* the cloud together, which leaves them exchangeable.
    """
    if len(prominences) != len(ratios) or not len(ratios):
        raise InvalidInput(
            f"{len(prominences)} prominences and {len(ratios)} death/birth ratios of a null; expected one of each a draw"
        )
    logs = np.append(0.0, log_ratios(bars))
    of_bars = np.column_stack([logs / usual_log_ratio(bars), logs])
    of_draws = np.column_stack([prominences, np.log(np.nan_to_num(ratios, nan=1.0))])
    centre, spread = pvalues.moments(np.vstack([of_bars.max(axis=0), of_draws]))
    units = np.where(spread > 0, spread, 1.0)
    return ((of_bars - centre) / units).min(axis=1), ((of_draws - centre) / units).min(axis=1)


def bar_p_values(bars: Bars, prominences: PerDraw, ratios: PerDraw) -> Float[np.ndarray, " m"]:
    """The p-value of each H1 bar against the best bar of each draw of the null, so that it holds for all bars at once."""
    of_bars, of_draws = scores(bars, prominences, ratios)
    return pvalues.p_values(of_bars[1:], np.broadcast_to(of_draws[:, None], (len(of_draws), len(bars))), "greater")


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
    scored = [scores(*given) for given in zip(bars, prominences.T, ratios.T, strict=True)]
    observed = np.array([np.nan if reason else own.max() for (own, _), reason in zip(scored, why, strict=True)])
    drawn = np.column_stack([of_draws for _, of_draws in scored])
    p, most = pvalues.p_values(observed, drawn, "greater"), pvalues.family_wise(observed, drawn, "greater")
    after = pvalues.adjusted(p)
    decided = pvalues.decidable(p, after, len(drawn), "greater", alpha=alpha)
    open_question = pvalues.undecided(len(drawn), int((~np.isnan(p)).sum()), "greater", alpha=alpha)
    return tuple(
        replace(test[PROMINENCE], metric=LOOP)
        if why[i]
        else replace(
            test[PROMINENCE],
            metric=LOOP,
            p=float(p[i]),
            adjusted=float(after[i]),
            family_wise=float(most[i]),
            decidable=bool(decided[i]),
            note="" if decided[i] else open_question,
        )
        for i, test in enumerate(tests)
    )

"""Test for loops: is the most prominent H1 bar larger than under the Gaussian null of its layer and of its group?

A bar has two statistics: death / birth, and prominence, the same relative to the upper tenth of the bars. Spheres of
low dimension and cubes have bars of large death / birth throughout, heavy tails and clusters a large prominence; a loop
has both. A bar scores the smaller of the two, each in standard deviations of the null's draws; a cloud scores as its
best bar, which is compared with those of the draws: an exact test, as for any statistic of a cloud and its rotations.

A group of points that is tighter and of lower dimension than its cloud has bars of larger death / birth than the whole
cloud would have, without a loop. So a bar that stands out of its layer is also tested against its group, the connected
component in which it lives: against rotations of it, and against evenly filled rotations
(`todacomm.statistics.loop_test_in_groups`). docs/decisions/014 and 030 have the simulations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from todacomm.core.errors import InvalidInput
from todacomm.core.inference_types import LoopBar, NullTest, at_most_alpha
from todacomm.core.types import Bars
from todacomm.homology.metrics import log_ratios, usual_log_ratio
from todacomm.statistics import pvalues

LOOP, CENTROID_LOOP = "H1_loop", "H1_loop_centroids"
PROMINENCE, RATIO = "H1_prominence", "H1_death_birth_ratio"

PerDraw = Float[np.ndarray, " B"]
PerBar = Float[np.ndarray, " m"]


def scores(
    bars: Bars, prominences: PerDraw, ratios: PerDraw
) -> tuple[Float[np.ndarray, " m_and_1"], Float[np.ndarray, " B"]]:
    """The scores of no bar and of each H1 bar, and of the best bar of each draw of the null.

    ``prominences`` and ``ratios`` are the draws of ``H1_prominence`` and ``H1_death_birth_ratio`` of the same layer; a
    ratio is NaN for a draw without bars. The best bar of a cloud has the largest of both. Units are mean and
    deviation of draws *and* cloud together, which leaves them exchangeable.
    """
    if len(prominences) != len(ratios) or not len(ratios):
        raise InvalidInput(
            f"{len(prominences)} prominences and {len(ratios)} death/birth ratios of a null; expected one of each a "
            "draw"
        )
    logs = np.append(0.0, log_ratios(bars))
    of_bars = np.column_stack([logs / usual_log_ratio(bars), logs])
    of_draws = np.column_stack([prominences, np.log(np.nan_to_num(ratios, nan=1.0))])
    centre, spread = pvalues.moments(np.vstack([of_bars.max(axis=0), of_draws]))
    units = np.where(spread > 0, spread, 1.0)
    return ((of_bars - centre) / units).min(axis=1), ((of_draws - centre) / units).min(axis=1)


def bar_p_values(bars: Bars, prominences: PerDraw, ratios: PerDraw) -> PerBar:
    """The p-value of each H1 bar against the best bar of each draw, so that it holds for all bars at once."""
    of_bars, of_draws = scores(bars, prominences, ratios)
    return pvalues.against_all(of_bars[1:], of_draws[:, None])


# Against the layers


@dataclass(frozen=True, slots=True, eq=False)
class LayerTest:
    """The bars of one layer, tested against the rotations of all layers.

    ``p`` and ``family_wise`` of no bar, then of each bar: against the best bar of each draw of its layer, and of all
    layers.
    """

    p: Float[np.ndarray, " m_and_1"]
    family_wise: Float[np.ndarray, " m_and_1"]

    def standing_out(self) -> list[int]:
        """The bars with a family-wise p-value of at most 0.05, most extreme first."""
        order = np.argsort(self.family_wise[1:], kind="stable").tolist()
        return [i for i in order if at_most_alpha(float(self.family_wise[1:][i]))]


def against_layers(
    bars: Sequence[Bars], prominences: pvalues.Draws, ratios: pvalues.Draws, reasons: Sequence[str]
) -> list[LayerTest | None]:
    """Test every bar of every layer against the draws (B, L) of the null; None for a layer without a null.

    The p-value over layers is that of `todacomm.statistics.pvalues.family_wise`, for each bar.
    """
    with_null = [i for i, reason in enumerate(reasons) if not reason]
    scored = {i: scores(bars[i], prominences[:, i], ratios[:, i]) for i in with_null}
    units = {i: in_units(*scored[i]) for i in with_null}
    if not units:
        return [None] * len(reasons)
    drawn = np.column_stack([of_draws for _, of_draws in units.values()])
    found: list[LayerTest | None] = [None] * len(reasons)
    for i, (of_bars, of_draws) in units.items():
        alone = pvalues.against_all(of_bars, of_draws[:, None])
        found[i] = LayerTest(alone, np.maximum(alone, pvalues.against_all(of_bars, drawn)))
    return found


def in_units(of_bars: PerBar, of_draws: PerDraw) -> tuple[PerBar, PerDraw]:
    """Standardise scores by the best bars of the cloud and of each draw together."""
    centre, spread = pvalues.moments(np.append(of_bars.max(), of_draws)[:, None])
    unit = float(spread[0]) if spread[0] > 0 else 1.0
    return (of_bars - centre) / unit, (of_draws - centre) / unit


# The verdict


def loop_tests(
    name: str,
    layers: Sequence[LayerTest | None],
    tests: Sequence[NullTest],
    loops: Sequence[Sequence[LoopBar]],
) -> tuple[NullTest, ...]:
    """Test ``name`` for each layer: at most 0.05 exactly where one of its ``loops`` is found.

    ``tests`` are those of the prominence on the same layers, whose effect is shown; ``loops`` the candidates of each
    layer, tested within their groups.
    """
    p = np.array([np.nan if one is None else alone(one, bars) for one, bars in zip(layers, loops, strict=True)])
    after = pvalues.adjusted(p)
    over_layers = [None if one is None else over_all(one, bars) for one, bars in zip(layers, loops, strict=True)]
    return tuple(
        replace(test, metric=name, layers=int((~np.isnan(p)).sum()))
        if over_layers[i] is None
        else replace(
            test,
            metric=name,
            p=float(p[i]),
            adjusted=float(after[i]),
            family_wise=over_layers[i],
            layers=int((~np.isnan(p)).sum()),
            note=note_of(loops[i]),
        )
        for i, test in enumerate(tests)
    )


def over_all(layer: LayerTest, loops: Sequence[LoopBar]) -> float:
    """The p-value of the best bar of a layer over all layers and groups."""
    return min((bar.p for bar in loops), default=float(layer.family_wise.min()))


def alone(layer: LayerTest, loops: Sequence[LoopBar]) -> float:
    """The p-value of the best bar of a layer over its own groups, at least that of its layer alone."""
    own = len({bar.group for bar in loops if bar.draws})
    of_groups = min((bar.p_group * own / bar.groups if bar.draws else 0.0 for bar in loops), default=0.0)
    return max(float(layer.p.min()), of_groups)


def note_of(loops: Sequence[LoopBar]) -> str:
    """Say that bars stand out of the layer but not of their group."""
    if not loops or any(bar.found for bar in loops):
        return ""
    best = min(loops, key=lambda bar: bar.p)
    return (
        f"{len(loops)} {'bar stands' if len(loops) == 1 else 'bars stand'} out of Gaussian clouds of the layer, none "
        "out of Gaussian and evenly filled clouds of the group of points that it lies in "
        f"(the best: {len(best.group)} points, p {best.p_group:.2g})"
    )

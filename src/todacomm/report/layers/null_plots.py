"""The figure of what a null model would give: each number of the layers against its draws."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from todacomm.core.types import Profile
from todacomm.report.document import style
from todacomm.report.document.figure_parts import (
    Look,
    draw_along,
    draw_band,
    explain,
    figure,
    frame_values,
    label_layers,
    legend_lines,
    panel_grid,
    within,
)
from todacomm.report.layers.series import (
    SPREADS,
    Along,
    defined_only,
    interval_ends,
    loops_of,
    null_band,
    places,
    tests_of,
)
from todacomm.report.words import phrases
from todacomm.statistics.loop_test import LOOP, PROMINENCE

NOTHING = np.empty(0)
PANELS = {
    phrases.H0_TOTAL: (0, "H0 total persistence"),
    phrases.H1_TOTAL: (1, "H1 total persistence"),
    "H1_max_lifetime": (1, "longest H1 bar"),
    PROMINENCE: (1, "H1 prominence (loops)"),
}


@figure(
    "against_noise",
    title="Against noise",
    caption="Each number with its interval, and in grey what Gaussian clouds with exactly the covariance of the layer give (mean and two standard deviations "
    "of the draws). A star marks a layer that differs (family-wise p ≤ 0.05 over the layers). The last panel tells of loops: there a star is a loop, and the numbers beside it are how many points are around it, and in its group.",
    of_one_cloud=True,
    of_a_null=True,
)
def against_noise(profile: Profile) -> Figure:
    """Four numbers along the layers over the band of the Gaussian null."""
    shown = {name: look for name, look in PANELS.items() if name in profile.names}
    columns = 2 if len(shown) > 1 else 1
    drawn, panels = panel_grid(profile, -(-len(shown) // columns), columns, height=2.1)
    for axes, (name, (dimension, label)) in zip(panels.flat, shown.items(), strict=False):
        draw_against(axes, profile, name, Look(style.HOMOLOGY[dimension]))
        unit = "" if name == PROMINENCE else f"\n({style.distance_unit(profile)})"
        axes.set_ylabel(f"{label}{unit}")
        label_layers(axes, profile, most=14)
    explain(drawn, [null_line(profile), *legend_lines(profile)])
    return drawn


def draw_against(
    axes: Axes,
    profile: Profile,
    name: str,
    look: Look,
    *,
    band: bool = True,
    null: bool = True,
    beside: Along = NOTHING,
) -> None:
    """One number, its intervals, the band of the null and the stars, on an axis that holds the values drawn ``beside`` too."""
    draw_along(axes, profile, profile[name], look)
    values = defined_only(profile, profile[name])
    mean, low, high = null_band(profile, name)
    tops = np.fmax(values, interval_ends(profile, name)[1]) if band else values
    tops = np.fmax(tops, high) if null else tops
    frame_values(axes, np.concatenate([beside, values]), np.concatenate([beside, tops]))
    if band:
        draw_band(axes, profile, name, look.colour)
    if null:
        _draw_null(axes, places(profile), mean, low, high)
        draw_stars(axes, profile, name, tops)


def _draw_null(axes: Axes, x: Along, mean: Along, low: Along, high: Along) -> None:
    axes.fill_between(x, within(axes, low), high, color=style.GREY, alpha=0.25, linewidth=0, zorder=0)
    axes.plot(x, mean, color=style.GREY, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    if len(x) == 1:
        axes.errorbar(x, mean, yerr=high - mean, color=style.GREY, fmt="_", capsize=6, zorder=1)


def draw_stars(axes: Axes, profile: Profile, name: str, tops: Along) -> None:
    """A star above each sound layer that differs from the null."""
    tests = tests_of(profile, LOOP if name == PROMINENCE else name)
    starred = [
        i
        for i, (m, test) in enumerate(zip(profile.measurements, tests, strict=False))
        if not m.facts.doubtful and test is not None and test.found
    ]
    if starred:
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top * 1.12 if axes.get_yscale() == "linear" else top * 2)
        heights = tops[starred] + (0.03 * (top - bottom) if axes.get_yscale() == "linear" else 0.15 * tops[starred])
        axes.plot(places(profile)[starred], heights, "*", color="black", markersize=4.5, zorder=4)
        if name == PROMINENCE:
            label_loops(axes, profile, starred, heights)


def label_loops(axes: Axes, profile: Profile, starred: list[int], heights: Along) -> None:
    """How many points are around the best loop of each starred layer, and in its group."""
    for i, height in zip(starred, heights, strict=True):
        best = loops_of(profile, profile.measurements[i])[0]
        said = f"{len(best.cycle)} in {len(best.group)}"
        axes.annotate(said, (places(profile)[i], height), (0, 3), textcoords="offset points", ha="center", fontsize=5.5)


def null_line(profile: Profile) -> str:
    """What the grey band is."""
    draws = profile.claims.asked.null_draws if profile.claims else 0
    return (
        f"grey: {draws} Gaussian clouds with the covariance of each layer, mean ± {SPREADS} standard deviations; ★ differs (p ≤ 0.05, "
        "family-wise over layers)"
    )

"""The figure of what a null model would give: each number of the layers against its draws."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from todacomm.claims import NullTest
from todacomm.loops import LOOP, PROMINENCE
from todacomm.report import reading, style
from todacomm.report.claimed import found_by
from todacomm.report.panels import (
    Look,
    defined_only,
    draw_along,
    draw_band,
    explain,
    figure,
    frame_values,
    interval_ends,
    label_layers,
    legend_lines,
    panel_grid,
    within,
)
from todacomm.types import Profile

SPREADS = 2  # standard deviations of the null that its band reaches to either side
PANELS = {
    reading.H0_TOTAL: (0, "H0 total persistence"),
    reading.H1_TOTAL: (1, "H1 total persistence"),
    "H1_max_lifetime": (1, "longest H1 bar"),
    PROMINENCE: (1, "H1 prominence (loops)"),
}


@figure(
    "against_noise",
    title="Against noise",
    caption="Each number with its interval, and in grey what Gaussian clouds with exactly the covariance of the layer give (mean and two standard deviations "
    "of the draws). A star marks a layer that differs, adjusted over the layers. The last panel is the one that tells loops: there a star also needs a bar that is long for its birth.",
    of_one_cloud=True,
    of_a_null=True,
)
def against_noise(profile: Profile) -> Figure:
    """Four numbers along the layers over the band of the Gaussian null."""
    shown = {name: look for name, look in PANELS.items() if name in profile.names}
    columns = 2 if len(shown) > 1 else 1
    drawn, panels = panel_grid(profile, -(-len(shown) // columns), columns, height=2.1)
    for axes, (name, (dimension, label)) in zip(panels.flat, shown.items(), strict=False):
        draw_against(axes, profile, name, style.HOMOLOGY[dimension])
        unit = "" if name == PROMINENCE else f"\n({style.distance_unit(profile)})"
        axes.set_ylabel(f"{label}{unit}")
        label_layers(axes, profile, most=14)
    explain(drawn, [null_line(profile), *legend_lines(profile)])
    return drawn


def draw_against(axes: Axes, profile: Profile, name: str, colour: str) -> None:
    """One number, its intervals, the band of the null and the stars."""
    tests = profile.claims.tests_of(name, profile.layers) if profile.claims else []
    mean, spread = (numbers(tests, part, len(profile.layers)) for part in ("mean", "spread"))
    low, high = mean - SPREADS * spread, mean + SPREADS * spread
    draw_along(axes, profile, profile[name], Look(colour))
    values = defined_only(profile, profile[name])
    tops = np.fmax(np.fmax(values, interval_ends(profile, name)[1]), high)
    frame_values(axes, values, tops)
    draw_band(axes, profile, name, colour)
    x = np.arange(len(mean))
    axes.fill_between(x, within(axes, low), high, color=style.GREY, alpha=0.25, linewidth=0, zorder=0)
    axes.plot(x, mean, color=style.GREY, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    if len(x) == 1:
        axes.errorbar(x, mean, yerr=SPREADS * spread, color=style.GREY, fmt="_", capsize=6, zorder=1)
    draw_stars(axes, profile, name, tops)


def draw_stars(axes: Axes, profile: Profile, name: str, tops: Float[np.ndarray, " L"]) -> None:
    """A star above each sound layer that differs from the null."""
    tests = profile.claims.tests_of(LOOP if name == PROMINENCE else name, profile.layers) if profile.claims else []
    starred = [
        i
        for i, (m, test) in enumerate(zip(profile.measurements, tests, strict=False))
        if not m.facts.doubtful and found_by(test)
    ]
    if starred:
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top * 1.12 if axes.get_yscale() == "linear" else top * 2)
        heights = tops[starred] + (0.03 * (top - bottom) if axes.get_yscale() == "linear" else 0.15 * tops[starred])
        axes.plot(starred, heights, "*", color="black", markersize=4.5, zorder=4)


def numbers(tests: list[NullTest | None], part: str, count: int) -> Float[np.ndarray, " L"]:
    """One field of the tests along the layers; NaN where there is none."""
    found = [getattr(test, part) if test else None for test in tests] or [None] * count
    return np.array(found, dtype=np.float64)


def null_line(profile: Profile) -> str:
    """What the grey band is."""
    draws = profile.claims.asked.null_draws if profile.claims else 0
    return (
        f"grey: {draws} Gaussian clouds with the covariance of each layer, mean ± {SPREADS} standard deviations; ★ differs (p ≤ 0.05, "
        "adjusted over layers)"
    )

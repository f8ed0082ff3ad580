"""The charts along the layers: counts and lengths of bars, expansion, scale and shape, numbers against noise."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from todacomm.core.types import Measurement, Profile
from todacomm.homology.metrics import SCALED
from todacomm.report.document import style
from todacomm.report.document.chart import INK, Axis, Chart, Panel, Rule, Series, finite, log_axis, value_axis
from todacomm.report.document.drawings import Drawings
from todacomm.report.document.style import cut
from todacomm.report.layers.series import (
    SPREADS,
    STAR,
    Along,
    along,
    axis_label,
    band_line,
    defined_only,
    drawn_rows,
    growth_lines,
    heading,
    interval_ends,
    layer_axis,
    legend_lines,
    loops_of,
    null_band,
    places,
    tests_of,
)
from todacomm.report.words import phrases
from todacomm.statistics.loop_test import LOOP, PROMINENCE

SUMMARY_METRICS = ("count", "total_persistence", "max_lifetime")
NOTHING = np.empty(0)
AGAINST = {
    phrases.H0_TOTAL: (0, "H0 total persistence"),
    phrases.H1_TOTAL: (1, "H1 total persistence"),
    "H1_max_lifetime": (1, "longest H1 bar"),
    PROMINENCE: (1, "H1 prominence (loops)"),
}  # numbers → their dimension, and what the axis calls them
drawings: Drawings[Profile] = Drawings("figure")


def chart_of(profile: Profile, panels: Sequence[Panel], notes: Sequence[str], **more: Any) -> Chart:
    """Panels along the layers of a profile; the registry names it."""
    told = tuple(filter(None, notes))
    return Chart("", "", "", tuple(panels), drawn_rows(profile, panels), heading=heading(profile), notes=told, **more)


def metric_panel(profile: Profile, key: str, *, most: int) -> Panel:
    """One metric along the layers, with its intervals and its unit on the axis."""
    colour = style.HOMOLOGY[int(key[1])]
    return against_panel(profile, key, axis_label(profile, key), most=most, colour=colour, null=False)


@drawings.chart(
    "tda_summary",
    title="Topology along the layers",
    caption="Number of bars, sum of their lengths (total persistence) and longest bar, one row for each homology "
    "dimension that was computed (H0: clusters, H1: loops, H2: voids). Lengths are in the unit on the axis: where "
    "that is "
    "activation units, they also follow the size of the activations.",
)
def tda_summary(profile: Profile) -> Chart:
    """Count, total persistence and longest bar of every homology dimension over the layers."""
    keys = [f"H{dimension}_{name}" for dimension in range(profile.recipe.maxdim + 1) for name in SUMMARY_METRICS]
    panels = [metric_panel(profile, key, most=9) for key in keys]
    return chart_of(profile, panels, legend_lines(profile), columns=len(SUMMARY_METRICS), tall=1.75)


@drawings.chart(
    "layer_persistence",
    title="Total persistence, with and without the size of the cloud",
    caption="Total persistence of each homology dimension, with the unit on the axis: divided by the median distance "
    "of each layer's cloud and, unless the recipe has rescaled the clouds, as measured. A rise as measured that is "
    "absent after the division is growth of the activations, not a change of shape.",
)
def layer_persistence(profile: Profile) -> Chart:
    """Total persistence of each dimension, above its scale-free twin; only the twin where all is scale-free."""
    twins = (SCALED,) if phrases.rescaled(profile.recipe) else ("", SCALED)
    count = profile.recipe.maxdim + 1
    keys = [f"H{dimension}_total_persistence{twin}" for twin in twins for dimension in range(count)]
    panels = [metric_panel(profile, key, most=14) for key in keys]
    return chart_of(profile, panels, legend_lines(profile), columns=count, tall=2.1)


# Expansion


@drawings.chart(
    "scale_shape",
    title="Expansion, split into scale and shape",
    caption="H0 total persistence of each layer over that of the baseline (expansion) is exactly the product of two "
    "factors: how much the median distance grew (scale) and how much the total grew at equal median distance "
    "(shape), all "
    "before any rescaling of the clouds. The dashed line marks the block with the most H0 total.",
)
def scale_shape(profile: Profile) -> Chart:
    """Expansion and its two factors over the layers, on a log axis."""
    base = phrases.baseline(profile)
    panel = expansion_panel(profile, most=int(24 * style.width(1) / style.WIDTH), title=peak_title(profile))
    lines = [line for line in legend_lines(profile) if line != band_line(profile)]
    notes = [baseline_line(profile, base) if base else "", *lines]
    return chart_of(profile, [panel], notes, keys=keys_of(panel), tall=2.9)


def expansion_panel(profile: Profile, *, most: int, title: str = "") -> Panel:
    """H0 total, scale and shape over those of the baseline, on a log axis; a dashed line marks the peak of H0 total."""
    base, across = phrases.baseline(profile), layer_axis(profile, most=most)
    if base is None:
        return Panel((), across, Axis("relative to the baseline"), empty="undefined on every layer")
    looks = zip((INK, *style.PALETTE), style.MARKERS, strict=False)
    lines = growth_lines(profile, base).items()
    series = tuple(
        along(profile, values, label, label=label, colour=colour, marker=marker)
        for (label, values), (colour, marker) in zip(lines, looks, strict=False)
    )
    known = [y for one in series for y in one.y if y is not None and y > 0]
    top = phrases.peak(profile)
    peak = [Rule(float(places(profile)[profile.measurements.index(top)]), dashes="--")] if top is not None else []
    down = log_axis(f"relative to {cut(phrases.position(profile, base), 20)}", known)
    return Panel(series, across, down, title, (Rule(1.0, "y"), *peak), height=220, title_is_words=True)


def keys_of(panel: Panel) -> tuple[Series, ...]:
    """The lines of a panel in a legend."""
    return tuple(Series(label=one.label, colour=one.colour, marker=one.marker) for one in panel.series)


def baseline_line(profile: Profile, base: Measurement) -> str:
    """The baseline of the growths, and why it is not the first layer."""
    first = profile.measurements[0]
    if first is base:
        doubt = base.facts.doubtful
        return f"Baseline: {base.address.layer}" + (f", doubtful ({doubt}); no layer is sound." if doubt else ".")
    word = "undefined" if first.facts.undefined else "doubtful"
    which = "the first defined layer (no layer is sound)" if base.facts.doubtful else "the first sound layer"
    reason = first.facts.undefined or first.facts.doubtful
    return f"Baseline: {base.address.layer}, {which}; {first.address.layer} is {word} as one ({reason})."


def peak_title(profile: Profile) -> str:
    """The layer of the peak with its expansion and the two factors; empty where there is no baseline or no peak."""
    base, top = phrases.baseline(profile), phrases.peak(profile)
    if base is None or top is None:
        return ""
    i = profile.measurements.index(top)
    expansion, scale, shape = (phrases.number(float(line[i]), 3) for line in growth_lines(profile, base).values())
    name = cut(top.address.layer, 24) + (" (doubtful)" if top.facts.doubtful else "")
    return f"peak of H0 total at {name}: expansion {expansion} = scale {scale} × shape {shape}"


# Against noise


@drawings.chart(
    "against_noise",
    title="Against noise",
    caption="Each number with its interval, and in grey what Gaussian clouds with exactly the covariance of the layer "
    "give (mean and two standard deviations of the draws). A star marks a layer that differs (family-wise p ≤ 0.05 "
    "over the layers). The last panel tells of loops: there a star is a loop, and the numbers beside it are how many "
    "points are around it, and in its group.",
    of_one_cloud=True,
    of_a_null=True,
)
def against_noise(profile: Profile) -> Chart:
    """Four numbers along the layers over the band of the Gaussian null."""
    panels = []
    for name, (dimension, label) in AGAINST.items():
        if name in profile.names:
            unit = "" if name == PROMINENCE else f"\n({style.distance_unit(profile)})"
            panels.append(against_panel(profile, name, f"{label}{unit}", most=14, colour=style.HOMOLOGY[dimension]))
    return chart_of(
        profile, panels, [null_line(profile), *legend_lines(profile)], columns=min(2, len(panels)), tall=2.1
    )


def against_panel(
    profile: Profile,
    name: str,
    words: str,
    *,
    most: int,
    band: bool = True,
    null: bool = True,
    beside: Along = NOTHING,
    **look: Any,
) -> Panel:
    """One number, its intervals, the band of the null and the stars; ``look`` is that of its line.

    The axis holds the values drawn ``beside`` too.
    """
    values, bounds = profile[name], null_band(profile, name)
    one = along(profile, values, words.replace("\n", " "), name if band else "", **look)
    tops = (
        np.fmax(defined_only(profile, values), interval_ends(profile, name)[1])
        if band
        else defined_only(profile, values)
    )
    tops = np.fmax(tops, bounds[2]) if null else tops
    known = [*finite(beside), *one.y]
    whole = all(v is None or v == round(v) for v in known)
    down = value_axis(words, known, more=finite(tops), whole=whole)
    above = stars(profile, name, tops * 1.25 if down.kind == "log" else tops + 0.05 * np.nanmax(tops, initial=0))
    drawn = [null_series(profile, bounds), one, above] if null else [one]
    empty = "" if any(v is not None for v in one.y) else "undefined on every layer"
    return Panel(tuple(part for part in drawn if part.y), layer_axis(profile, most=most), down, empty=empty)


def null_series(profile: Profile, bounds: tuple[Along, Along, Along]) -> Series:
    """The mean of the draws and their band; nothing where no null was drawn."""
    mean, low, high = map(finite, bounds)
    if not any(v is not None for v in mean):
        return Series()
    return Series(
        finite(places(profile)),
        mean,
        colour=style.GREY,
        marker="",
        dashes="--",
        low=low,
        high=high,
        width=0.8,
        shade=0.25,
    )


def stars(profile: Profile, name: str, heights: Along) -> Series:
    """A star above reliable layers that differ from the null; above loops the points around them and in their group."""
    tests = tests_of(profile, LOOP if name == PROMINENCE else name)
    starred = [
        i
        for i, (m, test) in enumerate(zip(profile.measurements, tests, strict=False))
        if not m.facts.doubtful and test is not None and test.found and math.isfinite(heights[i])
    ]
    loops = [loops_of(profile, profile.measurements[i])[0] for i in starred] if name == PROMINENCE else []
    return Series(
        finite(places(profile)[starred]),
        finite(heights[starred]),
        colour=INK,
        marker=STAR,
        dashes="",
        told=tuple((phrases.positions(profile)[i], "differs from noise") for i in starred),
        notes=tuple(f"{len(best.cycle)} in {len(best.group)}" for best in loops),
        size=1.3,
    )


def null_line(profile: Profile) -> str:
    """Explain the grey band."""
    draws = profile.claims.asked.null_draws if profile.claims else 0
    return (
        f"grey: {draws} Gaussian clouds with the covariance of each layer, mean ± {SPREADS} standard deviations; ★ "
        "differs (p ≤ 0.05, "
        "family-wise over layers)"
    )

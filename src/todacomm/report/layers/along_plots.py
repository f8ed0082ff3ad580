"""The figures along the layers: counts and lengths of bars, and expansion split into scale and shape."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from todacomm.core.types import Measurement, Profile
from todacomm.report.document import style
from todacomm.report.document.figure_parts import (
    WORDS,
    Look,
    band_line,
    draw_along,
    draw_metric,
    explain,
    figure,
    frame_values,
    label_layers,
    legend_lines,
    log_axis,
    panel_grid,
)
from todacomm.report.layers.series import defined_only, growth_lines, places
from todacomm.report.words import phrases

SUMMARY_METRICS = ("count", "total_persistence", "max_lifetime")


@figure(
    "tda_summary",
    title="Topology along the layers",
    caption="Number of bars, sum of their lengths (total persistence) and longest bar, one row for each homology "
    "dimension that was computed (H0: clusters, H1: loops, H2: voids). Lengths are in the unit on the axis: where that is "
    "activation units, they also follow the size of the activations.",
)
def tda_summary(profile: Profile) -> Figure:
    """Count, total persistence and longest bar of every homology dimension over the layers."""
    drawn, panels = panel_grid(profile, profile.recipe.maxdim + 1, len(SUMMARY_METRICS), height=1.75)
    for dimension, row in enumerate(panels):
        for axes, name in zip(row, SUMMARY_METRICS, strict=True):
            draw_metric(axes, profile, dimension, name)
            label_layers(axes, profile, most=9, name="layer" if dimension == profile.recipe.maxdim else "")
    explain(drawn, legend_lines(profile))
    return drawn


@figure(
    "layer_persistence",
    title="Total persistence, with and without the size of the cloud",
    caption="Total persistence of each homology dimension, with the unit on the axis: divided by the median distance of "
    "each layer's cloud and, unless the recipe has rescaled the clouds, as measured. A rise as measured that is absent "
    "after the division is growth of the activations, not a change of shape.",
)
def layer_persistence(profile: Profile) -> Figure:
    """Total persistence of each homology dimension, and below it the scale-free twin; only that where all is scale-free."""
    rows = (True,) if phrases.rescaled(profile.recipe) else (False, True)
    drawn, panels = panel_grid(profile, len(rows), profile.recipe.maxdim + 1, height=2.1)
    for row, scaled in zip(panels, rows, strict=True):
        for dimension, axes in enumerate(row):
            draw_metric(axes, profile, dimension, "total_persistence", scaled=scaled)
            label_layers(axes, profile, most=14, name="layer" if scaled else "")
    explain(drawn, legend_lines(profile))
    return drawn


def _baseline_line(profile: Profile, base: Measurement) -> str:
    first = profile.measurements[0]
    if first is base:
        doubt = base.facts.doubtful
        return f"Baseline: {base.address.layer}" + (f", doubtful ({doubt}); no layer is sound." if doubt else ".")
    word = "undefined" if first.facts.undefined else "doubtful"
    which = "the first defined layer (no layer is sound)" if base.facts.doubtful else "the first sound layer"
    reason = first.facts.undefined or first.facts.doubtful
    return f"Baseline: {base.address.layer}, {which}; {first.address.layer} is {word} as one ({reason})."


def draw_expansion(axes: Axes, profile: Profile) -> None:
    """H0 total, scale and shape over those of the baseline, on a log axis; a dashed line marks the peak of H0 total."""
    base = phrases.baseline(profile)
    if base is None:
        frame_values(axes, np.array([np.nan]))
        return
    lines = growth_lines(profile, base)
    for (name, values), colour, marker in zip(lines.items(), ("#000000", *style.PALETTE), style.MARKERS, strict=False):
        draw_along(axes, profile, values, Look(colour, marker, name))
    known = np.concatenate([defined_only(profile, v) for v in lines.values()])
    log_axis(axes, known[np.isfinite(known) & (known > 0)])
    axes.axhline(1, color=style.GREY, linewidth=0.6, zorder=1)
    axes.set_ylabel(f"relative to {style.elided(phrases.position(profile, base), 20)}")
    axes.legend(loc="best")
    top = phrases.peak(profile)
    if top is not None:
        at = places(profile)[profile.measurements.index(top)]
        axes.axvline(at, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)


def _peak_title(profile: Profile) -> str:
    """The layer of the peak with its expansion and the two factors; empty where there is no baseline or no peak."""
    base, top = phrases.baseline(profile), phrases.peak(profile)
    if base is None or top is None:
        return ""
    i = profile.measurements.index(top)
    expansion, scale, shape = (phrases.number(float(line[i]), 3) for line in growth_lines(profile, base).values())
    name = style.elided(top.address.layer, 24) + (" (doubtful)" if top.facts.doubtful else "")
    return f"peak of H0 total at {name}: expansion {expansion} = scale {scale} × shape {shape}"


@figure(
    "scale_shape",
    title="Expansion, split into scale and shape",
    caption="H0 total persistence of each layer over that of the baseline (expansion) is exactly the product of two "
    "factors: how much the median distance grew (scale) and how much the total grew at equal median distance (shape), all "
    "before any rescaling of the clouds. The dashed line marks the block with the most H0 total.",
)
def scale_shape(profile: Profile) -> Figure:
    """Expansion and its two factors over the layers, on a log axis."""
    drawn, panels = panel_grid(profile, 1, 1, height=2.9)
    axes, base = panels[0][0], phrases.baseline(profile)
    draw_expansion(axes, profile)
    axes.set_title(_peak_title(profile), gid=WORDS)
    label_layers(axes, profile, most=int(24 * drawn.get_figwidth() / style.WIDTH))
    legend = [line for line in legend_lines(profile) if line != band_line(profile)]
    explain(drawn, [_baseline_line(profile, base) if base else "", *legend])
    return drawn

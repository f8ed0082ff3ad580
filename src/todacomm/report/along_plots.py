"""The figures along the layers: counts and lengths of bars, and expansion split into scale and shape."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from todacomm.report import reading, style
from todacomm.report.panels import (
    Look,
    band_line,
    defined_only,
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
from todacomm.types import Measurement, Profile

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
    rows = (True,) if reading.rescaled(profile.recipe) else (False, True)
    drawn, panels = panel_grid(profile, len(rows), profile.recipe.maxdim + 1, height=2.1)
    for row, scaled in zip(panels, rows, strict=True):
        for dimension, axes in enumerate(row):
            draw_metric(axes, profile, dimension, "total_persistence", scaled=scaled)
            label_layers(axes, profile, most=14, name="layer" if scaled else "")
    explain(drawn, legend_lines(profile))
    return drawn


def _growth_lines(profile: Profile, base: Measurement) -> dict[str, Float[np.ndarray, " L"]]:
    """H0 total, scale and H0 total / scale of every layer over those of ``base``, all before any rescaling.

    The first is the product of the others.
    """
    i = profile.measurements.index(base)
    scale, shape = (profile[name] / profile[name][i] for name in ("scale", reading.H0_SHAPE))
    return {"H0 total (expansion)": scale * shape, "scale growth": scale, "shape growth": shape}


def _baseline_line(profile: Profile, base: Measurement) -> str:
    first = profile.measurements[0]
    if first is base:
        doubt = base.facts.doubtful
        return f"Baseline: {base.address.layer}" + (f", doubtful ({doubt}); no layer is sound." if doubt else ".")
    word = "undefined" if first.facts.undefined else "doubtful"
    which = "the first defined layer (no layer is sound)" if base.facts.doubtful else "the first sound layer"
    reason = first.facts.undefined or first.facts.doubtful
    return f"Baseline: {base.address.layer}, {which}; {first.address.layer} is {word} as one ({reason})."


def _mark_peak(axes: Axes, profile: Profile, lines: dict[str, Float[np.ndarray, " L"]]) -> None:
    top = reading.peak(profile)
    if top is None:
        return
    i = profile.measurements.index(top)
    expansion, scale, shape = (reading.number(float(line[i]), 3) for line in lines.values())
    axes.axvline(i, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    name = style.elided(top.address.layer, 24) + (" (doubtful)" if top.facts.doubtful else "")
    axes.set_title(f"peak of H0 total at {name}: expansion {expansion} = scale {scale} × shape {shape}")


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
    axes, base = panels[0][0], reading.baseline(profile)
    if base is None:
        frame_values(axes, np.array([np.nan]))
    else:
        lines = _growth_lines(profile, base)
        for (name, values), colour, marker in zip(
            lines.items(), ("#000000", *style.PALETTE), style.MARKERS, strict=False
        ):
            draw_along(axes, profile, values, Look(colour, marker, name))
        known = np.concatenate([defined_only(profile, v) for v in lines.values()])
        log_axis(axes, known[np.isfinite(known) & (known > 0)])
        axes.axhline(1, color=style.GREY, linewidth=0.6, zorder=1)
        axes.set_ylabel(f"relative to {style.elided(base.address.layer, 20)}")
        axes.legend(loc="best")
        _mark_peak(axes, profile, lines)
    label_layers(axes, profile, most=24)
    legend = [line for line in legend_lines(profile) if line != band_line(profile)]
    explain(drawn, [_baseline_line(profile, base) if base else "", *legend])
    return drawn

"""The figures that show bars themselves: Betti curves and persistence diagrams."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import FuncFormatter, MaxNLocator

from todacomm.core.types import Measurement, Profile
from todacomm.homology.metrics import betti_curve
from todacomm.report.document import style
from todacomm.report.document.figure_parts import WORDS, explain
from todacomm.report.document.matplotlib_renderer import plain_number, shielded
from todacomm.report.document.style import cut
from todacomm.report.layers.along_charts import drawings
from todacomm.report.layers.series import FINAL_NOTE, band_line, heading, legend_lines, longest, loops_of, signal_bars
from todacomm.report.words import phrases

MOST_DIAGRAMS, MOST_LABELLED = 12, 2  # panels; loops of a panel with their size in words
FILTRATION = "filtration value / median distance"


def panel_grid(profile: Profile, rows: int, columns: int, *, height: float) -> tuple[Figure, Any]:
    """A figure with its heading and rows × columns of panels, ``height`` inches a row."""
    drawn = Figure(figsize=(style.width(columns), height * rows + style.words(0.65)))
    drawn.suptitle(shielded(heading(profile)), fontsize=9)
    return drawn, drawn.subplots(rows, columns, squeeze=False)


def depth_colours(count: int) -> tuple[Colormap, Normalize]:
    """A colour for each position along the depth, without the palest end of the map."""
    trimmed = ListedColormap(colormaps[style.DEPTH](np.linspace(0, 0.9, 256)))
    return trimmed, Normalize(0, max(count - 1, 1))


def _drawable(profile: Profile) -> list[tuple[int, Measurement]]:
    return [(i, m) for i, m in enumerate(profile.measurements) if not m.facts.undefined]


def _longest_death(measurements: Iterable[Measurement], dimensions: Iterable[int], *, scaled: bool = True) -> float:
    """The largest death of these dimensions, ``scaled`` over each cloud's median distance; 1 without bars."""
    pairs = [(m, k, phrases.median_distance(m) if scaled else 1.0) for m in measurements for k in dimensions]
    return float(max((m.diagrams.finite[k][:, 1].max(initial=0) / unit for m, k, unit in pairs), default=0.0)) or 1.0


def draw_betti(axes: Axes, profile: Profile, dimension: int) -> None:
    """The Betti curve of each layer over the filtration value in units of the layer's median distance."""
    colours, depth = depth_colours(len(profile.measurements))
    layers = _drawable(profile)
    width = 1.0 if len(layers) <= 16 else 0.7
    grid = betti_grid([m for _, m in layers], dimension)
    for i, m in layers:
        draw_betti_curve(axes, m, dimension, grid, color=colours(depth(i)), linewidth=width)
    label_betti(axes, dimension, grid)


def label_betti(axes: Axes, dimension: int, grid: Float[np.ndarray, " g"]) -> None:
    """The names of both axes, and how far the filtration goes."""
    axes.set(xlabel=FILTRATION, ylabel=f"Betti number β{dimension}", xlim=(0, grid[-1]))


def frame_betti(axes: Axes, dimension: int) -> None:
    """Whole numbers from zero; clusters, of which there are as many as points at first, on a log axis."""
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    if dimension == 0:
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.8)
        axes.yaxis.set_major_formatter(FuncFormatter(plain_number))


def betti_grid(measurements: Sequence[Measurement], dimension: int) -> Float[np.ndarray, " g"]:
    """Filtration values from 0 to beyond the last death, in units of each cloud's median distance."""
    return np.linspace(0, 1.04 * _longest_death(measurements, [dimension]), 400)


def draw_betti_curve(
    axes: Axes, measurement: Measurement, dimension: int, grid: Float[np.ndarray, " g"], **look: Any
) -> None:
    """One Betti curve in units of the cloud's median distance, dashed where the cloud is doubtful."""
    bars = measurement.diagrams.scaled(1 / phrases.median_distance(measurement))
    curve = betti_curve(bars.finite[dimension], bars.essential[dimension], grid)
    axes.plot(grid, curve, "--" if measurement.facts.doubtful else "-", drawstyle="steps-post", **look)


def depth_bar(drawn: FigureBase, profile: Profile, panels: Sequence[Axes], *, most: int = 14) -> None:
    """The colours along the depth, or along the training, beside the panels."""
    colours, depth = depth_colours(len(profile.measurements))
    bar = drawn.colorbar(ScalarMappable(depth, colours), ax=list(panels), pad=0.015, aspect=28)
    places, labels = style.layer_ticks(phrases.positions(profile), most=most)
    bar.set_ticks(places, labels=list(map(shielded, labels)))
    bar.set_label("training step" if profile.along == "step" else "layer")
    bar.outline.set_visible(False)


@drawings.figure(
    "betti_curves",
    title="Betti curves",
    caption="How many clusters (β0), loops (β1) and voids (β2), as far as computed, the cloud has when points "
    "closer than the filtration value are joined. The value is in units of each layer's median distance, so that "
    "curves of layers of different size lie on one axis: curves that fall together have one shape.",
    of_one_cloud=True,
)
def betti_curves(profile: Profile) -> Figure:
    """The Betti curves of every layer, coloured by depth."""
    drawn, panels = panel_grid(profile, 1, profile.recipe.maxdim + 1, height=2.6)
    for dimension, axes in enumerate(panels[0]):
        draw_betti(axes, profile, dimension)
        frame_betti(axes, dimension)
    if len(profile.measurements) > 1:
        depth_bar(drawn, profile, list(panels[0]))
    lines = [line for line in legend_lines(profile) if line != band_line(profile)]
    explain(drawn, [line.replace("hollow ○", "dashed,", 1) for line in lines])
    return drawn


def chosen_layers(profile: Profile, most: int = MOST_DIAGRAMS) -> list[Measurement]:
    """At most ``most`` defined layers, evenly spread, the first, the peak and the last among them."""
    layers = [m for _, m in _drawable(profile)]
    if len(layers) <= most:
        return layers
    places = {round(x) for x in np.linspace(0, len(layers) - 1, most)}
    top = phrases.peak(profile)
    if top is not None and (i := layers.index(top)) not in places:
        inner = places - {0, len(layers) - 1}
        places = places - {min(inner, key=lambda x: abs(x - i))} | {i}
    return [layers[i] for i in sorted(places)]


def diagram_limit(measurements: Sequence[Measurement], dimensions: Iterable[int], *, scaled: bool = True) -> float:
    """The end of the axes of diagrams: beyond the last death, as in `draw_diagram`."""
    return 1.05 * _longest_death(measurements, list(dimensions), scaled=scaled)


def draw_diagram(
    axes: Axes, measurement: Measurement, *, limit: float, dimensions: Sequence[int] | None = None, scaled: bool = True
) -> None:
    """Plot birth against death of every finite bar, ``scaled`` over the median distance, with the diagonal."""
    axes.plot([0, limit], [0, limit], color=style.GREY, linewidth=0.7, zorder=1)
    found = measurement.diagrams.scaled(1 / phrases.median_distance(measurement)) if scaled else measurement.diagrams
    for dimension, bars in enumerate(found.finite):
        if dimensions is not None and dimension not in dimensions:
            continue
        colour, marker, size = style.HOMOLOGY[dimension], style.MARKERS[dimension], 9 if len(bars) < 150 else 5
        axes.scatter(
            bars[:, 0], bars[:, 1], s=size, c=colour, marker=marker, alpha=0.55, linewidths=0, label=f"H{dimension}"
        )
    axes.set(xlim=(-0.04 * limit, limit), ylim=(-0.04 * limit, limit), aspect="equal")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def draw_barcode(
    axes: Axes, measurement: Measurement, dimension: int, *, most: int, strong: Bool[np.ndarray, " m"] | None = None
) -> None:
    """The ``most`` longest bars from birth to death, in units of the cloud's median distance, first born at the bottom.

    Above them the essential classes, which never die, with an arrow at the edge. Bars that are ``strong`` (loops) are
    drawn whatever their length, and the other bars are then pale.
    """
    scaled = measurement.diagrams.scaled(1 / phrases.median_distance(measurement))
    bars, essential = scaled.finite[dimension], scaled.essential[dimension]
    kept = longest(bars, most, strong)
    pale = np.zeros(len(kept), dtype=bool) if strong is None else ~strong[kept]
    colour = style.HOMOLOGY[dimension]
    end = 1.05 * _longest_death([measurement], [dimension])
    for chosen, alpha in ((pale, 0.35), (~pale, 1.0)):
        births, deaths = bars[kept[chosen]].T
        axes.hlines(np.flatnonzero(chosen), births, deaths, colors=colour, alpha=alpha, linewidth=1.2)
    above = np.arange(len(kept), len(kept) + len(essential))
    axes.hlines(above, essential, end, colors=colour, linewidth=1.2)
    axes.plot(np.full(len(above), end), above, ">", color=colour, markersize=4, clip_on=False)
    told = f"H{dimension} bars" + (f" ({len(kept)} longest of {len(bars)})" if len(kept) < len(bars) else "")
    axes.set(xlabel=FILTRATION, ylabel=told, xlim=(0, end), ylim=(-1, len(kept) + len(essential)), yticks=[])


def draw_signal(axes: Axes, profile: Profile, measurement: Measurement) -> bool:
    """A ring around every loop, with how many points are around it and in its group; whether there is one."""
    chosen = signal_bars(profile, measurement)
    if chosen is None:
        return False
    bars = measurement.diagrams.scaled(1 / phrases.median_distance(measurement)).finite[1][chosen]
    axes.scatter(bars[:, 0], bars[:, 1], s=42, facecolors="none", edgecolors="black", linewidths=0.9, zorder=4)
    for bar in loops_of(profile, measurement)[:MOST_LABELLED]:
        said, at = f"{len(bar.cycle)} in {len(bar.group)}", (bar.birth / bar.median, bar.death / bar.median)
        axes.annotate(said, at, (4, 3), textcoords="offset points", fontsize=5.5, zorder=4)
    return bool(chosen.any())


def _panel_title(profile: Profile, measurement: Measurement) -> str:
    top = phrases.peak(profile)
    word = " (peak)" if measurement is top and len(profile.measurements) > 1 else ""
    sign = " ○" if measurement.facts.doubtful else ""
    return f"{shielded(cut(measurement.address.layer, 22))}{word}{sign}"


@drawings.figure(
    "persistence_diagrams",
    title="Persistence diagrams",
    caption="Each dot is one bar: born at the distance on the horizontal axis, dead at the one on the vertical axis, "
    "in units of the layer's median distance. Far above the diagonal means long-lived. H0 bars are all born at 0; the "
    "cluster that never dies has no dot.",
    of_one_cloud=True,
)
def persistence_diagrams(profile: Profile) -> Figure:
    """Small multiples of birth against death, on shared axes."""
    layers = chosen_layers(profile)
    columns = min(4, max(len(layers), 1))
    rows = -(-max(len(layers), 1) // columns)
    drawn = Figure(figsize=_size(columns, rows))
    drawn.suptitle(shielded(heading(profile)), fontsize=9)
    panels = drawn.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    limit, ringed = diagram_limit(layers, range(profile.recipe.maxdim + 1)), False
    for axes, m in zip(panels.flat, layers, strict=False):
        draw_diagram(axes, m, limit=limit)
        ringed |= draw_signal(axes, profile, m)
        axes.set_title(_panel_title(profile, m), gid=WORDS if len(layers) == 1 else None)
    _finish_diagrams(panels, len(layers))
    rings = "ringed: loops (family-wise p ≤ 0.05); the numbers are how many points are around a loop, and in its group"
    lines = [line for line in legend_lines(profile) if line not in (FINAL_NOTE, band_line(profile))]
    explain(drawn, [*lines, rings if ringed else ""], width=132 if columns > 1 else 80)
    return drawn


def _size(columns: int, rows: int) -> tuple[float, float]:
    """Width and height, in inches, of a figure of square panels."""
    if columns > 1:
        return style.WIDTH, style.WIDTH / columns * rows + style.words(0.6)
    return (style.COLUMN, 3.3) if style.asked().bare else (4.6, 4.5)


def _finish_diagrams(panels: Any, used: int) -> None:
    """Empty panels away, one legend under the diagonal of the first, axis names once."""
    for spare in panels.flat[used:]:
        spare.set_axis_off()
    for above in panels.flat[max(used - panels.shape[1], 0) : used]:
        above.tick_params(labelbottom=True)
    for axes in panels[:, 0]:
        axes.set_ylabel("death / median distance", fontsize=7)
    for axes in panels.flat[max(used - panels.shape[1], 0) : used]:
        axes.set_xlabel("birth / median distance", fontsize=7)
    if used:
        panels.flat[0].legend(loc="lower right", handletextpad=0.1, borderaxespad=0.1, markerscale=1.8)

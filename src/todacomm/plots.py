"""Figures of your own: each function draws into the Axes that it is given, or into new ones of one column, and returns them.

    import matplotlib.pyplot as plt
    import todacomm as td

    plt.style.use("todacomm.paper")
    figure, (left, right) = plt.subplots(1, 2, figsize=(td.plots.WIDTH, 2.6))
    td.plots.profile(measured, "H1_max_lifetime", left)
    td.plots.diagram(measured, "layer_3", right)
    td.plots.save(figure, "figure_1.pdf")

Axes carry their units; titles are left to you. A profile along the layers and one along the steps of a training are drawn by the
same functions. Axes of yours keep the style that they were made in; new ones have ours. `write_figures` draws those of the reports.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from todacomm.comparison.compare import Comparison
from todacomm.core.errors import InvalidCloud, InvalidInput, UnknownName
from todacomm.core.recipe import FEWEST_POINTS
from todacomm.core.types import Measurement, Number, Profile
from todacomm.homology.metrics import SCALED
from todacomm.report.comparison import comparison_charts
from todacomm.report.document import figure_parts, style
from todacomm.report.document.figure_formats import FORMATS, Figures
from todacomm.report.document.matplotlib_renderer import draw_panel, handle
from todacomm.report.document.style import COLUMN, WIDTH
from todacomm.report.layers import diagram_plots, plots
from todacomm.report.layers.along_charts import against_panel, expansion_panel, keys_of
from todacomm.report.layers.series import axis_label, signal_bars
from todacomm.report.training.clock_plots import LABELS, Clock, draw_clock, in_order
from todacomm.report.words import phrases
from todacomm.training.fourier import Characters, additive_characters, coefficients, plane, shares

__all__ = [
    "COLUMN",
    "WIDTH",
    "barcode",
    "betti",
    "clock",
    "comparison",
    "diagram",
    "expansion",
    "profile",
    "save",
    "write_figures",
]

LABELS_AN_INCH = 3.4  # layers that are named along an axis
At = str | int | None


# Along the layers, or the steps


def profile(
    profile: Profile,
    name: str,
    ax: Axes | None = None,
    *,
    scaled: bool = True,
    band: bool = True,
    null: bool = True,
    label: str | None = None,
    colour: str | None = None,
) -> Axes:
    """One number along the layers of a model, or the steps of a training.

    ``name`` is one of ``profile.names``. ``scaled`` takes the twin over the median distance of a number that is a length. ``band`` draws
    the intervals, ``null`` in grey the Gaussian null (mean and two standard deviations of its draws) with a star above each layer that
    differs from it (p ≤ 0.05, adjusted over the layers), where the profile has them. Hollow markers are doubtful layers; ``final`` hangs on
    a dotted line. Draw several profiles of the same layers into one Axes, each with a ``label``, and call ``ax.legend()``; for
    models of different depth there is `comparison`. Raises UnknownName.
    """
    key = _key(profile, name, scaled=scaled)
    with _onto(ax) as axes:
        beside, top = _values_in(axes), axes.get_ylim()[1]
        look: Any = {"colour": colour or _free_colour(axes, key), "label": label or "", "band": band, "null": null}
        panel = against_panel(profile, key, axis_label(profile, key), most=_most(axes), beside=beside, **look)
        draw_panel(axes, panel)
        if axes.get_yscale() == "log":
            axes.autoscale(axis="y")
        elif len(beside):
            axes.set_ylim(top=max(top, axes.get_ylim()[1], 1.08 * float(beside.max())))
        return axes


def expansion(profile: Profile, ax: Axes | None = None) -> Axes:
    """H0 total persistence over that of the baseline, and its exact factors: growth of scale times growth of shape, on a log axis.

    The baseline is the first sound layer, or checkpoint, and stands on the axis; a dashed line marks the peak of H0 total.
    """
    with _onto(ax) as axes:
        panel = expansion_panel(profile, most=_most(axes))
        draw_panel(axes, panel)
        axes.legend(handles=[handle(key) for key in keys_of(panel)], loc="best")
        return axes


def comparison(
    profiles: Comparison | Sequence[Profile],
    name: str,
    ax: Axes | None = None,
    *,
    scaled: bool = True,
    legend: bool = True,
) -> Axes:
    """One number of several models over relative depth, 0 the embedding and 1 the last block, or of several runs over their steps.

    A colour is a model, a line style a dataset or pooling. ``scaled`` is as of `profile`. Raises InvalidInput for no profile, or for some
    along layers and some along steps.
    """
    chosen = list(profiles.profiles if isinstance(profiles, Comparison) else profiles)
    if len({p.along for p in chosen}) != 1:
        found = "some of layers and some of steps" if chosen else "none"
        raise InvalidInput(f"expected profiles along the layers, or along the steps of a training; found {found}")
    key = _key(chosen[0], name, scaled=scaled)
    label = " or\n".join(dict.fromkeys(axis_label(one, key) for one in chosen))
    with _onto(ax) as axes:
        draw_panel(axes, comparison_charts.depth_panel(chosen, label, lambda m: _number(m, key)))
        if legend:
            axes.legend(handles=[handle(key) for key in comparison_charts.keys_of(chosen) if key.dashes])
        return axes


# Bars


def diagram(
    given: Profile | Measurement,
    at: At = None,
    ax: Axes | None = None,
    *,
    dimensions: Sequence[int] | None = None,
    limit: float | None = None,
    ring: bool = True,
) -> Axes:
    """Birth against death of every finite bar, in units of the median distance of the cloud.

    ``at`` is the layer of a profile, or the step of one along a training; a profile of one cloud, and a measurement, need none. ``limit`` ends
    both axes, in median distances: give several panels the same. ``ring`` rings the loops: the bars of H1 with a family-wise
    p-value of at most 0.05, against the layer and against the group of points that they lie in. Raises UnknownName, and InvalidInput where a cloud has no median distance.
    """
    chosen = _one(given, at)
    shown = _dimensions(chosen, range(chosen.diagrams.maxdim + 1) if dimensions is None else dimensions)
    with _onto(ax, height=0.94 * COLUMN) as axes:
        until = diagram_plots.diagram_limit([chosen], shown) if limit is None else limit
        diagram_plots.draw_diagram(axes, chosen, limit=until, dimensions=shown)
        if ring and isinstance(given, Profile) and 1 in shown:
            diagram_plots.draw_signal(axes, given, chosen)
        axes.set(xlabel="birth / median distance", ylabel="death / median distance")
        if len(shown) > 1:
            axes.legend(loc="lower right", handletextpad=0.1, borderaxespad=0.1, markerscale=1.8)
        return axes


def barcode(
    given: Profile | Measurement, at: At = None, ax: Axes | None = None, *, dimension: int = 1, most: int = 60
) -> Axes:
    """The ``most`` longest bars of one dimension from birth to death, in units of the median distance, first born at the bottom.

    Classes that never die end in an arrow. Where the profile has its Gaussian null, loops are drawn whatever their length, and all other bars of H1 are pale. ``at`` and the
    errors are as of `diagram`.
    """
    chosen = _one(given, at)
    _dimensions(chosen, [dimension])
    if most < 1:
        raise InvalidInput(f"most={most}: expected the number of bars to draw, 1 or more")
    strong = signal_bars(given, chosen) if isinstance(given, Profile) and dimension == 1 else None
    with _onto(ax) as axes:
        diagram_plots.draw_barcode(axes, chosen, dimension, most=most, strong=strong)
        return axes


def betti(
    given: Profile | Measurement, at: At = None, ax: Axes | None = None, *, dimension: int = 1, bar: bool = True
) -> Axes:
    """How many clusters (dimension 0), loops (1) or voids (2) there are when points closer than a distance are joined.

    The distance is in units of the median distance. Without ``at``, every layer or checkpoint of a profile, coloured by its place, with the colours in a ``bar``
    beside; otherwise one curve. Dashed curves are doubtful, undefined layers are left out. Errors are as of `diagram`.
    """
    of_all = isinstance(given, Profile) and at is None and len(given.measurements) > 1
    chosen = None if of_all else _one(given, at)
    _dimensions(chosen or given.measurements[0], [dimension])  # type: ignore[union-attr]  # a profile where none is chosen
    with _onto(ax) as axes:
        if chosen is None and isinstance(given, Profile):
            diagram_plots.draw_betti(axes, given, dimension)
        elif chosen is not None:
            grid = diagram_plots.betti_grid([chosen], dimension)
            diagram_plots.draw_betti_curve(axes, chosen, dimension, grid, color=style.HOMOLOGY[dimension])
            diagram_plots.label_betti(axes, dimension, grid)
        diagram_plots.frame_betti(axes, dimension)
        if of_all and bar:
            diagram_plots.depth_bar(axes.figure, given, [axes], most=9)  # type: ignore[arg-type]  # a profile
        return axes


# Circles


def clock(
    embedding: np.ndarray,
    frequency: int,
    ax: Axes | None = None,
    *,
    characters: Characters | None = None,
    labels: int = LABELS,
) -> Axes:
    """The rows of an embedding (c residues, d features) on the plane of one frequency of their cyclic group, in units of their root mean square radius.

    Row a is residue a; colour is its hour, k·a mod c, and a thin line joins the residues in the order of the hours: a circle where they stand
    in order, a tangle where not. ``labels`` residues are named. Below stand the share of the variance, and the order, |mean exp i(angle − hour)|, 1 for
    perfect hours; a plane is chosen for its frequency, so rows at random have some order too. ``characters`` are those of the group where it is not
    addition mod c, as `todacomm.training.fourier.multiplicative_characters`. Raises InvalidCloud, and InvalidInput for a frequency that the group
    does not have.
    """
    rows = _rows(embedding)
    group = additive_characters(len(rows)) if characters is None else characters
    if len(rows) <= group.members.max():
        raise InvalidInput(f"{len(rows)} rows; these characters speak of rows up to {group.members.max()}")
    last = group.order // 2
    if not 1 <= frequency <= last:
        raise InvalidInput(f"frequency {frequency}; a cyclic group of order {group.order} has those from 1 to {last}")
    table = coefficients(rows, group)
    points = plane(rows, group, frequency, table)
    found = Clock(frequency, points, float(shares(table)[frequency - 1]), in_order(points, frequency))
    with _onto(ax, height=0.94 * COLUMN) as axes:
        draw_clock(axes, found, group, labels=labels)
        axes.set_xlabel(f"k = {frequency} · {phrases.share(found.share, 0)} of the variance · order {found.order:.2f}")
        return axes


def _rows(embedding: np.ndarray) -> Float[np.ndarray, "c d"]:
    rows = np.asarray(embedding)
    if rows.ndim != 2 or len(rows) < FEWEST_POINTS or rows.dtype.kind not in "fiu":
        raise InvalidCloud(
            f"an embedding of shape {rows.shape} of type {rows.dtype}; expected numbers of shape "
            f"(c residues, d features), c at least {FEWEST_POINTS}"
        )
    if not np.isfinite(rows).all():
        raise InvalidCloud(f"{int((~np.isfinite(rows)).any(axis=1).sum())} of {len(rows)} rows hold NaN or infinity")
    return rows


# Files


def save(drawn: Figure | Axes, path: str | Path) -> Path:
    """Write a figure in the format of its suffix, .png, .pdf or .svg; the same figure gives the same bytes.

    No date and no version enters; text in a PDF stays text, in TrueType fonts, letters of an SVG are outlines. Raises InvalidInput for another suffix.
    """
    place = Path(path)
    if place.suffix.removeprefix(".") not in FORMATS:
        raise InvalidInput(f"{place.name}: expected a name that ends in {', '.join(f'.{form}' for form in FORMATS)}")
    place.parent.mkdir(parents=True, exist_ok=True)
    with style.for_files():
        figure_parts.write_figure(drawn.figure.figure if isinstance(drawn, Axes) else drawn, place)
    return place


def write_figures(
    profile: Profile, directory: str | Path, *, formats: str | Sequence[str] = "png", bare: bool = False
) -> list[Path]:
    """Every figure of a report on a profile, into a directory; returns the PNG files.

    ``formats`` are png, pdf, svg; the others lie beside the PNG. ``bare`` leaves out headings and small print, which go into text
    files beside, and fits the width to columns of a journal. Raises UnknownName for another format.
    """
    names = formats.split(",") if isinstance(formats, str) else formats
    with style.drawn_as(Figures(tuple(name.strip() for name in names), bare)):
        return plots.write_figures(profile, Path(directory))


# What they share


@contextmanager
def _onto(ax: Axes | None, height: float = 2.5) -> Iterator[Axes]:
    """The axes that were given; else new ones of one column in our style, which they keep when that is left."""
    if ax is not None:
        yield ax
        return
    with style.styled():
        made = Figure(figsize=(COLUMN, height), dpi=style.DPI).add_subplot()
        _keep_look(made, rcParams)
        yield made


def _keep_look(axes: Axes, ours: Any) -> None:
    """Ticks that are made later, when the figure is written, look as those made now."""
    for axis in ("x", "y"):
        axes.tick_params(
            axis=axis,
            labelsize=ours[f"{axis}tick.labelsize"],
            color=ours[f"{axis}tick.color"],
            labelcolor=ours[f"{axis}tick.color"],
            width=ours[f"{axis}tick.major.width"],
            grid_color=ours["grid.color"],
            grid_linewidth=ours["grid.linewidth"],
        )


def _key(found: Profile, name: str, *, scaled: bool) -> str:
    """The name of a number, or of its scale-free twin where it has one."""
    twin = f"{name}{SCALED}"
    key = twin if scaled and twin in found.names else name
    if key not in found.names:
        raise UnknownName("number of this profile", name, found.names)
    return key


def _number(measurement: Measurement, key: str) -> Number:
    if key in measurement.summary:
        return phrases.summary_of(measurement, key)
    return getattr(measurement.facts, key, None)


def _most(axes: Axes) -> int:
    """How many layers are named along axes of this width."""
    return max(3, int(LABELS_AN_INCH * figure_parts.inches_wide(axes)))


def _values_in(axes: Axes) -> Float[np.ndarray, " v"]:
    """The values that lines in these axes have by now."""
    found = [np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.get_lines()]
    values = np.concatenate([*found, np.empty(0)])
    return values[np.isfinite(values)]


def _free_colour(axes: Axes, key: str) -> str:
    """The colour of the homology dimension, or the next of the palette that no line in these axes has."""
    own = style.HOMOLOGY[int(key[1])] if key[:1] == "H" else style.PALETTE[0]
    used = {to_hex(line.get_color()).upper() for line in axes.get_lines()}
    return next((colour for colour in (own, *style.PALETTE) if colour.upper() not in used), own)


def _one(given: Profile | Measurement, at: At) -> Measurement:
    """The measurement that is meant, which has a median distance."""
    chosen = given if isinstance(given, Measurement) else _at(given, at)
    if isinstance(given, Measurement) and at is not None:
        raise InvalidInput(f"at={at!r} says which measurement of a profile is meant; one measurement needs none")
    if chosen.facts.undefined:
        raise InvalidInput(
            f"{chosen.address}: {chosen.facts.undefined}, so that there is no median distance to draw its bars in units of"
        )
    return chosen


def _at(found: Profile, at: At) -> Measurement:
    if at is None and len(found.measurements) == 1:
        return found.measurements[0]
    names = phrases.positions(found)
    if at is None:
        raise InvalidInput(f"{len(names)} {found.along}s; say with at= which one is meant: {', '.join(names)}")
    if str(at) not in names:
        raise UnknownName(found.along, str(at), names)
    return found.measurements[names.index(str(at))]


def _dimensions(chosen: Measurement, wanted: Sequence[int]) -> Sequence[int]:
    """The homology dimensions, all of which were computed."""
    most = chosen.diagrams.maxdim
    for dimension in wanted:
        if not 0 <= dimension <= most:
            raise InvalidInput(f"dimension {dimension}; H0 to H{most} were computed, maxdim={dimension} computes it")
    if not wanted:
        raise InvalidInput(f"no dimension is wanted; expected some of 0 to {most}")
    return wanted

"""What the figures of a profile share: the registry, the axes along the layers, small print, saving.

Every figure is a `matplotlib.figure.Figure`: no pyplot, no state that outlives the call.
"""

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from todacomm.core.registry import Registry
from todacomm.core.types import Profile
from todacomm.homology.metrics import SCALED, metrics
from todacomm.records.io import write_atomically
from todacomm.report.document import style
from todacomm.report.layers.series import LOG_RANGE, defined_only, interval_ends, places
from todacomm.report.words import phrases

MOST_MARKERS = 24  # along the steps of a training
SMALL = 4.5  # inches, below which a bare figure is fitted to one column
WORDS = "words"  # the mark of a title that a caption would say
UNDATED: Mapping[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
    "svg": dict.fromkeys(("Date", "Creator")),
}
FINAL_NOTE = "final: after the last norm, shown but no part of peaks and ratios"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure: its file name, its title, how to read it, whether one cloud alone has something to show in it, and whether it
    needs the draws of a null.
    """

    name: str
    title: str
    caption: str
    of_one_cloud: bool
    draw: Callable[[Profile], Figure]
    of_a_null: bool = False


drawings: Registry[Drawing] = Registry("figure")


def figure(
    name: str, *, title: str, caption: str, of_one_cloud: bool = False, of_a_null: bool = False
) -> Callable[[Callable[[Profile], Figure]], Callable[[Profile], Figure]]:
    """Register a function of a profile under the name of its file; it is drawn in our style wherever it is called."""

    def enrol(function: Callable[[Profile], Figure]) -> Callable[[Profile], Figure]:
        def draw(profile: Profile) -> Figure:
            with style.styled():
                return function(profile)

        drawings.add(name, Drawing(name, title, caption, of_one_cloud, draw, of_a_null))
        return draw

    return enrol


def save(drawn: Figure, path: Path) -> Path:
    """Write the PNG ``path``, and beside it the other formats that are asked for; of a bare figure its words as text.

    The files depend on nothing but what is drawn: no date, no version of the writer. Returns the path of the PNG.
    """
    figures = style.asked()
    if figures.bare:
        fit_column(drawn)
        said = words_taken_off(drawn)
        if said:
            write_atomically(path.with_suffix(".txt"), "\n\n".join(said) + "\n")
    with style.styled():
        for form in figures.formats:
            write_figure(drawn, path.with_suffix(f".{form}"))
    return path


def write_figure(drawn: Figure, path: Path) -> None:
    """One file of a figure, in the format of its suffix."""
    content, form = io.BytesIO(), path.suffix.removeprefix(".")
    drawn.savefig(content, format=form, dpi=style.DPI, metadata=UNDATED[form])
    write_atomically(path, content.getvalue())


def fit_column(drawn: Figure) -> None:
    """Make a small figure as wide as one column."""
    if drawn.get_figwidth() < SMALL:
        drawn.set_figwidth(style.COLUMN)


def words_taken_off(drawn: Figure) -> list[str]:
    """Take the heading, the titles that belong into a caption and the small print off a figure; returns what they said."""
    titles = [axes.title for axes in drawn.axes if axes.title.get_gid() == WORDS]
    said = [drawn.get_suptitle(), *(title.get_text() for title in titles), drawn.get_supxlabel()]
    for text in (drawn.suptitle(""), drawn.supxlabel(""), *titles):
        text.set_text("")
        text.set_in_layout(False)
    return [words.replace(r"\$", "$") for words in said if words]


def heading(profile: Profile) -> str:
    """What every figure says on top: model, data, pooling, number of points."""
    return f"{style.elided(profile.model)} · {where(profile)} · n = {profile.measurements[0].facts.points}"


def where(profile: Profile) -> str:
    """On which data, and pooled how where it was."""
    pooled = f" · pooling {style.elided(profile.recipe.pooling, 24)}" if profile.recipe.pooling else ""
    return f"{style.elided(profile.data, 36)}{pooled}"


def explain(drawn: Figure, lines: Iterable[str], *, width: int = 132) -> None:
    """Small print under the panels."""
    text = style.wrapped([line.replace("$", r"\$") for line in lines], width)
    if text:
        drawn.supxlabel(text, x=0.01, ha="left", fontsize=6.5, color="#3A3A3A", linespacing=1.35)


def label_layers(axes: Axes, profile: Profile, *, most: int, name: str = "layer") -> None:
    """Ticks along the depth, thinned to what a panel can carry; long names are turned. Along the training, steps."""
    if profile.along == "step":
        label_steps(axes, places(profile))
        return
    at, labels = style.layer_ticks(phrases.positions(profile), most=most)
    long = max(map(len, labels), default=0) > 5
    axes.set_xticks(at, labels, rotation=35 if long else 0, ha="right" if long else "center")
    axes.set_xlabel(name)
    room = max(0.4, 0.025 * len(profile.measurements))
    axes.set_xlim(-room, len(profile.measurements) - 1 + room)


def label_steps(axes: Axes, steps: Float[np.ndarray, " L"]) -> None:
    """A linear axis of training steps."""
    axes.xaxis.set_major_locator(MaxNLocator(max(2, int(1.6 * inches_wide(axes))), integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(plain_number))
    axes.set_xlabel("training step")
    room = 0.02 * float(np.ptp(steps)) or 0.5
    axes.set_xlim(steps.min() - room, steps.max() + room)


def inches_wide(axes: Axes) -> float:
    """About how wide axes are, before the figure is laid out."""
    return float(axes.figure.figure.get_figwidth() * axes.get_position().width)


def plain_number(value: float, _: int | None = None) -> str:
    """A tick of a log axis without powers of ten."""
    return f"{value:,.10g}"


def log_axis(axes: Axes, values: Sequence[float] | Float[np.ndarray, " v"]) -> None:
    """A log y axis with readable ticks: 1, 2, 5 over two decades, plain numbers within a factor of four, powers beyond."""
    span, axis = max(values) / min(values), axes.yaxis
    axes.set_yscale("log")
    axis.set_minor_formatter(NullFormatter())
    if span < 4:
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if span < 200 else (1.0,), numticks=9))
    if span < 1e5:
        axis.set_major_formatter(FuncFormatter(plain_number))


def _doubtful(profile: Profile) -> Bool[np.ndarray, " L"]:
    return np.array([bool(m.facts.doubtful) for m in profile.measurements])


def _after_norm(profile: Profile) -> bool:
    return profile.along == "layer" and profile.layers[-1] == "final" and len(profile.layers) > 1


@dataclass(frozen=True, slots=True)
class Look:
    """How one line is told from the others, by colour and by marker, and its name in the legend."""

    colour: str
    marker: str = "o"
    label: str = ""


def draw_along(axes: Axes, profile: Profile, values: Float[np.ndarray, " L"], look: Look) -> None:
    """One line along the layers: hollow markers where doubtful, a gap where undefined, dotted to ``final``."""
    y, x, hollow = defined_only(profile, values), places(profile), _doubtful(profile)
    stop = len(values) - 1 if _after_norm(profile) else len(values)
    size = 4.0 if len(values) <= 16 else 2.8
    filled = ~hollow & marked(profile)
    axes.plot(x[:stop], y[:stop], color=look.colour, zorder=2)
    axes.plot(x[stop - 1 :], y[stop - 1 :], color=look.colour, linestyle=":", linewidth=1, zorder=2)
    for chosen, face in ((filled & ~np.isnan(y), look.colour), (hollow & ~np.isnan(y), "white")):
        if chosen.any():  # an empty line that is not clipped would count as lying at the corner of the figure
            drawn = axes.plot(x[chosen], y[chosen], look.marker, color=look.colour, markersize=size, zorder=3)[0]
            drawn.set(markerfacecolor=face, clip_on=False)
    if look.label:
        axes.plot([], [], color=look.colour, marker=look.marker, markersize=size, label=look.label)


def marked(profile: Profile) -> Bool[np.ndarray, " L"]:
    """Which measurements get a marker: every layer; of many checkpoints about `MOST_MARKERS`."""
    count = len(profile.measurements)
    every = -(-count // MOST_MARKERS) if profile.along == "step" else 1
    return np.arange(count) % every == 0


def within(axes: Axes, low: Float[np.ndarray, " L"]) -> Float[np.ndarray, " L"]:
    """The lower ends of a band, none below the axis: a log axis has no zero."""
    return np.maximum(low, axes.get_ylim()[0] if axes.get_yscale() == "log" else 0.0)


def draw_band(axes: Axes, profile: Profile, name: str, colour: str) -> None:
    """The intervals of a number as a band around its line, on axes that are framed."""
    low, high = interval_ends(profile, name)
    low = within(axes, low)
    x, stop = places(profile), len(low) - 1 if _after_norm(profile) else len(low)
    axes.fill_between(x[:stop], low[:stop], high[:stop], color=colour, alpha=0.18, linewidth=0, zorder=1)
    axes.vlines(x[stop:], low[stop:], high[stop:], color=colour, alpha=0.35, linewidth=2.5, zorder=1)
    if len(low) == 1:
        axes.vlines(x, low, high, color=colour, alpha=0.35, linewidth=2.5, zorder=1)


def frame_values(axes: Axes, values: Float[np.ndarray, " L"], tops: Float[np.ndarray, " L"] | None = None) -> None:
    """The value axis: from zero, or a log axis where the values span several orders; a word where there are none.

    ``tops`` are the upper ends of what is drawn around the values.
    """
    known = values[np.isfinite(values)]
    highest = np.fmax(values, tops)[np.isfinite(values)] if tops is not None else known
    if not len(known):
        axes.text(
            0.5, 0.5, "undefined on every layer", ha="center", va="center", transform=axes.transAxes, color=style.GREY
        )
        axes.set_yticks([])
    elif known.min() > 0 and known.max() / known.min() > LOG_RANGE:
        log_axis(axes, np.concatenate([known, highest]))
    else:
        axes.set_ylim(0, 1.08 * highest.max() or 1.0)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=bool((known == known.round()).all() and known.max() > 4)))


def draw_metric(axes: Axes, profile: Profile, dimension: int, name: str, *, scaled: bool = False) -> None:
    """One metric of one homology dimension along the layers, with its unit on the axis."""
    key = f"H{dimension}_{name}{SCALED if scaled else ''}"
    values = profile[key]
    draw_along(axes, profile, values, Look(style.HOMOLOGY[dimension]))
    frame_values(axes, defined_only(profile, values), interval_ends(profile, key)[1])
    draw_band(axes, profile, key, style.HOMOLOGY[dimension])
    axes.set_ylabel(axis_label(profile, key))


OF_CLOUDS = {  # facts of a cloud → what an axis calls them, and whether they are distances before any rescaling
    "points": ("points", False),
    "dimension": ("dimensions of the activations", False),
    "components": ("components kept", False),
    "variance_kept": ("variance kept (share)", False),
    "distinct_points": ("distinct points", False),
    "scale": ("median distance", True),
    "rms_distance": ("root mean square distance", True),
    "largest_variance_share": ("share of the variance\nin one dimension", False),
    "norm": ("median norm\n(activation units)", False),
    "landmarks_of": ("points of the cloud", False),
    "covering_radius": ("covering radius", True),
    "bar_error": ("error of the ends of bars", True),
    "second_variance_share": ("share of the variance\nin the next dimension", False),
}


def axis_label(profile: Profile, key: str) -> str:
    """What an axis calls a number of ``profile.names``, with its unit."""
    found = re.fullmatch(r"H(\d)_(\w+)", key)
    if found is None:
        label, distance = OF_CLOUDS[key]
        return f"{label}\n({style.raw_distance_unit(profile)})" if distance else label
    dimension, name = found.groups()
    entry = metrics[name.removesuffix(SCALED)]
    unit = f"({style.distance_unit(profile)})" if entry.degree else ""
    return f"H{dimension} {entry.label}\n{'/ median distance' if name.endswith(SCALED) else unit}".strip()


def legend_lines(profile: Profile) -> list[str]:
    """What the hollow markers, the gaps and ``final`` mean, for the small print."""
    hollow = [line.replace("○ doubtful", "hollow ○ doubtful", 1) for line in phrases.mark_lines(profile)]
    shown = [line.replace("× undefined", "not drawn, undefined", 1) for line in hollow]
    return [*shown, FINAL_NOTE if _after_norm(profile) else "", band_line(profile)]


def band_line(profile: Profile) -> str:
    """What the bands are; empty where there are none."""
    claims = profile.claims
    return f"bands: {claims.asked.confidence:.0%} intervals (split-half)" if claims and claims.intervals else ""


def panel_grid(profile: Profile, rows: int, columns: int, *, height: float) -> tuple[Figure, Any]:
    """A figure with its heading and rows × columns of panels, ``height`` inches a row."""
    drawn = Figure(figsize=(style.width(columns), height * rows + style.words(0.65)))
    drawn.suptitle(heading(profile), fontsize=9)
    return drawn, drawn.subplots(rows, columns, squeeze=False)

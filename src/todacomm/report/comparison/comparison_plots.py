"""The figures of several profiles: one colour a model, one line style a dataset or pooling, the same in every panel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from todacomm.comparison.compare import baseline_index
from todacomm.core.types import Expansion, Growth, Measurement, Number, Profile, is_block
from todacomm.report.document import style
from todacomm.report.document.drawings import Drawings
from todacomm.report.document.figure_parts import MOST_MARKERS, explain, log_axis, plain_number, where
from todacomm.report.layers.series import LOG_RANGE
from todacomm.report.words import phrases
from todacomm.report.words.intervals_and_nulls import growth_interval
from todacomm.report.words.phrases import doubtful_growth

DEPTH = "relative depth (0: embedding, 1: last block)"
comparison_drawings: Drawings[Sequence[Profile]] = Drawings("comparison figure")
comparison_figure, write_comparison_figures = comparison_drawings.figure, comparison_drawings.write


@dataclass(frozen=True, slots=True)
class Hand:
    """How one profile is drawn wherever it appears, and its name in the legend."""

    colour: str
    marker: str
    dashes: str
    label: str


def variant(profile: Profile) -> tuple[str, str]:
    """What tells two profiles of one model apart: data and pooling."""
    return profile.data, profile.recipe.pooling or "given"


def hands(profiles: Sequence[Profile]) -> list[Hand]:
    """A colour for each model, a marker and a line style for each dataset and pooling."""
    models = list(dict.fromkeys(p.model for p in profiles))
    variants = list(dict.fromkeys(map(variant, profiles)))
    differing = [i for i in range(2) if len({v[i] for v in variants}) > 1]
    found = []
    for p in profiles:
        m, v = models.index(p.model), variants.index(variant(p))
        told = ", ".join(style.elided(variant(p)[i], 24) for i in differing)
        label = style.elided(p.model, 36) + (f" ({told})" if told else "")
        marker = style.MARKERS[(v + m // len(style.PALETTE)) % len(style.MARKERS)]
        dashes = style.LINE_STYLES[(v + m // len(style.PALETTE)) % len(style.LINE_STYLES)]
        found.append(Hand(style.PALETTE[m % len(style.PALETTE)], marker, dashes, label))
    return found


def depths(profile: Profile) -> list[tuple[float, Measurement]]:
    """The defined layers with their relative depth: 0 the embedding, 1 the last block; ``final`` left out. Of a training, its steps."""
    if profile.along == "step":
        return [(float(m.address.step or 0), m) for m in profile.measurements if not m.facts.undefined]
    inner = [m for m in profile.measurements if m.address.layer != "final"]
    numbers = [_place(m.address.layer, i) for i, m in enumerate(inner)]
    last = max(numbers, default=0) or 1
    return [(x / last, m) for x, m in zip(numbers, inner, strict=True) if not m.facts.undefined]


def _place(layer: str, position: int) -> int:
    """The distance from the embedding in blocks; the position where layers are no blocks."""
    return int(layer.removeprefix("layer_")) + 1 if is_block(layer) else position


def draw_profile(axes: Axes, profile: Profile, hand: Hand, of: Callable[[Measurement], Number]) -> list[float]:
    """One line over relative depth, hollow where doubtful; returns what was drawn."""
    known = [(x, y, bool(m.facts.doubtful)) for x, m in depths(profile) if (y := of(m)) is not None]
    axes.plot([x for x, *_ in known], [y for _, y, _ in known], hand.dashes, color=hand.colour, linewidth=1.1)
    every = -(-len(known) // MOST_MARKERS) if profile.along == "step" else 1
    for x, y, doubtful in (one for i, one in enumerate(known) if i % every == 0 or one[2]):
        face = "white" if doubtful else hand.colour
        axes.plot(x, y, hand.marker, color=hand.colour, markerfacecolor=face, markersize=3.4, clip_on=False)
    return [y for _, y, _ in known]


def value_axis(axes: Axes, values: Sequence[float]) -> None:
    """The value axis: from zero, or a log axis where the values span several orders."""
    if values and min(values) > 0 and max(values) / min(values) > LOG_RANGE:
        log_axis(axes, values)
    else:
        axes.set_ylim(0, 1.08 * max(values, default=0.0) or 1.0)
        axes.yaxis.set_major_locator(MaxNLocator(5))


def _panels_of(profiles: Sequence[Profile]) -> list[tuple[str, Callable[[Measurement], Number]]]:
    """What is drawn over depth: the scale-free numbers first, the scale beside them."""
    names = {
        "H0 total / median distance": phrases.H0_SHAPE,
        "H1 total / median distance": phrases.H1_SHAPE,
        "H1 longest bar / median distance": "H1_max_lifetime_scaled",
    }
    known = {label: key for label, key in names.items() if any(key in p.names for p in profiles)}
    scale: Callable[[Measurement], Number] = lambda m: m.facts.scale  # noqa: E731 -- one of several, kept in a list
    return [*((label, _number(key)) for label, key in known.items()), ("median distance (scale)", scale)]


def _number(key: str) -> Callable[[Measurement], Number]:
    return lambda m: phrases.summary_of(m, key)


def legend_below(drawn: Figure, profiles: Sequence[Profile], drawn_by: Sequence[Hand]) -> None:
    """One legend for all panels, under them, with a word on hollow markers where there are any."""
    lines = [handle(h.label, color=h.colour, marker=h.marker, linestyle=h.dashes) for h in drawn_by]
    if any(m.facts.doubtful and not m.facts.undefined for p in profiles for m in p.measurements):
        lines.append(handle("hollow: doubtful layer", color=style.GREY, marker="o", linestyle="", mfc="white"))
    longest = max(len(str(line.get_label())) for line in lines)
    drawn.legend(handles=lines, loc="outside lower center", ncols=max(1, min(len(lines), 110 // (longest + 8))))


def handle(label: str, **look: Any) -> Line2D:
    """A line for the legend alone."""
    return Line2D([], [], markersize=4, label=label, **look)


@comparison_figure(
    "comparison_profiles",
    title="The models along their depth",
    caption="Scale-free H0 and H1, and the scale itself, over relative depth: 0 is the embedding, 1 the last block; the "
    "layer after the final norm is left out. Hollow markers are doubtful layers, undefined ones are not drawn.",
)
def comparison_profiles(profiles: Sequence[Profile]) -> Figure:
    """Small multiples over relative depth, one line a profile."""
    wanted, drawn_by = _panels_of(profiles), hands(profiles)
    rows = -(-len(wanted) // 2)
    drawn = Figure(figsize=(style.WIDTH, 2.15 * rows + 0.3 + 0.16 * len(profiles)))
    grid: Any = drawn.subplots(rows, 2, squeeze=False, sharex=True)
    for axes, (label, of) in zip(grid.flat, wanted, strict=False):
        values = [y for p, hand in zip(profiles, drawn_by, strict=True) for y in draw_profile(axes, p, hand, of)]
        value_axis(axes, values)
        axes.set_ylabel(label)
    for axes in grid[-1]:
        axes.set_xlabel(DEPTH)
    legend_below(drawn, profiles, drawn_by)
    return drawn


@dataclass(frozen=True, slots=True)
class Factor:
    """What one panel shows: a title, which growth of an expansion, and which of its numbers, called its ``part``."""

    title: str
    part: str
    growth: Callable[[Expansion], Growth | None]
    number: Callable[[Growth], float]


FACTORS = (
    Factor("expansion", "ratio", lambda e: e.growth, lambda g: g.ratio),
    Factor("scale growth", "scale", lambda e: e.growth, lambda g: g.scale),
    Factor("shape growth", "shape", lambda e: e.growth, lambda g: g.shape),
    Factor("largest shape growth", "shape", lambda e: e.largest_shape, lambda g: g.shape),
)


def chosen_expansions(profiles: Sequence[Profile]) -> list[Expansion | None]:
    """One expansion a profile, all on the same kind of baseline: the embedding where it is sound for all, else the first sound layer."""
    which = baseline_index(profiles)
    return [p.expansions[which] if p.expansions else None for p in profiles]


@dataclass(frozen=True, slots=True)
class Dot:
    """One number of one model with the ends of its interval, hollow where it is doubtful."""

    value: float
    hollow: bool
    low: Number = None
    high: Number = None


def _dots(axes: Axes, dots: Sequence[Dot | None], drawn_by: Sequence[Hand]) -> Float[np.ndarray, " k"]:
    """One dot a row with its number above it and its interval, or a word where it is undefined; returns what was drawn."""
    drawn = []
    for y, (dot, hand) in enumerate(zip(dots, drawn_by, strict=True)):
        if dot is None or not dot.value > 0:
            where: Any = {"xycoords": ("axes fraction", "data"), "ha": "center", "va": "center"}
            axes.annotate("undefined", (0.5, y), fontsize=6.5, color=style.GREY, **where)
            continue
        face = "white" if dot.hollow else hand.colour
        ends = [end for end in (dot.low, dot.high) if end is not None and end > 0]
        axes.plot([*ends, dot.value], [y] * (len(ends) + 1), color=hand.colour, linewidth=1.0, zorder=1.5)
        axes.plot(dot.value, y, hand.marker, color=hand.colour, markerfacecolor=face, markersize=6)
        above: Any = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center"}
        axes.annotate(phrases.number(dot.value, 3), (dot.value, y), fontsize=6.5, **above)
        drawn += [dot.value, *ends]
    return np.array(drawn)


def _factor_axis(axes: Axes, values: Float[np.ndarray, " k"], title: str) -> None:
    """A log axis around 1, wide enough for the dots and the numbers above them."""
    axes.set_title(title)
    axes.axvline(1, color=style.GREY, linewidth=0.7, zorder=1)
    low, high = min(values.min(initial=1), 0.8), max(values.max(initial=1), 1.25)
    axes.set_xscale("log")
    axes.set_xlim(low / (high / low) ** 0.16, high * (high / low) ** 0.16)
    axes.xaxis.set_major_locator(FixedLocator(style.log_ticks(low, high)))
    axes.xaxis.set_major_formatter(FuncFormatter(plain_number))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())


@comparison_figure(
    "comparison_expansion",
    title="Expansion and its two factors",
    caption="For each model: H0 total at its peak over that of the baseline (expansion), and its two exact factors, "
    "growth of the median distance (scale) and growth of the total at equal median distance (shape); on the right the "
    "largest shape growth of any block. Log axes; the line is 1, no change. Hollow dots are doubtful: the baseline or the "
    "block of that growth is.",
)
def comparison_expansion(profiles: Sequence[Profile]) -> Figure:
    """Dots on log axes: expansion, scale growth, shape growth, largest shape growth."""
    chosen, drawn_by = chosen_expansions(profiles), hands(profiles)
    drawn = Figure(figsize=(style.WIDTH, 0.95 + 0.34 * len(profiles)))
    row: Any = drawn.subplots(1, len(FACTORS), sharey=True)
    for axes, factor in zip(row, FACTORS, strict=True):
        growths = [factor.growth(e) if e is not None else None for e in chosen]
        dots = [dot_of(factor, p, g) if g else None for p, g in zip(profiles, growths, strict=True)]
        _factor_axis(axes, _dots(axes, dots, drawn_by), factor.title)
    row[0].set_yticks(range(len(profiles)), [hand.label for hand in drawn_by])
    row[0].set_ylim(len(profiles) - 0.5, -0.7)
    explain(drawn, [shared(profiles), baselines(profiles, chosen), intervals_line(profiles)])
    return drawn


def dot_of(factor: Factor, profile: Profile, growth: Growth) -> Dot:
    """A growth of a profile as a dot, with the interval that was claimed of it."""
    found = growth_interval(profile, growth, factor.part)
    return Dot(factor.number(growth), doubtful_growth(profile, growth), *((found.low, found.high) if found else ()))


def shared(profiles: Sequence[Profile]) -> str:
    """On which data and with which pooling all were measured; empty where these differ, which the names then say."""
    found = list(dict.fromkeys(map(where, profiles)))
    return f"On {found[0]}." if len(found) == 1 else ""


def intervals_line(profiles: Sequence[Profile]) -> str:
    """What the lines through the dots are; empty where there are none."""
    found = {p.claims.asked.confidence for p in profiles if p.claims and p.claims.growths}
    return f"Lines: {' and '.join(phrases.share(level, 0) for level in sorted(found))} intervals." if found else ""


def baselines(profiles: Sequence[Profile], chosen: Sequence[Expansion | None]) -> str:
    """Which layer each model is set on."""
    on: dict[str, list[str]] = {}
    for hand, e in zip(hands(profiles), chosen, strict=True):
        on.setdefault((e.baseline if e is not None else "") or "none", []).append(hand.label)
    if len(on) == 1:
        return f"Baseline of every model: {next(iter(on))}."
    return (
        "Baseline, the first sound layer of each: "
        + "; ".join(f"{b} for {phrases.listed(who)}" for b, who in on.items())
        + "."
    )

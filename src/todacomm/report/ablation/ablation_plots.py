"""The figures of an ablation: every setting a row, every model a colour, the base on top and as a line through all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from todacomm.ablation.judge import Ablation
from todacomm.ablation.settings import FACTORS, WORDS, Setting, spoken
from todacomm.core.types import layer_key
from todacomm.report.document import style
from todacomm.report.document.drawings import Drawings
from todacomm.report.document.figure_parts import plain_number

MOST_ROWS = 48  # settings beyond which a row stands for all settings that share a value
SPREAD = 0.66  # of a row, over which the models are set apart
ROW = 0.165  # inches


ablation_drawings: Drawings[Ablation] = Drawings("ablation figure")
ablation_figure, write_ablation_figures = ablation_drawings.figure, ablation_drawings.write


# Rows


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a figure: a label, the factor it belongs to and the settings whose dots stand in it."""

    label: str
    factor: str
    settings: tuple[Setting, ...]


def rows_of(found: Ablation) -> list[Row]:
    """One row a setting; one for each value of each factor where the settings are too many."""
    base = found.base
    if len(found.settings) <= MOST_ROWS:
        return [Row(s.label(base), s.factor(base), (s,)) for s in found.settings]
    values = [(f, v) for f in FACTORS for v in dict.fromkeys(getattr(s, f) for s in found.settings)]
    varied = {f for f in FACTORS if sum(f == other for other, _ in values) > 1}
    shared = [
        Row(f"{WORDS[f]} {spoken(f, v)}", f, tuple(s for s in found.settings if getattr(s, f) == v))
        for f, v in values
        if f in varied
    ]
    return [Row("base", "base", (base,)), *shared]


def rows_axis(axes: Axes, rows: Sequence[Row], *, labelled: bool = True) -> None:
    """The labels of the rows, from the top, and a line between factors."""
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [style.elided(r.label, 40) for r in rows] if labelled else [""] * len(rows))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    for y, (one, other) in enumerate(pairwise(rows)):
        if one.factor != other.factor:
            axes.axhline(y + 0.5, color="#CFCFCF", linewidth=0.6, zorder=0)


@dataclass(frozen=True, slots=True)
class Hand:
    """How a model is drawn, and how far from the middle of its row."""

    colour: str
    marker: str
    shift: float


def hands_of(models: Sequence[str]) -> dict[str, Hand]:
    """A colour and a marker for each model."""
    step = SPREAD / max(1, len(models) - 1)
    return {
        model: Hand(
            style.PALETTE[i % len(style.PALETTE)],
            style.MARKERS[i % len(style.MARKERS)],
            (i * step - SPREAD / 2) if len(models) > 1 else 0.0,
        )
        for i, model in enumerate(models)
    }


Value = tuple[float, bool]  # where a dot stands, and whether it is doubtful
Of = Callable[[Setting, str], Value | None]


def dots(axes: Axes, found: Ablation, rows: Sequence[Row], of: Of) -> list[float]:
    """The dots of all rows and, for each model, the line of the base; returns what was drawn."""
    drawn = []
    crowded = any(len(row.settings) > 1 for row in rows)
    for model, hand in hands_of(found.models).items():
        base = of(found.base, model)
        if base is not None:
            axes.axvline(base[0], color=hand.colour, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.55, zorder=1)
        for y, row in enumerate(rows):
            for value in filter(None, (of(s, model) for s in row.settings)):
                look = looks(hand, doubtful=value[1], base=row.factor == "base", crowded=crowded)
                axes.plot(value[0], y + hand.shift, hand.marker, **look)
                drawn.append(value[0])
    return drawn


def looks(hand: Hand, *, doubtful: bool, base: bool, crowded: bool) -> dict[str, Any]:
    """Larger in the base, hollow where doubtful, faint where many stand in a row."""
    faint = crowded and not base
    return {
        "color": hand.colour,
        "markerfacecolor": "white" if doubtful else hand.colour,
        "markersize": 5.2 if base else 2.6 if faint else 3.4,
        "markeredgewidth": 0.8,
        "alpha": 0.45 if faint else 1.0,
        "zorder": 3,
    }


def legend(drawn: Figure, found: Ablation, *, doubtful: bool) -> None:
    """The models under the panels."""
    lines = [
        Line2D(
            [],
            [],
            color=h.colour,
            marker=h.marker,
            linestyle=(0, (4, 3)),
            linewidth=0.8,
            markersize=4,
            label=style.elided(m, 40),
        )
        for m, h in hands_of(found.models).items()
    ]
    if doubtful:
        lines.append(
            Line2D(
                [], [], color=style.GREY, marker="o", mfc="white", linestyle="", markersize=4, label="hollow: doubtful"
            )
        )
    longest = max(len(str(line.get_label())) for line in lines)
    drawn.legend(handles=lines, loc="outside lower center", ncols=max(1, min(len(lines), 110 // (longest + 8))))


def sheet(rows: Sequence[Row], found: Ablation, columns: int, title: str) -> tuple[Figure, Any]:
    """A figure with a heading and panels side by side that share their rows."""
    height = 1.25 + max(ROW, ROW * 0.47 * len(found.models)) * len(rows)
    drawn = Figure(figsize=(style.WIDTH, height))
    drawn.suptitle(title, fontsize=9)
    return drawn, drawn.subplots(1, columns, squeeze=False)[0]


# Figures


def growth_part(found: Ablation, part: str) -> Of:
    """The growth of a model under a setting: its ``expansion``, ``scale_growth`` or ``shape_growth``."""

    def of(setting: Setting, model: str) -> Value | None:
        numbers = found.numbers[setting][model]
        value = getattr(numbers, part)
        return None if value is None else (float(value), bool(numbers.doubt))

    return of


def factor_axis(axes: Axes, values: Sequence[float]) -> None:
    """A log x axis around 1 with readable ticks."""
    low, high = min(values) / 1.12, max(values) * 1.12
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axis = axes.xaxis
    axis.set_minor_formatter(NullFormatter())
    axis.set_minor_locator(NullLocator())
    if high / low < 6:
        axis.set_major_locator(MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))
    else:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 100 else (1.0,), numticks=7))
    axis.set_major_formatter(FuncFormatter(plain_number))
    if low <= 1 <= high:
        axes.axvline(1, color=style.GREY, linewidth=0.7, zorder=1)


@ablation_figure(
    "ablation_growth",
    title="Expansion and shape growth under every setting",
    caption="Each row is one setting, named by what it changes of the base, the first row; each dot is a model. Dashed lines go "
    "through the values of the base, the grey line is no growth. Both axes are logarithmic. An expansion by cosine distance or on "
    "the sphere is in other units than that of the base; its place along the axis cannot be compared, the order of models can.",
)
def ablation_growth(found: Ablation) -> Figure | None:
    """Expansion and shape growth, a row a setting."""
    if not any(found.baselines.values()):
        return None
    rows = rows_of(found)
    drawn, panels = sheet(rows, found, 2, f"Growth from the baseline to the peak · {len(found.settings)} settings")
    for i, (axes, (part, name)) in enumerate(
        zip(panels, (("expansion", "expansion"), ("shape_growth", "shape growth")), strict=True)
    ):
        values = dots(axes, found, rows, growth_part(found, part))
        rows_axis(axes, rows, labelled=i == 0)
        factor_axis(axes, values)
        axes.set_xlabel(name)
    legend(drawn, found, doubtful=any_doubt(found))
    return drawn


def any_doubt(found: Ablation) -> bool:
    """Whether any growth is doubtful."""
    of = growth_part(found, "expansion")
    return any(value[1] for s in found.settings for m in found.models if (value := of(s, m)))


def depth_of(found: Ablation, depths: Mapping[str, int]) -> tuple[Of, bool]:
    """The place of the peak: the number of its block, or the share of the depth where models have different depths."""
    relative = len(set(depths.values())) > 1

    def of(setting: Setting, model: str) -> Value | None:
        numbers = found.numbers[setting][model]
        if numbers.peak_layer is None:
            return None
        number = layer_key(numbers.peak_layer)[1]
        return (number / (depths[model] or 1) if relative else number, bool(numbers.peak_doubt))

    return of, relative


@ablation_figure(
    "ablation_peaks",
    title="The peak under every setting",
    caption="The block with the longest spanning tree (H0 total), a row a setting and a dot a model; dashed lines go through the "
    "peaks of the base. Models of different depths are set along relative depth, 1 being the last block.",
)
def ablation_peaks(found: Ablation) -> Figure | None:
    """The peak layer, a row a setting."""
    if not found.depths or not any(found.depths.values()):
        return None
    rows, (of, relative) = rows_of(found), depth_of(found, found.depths)
    drawn, panels = sheet(rows, found, 1, f"Where H0 total is largest · {len(found.settings)} settings")
    axes = panels[0]
    values = dots(axes, found, rows, of)
    doubtful = any(value[1] for s in found.settings for m in found.models if (value := of(s, m)))
    rows_axis(axes, rows)
    last = 1 if relative else max(values)
    axes.set_xlim(-0.03 * last, 1.03 * last)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=not relative))
    axes.set_xlabel("depth of the peak (1: the last block)" if relative else "block of the peak")
    legend(drawn, found, doubtful=doubtful)
    return drawn


VERDICTS: Mapping[bool | None, tuple[str, str, str]] = {
    True: ("s", "#0072B2", "stands"),
    False: ("X", "#D55E00", "fails"),
    None: ("_", "#9A9A9A", "cannot be judged"),
}


@ablation_figure(
    "ablation_claims",
    title="Where each claim stands",
    caption="Each row is a claim, each column a setting, named by what it changes of the base: a square where the claim "
    "stands, a cross where it fails, a dash where the setting cannot speak for or against it (the table says why).",
)
def ablation_claims(found: Ablation) -> Figure | None:
    """Claims against settings."""
    columns = found.settings[1:]
    if not columns or len(columns) > MOST_ROWS:
        return None
    claims = found.standings
    drawn = Figure(figsize=(style.WIDTH, 1.75 + 0.17 * len(claims)))
    axes = drawn.subplots()
    for y, standing in enumerate(claims):
        for x, setting in enumerate(columns):
            marker, colour, _ = VERDICTS[standing.verdicts[setting].stands]
            axes.plot(x, y, marker, color=colour, markersize=4.4, markeredgewidth=0.8 if marker == "_" else 0.0)
    axes.set_yticks(range(len(claims)), [style.elided(s.name, 52) for s in claims])
    axes.set_ylim(len(claims) - 0.4, -0.6)
    axes.set_xticks(range(len(columns)), [s.label(found.base) for s in columns], rotation=90, fontsize=6)
    axes.set_xlim(-0.6, len(columns) - 0.4)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    lines = [Line2D([], [], marker=m, color=c, linestyle="", markersize=5, label=t) for m, c, t in VERDICTS.values()]
    drawn.legend(handles=lines, loc="outside upper right", ncols=3)
    return drawn

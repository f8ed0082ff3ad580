"""Charts of an ablation: a row a setting, a colour a model, the base on top and as a line through all rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from todacomm.ablation.judge import Ablation
from todacomm.ablation.settings import FACTORS, WORDS, Setting, spoken
from todacomm.core.types import layer_key
from todacomm.report.document import style
from todacomm.report.document.chart import Axis, Chart, Panel, Rule, Series, exact, log_axis, names_axis, table
from todacomm.report.document.drawings import Drawings
from todacomm.report.document.style import cut
from todacomm.report.words.phrases import number

MOST_ROWS = 48  # settings beyond which a row stands for all settings that share a value
SPREAD = 0.66  # of a row, over which the models are set apart
ROW, PIXELS = 0.165, 20  # of a row, in inches and on the page
HEADER = ("setting", "model", "number", "value", "doubtful")


ablation_drawings: Drawings[Ablation] = Drawings("ablation figure")
write_ablation_figures = ablation_drawings.write


# Rows


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a chart: a label, the factor it belongs to and the settings whose dots stand in it."""

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


# Dots


@dataclass(frozen=True, slots=True)
class Hand:
    """The look of a model, and its offset from the middle of its row."""

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


def dots(found: Ablation, rows: Sequence[Row], of: Of, label: str) -> Iterator[Series]:
    """The dots of each model: larger in the base, faint where many stand in a row."""
    crowded = any(len(row.settings) > 1 for row in rows)
    for model, hand in hands_of(found.models).items():
        base, others = ([r for r in enumerate(rows) if (r[1].factor == "base") is wanted] for wanted in (True, False))
        faint = {"size": 0.75, "strength": 0.45} if crowded else {"size": 0.9}
        for some, look in ((base, {"size": 1.4}), (others, faint)):
            known = [(y, s, value) for y, row in some for s in row.settings if (value := of(s, model)) is not None]
            more: Any = look
            yield Series(
                tuple(value[0] for *_, value in known),
                tuple(y + hand.shift for y, *_ in known),
                model,
                hand.colour,
                hand.marker,
                dashes="",
                hollow=tuple(value[1] for *_, value in known),
                told=tuple(
                    (model, s.label(found.base), f"{label}: {number(value[0])}", "doubtful" if value[1] else "")
                    for _, s, value in known
                ),
                **more,
            )


def panel_of(
    found: Ablation, rows: Sequence[Row], of: Of, across: Callable[[Sequence[float]], Axis], label: str
) -> Panel:
    """One number: a row a setting, for each model a line through the base, a line between factors."""
    series = tuple(dots(found, rows, of, label))
    values = [x for one in series for x in one.x if x is not None]
    bases = [(hand, of(found.base, model)) for model, hand in hands_of(found.models).items()]
    through = [Rule(value[0], colour=hand.colour, dashes="--") for hand, value in bases if value is not None]
    apart = [Rule(y + 0.5, "y", style.PALE) for y, (a, b) in enumerate(pairwise(rows)) if a.factor != b.factor]
    x, down = across(values), names_axis([cut(row.label, 40) for row in rows])
    one = [Rule(1.0)] if x.kind == "log" and x.limits and x.limits[0] <= 1 <= x.limits[1] else []
    return Panel(
        series, x, down, rules=(*one, *through, *apart), height=PIXELS * len(rows) * max(1, len(found.models) // 2)
    )


def keys_of(found: Ablation, panels: Sequence[Panel]) -> tuple[Series, ...]:
    """The models, and what hollow marks are where there are any."""
    keys = [Series(label=m, colour=h.colour, marker=h.marker, dashes="--") for m, h in hands_of(found.models).items()]
    hollow = Series(label="hollow: doubtful", colour=style.GREY, dashes="", hollow=(True,))
    return (*keys, *([hollow] if any(any(one.hollow) for panel in panels for one in panel.series) else []))


def chart_of(
    found: Ablation, rows: Sequence[Row], panels: Sequence[Panel], ofs: Mapping[str, Of], heading: str
) -> Chart:
    """Panels side by side that share their rows; the registry names the chart."""
    data = (
        (s.label(found.base), model, name, exact(value[0]), "doubtful" if value[1] else "")
        for name, of in ofs.items()
        for s in found.settings
        for model in found.models
        if (value := of(s, model)) is not None
    )
    return Chart(
        "",
        "",
        "",
        tuple(panels),
        table(HEADER, data),
        keys=keys_of(found, panels),
        heading=f"{heading} · {len(found.settings)} settings",
        columns=len(panels),
        tall=0.5 + max(ROW, ROW * 0.47 * len(found.models)) * len(rows),
    )


# Charts


def growth_part(found: Ablation, part: str) -> Of:
    """The growth of a model under a setting: its ``expansion``, ``scale_growth`` or ``shape_growth``."""

    def of(setting: Setting, model: str) -> Value | None:
        numbers = found.numbers[setting][model]
        value = getattr(numbers, part)
        return None if value is None else (float(value), bool(numbers.doubt))

    return of


@ablation_drawings.chart(
    "ablation_growth",
    title="Expansion and shape growth under every setting",
    caption="Each row is one setting, named by what it changes of the base, the first row; each dot is a model. Dashed "
    "lines go through the values of the base, the grey line is no growth. Both axes are logarithmic. An expansion by "
    "cosine distance or on "
    "the sphere is in other units than that of the base; its place along the axis cannot be compared, the order of "
    "models can.",
)
def ablation_growth(found: Ablation) -> Chart | None:
    """Expansion and shape growth, a row a setting."""
    if not any(found.baselines.values()):
        return None
    rows = rows_of(found)
    ofs = {name: growth_part(found, name.replace(" ", "_")) for name in ("expansion", "shape growth")}

    def across(name: str) -> Callable[[Sequence[float]], Axis]:
        return lambda values: log_axis(f"{name} (times the baseline)", [*values, 1.0], room=0.06, limits=True)

    panels = [panel_of(found, rows, of, across(name), name) for name, of in ofs.items()]
    return chart_of(found, rows, panels, ofs, "Growth from the baseline to the peak")


def depth_of(found: Ablation, depths: Mapping[str, int]) -> tuple[Of, bool]:
    """The place of the peak: the number of its block, or the share of the depth where models have different depths."""
    relative = len(set(depths.values())) > 1

    def of(setting: Setting, model: str) -> Value | None:
        numbers = found.numbers[setting][model]
        if numbers.peak_layer is None:
            return None
        number = layer_key(numbers.peak_layer)[1]
        return (number / (depths[model] or 1) if relative else float(number), bool(numbers.peak_doubt))

    return of, relative


@ablation_drawings.chart(
    "ablation_peaks",
    title="The peak under every setting",
    caption="The block with the longest spanning tree (H0 total), a row a setting and a dot a model; dashed lines go "
    "through the peaks of the base. Models of different depths are set along relative depth, 1 being the last block.",
)
def ablation_peaks(found: Ablation) -> Chart | None:
    """The peak layer, a row a setting."""
    if not found.depths or not any(found.depths.values()):
        return None
    rows, (of, relative) = rows_of(found), depth_of(found, found.depths)
    name = "depth of the peak (1: the last block)" if relative else "block of the peak"

    def across(values: Sequence[float]) -> Axis:
        last = 1.0 if relative else max(values, default=0.0) or 1.0
        return Axis(name, limits=(-0.03 * last, 1.03 * last), most=12, whole=not relative)

    return chart_of(found, rows, [panel_of(found, rows, of, across, name)], {name: of}, "Where H0 total is largest")


VERDICTS: Mapping[bool | None, tuple[str, str, str]] = {
    True: ("#0072B2", "s", "stands"),
    False: ("#D55E00", "X", "fails"),
    None: ("#9A9A9A", "_", "cannot be judged"),
}


@ablation_drawings.chart(
    "ablation_claims",
    title="Where each claim stands",
    caption="Each row is a claim, each column a setting, named by what it changes of the base: a square where the "
    "claim stands, a cross where it fails, a dash where the setting cannot speak for or against it (the table says "
    "why).",
)
def ablation_claims(found: Ablation) -> Chart | None:
    """Claims against settings."""
    columns, claims = found.settings[1:], found.standings
    if not columns or len(columns) > MOST_ROWS:
        return None
    cells = [(x, y, claim, setting) for y, claim in enumerate(claims) for x, setting in enumerate(columns)]
    found_of = [claim.verdicts[setting].stands for *_, claim, setting in cells]
    words = [VERDICTS[stands][2] for stands in found_of]
    marks = Series(
        tuple(float(x) for x, *_ in cells),
        tuple(float(y) for _, y, *_ in cells),
        dashes="",
        looks=tuple(VERDICTS[stands][:2] for stands in found_of),
        told=tuple((c.text, s.label(found.base), word) for (*_, c, s), word in zip(cells, words, strict=True)),
        size=1.2,
    )
    names = [setting.label(found.base) for setting in columns]
    across = Axis(limits=(-0.6, len(columns) - 0.4), ticks=tuple(enumerate(names)), named=True)
    down = names_axis([cut(claim.name, 52) for claim in claims])
    rows = ((c.text, s.label(found.base), word) for (*_, c, s), word in zip(cells, words, strict=True))
    return Chart(
        "",
        "",
        "",
        (Panel((marks,), across, down, height=26 * len(claims)),),
        table(("claim", "setting", "verdict"), rows),
        keys=tuple(
            Series(label=label, colour=colour, marker=marker, dashes="") for colour, marker, label in VERDICTS.values()
        ),
        tall=0.9 + 0.19 * len(claims),
    )

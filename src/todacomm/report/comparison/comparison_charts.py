"""The charts of several profiles: each model along its depth, expansions with their factors, who is like whom, topology and language."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from todacomm.comparison.compare import Comparison
from todacomm.core.inference_types import Interval
from todacomm.core.types import Expansion, Growth, Measurement, Number, Profile
from todacomm.report.comparison.clustering_charts import likeness_charts
from todacomm.report.comparison.comparison_plots import (
    DEPTH,
    FACTORS,
    Factor,
    Hand,
    baselines,
    chosen_expansions,
    comparison_drawings,
    depths,
    hands,
)
from todacomm.report.comparison.pair_charts import difference_charts
from todacomm.report.document import style
from todacomm.report.document.chart_parts import (
    DASHES,
    SYMBOLS,
    Panel,
    Trace,
    cut,
    exact,
    hover,
    key,
    line,
    marks,
    plain,
    stacked,
    table,
    title,
    unshielded,
    value_axis,
    whiskers,
)
from todacomm.report.document.pieces import Chart
from todacomm.report.document.rounding import rounded
from todacomm.report.document.style import raw_distance_unit
from todacomm.report.layers.series import LOG_RANGE
from todacomm.report.words.intervals_and_nulls import bracketed, growth_interval, interval_of
from todacomm.report.words.phrases import H0_SHAPE, H1_SHAPE, doubtful_growth, number, summary_of

ROW = 34  # pixels of a model in a chart of expansions


def covered(comparison: Comparison) -> frozenset[str]:
    """The stems of the figure files that charts of the page stand for."""
    drawn = [*comparison_charts(comparison), *difference_charts(comparison), *likeness_charts(comparison.likeness)]
    return frozenset(chart.name for chart in drawn)


def comparison_charts(comparison: Comparison) -> list[Chart]:
    """The twins of the figures of all models together."""
    return [profiles_chart(comparison), expansion_chart(comparison)]


# Along the depth

SCALE = "scale"
NUMBERS = {
    H0_SHAPE: "H0 total / median distance",
    H1_SHAPE: "H1 total / median distance",
    "H1_max_lifetime_scaled": "H1 longest bar / median distance",
}  # of a summary; the scale stands beside them


def profiles_chart(comparison: Comparison) -> Chart:
    """Small multiples over relative depth: one panel a number, one line a profile, in the colour that it has everywhere."""
    profiles, figure = comparison.profiles, comparison_drawings["comparison_profiles"]
    shown = numbers_of(profiles)
    panels = [depth_panel(profiles, name, label, first=not i) for i, (name, label) in enumerate(shown.items())]
    last = {**panels[-1].x, "title": title(along(profiles))}
    traces, layout = stacked([*panels[:-1], replace(panels[-1], x=last)])
    rows = (row for name, label in shown.items() for profile in profiles for row in depth_rows(profile, name, label))
    header = ("model", "data", "pooling", "number", "layer", "relative depth", "value", "low", "high", "doubtful")
    told = f"{figure.caption} Each mark tells its number with its interval; a press on a name under the panels hides that model, or shows it again."
    return Chart(figure.name, figure.title, told, traces, layout, table(header, rows, words=5))


def steps_of(profiles: Sequence[Profile]) -> bool:
    """Whether the profiles are those of trainings."""
    return all(p.along == "step" for p in profiles)


def along(profiles: Sequence[Profile]) -> str:
    """What the axis holds."""
    return "step of the training" if steps_of(profiles) else DEPTH


def numbers_of(profiles: Sequence[Profile]) -> dict[str, str]:
    """What is drawn over depth with its label: the scale-free numbers that any profile has, and the scale with its unit."""
    units = " or ".join(dict.fromkeys(map(raw_distance_unit, profiles)))
    known = {name: label for name, label in NUMBERS.items() if any(name in p.names for p in profiles)}
    return {**known, SCALE: f"median distance = scale ({units})"}


def value_of(m: Measurement, name: str) -> Number:
    """A number of the summary, or the scale."""
    return m.facts.scale if name == SCALE else summary_of(m, name)


def depth_panel(profiles: Sequence[Profile], name: str, label: str, *, first: bool) -> Panel:
    """One number of every profile; the first panel makes the legend."""
    drawn_by = hands(profiles)
    looks = list(enumerate(zip(profiles, drawn_by, strict=True)))
    traces = tuple(depth_line(p, hand, name, label, legendgroup=f"m{i}") for i, (p, hand) in looks)
    values = [y for trace in traces for y in trace["y"]]
    entries = tuple(hand_key(hand, legendgroup=f"m{i}") for i, (_, hand) in looks) if first else ()
    across = {
        "nticks": 6,
        **({} if steps_of(profiles) else {"range": [-0.03, 1.03]}),
        **({} if first else {"matches": "x"}),
    }
    return Panel(label, (*entries, *traces), across, value_axis(values, LOG_RANGE), 150)


def hand_key(hand: Hand, **more: Any) -> Trace:
    """A profile in the legend, filled, whatever its first layer is."""
    stroke = {"color": hand.colour, "width": 1.8, "dash": DASHES[hand.dashes]}
    look = marks([hand.colour], [SYMBOLS[hand.marker]], [False])
    return key(unshielded(hand.label), mode="lines+markers", line=stroke, marker=look, **more)


def depth_line(profile: Profile, hand: Hand, name: str, label: str, **more: Any) -> Trace:
    """One profile along its depth, hollow where it is doubtful."""
    known = [(x, m, y) for x, m in depths(profile) if (y := value_of(m, name)) is not None]
    symbol = SYMBOLS[hand.marker]
    return line(
        [x for x, *_ in known],
        [y for *_, y in known],
        text=[
            hover(
                unshielded(hand.label),
                place_of(profile, m, x),
                f"{label}: {number(y)}{bracketed(interval_of(m, profile, name))}",
                f"doubtful: {m.facts.doubtful}" if m.facts.doubtful else "",
            )
            for x, m, y in known
        ],
        name=unshielded(hand.label),
        line={"color": hand.colour, "width": 1.8, "dash": DASHES[hand.dashes]},
        marker=marks([hand.colour] * len(known), [symbol] * len(known), [bool(m.facts.doubtful) for _, m, _ in known]),
        showlegend=False,
        **more,
    )


def place_of(profile: Profile, m: Measurement, x: float) -> str:
    """Where a mark stands, in words."""
    return f"step {m.address.step}" if profile.along == "step" else f"{m.address.layer}, depth {number(x, 2)}"


def depth_rows(profile: Profile, name: str, label: str) -> Iterator[tuple[str, ...]]:
    """What is drawn of one number of one profile."""
    about = (profile.model, profile.data, profile.recipe.pooling or "given", label)
    for x, m in depths(profile):
        interval = interval_of(m, profile, name)
        ends = (interval.low, interval.high) if interval else (None, None)
        yield (*about, m.address.layer, *map(exact, (x, value_of(m, name), *ends)), m.facts.doubtful)


# Expansion

EXPANSION = (
    "For each model: H0 total at its peak over that of the baseline (expansion), and its two exact factors, growth of the median distance (scale) "
    "and growth of the total at equal median distance (shape); last, the largest shape growth of any block. Bars are intervals, where there are any. "
    "Each panel has a log axis of its own; the line is 1, no change. Hollow dots are doubtful: the baseline or the block of that growth is."
)


@dataclass(frozen=True, slots=True)
class Grown:
    """One growth of one profile: the number that a panel shows, with its interval."""

    growth: Growth
    value: float
    interval: Interval | None
    doubtful: bool


def expansion_chart(comparison: Comparison) -> Chart:
    """Dots with intervals on log axes: expansion, its two factors, and the largest shape growth of any block."""
    profiles, figure = comparison.profiles, comparison_drawings["comparison_expansion"]
    chosen = chosen_expansions(profiles)
    found = {f.title: [grown(f, p, e) for p, e in zip(profiles, chosen, strict=True)] for f in FACTORS}
    panels = [factor_panel(what, hands(profiles), of) for what, of in found.items()]
    last = {**panels[-1].x, "title": title("times the baseline")}
    traces, layout = stacked([*panels[:-1], replace(panels[-1], x=last)], shift=0)
    rows = (growth_row(p, what, g) for what, of in found.items() for p, g in zip(profiles, of, strict=True))
    header = ("model", "data", "pooling", "growth", "baseline", "layer", "value", "low", "high", "doubtful")
    told = f"{EXPANSION} {unshielded(baselines(profiles, chosen))}"
    return Chart(figure.name, figure.title, told, traces, layout, table(header, rows, words=6))


def grown(factor: Factor, profile: Profile, expansion: Expansion | None) -> Grown | None:
    """What a panel shows of a profile; None where the growth is undefined."""
    growth = factor.growth(expansion) if expansion is not None else None
    if growth is None or not factor.number(growth) > 0:
        return None
    interval = growth_interval(profile, growth, factor.part)
    return Grown(growth, factor.number(growth), interval, doubtful_growth(profile, growth))


def factor_panel(what: str, drawn_by: Sequence[Hand], found: Sequence[Grown | None]) -> Panel:
    """One row a profile, on a log axis around 1."""
    count = len(found)
    reach = [x for g in found if g is not None for x in (g.value, *ends_of(g))]
    low, high = min([*reach, 0.8]), max([*reach, 1.25])
    room = (high / low) ** 0.14
    one = {
        "type": "scatter",
        "mode": "lines",
        "x": [1, 1],
        "y": [-0.7, count - 0.5],
        "hoverinfo": "skip",
        "line": {"color": "soft", "width": 1},
    }
    rows = tuple(factor_dot(what, i, hand, g) for i, (hand, g) in enumerate(zip(drawn_by, found, strict=True)))
    across = {"type": "log", "range": [math.log10(low / room), math.log10(high * room)], "tickmode": "array"}
    ticks = style.log_ticks(low, high)
    down = {
        "range": [count - 0.5, -0.7],
        "tickvals": list(range(count)),
        "ticktext": [plain(cut(unshielded(hand.label), 22)) for hand in drawn_by],
        "showgrid": False,
        "ticks": "",
    }
    return Panel(
        what,
        (one, *rows),
        {**across, "tickvals": ticks, "ticktext": [f"{t:,.10g}" for t in ticks]},
        down,
        ROW * count,
    )


def least_of(found: Grown) -> float:
    """Where a log axis cuts an interval off that reaches towards 0: at a tenth of the number."""
    return found.value / 10


def ends_of(found: Grown) -> tuple[float, ...]:
    """The ends of an interval as a log axis shows them."""
    if found.interval is None or found.interval.low is None or found.interval.high is None:
        return ()
    return max(found.interval.low, least_of(found)), found.interval.high


def factor_dot(what: str, row: int, hand: Hand, found: Grown | None) -> Trace:
    """One number of one profile with its interval, or a word where it is undefined."""
    name = unshielded(hand.label)
    base: Trace = {"type": "scatter", "y": [row], "hoverinfo": "text"}
    if found is None:
        return {
            **base,
            "mode": "text",
            "x": [1],
            "text": ["undefined"],
            "textfont": {"color": "soft", "size": 11},
            "hovertext": [hover(name, f"{what}: undefined")],
        }
    symbol = SYMBOLS[hand.marker]
    return {
        **base,
        "mode": "markers+text",
        "x": [rounded(found.value)],
        "text": [number(found.value, 3)],
        "textposition": "top center",
        "textfont": {"size": 11},
        "marker": marks([hand.colour], [symbol], [found.doubtful], size=10),
        "error_x": whiskers(found.interval, hand.colour, least=least_of(found)),
        "hovertext": [
            hover(
                name,
                f"{what}: {number(found.value)}{bracketed(found.interval)}",
                f"{found.growth.baseline} to {found.growth.peak}",
                "doubtful" if found.doubtful else "",
            )
        ],
    }


def growth_row(profile: Profile, what: str, found: Grown | None) -> tuple[str, ...]:
    """What is drawn of one growth of one profile."""
    about = (profile.model, profile.data, profile.recipe.pooling or "given", what)
    if found is None:
        return (*about, "", "", "", "", "", "")
    ends = (found.interval.low, found.interval.high) if found.interval else (None, None)
    layers = (found.growth.baseline, found.growth.peak)
    return (*about, *layers, *map(exact, (found.value, *ends)), "doubtful" if found.doubtful else "")

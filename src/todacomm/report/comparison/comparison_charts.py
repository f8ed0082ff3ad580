"""The charts of several profiles: each model along its depth, and expansions with their factors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from todacomm.comparison.compare import Comparison, baseline_index
from todacomm.core.inference_types import Interval
from todacomm.core.types import Expansion, Growth, Measurement, Number, Profile, is_block
from todacomm.report.document import style
from todacomm.report.document.chart import (
    Axis,
    Chart,
    Charts,
    Panel,
    Rule,
    Series,
    exact,
    log_axis,
    names_axis,
    table,
    value_axis,
)
from todacomm.report.document.style import cut
from todacomm.report.layers.series import where
from todacomm.report.words.intervals_and_nulls import bracketed, growth_interval, interval_of
from todacomm.report.words.phrases import H0_SHAPE, H1_SHAPE, doubtful_growth, listed, number, share, summary_of

DEPTH = "relative depth (0: embedding, 1: last block)"
MOST_MARKERS = 24  # along the steps of a training
ROW = 34  # pixels of a model in a chart of expansions
comparison_charts: Charts[Comparison] = Charts("comparison chart")


@dataclass(frozen=True, slots=True)
class Hand:
    """The look of a profile in all charts, and its name in the legend."""

    colour: str
    marker: str
    dashes: str
    label: str


def variant(profile: Profile) -> tuple[str, str]:
    """What distinguishes two profiles of one model: data and pooling."""
    return profile.data, profile.recipe.pooling or "given"


def hands(profiles: Sequence[Profile]) -> list[Hand]:
    """A colour for each model, a marker and a line style for each dataset and pooling."""
    models = list(dict.fromkeys(p.model for p in profiles))
    variants = list(dict.fromkeys(map(variant, profiles)))
    differing = [i for i in range(2) if len({v[i] for v in variants}) > 1]
    found = []
    for p in profiles:
        m, v = models.index(p.model), variants.index(variant(p))
        told = ", ".join(cut(variant(p)[i], 24) for i in differing)
        label = cut(p.model, 36) + (f" ({told})" if told else "")
        turn = v + m // len(style.PALETTE)
        marker, dashes = (of[turn % len(of)] for of in (style.MARKERS, style.LINE_STYLES))
        found.append(Hand(style.PALETTE[m % len(style.PALETTE)], marker, dashes, label))
    return found


def keys_of(profiles: Sequence[Profile]) -> tuple[Series, ...]:
    """The profiles in a legend, and what hollow marks are where there are any."""
    keys = [Series(label=h.label, colour=h.colour, marker=h.marker, dashes=h.dashes) for h in hands(profiles)]
    if any(m.facts.doubtful and not m.facts.undefined for p in profiles for m in p.measurements):
        keys.append(HOLLOW)
    return tuple(keys)


HOLLOW = Series(label="hollow: doubtful layer", colour=style.GREY, dashes="", hollow=(True,))


# Along the depth

SCALE = "scale"
NUMBERS = {
    H0_SHAPE: "H0 total / median distance",
    H1_SHAPE: "H1 total / median distance",
    "H1_max_lifetime_scaled": "H1 longest bar / median distance",
}  # of a summary; the scale stands beside them
ALONG_HEADER = ("model", "data", "pooling", "number", "layer", "relative depth", "value", "low", "high", "doubtful")


@comparison_charts.register("comparison_profiles")
def profiles_chart(comparison: Comparison) -> Iterator[Chart]:
    """Small multiples over relative depth: one panel a number, one line a profile, in its colour."""
    profiles, shown = comparison.profiles, numbers_of(comparison.profiles)
    panels = tuple(depth_panel(profiles, label, of_summary(name), name) for name, label in shown.items())
    rows = (row for name, label in shown.items() for profile in profiles for row in depth_rows(profile, name, label))
    yield Chart(
        "comparison_profiles",
        "The models along their depth",
        "Scale-free H0 and H1, and the scale itself, over relative depth: 0 is the embedding, 1 the last block; the "
        "layer after the final norm is left out. Hollow markers are doubtful layers, undefined ones are not drawn.",
        panels,
        table(ALONG_HEADER, rows),
        keys=keys_of(profiles),
        columns=2,
        tall=2.15,
    )


def numbers_of(profiles: Sequence[Profile]) -> dict[str, str]:
    """Metrics over depth with labels: the scale-free ones of any profile, and the scale with its unit."""
    units = " or ".join(dict.fromkeys(map(style.raw_distance_unit, profiles)))
    known = {name: label for name, label in NUMBERS.items() if any(name in p.names for p in profiles)}
    return {**known, SCALE: f"median distance = scale\n({units})"}


def of_summary(name: str) -> Callable[[Measurement], Number]:
    """A number of the summary, or the scale."""
    return lambda m: m.facts.scale if name == SCALE else summary_of(m, name)


def depth_axis(profiles: Sequence[Profile]) -> Axis:
    """Relative depth, or the steps of trainings."""
    steps = all(p.along == "step" for p in profiles)
    return Axis("training step", whole=True) if steps else Axis(DEPTH, limits=(-0.03, 1.03), most=6)


def depth_panel(profiles: Sequence[Profile], label: str, of: Callable[[Measurement], Number], name: str = "") -> Panel:
    """One number of every profile; ``name`` is that of its intervals."""
    both = zip(profiles, hands(profiles), strict=True)
    series = tuple(depth_series(profile, hand, label, of, name) for profile, hand in both)
    return Panel(series, depth_axis(profiles), value_axis(label, (y for one in series for y in one.y)), height=150)


def depths(profile: Profile) -> list[tuple[float, Measurement]]:
    """Defined layers with their relative depth (0 embedding, 1 last block), without ``final``; or training steps."""
    if profile.along == "step":
        return [(float(m.address.step or 0), m) for m in profile.measurements if not m.facts.undefined]
    inner = [m for m in profile.measurements if m.address.layer != "final"]
    numbers = [_place(m.address.layer, i) for i, m in enumerate(inner)]
    last = max(numbers, default=0) or 1
    return [(x / last, m) for x, m in zip(numbers, inner, strict=True) if not m.facts.undefined]


def _place(layer: str, position: int) -> int:
    """The distance from the embedding in blocks; the position where layers are no blocks."""
    return int(layer.removeprefix("layer_")) + 1 if is_block(layer) else position


def depth_series(profile: Profile, hand: Hand, label: str, of: Callable[[Measurement], Number], name: str) -> Series:
    """One profile along its depth, hollow where it is doubtful."""
    known = [(x, m, y) for x, m in depths(profile) if (y := of(m)) is not None]
    what = label.replace("\n", " ")
    return Series(
        tuple(x for x, *_ in known),
        tuple(y for *_, y in known),
        hand.label,
        hand.colour,
        hand.marker,
        hand.dashes,
        hollow=tuple(bool(m.facts.doubtful) for _, m, _ in known),
        told=tuple(
            (
                hand.label,
                place_of(profile, m, x),
                f"{what}: {number(y)}{bracketed(interval_of(m, profile, name))}",
                f"doubtful: {m.facts.doubtful}" if m.facts.doubtful else "",
            )
            for x, m, y in known
        ),
        every=-(-len(known) // MOST_MARKERS) if profile.along == "step" else 1,
    )


def place_of(profile: Profile, m: Measurement, x: float) -> str:
    """Describe the position of a mark."""
    return f"step {m.address.step}" if profile.along == "step" else f"{m.address.layer}, depth {number(x, 2)}"


def about(profile: Profile) -> tuple[str, str, str]:
    """The first cells of a row of data."""
    return (profile.model, *variant(profile))


def depth_rows(profile: Profile, name: str, label: str) -> Iterator[tuple[str, ...]]:
    """The download rows of one metric of one profile."""
    for x, m in depths(profile):
        ends = ends_of(interval_of(m, profile, name))
        cells = map(exact, (x, of_summary(name)(m), *ends))
        yield (*about(profile), label.replace("\n", " "), m.address.layer, *cells, m.facts.doubtful)


def ends_of(interval: Interval | None) -> tuple[Number, Number]:
    """The ends of an interval; None where there is none."""
    return (interval.low, interval.high) if interval else (None, None)


# Expansion


@dataclass(frozen=True, slots=True)
class Factor:
    """What one panel shows: a title, which growth of an expansion, and which of its numbers, called its ``part``."""

    title: str
    part: str
    growth: Callable[[Expansion], Growth | None]


FACTORS = (
    Factor("expansion", "ratio", lambda e: e.growth),
    Factor("scale growth", "scale", lambda e: e.growth),
    Factor("shape growth", "shape", lambda e: e.growth),
    Factor("largest shape growth", "shape", lambda e: e.largest_shape),
)
GROWTH_HEADER = ("model", "data", "pooling", "growth", "baseline", "layer", "value", "low", "high", "doubtful")


@dataclass(frozen=True, slots=True)
class GrowthPoint:
    """One growth of one profile: the number that a panel shows, with its interval."""

    growth: Growth
    value: float
    interval: Interval | None
    doubtful: bool

    @property
    def ends(self) -> tuple[Number, Number]:
        """The ends of the interval as a log axis shows them: no lower than a tenth of the number."""
        low, high = ends_of(self.interval)
        return (None, None) if low is None or high is None else (max(low, self.value / 10), high)


@comparison_charts.register("comparison_expansion")
def expansion_chart(comparison: Comparison) -> Iterator[Chart]:
    """Dots with intervals on log axes: expansion, its two factors, and the largest shape growth of any block."""
    profiles = comparison.profiles
    chosen = chosen_expansions(profiles)
    found = {f.title: [grown(f, p, e) for p, e in zip(profiles, chosen, strict=True)] for f in FACTORS}
    rows = (growth_row(p, what, g) for what, of in found.items() for p, g in zip(profiles, of, strict=True))
    yield Chart(
        "comparison_expansion",
        "Expansion and its two factors",
        "For each model: H0 total at its peak over that of the baseline (expansion), and its two exact factors, "
        "growth of the median distance (scale) and growth of the total at equal median distance (shape); last, the "
        "largest shape growth of any block. Each panel has a log axis of its own; the line is 1, no change. Hollow "
        "dots are "
        "doubtful: the baseline or the block of that growth is.",
        tuple(factor_panel(what, hands(profiles), of) for what, of in found.items()),
        table(GROWTH_HEADER, rows),
        notes=tuple(filter(None, (shared(profiles), baselines(profiles, chosen), intervals_line(profiles)))),
        columns=len(FACTORS),
        tall=0.6 + 0.34 * len(profiles),
    )


def chosen_expansions(profiles: Sequence[Profile]) -> list[Expansion | None]:
    """One expansion a profile, from the embedding if it is reliable in all, else from the first reliable layer."""
    which = baseline_index(profiles)
    return [p.expansions[which] if p.expansions else None for p in profiles]


def grown(factor: Factor, profile: Profile, expansion: Expansion | None) -> GrowthPoint | None:
    """The point of a profile in a panel; None where the growth is undefined."""
    growth = factor.growth(expansion) if expansion is not None else None
    if growth is None or not getattr(growth, factor.part) > 0:
        return None
    interval = growth_interval(profile, growth, factor.part)
    return GrowthPoint(growth, getattr(growth, factor.part), interval, doubtful_growth(profile, growth))


def factor_panel(what: str, drawn_by: Sequence[Hand], found: Sequence[GrowthPoint | None]) -> Panel:
    """One row a profile, on a log axis around 1."""
    reach = [x for g in found if g is not None for x in (g.value, *g.ends) if x is not None]
    names = names_axis([cut(hand.label, 24) for hand in drawn_by], above=0.7)
    across = log_axis("times the baseline", [*reach, 0.8, 1.25], room=0.15, limits=True, most=5)
    dots = tuple(factor_dot(what, i, hand, g) for i, (hand, g) in enumerate(zip(drawn_by, found, strict=True)))
    return Panel(dots, across, names, what, (Rule(1.0),), height=ROW * len(found))


def factor_dot(what: str, row: int, hand: Hand, found: GrowthPoint | None) -> Series:
    """One number of one profile with its interval, or a word where it is undefined."""
    if found is None:
        said = (hand.label, f"{what}: undefined")
        return Series((1.0,), (row,), colour=style.GREY, marker="", dashes="", told=(said,), notes=("undefined",))
    low, high = found.ends
    told = (
        hand.label,
        f"{what}: {number(found.value)}{bracketed(found.interval)}",
        f"{found.growth.baseline} to {found.growth.peak}",
        "doubtful" if found.doubtful else "",
    )
    return Series(
        (found.value,),
        (row,),
        colour=hand.colour,
        marker=hand.marker,
        dashes="",
        hollow=(found.doubtful,),
        low=(low,),
        high=(high,),
        reach="x",
        told=(told,),
        notes=(number(found.value, 3),),
        size=1.5,
    )


def growth_row(profile: Profile, what: str, found: GrowthPoint | None) -> tuple[str, ...]:
    """The download rows of one growth of one profile."""
    if found is None:
        return (*about(profile), what, *[""] * 6)
    numbers = map(exact, (found.value, *ends_of(found.interval)))
    layers = (found.growth.baseline, found.growth.peak)
    return (*about(profile), what, *layers, *numbers, "doubtful" if found.doubtful else "")


def shared(profiles: Sequence[Profile]) -> str:
    """The common data and pooling; empty where they differ, which the names then say."""
    found = list(dict.fromkeys(map(where, profiles)))
    return f"On {found[0]}." if len(found) == 1 else ""


def intervals_line(profiles: Sequence[Profile]) -> str:
    """Describe the intervals; empty without any."""
    found = {p.claims.asked.confidence for p in profiles if p.claims and p.claims.growths}
    return f"Lines: {' and '.join(share(level, 0) for level in sorted(found))} intervals." if found else ""


def baselines(profiles: Sequence[Profile], chosen: Sequence[Expansion | None]) -> str:
    """The baseline of each model."""
    on: dict[str, list[str]] = {}
    for hand, e in zip(hands(profiles), chosen, strict=True):
        on.setdefault((e.baseline if e is not None else "") or "none", []).append(hand.label)
    if len(on) == 1:
        return f"Baseline of every model: {next(iter(on))}."
    each = "; ".join(f"{baseline} for {listed(who)}" for baseline, who in on.items())
    return f"Baseline, the first sound layer of each: {each}."

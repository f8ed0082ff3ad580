"""Phrases about a profile, in words and numbers; holds all thresholds of language."""

import math
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from todacomm.comparison.compare import ModelRow
from todacomm.core.recipe import Recipe
from todacomm.core.types import Expansion, Growth, Measurement, Number, Profile, is_block, layer_key
from todacomm.report.document.style import distance_unit, raw_distance_unit

SAME = 0.05  # ratios within ±5 % are called about the same
H0_TOTAL, H0_SHAPE = "H0_total_persistence", "H0_total_persistence_scaled"
H0_RAW = "H0_total_before_rescaling"  # of no summary: H0 total as it is before the recipe divides by a distance
H1_TOTAL, H1_SHAPE = "H1_total_persistence", "H1_total_persistence_scaled"


def number(value: Number | int, digits: int = 4) -> str:
    """``digits`` significant digits, thousands grouped; undefined and infinite values in words."""
    if value is None or math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinite"
    text = f"{value:.{digits}g}"
    rounded = float(text)
    if not 10 ** (digits - 1) <= abs(rounded) < 10**9:
        return text
    return f"{value:,.0f}"


def padded(value: Number | int, digits: int = 4) -> str:
    """A number that was measured: as `number`, with the zeros that belong to its digits; whole ones as they are.

    >>> padded(1.2999, 3), padded(39.004, 3), padded(382.0), padded(0.05, 2)
    ('1.30', '39.0', '382', '0.050')
    """
    if value is None or not math.isfinite(value) or float(value).is_integer():
        return number(value, digits)
    short = number(value, digits)
    return short if "," in short or "e" in short else f"{value:#.{digits}g}".removesuffix(".")


def share(value: float, digits: int = 1) -> str:
    """A share from 0 to 1 as a percentage."""
    return f"{100 * value:.{digits}f} %"


def plural(count: int, noun: str, many: str = "") -> str:
    """A count with its noun: 1 text, 500 texts, 2 analyses."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "none"


def times(ratio: float) -> str:
    """Describe a change by ``ratio``: grows, stays about the same or shrinks."""
    if abs(ratio - 1) <= SAME:
        return f"stays about the same ({number(ratio, 3)} times)"
    if ratio > 1:
        return f"grows {number(ratio, 3)} times"
    return f"shrinks to {number(ratio, 3)} of its value"


def summary_of(measurement: Measurement, name: str) -> Number:
    """A number of the summary, or H0_RAW; None where it is undefined or was not measured."""
    value = measurement.summary.get(H0_SHAPE if name == H0_RAW else name)
    if value is None or math.isnan(value):
        return None
    return value * measurement.facts.scale if name == H0_RAW else value


def rescaled(recipe: Recipe) -> bool:
    """Whether the recipe has divided every length by a distance of its cloud, so that no unit is left."""
    return recipe.scale in ("median", "rms")


def median_distance(measurement: Measurement) -> float:
    """The median distance in the unit of the diagrams: the scale of the cloud, or 1 where the recipe divided by it."""
    total, scaled = (summary_of(measurement, name) for name in (H0_TOTAL, H0_SHAPE))
    return total / scaled if total and scaled else measurement.facts.scale


def bar_error(measurement: Measurement) -> float | None:
    """The error bound of bar ends by landmarks, in the unit of the diagrams; None without landmarks."""
    facts = measurement.facts
    if facts.bar_error is None or not facts.scale:
        return facts.bar_error
    return facts.bar_error / facts.scale * median_distance(measurement)


def decided(measurement: Measurement, dimension: int) -> int:
    """Count the bars of landmarks that are bars of the whole cloud: longer than twice the error of their ends."""
    bars = measurement.diagrams.finite[dimension]
    return int((bars[:, 1] - bars[:, 0] > 2 * (bar_error(measurement) or 0)).sum())


def landmark_lines(profile: Profile) -> list[str]:
    """Describe the landmarks of a profile and their error; empty where all points were measured."""
    found = [(m, error) for m in profile.measurements if (error := bar_error(m)) is not None]
    if not found:
        return []
    most, error = max(found, key=lambda pair: pair[1])
    where = "" if single(profile) else f" at every layer (the most at {most.address.layer})"
    which = f"{plural(most.facts.points, 'landmark')} of {plural(most.facts.landmarks_of or 0, 'point')}"
    within = f"every bar end is within {number(error)} of that of the whole cloud{where}"
    return [f"{which}: {within}; a bar shorter than {number(2 * error)} may be of the landmarks alone"]


def positions(profile: Profile) -> list[str]:
    """The names along the axis: layers, or steps of a training run."""
    return list(profile.layers) if profile.along == "layer" else [str(a.step) for a in profile.addresses]


def position(profile: Profile, measurement: Measurement) -> str:
    """The name of one of them: its layer, or ``step 300``."""
    return measurement.address.layer if profile.along == "layer" else f"step {measurement.address.step or 0:,}"


def sound(profile: Profile) -> list[Measurement]:
    """The reliable layers: neither undefined nor doubtful."""
    return [m for m in profile.measurements if not m.facts.doubtful]


def blocks(measurements: Iterable[Measurement]) -> list[Measurement]:
    """The outputs of the blocks: without embedding and final; every layer where none is a block."""
    found = list(measurements)
    return [m for m in found if is_block(m.address.layer)] or [m for m in found if layer_key(m.address.layer)[0] == 3]


def largest(measurements: Iterable[Measurement], name: str) -> Measurement | None:
    """The measurement with the largest value of ``name``; of several the shallowest."""
    known = [m for m in measurements if summary_of(m, name) is not None]
    return max(known, key=lambda m: summary_of(m, name) or 0.0, default=None)


def smallest(measurements: Iterable[Measurement], name: str) -> Measurement | None:
    """The measurement with the smallest value of ``name``; of several the shallowest."""
    known = [m for m in measurements if summary_of(m, name) is not None]
    return min(known, key=lambda m: summary_of(m, name) or 0.0, default=None)


def peak(profile: Profile) -> Measurement | None:
    """The block with the most H0 total persistence, before any rescaling, among those that are defined."""
    return largest((m for m in blocks(profile.measurements) if not m.facts.undefined), H0_RAW)


def baseline(profile: Profile) -> Measurement | None:
    """The first sound layer before ``final``; where there is none, the first that is defined at all."""
    inner = [m for m in sound(profile) if m.address.layer != "final"]
    defined = [m for m in profile.measurements if not m.facts.undefined]
    return next(iter(inner or defined), None)


def expansions_in_order(profile: Profile) -> list[Expansion]:
    """The expansions, each baseline once, the one that the first sentence speaks of first, doubtful ones behind it."""
    found = list({e.baseline: e for e in reversed(profile.expansions)}.values())[::-1]
    return sorted(
        found, key=lambda e: (not e.carries_conclusion, e.growth is None or bool(profile.at(e.baseline).facts.doubtful))
    )


def leading_expansion(profile: Profile) -> Expansion | None:
    """The expansion that the first sentence speaks of: the first sound one, in the order given (embedding first)."""
    return next((e for e in profile.expansions if e.carries_conclusion), None)


def _runs(layers: Sequence[str]) -> list[list[str]]:
    """Consecutive blocks together, anything else alone."""
    keyed = [(layer_key(layer), i, layer) for i, layer in enumerate(layers)]
    grouped = groupby(keyed, key=lambda k: (k[0][0], k[0][1] - k[1] if k[0][0] == 1 else k[1]))
    return [[layer for _, _, layer in group] for _, group in grouped]


def layer_list(layers: Sequence[str]) -> str:
    """Layers in words, runs of three or more blocks shortened: embedding, layer_3 to layer_9 and final."""
    parts: list[str] = []
    for run in _runs(layers):
        parts += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else run
    return listed(parts)


def _merged(reasons: Sequence[str]) -> str:
    """One wording for reasons that differ in their numbers only: each number becomes a range, the noun a plural."""
    numbers = list(zip(*(re.findall(r"\d+", reason) for reason in reasons), strict=True))
    spans = (f"{min(n, key=int)}" if len(set(n)) == 1 else f"{min(n, key=int)} to {max(n, key=int)}" for n in numbers)
    return re.sub(r"\d+", lambda _: next(spans), max(reasons, key=len))


def grouped_reasons(reasons: Iterable[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """(layer, reason) pairs gathered by the wording of the reason: the layers and one merged reason each."""
    wording: dict[str, list[tuple[str, str]]] = {}
    for layer, reason in reasons:
        key = re.sub(r"\bpoints?\b", "points", re.sub(r"\d+", "#", reason))
        wording.setdefault(key, []).append((layer, reason))
    return [([layer for layer, _ in found], _merged([reason for _, reason in found])) for found in wording.values()]


def doubts(profile: Profile) -> list[tuple[list[str], str]]:
    """The doubtful layers that still have numbers, by reason."""
    pairs = [(m.address.layer, m.facts.doubtful) for m in profile.measurements if not m.facts.undefined]
    return grouped_reasons((layer, part) for layer, reason in pairs if reason for part in reason.split("; "))


def undefined(profile: Profile) -> list[tuple[list[str], str]]:
    """The layers on which no ratio can stand, by reason."""
    return grouped_reasons((m.address.layer, m.facts.undefined) for m in profile.measurements if m.facts.undefined)


def facts_notes(profile: Profile) -> list[tuple[list[str], str]]:
    """Group the notes on clouds by wording."""
    pairs = [(m.address.layer, m.facts.note) for m in profile.measurements if m.facts.note]
    return grouped_reasons((layer, part) for layer, note in pairs for part in note.split("; "))


def mark(measurement: Measurement) -> str:
    """× where a ratio is undefined, ○ where a number is doubtful, nothing where it is sound."""
    if measurement.facts.undefined:
        return "×"
    return "○" if measurement.facts.doubtful else ""


def doubtful_growth(profile: Profile, growth: Growth) -> bool:
    """Whether either of the two layers of a growth is doubtful."""
    return any(profile.at(layer).facts.doubtful for layer in (growth.baseline, growth.peak))


def row_mark(row: ModelRow) -> str:
    """○ where a row of a comparison is doubtful, × where its expansion is undefined."""
    return "" if not row.doubt else "○" if row.expansion is not None else "×"


def row_doubts(rows: Iterable[ModelRow]) -> list[str]:
    """Explain the marks in the rows of a comparison: one line a row, and one for another doubtful block."""
    lines = []
    for r in rows:
        if r.doubt:
            lines.append(f"{row_mark(r)} {r.model} ({r.pooling}): {r.doubt}")
        told = f"{r.largest_shape_layer}: {r.largest_shape_doubt}" in r.doubt
        if r.largest_shape_doubt and not told:
            where = f"largest shape growth, at {r.largest_shape_layer}"
            lines.append(f"○ {r.model} ({r.pooling}), {where}: {r.largest_shape_doubt}")
    return lines


def mark_lines(profile: Profile) -> list[str]:
    """The legend of the marks, with the layers and the reasons; empty when every layer is sound."""
    doubtful = "; ".join(f"{layer_list(layers)} ({reason})" for layers, reason in doubts(profile))
    missing = "; ".join(f"{layer_list(layers)} ({reason})" for layers, reason in undefined(profile))
    return [
        f"{sign} {word}: {found}"
        for sign, word, found in (("○", "doubtful", doubtful), ("×", "undefined", missing))
        if found
    ]


def single(profile: Profile) -> bool:
    """Whether there is one cloud only, so that nothing can be said along the layers."""
    return len(profile.measurements) == 1


def counted(profile: Profile) -> str:
    """The number of points with what a point is: a text, a token or a row of an array."""
    return plural(profile.measurements[0].facts.points, noun(profile))


def noun(profile: Profile) -> str:
    """The noun for a point: a text, a token, or a row of an array."""
    return {None: "point", "tokens": "token"}.get(profile.recipe.pooling, "text")


def unit(profile: Profile) -> str:
    """The unit of H0 and H1 totals, in brackets."""
    return f"({distance_unit(profile)})"


def raw_unit(profile: Profile) -> str:
    """The unit of H0_RAW, in brackets."""
    return f"({raw_distance_unit(profile)}{', before the rescaling' if rescaled(profile.recipe) else ''})"

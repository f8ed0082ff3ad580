"""Report several profiles side by side: the sections of a Comparison, chosen by its numbers."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from todacomm.comparison.compare import Comparison, ModelRow, peak_of
from todacomm.core.types import Number, Profile
from todacomm.report.comparison.all_charts import charts_of
from todacomm.report.document.pieces import (
    Bullets,
    Context,
    Document,
    Paragraph,
    Piece,
    Table,
    parts_of,
    section,
    together,
)
from todacomm.report.layers import layer_document  # registered first: its closing sections serve every record
from todacomm.report.layers.topology_sections import UNTESTED
from todacomm.report.words.finding import factors_between, finding_of_comparison, groups, sound_rows
from todacomm.report.words.loops import loop_sentences
from todacomm.report.words.pairs import ends
from todacomm.report.words.phrases import H1_SHAPE, SAME, number, padded, plural, rescaled, row_doubts, row_mark

__all__ = ["comparison_document", "layer_document", "pair_sections"]


def comparison_document(compared: Sequence[tuple[str, Comparison, Context]]) -> Document:
    """One document on named comparisons: one, or one for each dataset and pooling."""
    names = list(dict.fromkeys(p.model for _, comparison, _ in compared for p in comparison.profiles))
    parts = together([(label, parts_of(comparison, context)) for label, comparison, context in compared])
    return Document(f"Comparison of {plural(len(names), 'model')}", ", ".join(names), parts)


@section("comparison", title="The answer", record=Comparison)
def answer(comparison: Comparison, _: Context) -> Iterator[Piece]:
    """Report the smallest and the largest expansion, and the factor in which they differ."""
    yield Paragraph(finding_of_comparison(comparison), "answer")
    found = labelled(comparison)
    if len(found) > 1 and all(len(rows) == 1 for _, rows in found):
        yield Paragraph(unmatched([rows[0] for _, rows in found]))
    else:
        for name, rows in found:
            yield Paragraph(f"{name}: {extremes(rows)}")
    if comparison.failures:
        yield Paragraph(f"{plural(len(comparison.failures), 'model')} failed; see below.", "warning")


def labelled(comparison: Comparison) -> list[tuple[str, list[ModelRow]]]:
    """Rows that may be set side by side, with a name."""
    return [(f"On {data}, pooling {pooling}", rows) for data, pooling, rows in groups(comparison)]


def unmatched(rows: Sequence[ModelRow]) -> str:
    """Rows without a common dataset and pooling: each by itself, without ranking."""
    told = "; ".join(f"{r.model} on {r.data}, pooling {r.pooling}, {factors_of(r)}" for r in sound_rows(rows))
    return (
        "No two of these share dataset and pooling, so none is ranked above another. Expansion: "
        f"{told or 'none is sound'}."
    )


def extremes(rows: Sequence[ModelRow]) -> str:
    """The smallest and the largest sound expansion with their factors."""
    sound = sound_rows(rows)
    if not sound:
        return "no model has a sound expansion, so nothing is concluded."
    ranked = sorted(sound, key=lambda r: r.expansion or 0.0)
    low, high = ranked[0], ranked[-1]
    if len(rows) == 1:
        return f"expansion {factors_of(low)} for {low.model}, the only model here."
    if low is high:
        return f"only {low.model} has a sound expansion, {factors_of(low)}; there is nothing to compare it with."
    return (
        f"expansion runs from {factors_of(low)} for {low.model} to {factors_of(high)} for {high.model}. "
        f"{apart(low, high)}"
    )


def factors_of(row: ModelRow) -> str:
    """The three numbers that are always given together, with their layers."""
    return (
        f"{padded(row.expansion)} = scale growth {padded(row.scale_growth)} × shape growth {padded(row.shape_growth)} "
        f"({row.baseline} to {row.peak_layer})"
    )


def apart(low: ModelRow, high: ModelRow) -> str:
    """State the factor by which two expansions differ, with its exact split."""
    ratio, scale, shape = factors_between(low, high)
    if ratio <= 1 + SAME:
        return "They are about the same."
    return (
        f"They differ {number(ratio, 3)} times: {number(scale, 3)} times in scale growth and {number(shape, 3)} times "
        "in shape growth."
    )


@section("comparison-warnings", title="What to bear in mind", record=Comparison)
def warnings(comparison: Comparison, _: Context) -> Iterator[Piece]:
    """Warnings about comparing rows."""
    if comparison.warnings:
        yield Bullets(comparison.warnings)


@section("comparison-table", title="Model by model", record=Comparison)
def table(comparison: Comparison, _: Context) -> Iterator[Piece]:
    """One row a profile, with the reasons of its marks."""
    chosen = columns(comparison)
    words = sum(1 for name in chosen if name in WORDS)
    pairs = list(zip(comparison.rows, comparison.profiles, strict=True))
    rows = tuple(tuple(cell(r, p, name) for name in chosen) for r, p in pairs)
    yield Table(tuple(chosen.values()), rows, words, sortable=len(rows) > 1)
    doubtful = row_doubts(comparison.rows)
    if doubtful:
        yield Bullets(tuple(f"{line}." for line in doubtful))
    if len({r.kind for r in comparison.rows if r.bits_per_byte is not None}) > 1:
        yield Paragraph(
            "Bits per byte of causal models and of masked ones are different quantities: compare within a kind."
        )


WORDS = {"model": "Model", "data": "Texts", "pooling": "Pooling", "kind": "Kind", "norm_place": "Norm",
         "baseline": "Baseline", "peak_layer": "Peak"}  # fmt: skip
NUMBERS = {
    "parameters": "Parameters", "expansion": "Expansion", "scale_growth": "Scale growth",
    "shape_growth": "Shape growth", "largest_shape_growth": "Largest shape growth", "h1_peak": "H1 total, peak",
    "h1_shape": "H1 total / median distance, peak", "bits_per_byte": "Bits per byte",
    "mark": "Mark",
}  # fmt: skip
COMPUTED = ("h1_shape", "mark")  # no fields of a row


def columns(comparison: Comparison) -> dict[str, str]:
    """Fields and heads of the table; dataset and pooling only where they differ, empty columns left out.

    H1 total with a unit is shown only where the recipe leaves it one; its scale-free twin wherever there is H1.
    """
    rows = comparison.rows
    several = {f for f in ("data", "pooling") if len({getattr(r, f) for r in rows}) > 1}
    words = {f: head for f, head in WORDS.items() if f not in ("data", "pooling") or f in several}
    kept = {**words, **NUMBERS}
    if all(rescaled(p.recipe) for p in comparison.profiles):
        kept.pop("h1_peak")
    if not any(map(row_mark, rows)):
        kept.pop("mark")
    if not with_h1(comparison):
        kept.pop("h1_shape")
    return {f: h for f, h in kept.items() if f in COMPUTED or any(getattr(r, f) not in (None, "") for r in rows)}


def with_h1(comparison: Comparison) -> bool:
    """Whether H1 was computed for any of the profiles."""
    return any(p.recipe.maxdim > 0 for p in comparison.profiles)


def cell(row: ModelRow, profile: Profile, name: str) -> str:
    """One field of a row as text; a layer stands beside its number, and ○ where it is doubtful."""
    if name == "mark":
        return row_mark(row)
    if name in ("h1_peak", "h1_shape"):
        return h1_cell(row, profile, scaled=name == "h1_shape")
    value = getattr(row, name)
    if isinstance(value, str) or name == "parameters":
        return f"{value:,}" if isinstance(value, int) else value or "–"
    if name in row.intervals:
        return f"{padded(value)} {ends(row.intervals[name])}"
    if name == "largest_shape_growth":
        return at(value, row.largest_shape_layer) + (" ○" if row.largest_shape_doubt else "")
    return number(value)


def h1_cell(row: ModelRow, profile: Profile, *, scaled: bool) -> str:
    """The largest H1 total of the sound blocks, over the median distance or in the unit that the recipe leaves it."""
    if scaled:
        layer, shape = peak_of(profile, H1_SHAPE)
        return at(shape, layer)
    return "–" if rescaled(profile.recipe) else at(row.h1_peak, row.h1_peak_layer)


def at(value: Number, layer: str) -> str:
    """A number with its layer."""
    return padded(value) + (f" ({layer})" if value is not None else "")


from todacomm.report.comparison import pair_sections  # noqa: E402 -- registered here: pairs stand between the table and the figures


@section("comparison-figures", title="Figures", record=Comparison)
def figures(comparison: Comparison, context: Context) -> Iterator[Piece]:
    """The models along their depth, and their expansions."""
    yield from charts_of(comparison, context, "comparison_profiles", "comparison_expansion")


@dataclass(frozen=True, slots=True)
class Mean:
    """The geometric means over the models of one level of a factor."""

    level: str
    models: int
    expansion: float
    scale: float
    shape: float


def geometric_mean(values: Iterable[Number]) -> float:
    """The exponential of the mean logarithm; it keeps expansion = scale × shape exact."""
    logs = [math.log(v) for v in values if v is not None and v > 0]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def mean_of(level: str, rows: Sequence[ModelRow]) -> Mean:
    """The means over rows of one level."""
    fields = ("expansion", "scale_growth", "shape_growth")
    return Mean(level, len(rows), *(geometric_mean(getattr(r, f) for r in rows) for f in fields))


def levels(rows: Sequence[ModelRow], factor: str) -> dict[str, list[ModelRow]]:
    """The rows by the value of a factor, in the order of the names."""
    names = sorted({getattr(r, factor) for r in rows})
    return {name: [r for r in rows if getattr(r, factor) == name] for name in names}


def crossed(rows: Sequence[ModelRow]) -> bool:
    """Whether both factors take two values and every pair of them occurs equally often."""
    kinds, places = levels(rows, "kind"), levels(rows, "norm_place")
    counts = [sum(1 for r in rows if (r.kind, r.norm_place) == (k, p)) for k in kinds for p in places]
    return len(kinds) == len(places) == 2 and min(counts) == max(counts) > 0


FACTORS = {"norm_place": "place of the norm", "kind": "direction of attention and objective"}


@section("comparison-factors", title="The place of the norm, or the direction of attention?", record=Comparison)
def factors(comparison: Comparison, _: Context) -> Iterator[Piece]:
    """Where kinds and norm places are crossed: geometric means of each, and which goes with the larger difference."""
    for name, rows in labelled(comparison):
        sound = sound_rows(rows)
        if len(levels(sound, "kind")) < 2 and len(levels(sound, "norm_place")) < 2:
            continue
        if not crossed(sound):
            yield Paragraph(
                f"{name}: kinds and norm places are not crossed evenly among the models with a sound expansion, so a "
                "difference between them cannot be given to one or the other."
            )
            continue
        means = {factor: [mean_of(level, of) for level, of in levels(sound, factor).items()] for factor in FACTORS}
        yield Paragraph(
            f"{name}. {larger_factor(means)} These are geometric means over {plural(len(sound), 'model')}: no test and "
            "no interval stands behind them."
        )
        yield Table(
            ("Factor", "Level", "Models", "Expansion", "Scale growth", "Shape growth"), tuple(mean_rows(means)), 2
        )


def mean_rows(means: Mapping[str, Sequence[Mean]]) -> Iterator[tuple[str, ...]]:
    """One line a level."""
    for factor, of in means.items():
        for m in of:
            yield (FACTORS[factor], m.level, str(m.models), *(number(x) for x in (m.expansion, m.scale, m.shape)))


def larger_factor(means: Mapping[str, Sequence[Mean]]) -> str:
    """The ratio between the means of each factor, larger first."""
    told = {f: (max(m.expansion for m in of) / min(m.expansion for m in of), of) for f, of in means.items()}
    ranked = sorted(told, key=lambda f: -told[f][0])
    return " ".join(factor_sentence(FACTORS[f], *told[f]) for f in ranked)


def factor_sentence(factor: str, ratio: float, of: Sequence[Mean]) -> str:
    """One factor in words."""
    low, high = sorted(of, key=lambda m: m.expansion)
    if ratio <= 1 + SAME:
        return (
            f"With the {factor} the mean expansion stays about the same ({number(low.expansion)} {low.level}, "
            f"{number(high.expansion)} {high.level})."
        )
    return (
        f"With the {factor} the mean expansion differs {number(ratio, 3)} times: {number(high.expansion)} for "
        f"{high.level} (scale {number(high.scale)} × shape {number(high.shape)}) against {number(low.expansion)} for "
        f"{low.level} (scale {number(low.scale)} × shape {number(low.shape)})."
    )


@section("comparison-h1", title="H1: cycles", record=Comparison)
def h1(comparison: Comparison, _: Context) -> Iterator[Piece]:
    """Explain the columns of H1, and name the models with loops."""
    if with_h1(comparison):
        yield Paragraph(
            "The columns of H1 give the largest value of the sound blocks. Compare models by H1 total over the median "
            "distance: without the division it follows the size of the activations."
        )
        tested = [p for p in comparison.profiles if loop_sentences(p)]
        if len(tested) < len(comparison.profiles):
            yield Paragraph(UNTESTED.format("H1", "loops", "loop"), "warning")
        if tested:
            yield Bullets(tuple(map(loops, tested)))


def loops(profile: Profile) -> str:
    """Report the loops of a profile, in the words of its own report."""
    said = " ".join(loop_sentences(profile))
    return f"{profile.model} ({profile.data}, pooling {profile.recipe.pooling or 'given'}): {said}"


@section("comparison-failures", title="What failed", record=Comparison)
def failures(comparison: Comparison, _: Context) -> Iterator[Piece]:
    """Models that gave no profile, with the message."""
    if comparison.failures:
        yield Bullets(tuple(f"{model}: {message}" for model, message in comparison.failures.items()))

"""Report pairs of profiles, clustering and correlations: sections of a Comparison, with intervals and p-values."""

from collections.abc import Iterator

import numpy as np

from todacomm.comparison.clustering import Clustering, Correlation, GroupTest
from todacomm.comparison.compare import Comparison
from todacomm.comparison.diagram_tests import DEGREE, Apart
from todacomm.comparison.differences import Difference, GrowthDifference, Pair
from todacomm.core.inference_types import ALPHA
from todacomm.report.comparison.all_charts import charts_of
from todacomm.report.document.pieces import Bullets, Context, Paragraph, Piece, Table, section
from todacomm.report.words.pairs import GROWTHS, along, ends, plus, relative, verdict
from todacomm.report.words.phrases import listed, number, padded

BOTH_P = "p, adjusted p"
MOST_TABLES = 8  # pairs that are shown one by one
LANGUAGE = {
    "bits_per_byte": "bits per byte",
    "perplexity": "perplexity",
    "pseudo_perplexity": "pseudo-perplexity",
    "accuracy": "accuracy",
}


@section("comparison-pairs", title="Pair by pair", record=Comparison)
def pairs(comparison: Comparison, _: Context) -> Iterator[Piece]:
    """A verdict on each pair, and what it rests on."""
    shown = list(zip(comparison.pairs, comparison.apart, strict=True))
    for pair, apart in shown[:MOST_TABLES]:
        yield Paragraph(verdict(pair, apart), "answer")
        yield from details(pair, apart)
    if len(shown) > MOST_TABLES:
        yield Bullets(tuple(verdict(pair, apart) for pair, apart in shown[MOST_TABLES:]))
    if any(not pair.refused for pair, _ in shown):
        yield Paragraph(
            "Differences are the second model less the first, each with its interval; p-values are of Student's t with "
            "the spread of random halves of the texts; an interval is without 0, or 1, exactly where the p beside it "
            "is below its level. Adjusted over layers (Benjamini and Hochberg), for each number by itself, p decides "
            f"at {ALPHA:g}. They speak of these two models on texts such as these, not of what made them differ: two "
            "seeds of one recipe are two models as well."
        )


def details(pair: Pair, apart: Apart) -> Iterator[Piece]:
    """Report how a pair was compared, then its tables."""
    notes = list(pair.notes)
    if apart.missing and not pair.refused:
        notes.append(f"Neither CKA nor a test of the diagrams: {apart.missing}.")
    elif apart.untested and not pair.refused:
        notes.append(f"The diagrams are not tested: {apart.untested}.")
    if notes:
        yield Bullets(tuple(notes))
    if pair.growths:
        yield growth_table(pair)
    if found := along(pair):
        yield Table(
            ("Number", "Largest difference at", "Layers that differ", "First", "Second", "Relative difference", BOTH_P),
            tuple(
                (
                    one.label, str(one.most), f"{len(one.layers)} of {one.tested}", number(one.largest.first),
                    number(one.largest.second), relative(one.largest.relative), both_p(one.largest),
                )
                for one in found
            ),
            2,
        )  # fmt: skip
    if apart.diagrams:
        yield diagram_table(pair, apart)
    if pair.language:
        yield language_table(pair)
        if "perplexity" in pair.language:
            yield Paragraph(
                "Perplexities are comparable only between models with the same tokens; bits per byte always are."
            )


def growth_table(pair: Pair) -> Table:
    """Expansion and its exact factors, of both."""
    a, b = pair.each_growth
    heads = [
        f"{p.model}, {g.baseline} to {g.peak}" for p, g in zip((pair.first, pair.second), (a, b), strict=True) if g
    ]
    rows = (
        (GROWTHS[part], padded(d.first), padded(d.second), plus(d.difference),
         f"{padded(d.ratio.estimate)} {ends(d.ratio)}", both_p(d))
        for part, d in pair.growths.items()
    )  # fmt: skip
    return Table(("Growth", *heads, "Difference", "Ratio", BOTH_P), tuple(rows))


def both_p(found: Difference | GrowthDifference) -> str:
    """The p-value that the interval beside it belongs to, and what is left of it once it is adjusted."""
    return f"{p_text(found.p)}, {p_text(found.adjusted)}"


def p_text(p: float | None) -> str:
    """A p-value, small ones by their order."""
    if p is None:
        return "undefined"
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def diagram_table(pair: Pair, apart: Apart) -> Table:
    """The distances between diagrams and the alignment, at the layer where each is most."""
    rows = []
    for name, found in apart.diagrams.items():
        known = [(one.wasserstein, i) for i, one in enumerate(found) if one.wasserstein is not None]
        if known:
            i = max(known)[1]
            one = found[i]
            tested = [d for d in found if d.adjusted is not None]
            differing = (
                f"{sum(d.adjusted <= ALPHA for d in tested if d.adjusted is not None)} of {len(tested)}"
                if tested
                else "–"
            )
            least = p_text(min((d.adjusted for d in tested if d.adjusted is not None), default=None)) if tested else "–"
            distances = number(one.bottleneck), number(one.wasserstein)
            rows.append((f"{name} diagrams", str(pair.layers[i]), *distances, differing, least))
    aligned = [(value, i) for i, value in enumerate(apart.cka) if value is not None]
    if aligned:
        value, i = min(aligned)
        median = float(np.median([value for value, _ in aligned]))
        rows.append(
            (
                f"CKA {number(value, 3)} at the least, median {number(median, 3)}",
                str(pair.layers[i]),
                "–",
                "–",
                "–",
                "–",
            )
        )
    heads = (
        "Geometry",
        "Furthest apart at",
        "Bottleneck",
        f"Wasserstein, degree {DEGREE:g}",
        "Layers that differ",
        "p, adjusted",
    )
    return Table(heads, tuple(rows), 2)


def language_table(pair: Pair) -> Table:
    """Language metrics of both, side by side."""
    rows = ((LANGUAGE[name], *(number(value) for value in both)) for name, both in pair.language.items())
    return Table(
        ("On the same texts" if not pair.unpaired else "On its texts", pair.first.model, pair.second.model), tuple(rows)
    )


@section("comparison-pair-figures", title="Where they differ", record=Comparison)
def pair_figures(comparison: Comparison, context: Context) -> Iterator[Piece]:
    """The differences along the layers, drawn."""
    yield from charts_of(comparison, context, "comparison_differences")


@section("comparison-likeness", title="Which models are alike", record=Comparison)
def alike(comparison: Comparison, context: Context) -> Iterator[Piece]:
    """The nearest and the furthest two, the tree, and whether families lie together."""
    found = comparison.likeness
    if found is None:
        return
    yield Paragraph(extremes(found), "answer")
    yield from charts_of(comparison, context, "comparison_tree", "comparison_distances")
    told = tuple(family_sentence(one) for one in found.families)
    if told:
        yield Bullets(told)


def extremes(found: Clustering) -> str:
    """The nearest two profiles and the furthest."""
    i, j = np.triu_indices(len(found.models), 1)
    near, far = (int(which) for which in (found.distances[i, j].argmin(), found.distances[i, j].argmax()))
    pairs = [
        f"{found.models[i[k]]} and {found.models[j[k]]} ({number(float(found.distances[i[k], j[k]]), 3)})"
        for k in (near, far)
    ]
    return f"By their scale-free profiles {pairs[0]} are most alike, {pairs[1]} least."


def family_sentence(one: GroupTest) -> str:
    """Whether models of one label lie closer together."""
    if one.test is None:
        return f"By {one.factor}: {one.note}."
    seen = (
        f"by {one.factor}, models of one label lie {number(one.within, 3)} apart on average, of different ones "
        f"{number(one.between, 3)}"
    )
    how = f"{'all' if one.test.exact else 'of'} {one.test.arrangements:,} arrangements of the labels"
    if one.test.smallest > ALPHA:
        return (
            f"{seen[0].upper()}{seen[1:]}. Not decidable with so few models: of {how}, p can be no smaller than "
            f"{number(one.test.smallest, 2)}."
        )
    word = "they group together more than chance" if one.test.p <= ALPHA else "no more than chance would have it"
    return f"{seen[0].upper()}{seen[1:]}: {word} (p {number(one.test.p, 2)}, {how})."


@section("comparison-language", title="Topology and language", record=Comparison)
def language(comparison: Comparison, context: Context) -> Iterator[Piece]:
    """Spearman's correlations over models, or why there are none."""
    tested = [one for one in comparison.correlations if one.test]
    if tested:
        yield Paragraph(
            "Spearman's rank correlation with bits per byte, one row a model; p-values count orders of the models, and "
            "are adjusted over all correlations here. A correlation over models says nothing about what causes what."
        )
        yield Table(("Kind", "Number", "Models", "ρ", "p", "p, adjusted"), tuple(map(correlation_row, tested)), 2)
    yield from charts_of(comparison, context, "comparison_language")
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in comparison.correlations:
        if one.test is None:
            reasons.setdefault((one.kind, one.note), []).append(one.name.replace("_", " "))
    if reasons:
        yield Bullets(
            tuple(
                f"{kind or 'arrays'}: no correlation of {listed(names)} with bits per byte: {note}."
                for (kind, note), names in reasons.items()
            )
        )


def correlation_row(one: Correlation) -> tuple[str, ...]:
    """One correlation."""
    rho, p = (one.test.statistic, one.test.p) if one.test else (None, None)
    return (one.kind, one.name.replace("_", " "), str(one.models), number(rho, 2), p_text(p), p_text(one.adjusted))

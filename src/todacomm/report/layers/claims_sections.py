"""Report inference: intervals along the layers, whole articles, and every layer against its nulls."""

import math
from collections.abc import Iterator, Mapping

from todacomm.core.inference_types import ALPHA, LoopBar, NullTest
from todacomm.core.types import Measurement, Profile
from todacomm.report.document.pieces import Bullets, Context, Paragraph, Piece, Table, section
from todacomm.report.layers.series import loops_of, loops_of_centroids
from todacomm.report.words import phrases
from todacomm.report.words.intervals_and_nulls import (
    bracketed,
    group_sentences,
    interval_of,
    p_text,
    peak_sentence,
    the_test,
)
from todacomm.report.words.loops import distances
from todacomm.report.words.phrases import (
    H0_SHAPE,
    H0_TOTAL,
    H1_SHAPE,
    H1_TOTAL,
    layer_list,
    padded,
    plural,
    share,
)
from todacomm.statistics.layer_statistics import statistics
from todacomm.statistics.null_models import null_models

SHOWN = {
    H0_SHAPE: "H0 total / scale",
    H1_SHAPE: "H1 total / scale",
    "H1_count": "H1 bars",
    "H1_max_lifetime_scaled": "H1 longest / scale",
}
TESTED = {
    H0_TOTAL: "H0 total",
    "H0_entropy": "H0 entropy",
    H1_TOTAL: "H1 total",
    "H1_max_lifetime": "H1 longest",
}
MOST_ROWS, MOST_NAMED = 40, 12  # loops in the table, points named of each


@section("intervals", title="Intervals")
def intervals(profile: Profile, _: Context) -> Iterator[Piece]:
    """An interval for each number of each layer, how it was made, and whether it respects the articles of the texts."""
    claims = profile.claims
    if claims is None or not (claims.intervals or claims.missing):
        return
    asked = claims.asked
    if claims.intervals:
        yield Paragraph(
            f"{share(asked.confidence, 0)} intervals, in square brackets, of what other texts of the same kind would "
            f"give on average: from {plural(asked.resamples // 2, 'random split')} of the "
            f"{'articles' if claims.groups else 'points'} into two halves (split-half; docs/methodology.md). The "
            "longest bar of H0 depends on one point, so its interval is conservative. The projection is held fixed."
        )
    told = [*group_sentences(profile), peak_sentence(profile)]
    told += [
        f"No intervals at {layer_list(names)}: {why}." for names, why in phrases.grouped_reasons(claims.missing.items())
    ]
    if said := tuple(line for line in told if line):
        yield Bullets(said)


@section("interval_table", title="Intervals, layer by layer", brief=False)
def interval_table(profile: Profile, _: Context) -> Iterator[Piece]:
    """The scale-free numbers of each layer with their intervals."""
    if profile.claims is None or not profile.claims.intervals:
        return
    shown = {name: head for name, head in SHOWN.items() if name in profile.names}
    rows = tuple(
        (place, *(valued(m, profile, name) for name in shown), phrases.mark(m))
        for place, m in zip(phrases.positions(profile), profile.measurements, strict=True)
    )
    yield Table((profile.along.capitalize(), *shown.values(), "Mark"), rows)


def valued(m: Measurement, profile: Profile, name: str) -> str:
    """A number with its interval."""
    return f"{padded(phrases.summary_of(m, name))}{bracketed(interval_of(m, profile, name))}"


@section("nulls", title="Against noise")
def nulls(profile: Profile, _: Context) -> Iterator[Piece]:
    """What the layers are tested against, and at how many of them metrics differ from noise."""
    claims = profile.claims
    if claims is None:
        return
    for null, layers in claims.tests.items():
        if untested := none_tested(layers):
            yield Paragraph(f"Nothing is tested against {describe_null(null)}: {untested}.")
            continue
        yield Paragraph(
            f"Each layer is tested against {describe_null(null)} ({plural(draws_of(profile, null), 'draw')}). "
            f"{told_of(profile, null)}"
        )


def none_tested(layers: Mapping[str, Mapping[str, NullTest]]) -> str:
    """Why no number of any layer has a p-value; empty where one has."""
    tests = [test for found in layers.values() for test in found.values()]
    return (
        "" if any(test.p is not None for test in tests) else "; ".join(dict.fromkeys(t.note for t in tests if t.note))
    )


def describe_null(null: str) -> str:
    """Describe a null model; an unknown one by its name."""
    return null_models[null].sentence if null in null_models else f"the null model {null}"


def draws_of(profile: Profile, null: str) -> int:
    """The number of draws of a null."""
    claims = profile.claims
    return max((t.draws for row in (claims.tests[null] if claims else {}).values() for t in row.values()), default=0)


def told_of(profile: Profile, null: str) -> str:
    """For each metric, the layers at which it differs from the null, and how; the effects of undecidable ones."""
    names = TESTED | {name: one.head for name, one in statistics.items() if not one.apart}
    least = {name: smallest(profile, name, null) for name in names}
    said = [differing(profile, name, head, null) for name, head in names.items() if least[name] <= ALPHA]
    effects = [effect_of(profile, name, head, null) for name, head in names.items() if least[name] > ALPHA]
    if undecided := list(filter(None, effects)):
        so_many = draws_of(profile, null)
        enough = math.ceil(max(least.values()) * (so_many + 1) / ALPHA) - 1
        said.append(
            f"Not decidable with {plural(so_many, 'draw')} (no p-value can be below {p_text(max(least.values()))}; "
            f"{enough} would do), in standard deviations of the draws, median over the sound layers: "
            f"{'; '.join(undecided)}."
        )
    return " ".join(filter(None, said))


def smallest(profile: Profile, name: str, null: str) -> float:
    """The least attainable p-value of a metric under a null; two-sided it is twice as large as one-sided."""
    tests = (the_test(m, profile, name, null=null) for m in phrases.sound(profile))
    return max((test.smallest for test in tests if test is not None and test.p is not None), default=0.0)


def effect_of(profile: Profile, name: str, head: str, null: str) -> str:
    """The median effect of one number over the sound layers; empty where there is none."""
    tests = (the_test(m, profile, name, null=null) for m in phrases.sound(profile))
    found = sorted(test.effect for test in tests if test is not None and test.effect is not None)
    return f"{head} {found[len(found) // 2]:+.1f}" if found else ""


def differing(profile: Profile, name: str, head: str, null: str) -> str:
    """One number: the sound layers at which it is larger, and smaller, than under the null."""
    tests = {m.address.layer: the_test(m, profile, name, null=null) for m in phrases.sound(profile)}
    known = {layer: test for layer, test in tests.items() if test is not None and test.p is not None}
    if not known:
        return ""
    sides = {"larger": 1, "smaller": -1}
    said = [
        f"{word} at {layer_list(layers)}"
        for word, sign in sides.items()
        if (layers := [x for x, test in known.items() if test.found and sign * (test.effect or 0) > 0])
    ]
    return f"{head} is {' and '.join(said)}." if said else f"{head} is nowhere shown to differ."


@section("null_table", title="Against noise, layer by layer", brief=False)
def null_table(profile: Profile, _: Context) -> Iterator[Piece]:
    """Effect size and p-values of each layer."""
    if profile.claims is None:
        return
    for null, found in profile.claims.tests.items():
        every = TESTED | {name: one.head for name, one in statistics.items()}
        heads = {name: head for name, head in every.items() if any(name in row for row in found.values())}
        rows = tuple(
            (place, *(tested(m, profile, name, null) for name in heads), phrases.mark(m))
            for place, m in zip(phrases.positions(profile), profile.measurements, strict=True)
        )
        yield Table((profile.along.capitalize(), *heads.values(), "Mark"), rows)
        told = (one.sentence for name, one in statistics.items() if name in heads and one.sentence)
        yield Paragraph(
            f"Distance from the mean of the null ({describe_null(null)}) in its standard deviations; then p: of the "
            "layer alone, and against the most extreme layer of each draw (family-wise), which decides at 0.05. "
            f"{' '.join(told)}".rstrip()
        )


def tested(m: Measurement, profile: Profile, name: str, null: str) -> str:
    """Effect and p-values of one test, and what its statistic has beside them."""
    test = the_test(m, profile, name, null=null)
    if test is None or test.p is None:
        return f"undefined ({test.note if test and test.note else 'not tested'})"
    effect = "" if test.effect is None else f"{test.effect:+.1f} sd; "
    beside = statistics[name].beside(profile.claims, m.address.layer) if profile.claims and name in statistics else ""
    return f"{effect}p {p_text(test.p)} / {p_text(test.family_wise)}{beside and f'; {beside}'}"


@section("loops", title="Loops", brief=False)
def loops(profile: Profile, _: Context) -> Iterator[Piece]:
    """Every loop with its group, its distances and its p-values."""
    rows = [
        (m.address.layer, bar)
        for m in profile.measurements
        for bar in (*loops_of(profile, m), *loops_of_centroids(profile, m))
    ]
    if not rows:
        return
    kind = phrases.noun(profile)
    header = (
        "Layer",
        "Among",
        "Around it",
        f"{kind.capitalize()}s of its group",
        "Birth to death / median distance",
        "p against the layer",
        "p against the group",
        f"Which {kind}s",
    )
    yield Table(header, tuple(loop_row(profile, layer, bar) for layer, bar in rows[:MOST_ROWS]))
    if len(rows) > MOST_ROWS:
        yield Paragraph(f"{len(rows) - MOST_ROWS} more stand in tda_claims.json.")
    yield Paragraph(
        f"Around it: the shortest cycle through the edge that closes the loop. Its group: the {kind}s that are joined "
        "to it at the distance at which it is filled. Both p-values are family-wise: over the layers, and over all "
        f"groups tested. {kind.capitalize()}s are counted from 0; of centroids those nearest to each are named."
    )


def loop_row(profile: Profile, layer: str, bar: LoopBar) -> tuple[str, ...]:
    """One loop."""
    whole = profile.at(layer).facts.points
    against = p_text(bar.p_group) if bar.draws else "the group is the layer"
    named = ", ".join(map(str, bar.cycle[:MOST_NAMED])) + (" …" if len(bar.cycle) > MOST_NAMED else "")
    return (
        layer,
        f"{bar.centroids} centroids" if bar.centroids else f"all {phrases.noun(profile)}s",
        str(len(bar.cycle)),
        f"{len(bar.group):,} of {whole:,}",
        distances(bar),
        p_text(bar.p_layer),
        against,
        named,
    )

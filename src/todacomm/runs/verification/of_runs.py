"""Check a run: digests, and everything in it that follows from something else in it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.clouds.prepare import prepare
from todacomm.core.inference_types import Claims, Halves, NullTest, Number
from todacomm.core.types import Measurement, PointCloud, Profile
from todacomm.core.value_types import Missing
from todacomm.homology.engines import assert_agreement
from todacomm.homology.metrics import summarise
from todacomm.profiles.expansion import expansions_of
from todacomm.profiles.intervals_and_nulls import by_points, comparable, growths_of
from todacomm.profiles.measure import measure_prepared
from todacomm.records.clouds import clouds_of
from todacomm.records.files.codec import plain
from todacomm.records.files.damaged import Salvage
from todacomm.records.inference import CLAIMS, HALVES
from todacomm.records.runs import (
    DIAGRAMS,
    MANIFEST,
    MANIFEST_RECORD,
    METRICS,
    SUMMARIES,
    TEXTS,
    Manifest,
    Record,
    layer_record,
    read_record,
    read_summaries,
)
from todacomm.records.texts import KeptTexts, read_texts
from todacomm.report.words.phrases import median_distance
from todacomm.runs.verification.faults import BROKEN, Fault, alike, changed_files, guarded, lost, strangers, unlike
from todacomm.statistics.intervals import intervals, peak_shares
from todacomm.statistics.pvalues import adjusted, smallest

Clouds = Callable[[str], PointCloud]
DRAWN = 1e-5  # relative: what linear algebra rounds otherwise on another machine
FILES = (
    SUMMARIES,
    METRICS,
    DIAGRAMS,
    MANIFEST,
    CLAIMS,
    HALVES,
    TEXTS,
    "tda_interpretation.md",
    "activations/*.safetensors",
)
DRAWINGS = ("visualizations/**/*",)
BARS = "the stored bars"
SPLITS = f"the half-samples of {HALVES}"


def faults_of_run(run: Path, *, clouds: bool, drawn: Sequence[str] = ()) -> Iterator[Fault]:
    """Every fault of a run; with ``clouds`` its layers are measured again where their activations lie beside it.

    ``drawn`` are patterns of other files that are made of the records.
    """
    salvage = Salvage()
    try:
        record = read_record(run, salvage)
        manifest = MANIFEST_RECORD.read(run)
    except BROKEN as problem:
        yield Fault(MANIFEST, str(problem))
        return
    yield from lost(salvage, MANIFEST)
    listed = manifest.made.get("files", {})
    yield from changed_files(run, listed, MANIFEST)
    yield from strangers(run, [*FILES, *DRAWINGS, *drawn], listed)
    yield from guarded(MANIFEST, partial(in_manifest, manifest, record.profile))
    yield from guarded(TEXTS, partial(in_texts, run, manifest, record.profile))
    yield from guarded(METRICS, partial(in_metrics, record.profile.language or {}))
    yield from guarded(SUMMARIES, partial(in_summaries, record.profile))
    yield from guarded(SUMMARIES, partial(in_remarks, run, record.profile))
    ready = salvage("activations", partial(clouds_of, run, record.profile)) if clouds else None
    there = None if ready is None or isinstance(ready, Missing) else ready
    yield from guarded(MANIFEST, partial(in_expansions, record.profile, there))
    if record.profile.claims:
        yield from guarded(CLAIMS, partial(in_claims, record.profile, record.profile.claims))
    if there:
        yield from guarded(DIAGRAMS, partial(measured_again, record, there))


def in_manifest(manifest: Manifest, profile: Profile) -> Iterator[Fault]:
    """What the manifest says of the recipe and of other files."""
    yield from unlike(MANIFEST, manifest.recipe_digest, manifest.recipe.digest, "the recipe", field="recipe_digest")
    unknown = [layer for layer in manifest.made.get("cross_checked", ()) if layer not in profile.layers]
    if unknown:
        yield Fault(MANIFEST, f"cross_checked names {', '.join(unknown)}, which no layer is called")
    said = manifest.made.get("texts", {})
    if said and profile.recipe.pooling != "tokens":
        known = {"sha256": profile.texts_sha256, "name": profile.data}
        yield from unlike(MANIFEST, said, known, "the profile", field="texts", more=True)


def in_texts(run: Path, manifest: Manifest, profile: Profile) -> Iterator[Fault]:
    """The digest and the number of the texts; that of the texts themselves is checked when they are read."""
    texts = read_texts(run)
    if not isinstance(texts, KeptTexts):
        return
    yield from unlike(TEXTS, texts.sha256, profile.texts_sha256, MANIFEST, field="sha256")
    said = manifest.made.get("texts", {}).get("count", len(texts))
    yield from unlike(TEXTS, len(texts), said, f"texts.count of {MANIFEST}", field="lengths")
    for m in profile.measurements:
        if m.recipe.pooling != "tokens" and m.recipe.subsample is None and m.facts.landmarks_of in (None, len(texts)):
            points = m.facts.landmarks_of or m.facts.points
            yield from unlike(SUMMARIES, points, len(texts), TEXTS, field=f"{m.address.layer}.points")


def in_metrics(language: Mapping[str, Any]) -> Iterator[Fault]:
    """Perplexity, and bits per byte, from the loss."""
    loss, tokens, size = (language.get(name) for name in ("loss", "tokens", "bytes"))
    if loss is None:
        return
    expected = {"perplexity": math.exp(min(loss, 700.0))}
    if tokens and size and language.get("bits_per_byte") is not None:
        expected["bits_per_byte"] = loss * tokens / size / math.log(2)
    told = {name: value for name, value in expected.items() if language.get(name) is not None}
    yield from unlike(METRICS, language, told, "the loss", more=True)


def in_summaries(profile: Profile) -> Iterator[Fault]:
    """Every metric from its bars, and numbers of a cloud that cannot be."""
    for m in profile.measurements:
        yield from off_bars(SUMMARIES, m, m.address.layer)
        yield from impossible(m)


def off_bars(file: str, m: Measurement, field: str) -> Iterator[Fault]:
    """The metrics of a layer, which stand in ``field`` of a file, that are not those of its bars."""
    again = summarise(m.diagrams, scale=median_distance(m))
    yield from unlike(file, m.summary, again, BARS, field=field, more=True)


def in_remarks(run: Path, profile: Profile) -> Iterator[Fault]:
    """The doubts and notes of each layer from the facts of its cloud."""
    stored = {layer: {"doubt": row.doubt, "note": row.note} for layer, row in read_summaries(run / SUMMARIES).items()}
    again = {m.address.layer: {"doubt": m.facts.doubtful, "note": m.facts.note} for m in profile.measurements}
    yield from unlike(SUMMARIES, stored, again, "the facts of the cloud")


def impossible(m: Measurement) -> Iterator[Fault]:
    """Counts and shares of one cloud that contradict each other."""
    facts, bars = m.facts, len(m.diagrams.finite[0]) + len(m.diagrams.essential[0])
    ratio = facts.participation_ratio
    rules = {
        "distinct_points": (facts.distinct_points, 1 <= facts.distinct_points <= facts.points, "1 to points"),
        "H0_count": (bars - 1, bars <= facts.points, "fewer than points"),
        "largest_variance_share": (
            facts.largest_variance_share,
            facts.largest_variance_share >= facts.second_variance_share - DRAWN,
            "no less than second_variance_share",
        ),
        "participation_ratio": (
            ratio,
            ratio is None or 0 <= ratio <= max(1, facts.components) * (1 + DRAWN),
            "1 to components",
        ),
        "rms_distance": (facts.rms_distance, not facts.scale or facts.rms_distance > 0, "above 0"),
        "scale": (facts.scale, facts.scale <= 2 * facts.rms_distance + DRAWN, "at most twice rms_distance"),
        "H1_max_lifetime_Z3": (m.H1_max_lifetime_Z3, _within(m), "between 0 and the longest distance of a death"),
    }
    for name, (value, holds, expected) in rules.items():
        if not holds:
            yield Fault(SUMMARIES, f"{m.address.layer}.{name} is {value}; expected {expected}")


def _within(m: Measurement) -> bool:
    """Whether a loop over Z/3 dies no later than the cloud is filled: homology over both fields ends with it."""
    if m.H1_max_lifetime_Z3 is None or len(m.diagrams.finite) < 2 or not m.facts.scale:
        return True
    reach = 2 * m.facts.rms_distance * math.sqrt(m.facts.points) / m.facts.scale * median_distance(m)
    return 0 <= m.H1_max_lifetime_Z3 <= reach


def in_expansions(profile: Profile, clouds: Clouds | None) -> Iterator[Fault]:
    """The expansions from the summaries; the matched ones need the clouds."""
    if not profile.expansions:
        return
    again = expansions_of(
        profile.measurements, lambda layer: prepare(clouds(layer), profile.recipe) if clouds else None
    )
    stored, made = plain(profile.expansions), plain(again)
    for one, other in zip(stored, made, strict=False):
        if not clouds:
            yield from factors(MANIFEST, one["matched"], "expansions.matched.ratio")
            one, other = {**one, "matched": None}, {**other, "matched": None}  # noqa: PLW2901
        field = f"expansions.{one['baseline']}"
        yield from unlike(MANIFEST, one, other, SUMMARIES, field=field, close=DRAWN)
    yield from unlike(MANIFEST, len(stored), len(made), SUMMARIES, field="expansions")


def factors(file: str, growth: Mapping[str, Number] | None, field: str) -> Iterator[Fault]:
    """That the ``ratio`` of a growth is its ``scale`` × ``shape``; none is held where one of them is undefined."""
    ratio, scale, shape = (growth[name] if growth else None for name in ("ratio", "scale", "shape"))
    if ratio is not None and scale is not None and shape is not None:
        yield from unlike(file, ratio, scale * shape, "scale × shape", field=field)


# Inference


def in_claims(profile: Profile, claims: Claims) -> Iterator[Fault]:
    """Intervals, growths and peaks from the half-samples; p-values from each other; loops from bars."""
    for layer, halves in claims.halves.items():
        again = plain(intervals(halves, confidence=claims.asked.confidence))
        stored = plain(claims.intervals.get(layer, {}))
        yield from unlike(CLAIMS, stored, again, SPLITS, field=f"layers.{layer}.intervals", close=DRAWN)
        yield from whole_cloud(profile.at(layer), halves)
    growths = plain(growths_of(profile.expansions, claims.halves, claims.asked))
    yield from unlike(CLAIMS, plain(claims.growths), growths, SPLITS, field="growths", close=DRAWN)
    peaks = peak_shares(claims.halves) if comparable(claims.halves) else {}
    yield from unlike(CLAIMS, dict(claims.peaks), peaks, SPLITS, field="peaks", close=DRAWN)
    yield from apart(claims)
    for null, layers in claims.tests.items():
        for name in dict.fromkeys(name for of in layers.values() for name in of):
            for together in by_points(profile.measurements):  # layers of equally many points share their draws
                found = (m.address.layer for m in together)
                rows = {layer: layers[layer][name] for layer in found if name in layers.get(layer, {})}
                yield from in_tests(profile, rows, f"{null}.{name}")
    for layer, bars in claims.loops.items():
        for i, bar in enumerate(bars):
            field = f"layers.{layer}.loops.{i}"
            if not bar.centroids and not _has_bar(profile.at(layer), bar.birth, bar.death):
                yield Fault(CLAIMS, f"{field} is a bar from {bar.birth:g} to {bar.death:g}, which {BARS} lack")
            if bar.centroids == 0 and not set(bar.cycle) <= set(bar.group):
                yield Fault(CLAIMS, f"{field}.cycle runs through texts that are not in its group")


def whole_cloud(m: Measurement, halves: Halves) -> Iterator[Fault]:
    """The numbers of the whole cloud that stand beside its half-samples."""
    known = {**m.summary, "scale": m.facts.scale}
    for name, value in zip(halves.names, halves.whole.tolist(), strict=True):
        number = known.get(name, value)
        number = math.nan if number is None else number
        field = f"{m.address.layer}/whole of {name}"
        yield from unlike(HALVES, value, number, SUMMARIES, field=field, close=DRAWN)


def apart(claims: Claims) -> Iterator[Fault]:
    """Intervals of single points, whose half-samples are not kept: an estimate lies between their ends."""
    for layer, found in claims.one_by_one.items():
        for name, one in found.items():
            ends = (one.low, one.estimate, one.high)
            if None not in ends and not one.low <= one.estimate <= one.high:  # type: ignore[operator]
                field = f"layers.{layer}.one_by_one.{name}"
                yield Fault(CLAIMS, f"{field} is {one.estimate:g} in [{one.low:g}, {one.high:g}]; expected it within")


def in_tests(profile: Profile, rows: Mapping[str, NullTest], what: str) -> Iterator[Fault]:
    """What one test says of all layers: values of the summaries, p-values that its draws can give, their adjustment."""
    p = np.array([math.nan if one.p is None else one.p for one in rows.values()])
    expected = adjusted(p)
    for (layer, one), false in zip(rows.items(), expected.tolist(), strict=True):
        field = f"layers.{layer}.tests.{what}"
        value = profile.at(layer).summary.get(one.metric, one.observed)
        yield from unlike(CLAIMS, one.observed, value, SUMMARIES, field=f"{field}.observed", close=DRAWN)
        least = smallest(one.draws, one.alternative) if one.draws else one.smallest
        yield from unlike(CLAIMS, one.smallest, least, f"{one.draws} draws", field=f"{field}.smallest")
        if one.p is None:
            continue
        yield from unlike(CLAIMS, one.adjusted, false, "the p-values of all layers", field=f"{field}.adjusted")
        for name, value in (("p", one.p), ("family_wise", one.family_wise)):
            if value is not None and not possible(value, one):
                yield Fault(CLAIMS, f"{field}.{name} is {value:g}, which {one.draws} draws cannot give")
        if one.family_wise is not None and one.family_wise < one.p * (1 - DRAWN):
            yield Fault(CLAIMS, f"{field}.family_wise is {one.family_wise:g}; expected no less than p, {one.p:g}")


def possible(p: float, test: NullTest) -> bool:
    """Whether a p-value is a whole number of draws over all of them and one."""
    counted = p * (test.draws + 1)
    return p >= 1 / (test.draws + 1) * (1 - DRAWN) and p <= 1 + DRAWN and alike(counted, float(round(counted)), DRAWN)


def _has_bar(m: Measurement, birth: float, death: float) -> bool:
    bars = m.diagrams.finite[1]
    return bool(np.isclose(bars, [birth, death], rtol=DRAWN, atol=0).all(axis=1).any())


# Again from the clouds


def measured_again(record: Record, clouds: Clouds) -> Iterator[Fault]:
    """Measure every layer again from its activations."""
    for m in record.profile.measurements:
        layer = m.address.layer
        again = measure_prepared(prepare(clouds(layer), m.recipe), m.recipe)
        assert_agreement(m.diagrams, again.diagrams, scale=median_distance(m) or 1.0, where=f"{layer}, measured again")
        facts = {name: value for name, value in layer_record(again).items() if name not in m.summary}
        stored = layer_record(m)
        yield from unlike(SUMMARIES, stored, facts, "its activations", field=layer, close=1e-4, more=True)

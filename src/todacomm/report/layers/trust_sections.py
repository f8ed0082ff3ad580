"""Report how far the numbers can be trusted: variance, unique points, doubts, language, notes, terms, provenance."""

from collections.abc import Iterator, Mapping
from typing import Any

from todacomm.comparison.compare import Comparison
from todacomm.core.recipe import Recipe
from todacomm.core.types import Measurement, Profile
from todacomm.report.document.loop_example import drawing
from todacomm.report.document.loop_example import told as told_of_loop
from todacomm.report.document.pieces import Bullets, Code, Context, Drawing, Paragraph, Piece, Table, Terms, section
from todacomm.report.words import phrases
from todacomm.report.words.glossary import GLOSSARY, READ_FIRST
from todacomm.report.words.phrases import layer_list, number, plural, rescaled, share


def terms_of(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """Each word in one line, as it is meant for clouds of this recipe."""
    meant = {**GLOSSARY, "Point cloud": point_term(recipe), "Scale": scale_term(recipe)}
    return tuple((term, meant[term]) for term in READ_FIRST)


def point_term(recipe: Recipe) -> str:
    """Define a point."""
    if recipe.pooling is None:
        return "one point for each row of the array."
    of = "token" if recipe.pooling == "tokens" else "text"
    return f"one point for each {of}: what the model holds of that {of} at one layer."


def scale_term(recipe: Recipe) -> str:
    """Define the scale, and how it and lifetimes grow with the activations."""
    if recipe.distance == "precomputed":
        return (
            "the median of the distances that were given. Distances twice as large: twice the scale and the lifetimes."
        )
    if recipe.distance == "cosine":
        return (
            "the median distance, 1 − cosine, between two points of the cloud, after projection. It knows angles only: "
            "the size of the activations enters neither the scale nor a lifetime."
        )
    if recipe.scale == "sphere":
        return (
            "the median distance between two points of the cloud on the unit sphere, after projection. Twice as large "
            "activations: the same scale and the same lifetimes."
        )
    measured = "the median distance between two points of the cloud, after projection"
    if rescaled(recipe):
        return (
            f"{measured} and before the division by the {recipe.scale} distance. Twice as large activations: twice the "
            "scale and, after the division, the same lifetimes."
        )
    return f"{measured}. Twice as large activations: twice the scale and twice every lifetime."


@section("variance", title="What the projection kept")
def variance(profile: Profile, _: Context) -> Iterator[Piece]:
    """The range of the kept variance over the layers."""
    facts = profile.measurements[0].facts
    if profile.recipe.distance == "precomputed":
        yield Paragraph("Distances were given: nothing was projected.")
        return
    if profile.recipe.components is None or facts.components >= facts.dimension:
        yield Paragraph("Every dimension was kept: no variance is lost.")
        return
    low = min(profile.measurements, key=lambda m: m.facts.variance_kept)
    high = max(profile.measurements, key=lambda m: m.facts.variance_kept)
    yield Paragraph(f"{plural(facts.components, 'principal component')} {kept(low, high)}.")


def kept(low: Measurement, high: Measurement) -> str:
    """The share that the components keep, with the layers of least and most."""
    least, most = share(low.facts.variance_kept), share(high.facts.variance_kept)
    if least == most:
        return f"keep {least} of the variance" if low is high else f"keep {least} of the variance of every layer"
    return f"keep between {least} ({low.address.layer}) and {most} ({high.address.layer}) of the variance"


@section("distinct", title="Distinct points")
def distinct(profile: Profile, _: Context) -> Iterator[Piece]:
    """Report layers in which several texts became one point."""
    points = profile.measurements[0].facts.points
    fewer: dict[int, list[str]] = {}
    for m in profile.measurements:
        if m.facts.distinct_points < m.facts.points:
            fewer.setdefault(m.facts.distinct_points, []).append(m.address.layer)
    if not fewer:
        yield Paragraph(
            f"All {points:,} points are distinct" + (" at every layer." if len(profile.layers) > 1 else ".")
        )
        return
    told = "; ".join(f"{number(count)} at {layer_list(names)}" for count, names in fewer.items())
    rest = len(profile.layers) - sum(map(len, fewer.values()))
    other = f"; all {points:,} at the other {plural(rest, profile.along)}" if rest else ""
    yield Paragraph(f"Distinct points of {points:,}: {told}{other}. Points that coincide add no bar.")


@section("landmarks", title="Landmarks")
def landmarks(profile: Profile, _: Context) -> Iterator[Piece]:
    """How far the points are from the landmarks that stand for them, and which bars that leaves certain."""
    of = profile.measurements[0].facts.landmarks_of
    if of is None:
        return
    yield Paragraph(
        f"{plural(profile.measurements[0].facts.points, 'landmark')} of each cloud, each the point farthest from those "
        f"chosen before, stand for its {plural(of, 'point')}. No point is farther than the covering radius (in the "
        "unit of the scale) from a landmark, so no end of a bar is farther than the error beside it from that of the "
        "whole cloud, and each bar longer than twice the error is a bar of the whole cloud (Chazal, de Silva and Oudot "
        "2014). Shorter bars may be of the landmarks alone; totals and counts are those of the landmarks."
    )
    heads = [f"H{k} bars that are certain" for k in range(profile.recipe.maxdim + 1)]
    rows = tuple(
        (name, *certainty(m)) for name, m in zip(phrases.positions(profile), profile.measurements, strict=True)
    )
    yield Table((profile.along.capitalize(), "Covering radius", "Error of bar ends", *heads), rows)


def certainty(measurement: Measurement) -> tuple[str, ...]:
    """The covering radius, the error of bar ends, and how many bars of each dimension exceed twice that."""
    found = (measurement.facts.covering_radius, phrases.bar_error(measurement))
    bars = measurement.diagrams.finite
    return (*map(number, found), *(f"{phrases.decided(measurement, k):,} of {len(b):,}" for k, b in enumerate(bars)))


@section("doubts", title="Doubtful and undefined layers")
def doubts(profile: Profile, _: Context) -> Iterator[Piece]:
    """List the flagged layers with reasons, and notes on the others."""
    found = [("doubtful", d) for d in phrases.doubts(profile)] + [("undefined", d) for d in phrases.undefined(profile)]
    if not found:
        yield Paragraph(
            f"None: {'at every layer' if len(profile.layers) > 1 else 'in this cloud'} at least half of the points are "
            "distinct and no one of many dimensions outweighs the others."
        )
    notes = phrases.facts_notes(profile)
    lines = [f"{layer_list(names)}: {word} ({reason})." for word, (names, reason) in found]
    lines += [f"Note on {layer_list(names)}: {note}." for names, note in notes]
    if lines:
        yield Bullets(tuple(lines))


def reported(name: str, value: object) -> str:
    """A number of the language metrics as text."""
    if value is None:
        return "undefined"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return share(float(value), 2) if "accuracy" in name or "share" in name else number(value)


@section("language", title="The model on the same texts")
def language(profile: Profile, _: Context) -> Iterator[Piece]:
    """Loss, perplexity, bits per byte and accuracy; or why there are none."""
    values = profile.language
    if values is None:
        return
    numbers = {k: v for k, v in values.items() if isinstance(v, int | float) or v is None}
    if all(v is None for v in numbers.values()):
        yield Paragraph(f"Undefined ({values.get('reason') or 'no reason was recorded'}).")
        return
    yield Paragraph(sentence_of_language(profile, values))
    rows = tuple((name.replace("_", " "), reported(name, value)) for name, value in values.items() if told(value))
    yield Table(("Quantity", "Value"), rows)


def told(value: object) -> bool:
    """Whether a value of the language metrics applies and fits a cell."""
    return isinstance(value, str | int | float) and value != ""


def sentence_of_language(profile: Profile, values: Mapping[str, Any]) -> str:
    """Bits per byte of a causal model, which can be set beside another's; pseudo-perplexity of a masked one."""
    bits, pseudo = values.get("bits_per_byte"), values.get("pseudo_perplexity")
    if bits is not None:
        return (
            f"{profile.model} needs {number(bits)} bits per byte of these texts. Perplexity counts tokens: it can be "
            "compared only between models with the same tokenizer, bits per byte between any two causal models."
        )
    if pseudo is not None:
        return (
            f"{profile.model} has a pseudo-perplexity of {number(pseudo)} on these texts, each token masked alone. It "
            "counts tokens and sees both sides of each: it is no perplexity of a causal model, and bits per byte are "
            "undefined for it."
        )
    return f"Bits per byte are undefined ({values.get('reason') or 'they do not apply to this model'})."


@section("notes", title="Notes")
def notes(profile: Profile, _: Context) -> Iterator[Piece]:
    """Notes that a reader of the numbers must know."""
    if profile.notes:
        yield Bullets(profile.notes)


@section("a-loop", title="What a loop is", record=object, brief=False, closing=True)
def a_loop(record: object, _: Context) -> Iterator[Piece]:
    """A loop drawn from its birth to its death, where loops are told of."""
    profiles = record.profiles if isinstance(record, Comparison) else [record]
    if any(isinstance(p, Profile) and p.recipe.maxdim > 0 for p in profiles):
        yield Drawing(drawing(), told_of_loop())


@section("terms", title="How to read this", record=object, closing=True)
def terms(record: object, _: Context) -> Iterator[Piece]:
    """Define each term in one line; a comparison uses its first profile, records without a recipe their own terms."""
    recipe = getattr(record.profiles[0] if isinstance(record, Comparison) else record, "recipe", None)
    if isinstance(recipe, Recipe):
        yield Terms(terms_of(recipe))


@section("glossary", title="Glossary", record=object, brief=False, closing=True)
def glossary(record: object, _: Context) -> Iterator[Piece]:
    """The terms of the reports that are not told above, in one sentence each."""
    if isinstance(record, Profile | Comparison):
        yield Terms(tuple((term, meaning) for term, meaning in GLOSSARY.items() if term not in READ_FIRST))


@section("reproduce", title="How to run it again", record=object, brief=False, closing=True)
def reproduce(_: object, context: Context) -> Iterator[Piece]:
    """The command, and the configuration behind it."""
    if context.get("command"):
        yield Code(str(context["command"]), "sh")
    if context.get("config"):
        yield Code(str(context["config"]), "yaml")


@section("origin", title="Where the numbers come from", record=object, brief=False, closing=True)
def origin(profile: object, context: Context) -> Iterator[Piece]:
    """Digests, revisions and versions."""
    found = {**card_of(profile), **context.get("provenance", {}), **context.get("versions", {})}
    if found:
        yield Table(
            ("What", "Which"), tuple((str(k), str(v)) for k, v in found.items() if v not in (None, "")), words=2
        )


def card_of(record: object) -> dict[str, str]:
    """The identity of weights and recipe."""
    if not isinstance(record, Profile):
        return {}
    recipe = {"recipe": record.recipe.digest}
    if record.card is None:
        return recipe
    return {"revision": record.card.revision, "weights (SHA-256)": record.card.weights_sha256, **recipe}

"""Report the topology of a profile: the answer, the layers, the peak, the expansion, H1 and H2.

A section is one decorated function that yields pieces. A sentence rests on a reliable number, or says that it does not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from todacomm.core.types import Expansion, Growth, Measurement, Profile, is_block
from todacomm.homology.metrics import SCALED
from todacomm.report.document.pieces import Bullets, Context, Paragraph, Piece, Table, picture_parts, section
from todacomm.report.words import phrases
from todacomm.report.words.expansion import changed, factorisation, null_sentences, which_factor
from todacomm.report.words.fields import field_sentence
from todacomm.report.words.finding import finding
from todacomm.report.words.loops import loop_sentences
from todacomm.report.words.phrases import (
    H0_RAW,
    H0_SHAPE,
    H0_TOTAL,
    H1_SHAPE,
    H1_TOTAL,
    SAME,
    counted,
    layer_list,
    listed,
    number,
    padded,
    plural,
    raw_unit,
    rescaled,
    share,
    single,
    summary_of,
    unit,
)

UNTESTED = (
    "{0} has not been tested against a null model here and must not be read as evidence of {1}: clouds without any "
    "{2}, Gaussian noise among them, have {0} bars too."
)


@section("answer", title="The answer")
def answer(profile: Profile, _: Context) -> Iterator[Piece]:
    """The finding in plain words, then with numbers: what expands, by how much, and whether by scale or shape."""
    yield Paragraph(finding(profile), "answer")
    if single(profile) or not profile.expansions:
        yield Paragraph(one_cloud(profile))
    elif (leading := phrases.leading_expansion(profile)) is not None and leading.growth is not None:
        g = leading.growth
        yield Paragraph(
            f"From {g.baseline} to its peak at {g.peak}, the H0 total persistence of {profile.model} "
            f"{changed(g, profile)}: {factorisation(g, profile)}. {which_factor(g, profile, leading.matched)}"
        )
        for sentence in null_sentences(profile, g):
            yield Paragraph(sentence)
    else:
        yield Paragraph(f"No expansion can be claimed for {profile.model}: {no_claim(profile)}.")
    if said := loop_sentences(profile):
        yield Paragraph(said[0])
    if marked := phrases.mark_lines(profile):
        yield Paragraph("Marked layers. " + ". ".join(marked) + ".", "warning")


def one_cloud(profile: Profile) -> str:
    """The numbers of the only cloud, or of the one with the most H0 total where no layer is a block."""
    m = profile.measurements[0] if single(profile) else phrases.largest(phrases.sound(profile), H0_RAW)
    if m is None:
        return "No layer is sound, so that no number carries a sentence."
    where = "" if single(profile) else f"The most H0 total persistence of the sound layers is at {m.address.layer}. "
    measured = "" if rescaled(profile.recipe) else f"{number(summary_of(m, H0_TOTAL))} {unit(profile)}, "
    space = f" in {plural(m.facts.dimension, 'dimension')}" if m.facts.dimension else ", given by their distances"
    return (
        f"{where}{plural(m.facts.points, 'point')} ({m.facts.distinct_points:,} distinct){space}: H0 total persistence "
        f"is {measured}{number(summary_of(m, H0_SHAPE))} times the median distance.{first_homology(m)}"
    )


def first_homology(m: Measurement) -> str:
    """The bars of H1 of one cloud, as numbers only."""
    if (bars := summary_of(m, "H1_count")) is None:
        return ""
    longest = summary_of(m, "H1_max_lifetime_scaled")
    return f" H1 has {plural(int(bars), 'bar')}" + (
        f", the longest {number(longest)} times the median distance." if bars and longest is not None else "."
    )


def no_claim(profile: Profile) -> str:
    """Why no expansion carries a sentence."""
    reasons = [e.reason or e.doubt for e in phrases.expansions_in_order(profile)]
    return "; ".join(dict.fromkeys(reasons)) or "no block was measured"


@section("layers", title="Layer by layer", brief=False)
def layers(profile: Profile, _: Context) -> Iterator[Piece]:
    """The table of all layers, with the legend of its marks."""
    columns, scale_free = columns_of(profile), rescaled(profile.recipe)
    rows = tuple(tuple(cell(m, name) for name in columns) for m in profile.measurements)
    yield Table(tuple(columns.values()), rows)
    if legend := phrases.mark_lines(profile):
        yield Bullets(tuple(legend))
    yield Paragraph(
        "Totals and the longest bar are divided by the scale of their layer: they are free of any unit."
        if scale_free
        else f"Totals and the longest bar are in the unit of the distances {unit(profile)}; compare layers by the "
        "column divided by the scale."
    )


MEASURED = {
    H0_TOTAL: "H0 total", H0_SHAPE: "H0 total / scale",
    "H1_count": "H1 bars", H1_TOTAL: "H1 total", "H1_max_lifetime": "H1 longest",
}  # fmt: skip
SCALE_FREE = {
    H0_SHAPE: "H0 total / scale",
    "H1_count": "H1 bars", H1_SHAPE: "H1 total / scale", "H1_max_lifetime_scaled": "H1 longest / scale",
}  # fmt: skip


def columns_of(profile: Profile) -> dict[str, str]:
    """Keys and heads of the columns of the table of layers; those of H1 only where it was computed, no total twice."""
    numbers = SCALE_FREE if rescaled(profile.recipe) else MEASURED
    facts = {"distinct_points": "Distinct points", "variance_kept": "Variance kept", "scale": "Scale"}
    columns = {"layer": "Layer", **facts, **numbers, "mark": "Mark"}
    known = {"layer", "mark", *profile.names}
    return {key: head for key, head in columns.items() if key in known}


def cell(m: Measurement, name: str) -> str:
    """One number of the table of layers as text; an undefined one with its reason."""
    if name == "layer":
        return m.address.layer
    if name == "mark":
        return phrases.mark(m)
    if name == "variance_kept":
        return share(m.facts.variance_kept)
    if name in ("distinct_points", "scale"):
        return padded(getattr(m.facts, name))
    value = None if name.endswith(SCALED) and m.facts.undefined else summary_of(m, name)
    return padded(value) if value is not None else f"undefined ({m.facts.undefined or 'no bar'})"


@section("figures", title="Figures", brief=False)
def figures(_: Profile, context: Context) -> Iterable[Piece]:
    """The figures that were drawn, each with how to read it."""
    if not context.get("figures"):
        return ()
    from todacomm.report.layers.all_figures import drawings

    return picture_parts(context["figures"], drawings)


@section("measured", title="What was measured")
def measured(profile: Profile, context: Context) -> Iterator[Piece]:
    """Model, texts, pooling, the making of the clouds, engine."""
    yield Paragraph(f"{described(profile)} {made(profile)} {engine(profile)}{confirmed(context)}")


def described(profile: Profile) -> str:
    """The model, where there is one, and the texts."""
    card = profile.card
    source = f"{counted(profile)} of {profile.data}"
    if card is None:
        return f"{profile.model}: {source}, {plural(len(profile.measurements), profile.along)}."
    pooled = (
        f", one point a {'token' if profile.recipe.pooling == 'tokens' else 'text'} (pooling: {profile.recipe.pooling})"
    )
    return (
        f"{profile.model} is a {card.kind} language model with {card.norm_place} blocks: "
        f"{plural(card.blocks, 'block')} of width {card.width}, {plural(card.parameters, 'parameter')}. It read "
        f"{source}{pooled if profile.recipe.pooling else ''}."
    )


def made(profile: Profile) -> str:
    """Describe how a cloud was made from activations, in the order of the recipe."""
    recipe, facts = profile.recipe, profile.measurements[0].facts
    given = recipe.distance == "precomputed"
    projected = (
        ""
        if given
        else "kept in every dimension"
        if recipe.components is None or facts.components >= facts.dimension
        else f"projected from {facts.dimension} dimensions to {plural(facts.components, 'principal component')}"
    )
    steps = [
        f"reduced to a random {recipe.subsample} of its points" if recipe.subsample else "",
        "" if given else "centred" if recipe.centre else "not centred",
        "put on the unit sphere" if recipe.scale == "sphere" else "",
        projected,
        ""
        if facts.landmarks_of is None
        else f"thinned to {plural(facts.points, 'landmark')} of {facts.landmarks_of:,}",
        f"divided by its {recipe.scale} distance" if recipe.scale in ("median", "rms") else "",
    ]
    site = "" if recipe.site == "block" else f" of what the {recipe.site} sublayer adds"
    done = listed([step for step in ("given by its distances" if given else "", *steps) if step])
    return (
        f"Each cloud{site} was {done}." if given else f"Each cloud{site} was {done}; distances are {recipe.distance}."
    )


def engine(profile: Profile) -> str:
    """State which homology was computed, by which engine."""
    dimensions = listed([f"H{k}" for k in range(profile.recipe.maxdim + 1)])
    until = "" if profile.recipe.threshold is None else f", up to the distance {number(profile.recipe.threshold)}"
    return f"{dimensions} of the Vietoris–Rips filtration over Z/2 were computed by {profile.recipe.engine}{until}."


def confirmed(context: Context) -> str:
    """Name the layers that a second engine confirmed."""
    checked = list(context.get("checked", ()))
    return f" The reference engine, ripser, gave the same bars at {layer_list(checked)}." if checked else ""


@section("peak", title="Where H0 peaks")
def peak(profile: Profile, _: Context) -> Iterator[Piece]:
    """The block with the most H0 total, the same without the scale, and what it is at ``final``."""
    if single(profile):
        return
    wanted = {H0_RAW: f"H0 total persistence {raw_unit(profile)}", H0_SHAPE: "H0 total over the median distance"}
    yield Paragraph(" ".join(filter(None, (over_blocks(profile, wanted), after_norm(profile)))))


def over_blocks(profile: Profile, wanted: Mapping[str, str]) -> str:
    """Report where each metric is smallest and largest over reliable blocks, and larger doubtful values."""
    blocks = [m for m in phrases.blocks(profile.measurements) if not m.facts.undefined]
    sound = [m for m in blocks if not m.facts.doubtful]
    if not sound:
        return f"No block is sound, so nothing is concluded here. {doubtful_peaks(blocks, wanted)}".strip()
    noun = "block" if is_block(sound[0].address.layer) else profile.along
    kind = noun if len(sound) == len(blocks) else f"sound {noun}"
    many = f"Over {plural(len(sound), kind)}" if len(sound) > 1 else f"In the only {kind}, {sound[0].address.layer}"
    clauses = "; ".join(f"{what} {spread(sound, name)}" for name, what in wanted.items())
    return f"{many}: {clauses}. {doubtful_peaks(blocks, wanted)}".strip()


def doubtful_peaks(blocks: Sequence[Measurement], wanted: Mapping[str, str]) -> str:
    """The largest values that carry no sentence, where they are doubtful."""
    tops = {name: phrases.largest(blocks, name) for name in wanted}
    return " ".join(
        f"Of {wanted[name]}, the largest value of all blocks, {number(summary_of(m, name))} at {m.address.layer}, "
        f"is doubtful ({m.facts.doubtful})."
        for name, m in tops.items()
        if m is not None and m.facts.doubtful
    )


def spread(sound: Sequence[Measurement], name: str) -> str:
    """From the smallest to the largest, or that they are about the same."""
    high, low = phrases.largest(sound, name), phrases.smallest(sound, name)
    if high is None or low is None:
        return "is undefined"
    most, least = summary_of(high, name) or 0.0, summary_of(low, name) or 0.0
    if len(sound) == 1:
        return f"is {number(most)}"
    if most <= (1 + SAME) * least or most == 0:
        return f"stays about the same ({number(least)} at {low.address.layer}, {number(most)} at {high.address.layer})"
    ratio = f", {number(most / least, 3)} times as much" if least > 0 else ""
    return (
        f"is smallest at {low.address.layer} ({number(least)}) and peaks at {high.address.layer} "
        f"({number(most)}{ratio})"
    )


def after_norm(profile: Profile) -> str:
    """H0 total at ``final``, which takes no part in the peak."""
    if "final" not in profile.layers:
        return ""
    m = profile.at("final")
    doubt = f" (doubtful: {m.facts.doubtful})" if m.facts.doubtful else ""
    return (
        f"At final, after the last norm, H0 total is {number(summary_of(m, H0_RAW))}{doubt}; it does not count in "
        "peaks and ratios."
    )


@section("expansion", title="Expansion = scale growth × shape growth")
def expansion(profile: Profile, _: Context) -> Iterator[Piece]:
    """Both baselines, the peak, the largest shape growth, and the version on matched texts."""
    found = phrases.expansions_in_order(profile)
    if not found:
        return
    rows = [row for e in found for row in expansion_rows(profile, e)]
    yield Table(("Baseline", "To", "Points", "Expansion", "Scale growth", "Shape growth", "Mark"), tuple(rows), words=2)
    leading = phrases.leading_expansion(profile)
    later = [line for e in found if e.growth and e is not leading for line in null_sentences(profile, e.growth)]
    yield Bullets((*(expansion_sentence(profile, e) for e in found), *later))


def growth_row(growth: Growth, to: str, mark: str) -> tuple[str, ...]:
    """One line of the table of expansions."""
    values = (padded(x) for x in (growth.ratio, growth.scale, growth.shape))
    return (growth.baseline, to, f"{growth.points:,}", *values, mark)


def expansion_rows(profile: Profile, e: Expansion) -> Iterator[tuple[str, ...]]:
    """The lines of one baseline; one that says why, where it is degenerate."""
    if e.growth is None:
        yield (e.baseline or "first sound layer", f"undefined ({e.reason})", "", "", "", "", "×")
        return
    mark = "○" if e.doubt else ""
    yield growth_row(e.growth, f"{e.growth.peak}, peak of H0 total", mark)
    if e.largest_shape is not None:
        yield growth_row(
            e.largest_shape, f"{e.largest_shape.peak}, largest shape growth", growth_mark(profile, e.largest_shape)
        )
    if e.matched is not None:
        yield growth_row(e.matched, f"{e.matched.peak}, matched texts", mark)


def growth_mark(profile: Profile, growth: Growth) -> str:
    """The mark of a growth between two layers: doubtful where either is."""
    return "○" if phrases.doubtful_growth(profile, growth) else ""


def expansion_sentence(profile: Profile, e: Expansion) -> str:
    """One baseline in words: a claim where it is sound, a statement of the doubt where not."""
    name = e.baseline or "The first sound layer"
    if e.growth is None:
        return f"{name} as the baseline: undefined ({e.reason})."
    if e.doubt:
        return (
            f"{name} as the baseline: {factorisation(e.growth, profile)}, doubtful ({e.doubt}), so nothing is "
            f"concluded from it.{matched(e)}"
        )
    return (
        f"{name} as the baseline: to the peak at {e.growth.peak}, {factorisation(e.growth, profile)}. "
        f"{which_factor(e.growth, profile, e.matched)}{largest_shape(profile, e)}{matched(e)}"
    )


def largest_shape(profile: Profile, e: Expansion) -> str:
    """The largest shape growth over all blocks and its layer."""
    if e.largest_shape is None:
        return ""
    doubtful = ", a doubtful layer" if phrases.doubtful_growth(profile, e.largest_shape) else ""
    return (
        f" The largest shape growth of all blocks is {number(e.largest_shape.shape)}, at "
        f"{e.largest_shape.peak}{doubtful}."
    )


def matched(e: Expansion) -> str:
    """The version on one text for each distinct baseline point."""
    if e.matched is None:
        return ""
    return (
        f" On {plural(e.matched.points, 'text')}, one for each distinct point of the baseline, the same in both "
        f"layers: {factorisation(e.matched)}."
    )


@section("h1", title="H1: cycles")
def h1(profile: Profile, _: Context) -> Iterator[Piece]:
    """H1 over the blocks, with and without the scale where the two differ, and whether there are loops."""
    if profile.recipe.maxdim < 1:
        yield Paragraph("Only H0 was computed (maxdim 0), so nothing is said of cycles.")
        return
    measured = {} if rescaled(profile.recipe) else {H1_TOTAL: f"H1 total persistence {unit(profile)}"}
    wanted = {
        **measured,
        H1_SHAPE: "H1 total over the median distance",
        "H1_max_lifetime_scaled": "the longest H1 bar over the median distance",
    }
    alone = first_homology(profile.measurements[0]).strip()
    yield Paragraph(alone if single(profile) else over_blocks(profile, wanted))
    if warned := field_sentence(profile):
        yield Paragraph(warned, "warning")
    if said := loop_sentences(profile):
        yield Paragraph(
            " ".join(
                [
                    *said,
                    (
                        "Totals and counts of H1 are no evidence of loops: one large loop suppresses short-lived "
                        "bars, so both can fall."
                    ),
                ]
            )
        )
    else:
        yield Paragraph(UNTESTED.format("H1", "loops", "loop"), "warning")


@section("h2", title="H2: voids")
def h2(profile: Profile, _: Context) -> Iterator[Piece]:
    """H2, where it was asked for."""
    if profile.recipe.maxdim < 2:
        return
    if not single(profile):
        yield Paragraph(over_blocks(profile, {"H2_total_persistence_scaled": "H2 total over the median distance"}))
    yield Paragraph(UNTESTED.format("H2", "voids", "void"), "warning")

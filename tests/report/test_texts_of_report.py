"""The texts: each sentence is true for its numbers, and doubtful numbers carry none."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from report_profiles import a_cloud, a_profile, layer_names, measurement, profile_of
from todacomm.core.inference_types import Claims, InferenceSettings, Interval
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, Expansion, Growth, ModelCard, Profile
from todacomm.report.document.pieces import Paragraph, section, sections, to_markdown
from todacomm.report.layers.layer_document import document, interpretation
from todacomm.report.words import phrases
from todacomm.report.words.expansion import which_factor
from todacomm.report.words.fields import field_sentence
from todacomm.report.words.phrases import padded

CARD = ModelCard("tiny", "causal", "pre-LN", 1234567, 6, 128, "r1", "ab" * 32)


def part(text: str, title: str) -> str:
    """What stands under one title."""
    return re.split(r"^## ", text.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def full_report(profile: Profile, context: dict) -> str:
    return to_markdown(document(profile, context), Path())


def a_growth(scale: float, shape: float) -> Growth:
    return Growth("embedding", "layer_1", 50, scale * shape, scale, shape)


def test_the_answer_stands_first_with_all_three_numbers_and_the_peak():
    profile = a_profile(4, n=24)
    growth = profile.expansions[0].growth
    text = part(interpretation(profile), "The answer")
    assert f"From embedding to its peak at {growth.peak}" in text
    assert (
        f"expansion {phrases.padded(growth.ratio)} = scale growth {phrases.padded(growth.scale)} × shape growth "
        f"{phrases.padded(growth.shape)}" in text
    )
    assert interpretation(profile).index("## The answer") < interpretation(profile).index("## What was measured")


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(1.0, "stays about the same"), (0.98, "stays about the same"), (1.049, "stays about the same"),
     (1.06, "grows 1.06 times"), (12.0, "grows 12 times"), (0.94, "shrinks to 0.94"), (0.2, "shrinks to 0.2")],
)  # fmt: skip
def test_words_follow_the_ratio(ratio, said):
    assert phrases.times(ratio).startswith(said)


@pytest.mark.parametrize(
    ("scale", "shape", "said"),
    [(1.01, 0.99, "Neither the scale"), (8, 1.02, "one of scale"), (0.97, 3, "one of shape"),
     (8, 2, "75 % (in logarithms) is scale"), (8, 0.5, "pull apart"), (0.5, 0.5, "50 % (in logarithms)")],
)  # fmt: skip
def test_the_factor_that_makes_the_expansion_is_named(scale, shape, said):
    assert said in which_factor(a_growth(scale, shape))


def with_fields(profile: Profile, over_z3: dict[str, float], intervals: dict | None = None) -> Profile:
    """The same, its longest H1 bars over Z/3 some multiples of those over Z/2, elsewhere equal."""
    own = {m.address.layer: m.summary["H1_max_lifetime"] for m in profile.measurements}
    found = [
        replace(m, H1_max_lifetime_Z3=own[m.address.layer] * over_z3.get(m.address.layer, 1.0))
        for m in profile.measurements
    ]
    known = {layer: {"H1_max_lifetime": one} for layer, one in (intervals or {}).items()}
    claims = Claims(InferenceSettings(), known, *[{}] * 7) if intervals else None
    return replace(profile, measurements=tuple(found), claims=claims)


def test_the_field_is_told_only_where_the_longest_loop_depends_on_it():
    profile = a_profile(3, n=24, massive=["layer_2"])
    for alike in (profile, with_fields(profile, {}), with_fields(profile, {"layer_0": 1.04, "layer_2": 2.0})):
        assert "field of coefficients" not in interpretation(alike)
    text = part(interpretation(with_fields(profile, {"layer_0": 1.5, "layer_1": 0.5})), "H1: cycles")
    two = padded(profile.at("layer_0").summary["H1_max_lifetime"], 3)
    assert f"depends on the field of coefficients ({two} over Z/2 and " in text
    assert re.search(r"over Z/3 at layer_0 and \S+ over Z/2 and \S+ over Z/3 at layer_1\): some cycle", text)


@pytest.mark.parametrize(("times", "said"), [(1.5, False), (1.7, True), (0.7, True), (1.0, False)])
def test_an_interval_decides_whether_fields_differ(times, said):
    profile = a_profile(3, n=24)
    own = profile.at("layer_0").summary["H1_max_lifetime"]
    around = {"layer_0": Interval(own, 0.8 * own, 1.6 * own, 0.95, "split-half")}
    found = with_fields(profile, {"layer_0": times}, around)
    assert ("field of coefficients" in part(interpretation(found), "H1: cycles")) == said


def test_many_layers_of_another_field_are_counted():
    profile = with_fields(a_profile(5, n=20), dict.fromkeys(layer_names(5), 2.0))
    text = interpretation(profile)
    assert "at layer_1 and 4 more): some cycle" in text
    assert " at " not in field_sentence(with_fields(a_cloud(), {"cloud": 2.0})).partition("(")[2]


def test_an_undefined_baseline_gives_its_reason_and_the_sound_one_speaks():
    text = interpretation(a_profile(3, n=20, distinct=1))
    assert "From layer_0 to its peak" in part(text, "The answer")
    assert "embedding as the baseline: undefined (embedding: 1 distinct point of 20)" in text


def test_a_doubtful_baseline_is_given_marked_and_never_the_answer():
    profile = a_profile(3, n=24, distinct=8)
    text = interpretation(profile)
    assert "From layer_0 to its peak" in part(text, "The answer")
    assert "doubtful (embedding: 8 distinct points of 24), so nothing is concluded from it" in text
    row = next(line for line in text.splitlines() if line.startswith("| embedding | ") and "peak of H0" in line)
    assert row.endswith("| ○ |")


def test_nothing_is_claimed_where_no_layer_is_sound():
    text = interpretation(a_profile(3, n=20, massive=layer_names(3)))
    assert "No expansion can be claimed" in part(text, "The answer")
    assert "No block is sound, so nothing is concluded here" in part(text, "Where H0 peaks")
    assert "peaks at" not in text


def test_a_doubtful_peak_is_named_and_the_sound_blocks_speak():
    profile = a_profile(4, n=24, massive=["layer_3"])
    text = part(interpretation(profile), "Where H0 peaks")
    assert "Over 3 sound blocks" in text
    assert "peaks at layer_2" in text
    assert f"{phrases.number(profile.at('layer_3').summary['H0_total_persistence'])} at layer_3, is doubtful" in text


def test_the_final_layer_takes_no_part_in_the_peak():
    points = measurement(1000 * a_points(), Address("m", "d", "final"))
    layers = [
        measurement((i + 1) * a_points(), Address("m", "d", name)) for i, name in enumerate(layer_names(2, final=False))
    ]
    profile = profile_of([*layers, points])
    assert phrases.peak(profile).address.layer == "layer_1"
    assert "it does not count in peaks" in interpretation(profile)


def a_points():
    return a_cloud().measurements[0].diagrams.finite[0][:20] + 0.0


def test_equal_blocks_are_about_the_same():
    points = a_points()
    profile = profile_of([measurement(points, Address("m", "d", name)) for name in layer_names(3, final=False)])
    text = interpretation(profile)
    assert "H0 total persistence of m stays about the same (1 times)" in text
    assert "stays about the same" in part(text, "Where H0 peaks")
    assert "grows" not in part(text, "The answer")


@pytest.mark.parametrize("profile", [a_profile(2, n=16), a_cloud()], ids=["layers", "cloud"])
def test_h1_is_said_to_be_untested_and_significance_is_never_claimed(profile):
    text = interpretation(profile)
    assert "H1 has not been tested against a null model here and must not be read as evidence of loops" in text
    assert "significan" not in text


def test_without_h1_nothing_is_said_of_it():
    text = interpretation(a_profile(2, n=16, recipe=Recipe(maxdim=0, components=6)))
    assert "Only H0 was computed" in text
    assert "not been tested" not in text


def test_h2_is_untested_too():
    assert "H2 has not been tested" in interpretation(a_profile(1, n=12, recipe=Recipe(maxdim=2, components=6)))


def test_the_matched_version_is_given_with_its_number_of_texts():
    profile = a_profile(2, n=20)
    first = replace(profile.expansions[0], matched=replace(a_growth(3, 2), points=17))
    text = interpretation(Profile(profile.measurements, expansions=(first,)))
    assert "On 17 texts, one for each distinct point of the baseline" in text
    assert "expansion 6 = scale growth 3 × shape growth 2" in text


def test_the_largest_shape_growth_is_given_with_its_layer_and_its_doubt():
    profile = a_profile(4, n=24, massive=["layer_0"])
    largest = profile.expansions[0].largest_shape
    wanted = f"The largest shape growth of all blocks is {phrases.number(largest.shape)}, at {largest.peak}"
    assert wanted in interpretation(profile)
    assert (f"{wanted}, a doubtful layer" in interpretation(profile)) == bool(profile.at(largest.peak).facts.doubtful)


def test_the_table_of_layers_holds_every_layer_with_its_numbers():
    profile = a_profile(3, n=20, distinct=2)
    table = part(full_report(profile, {}), "Layer by layer")
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in table.splitlines() if line.startswith("| ")}
    assert set(profile.layers) < set(rows)
    assert phrases.number(profile.at("layer_2").summary["H0_total_persistence"]) in rows["layer_2"]
    assert "undefined (2 distinct points of 20)" in rows["embedding"]
    assert rows["embedding"].endswith("| × |")


def test_singular_and_plural():
    assert phrases.plural(1, "text") == "1 text"
    assert phrases.plural(1500, "text") == "1,500 texts"
    text = interpretation(a_profile(1, n=16))
    assert "In the only block, layer_0" in text
    assert "1 blocks" not in text


def test_what_was_measured_names_model_texts_pooling_components_and_engine():
    text = part(interpretation(a_profile(2, n=16, card=CARD)), "What was measured")
    for said in ("causal language model with pre-LN blocks", "6 blocks of width 128", "1,234,567 parameters",
                 "16 texts of wikitext2", "pooling: last", "6 principal components", "euclidean",
                     "by bitlink"):  # fmt: skip
        assert said in text


def test_points_of_an_array_are_no_texts():
    text = interpretation(a_cloud(20))
    assert "20 points" in text
    assert "texts" not in part(text, "What was measured")


def test_kept_variance_is_a_range_with_its_layers():
    text = part(interpretation(a_profile(3, n=16)), "What the projection kept")
    assert "6 principal components keep between 83.0 % (final) and 99.0 % (embedding) of the variance" in text


def test_language_metrics_come_with_bits_per_byte():
    text = interpretation(
        a_profile(1, n=12, card=CARD, language={"perplexity": 30.4, "bits_per_byte": 1.02, "accuracy": 0.41})
    )
    assert "needs 1.02 bits per byte" in text
    assert "| accuracy | 41.00 % |" in text


def test_missing_language_metrics_give_the_reason():
    text = interpretation(a_profile(1, n=12, language={"loss": None, "reason": "the model has no head"}))
    assert "Undefined (the model has no head)" in text


def test_masked_models_give_pseudo_perplexity_and_no_bits_per_byte():
    values = {
        "kind": "masked",
        "bits_per_byte": None,
        "masked_loss": 2.5,
        "pseudo_perplexity": 12.5,
        "accuracy": 0.5,
        "reason": None,
    }
    text = part(
        interpretation(a_profile(1, n=12, card=replace(CARD, kind="masked"), language=values)),
        "The model on the same texts",
    )
    assert "pseudo-perplexity of 12.5" in text
    assert "bits per byte are undefined for it" in text
    assert "| bits per byte" not in text


def test_runs_of_layers_are_shortened():
    assert phrases.layer_list(["embedding", "layer_3", "layer_4", "layer_5", "layer_9", "final"]) == (
        "embedding, layer_3 to layer_5, layer_9 and final"
    )


def test_reasons_that_differ_in_a_number_are_merged():
    pairs = [
        ("a", "1 distinct point of 9"),
        ("b", "2 distinct points of 9"),
        ("c", "one dimension holds 61% of the variance"),
    ]
    assert phrases.grouped_reasons(pairs) == [
        (["a", "b"], "1 to 2 distinct points of 9"),
        (["c"], "one dimension holds 61% of the variance"),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "undefined"), (math.nan, "undefined"), (0.0, "0"), (3.14159, "3.142"), (1243.4, "1,243"), (33720.4,
        "33,720"),
     (0.00012345, "0.0001234"), (999.96, "1,000"), (2e-9, "2e-09")],
)  # fmt: skip
def test_numbers_have_four_significant_digits(value, text):
    assert phrases.number(value) == text


def test_the_context_gives_command_configuration_and_versions():
    context = {"command": "todacomm run --model x", "config": "model: x\n", "versions": {"python": "3.11"},
               "checked": ["layer_1"], "provenance": {"seed": 42}}  # fmt: skip
    text = full_report(a_profile(2, n=12), context)
    for said in ("```sh\ntodacomm run --model x\n```", "model: x", "| python | 3.11 |", "| seed | 42 |",
                 "ripser, gave the same bars at layer_1"):  # fmt: skip
        assert said in text


def test_a_section_is_added_in_one_place_and_chosen_by_its_type(monkeypatch):
    monkeypatch.setattr(sections, "_entries", dict(sections))
    section("weather", title="Weather")(lambda profile, _: [Paragraph(f"Sunny over {profile.model}.")])
    section("tides", title="Tides", record=str)(lambda *_: [Paragraph("High.")])
    text = interpretation(a_profile(1, n=12))
    assert "## Weather\n\nSunny over tiny-test." in text
    assert "Tides" not in text


def test_a_growth_that_cannot_be_split_is_not_explained():
    assert which_factor(Growth("a", "b", 9, math.nan, math.nan, math.nan)) == ""


def test_an_expansion_of_a_missing_embedding_says_so():
    kept = [m for m in a_profile(3, n=16).measurements if m.address.layer != "embedding"]
    profile = profile_of(kept)
    assert isinstance(profile.expansions[0], Expansion)
    assert "the embedding layer was not measured" in interpretation(profile)
    assert "From layer_0" in interpretation(profile)


def rescaled(scale: str) -> Profile:
    return a_profile(4, n=20, recipe=Recipe(pooling="last", components=6, scale=scale))


@pytest.mark.parametrize("scale", ["median", "rms"])
def test_h0_peaks_where_the_expansion_says_whatever_the_recipe_divides_by(scale):
    plain, profile = rescaled("none"), rescaled(scale)
    raw, growth = plain["H0_total_persistence"], profile.expansions[0].growth
    assert phrases.peak(profile).address.layer == growth.peak == plain.layers[1 + int(raw[1:-1].argmax())]
    text = part(interpretation(profile), "Where H0 peaks")
    assert "H0 total persistence (activation units, before the rescaling) is smallest at" in text
    assert f"peaks at {growth.peak} ({phrases.number(raw[1:-1].max())}" in text
    assert f"At final, after the last norm, H0 total is {phrases.number(raw[-1])};" in text


@pytest.mark.parametrize("scale", ["median", "rms"])
def test_a_scale_free_number_stands_once(scale):
    text = full_report(rescaled(scale), {})
    header = next(line for line in part(text, "Layer by layer").splitlines() if line.startswith("| Layer"))
    assert [head for head in header.split(" | ") if head.startswith("H")] == [
        "H0 total / scale", "H1 bars", "H1 total / scale", "H1 longest / scale",
    ]  # fmt: skip
    assert "H1 total persistence (" not in part(text, "H1: cycles")
    assert "H1 total over the median distance" in part(text, "H1: cycles")
    one = Recipe(components=5, scale=scale)
    text = part(interpretation(profile_of([measurement(a_points(), Address("m", "d", "cloud"), one)])), "The answer")
    assert re.search(r"H0 total persistence is [\d.,]+ times the median distance", text)


def test_measured_and_scale_free_totals_stand_side_by_side_otherwise():
    header = part(full_report(rescaled("none"), {}), "Layer by layer")
    assert "| H0 total | H0 total / scale |" in header
    assert "H1 total persistence (activation units)" in interpretation(rescaled("none"))


@pytest.mark.parametrize(
    ("settings", "point", "scale"),
    [
        ({"pooling": "last"}, "one point for each text:", "twice the scale and twice every lifetime"),
        ({"pooling": "tokens"}, "one point for each token:", "twice the scale and twice every lifetime"),
        ({}, "one point for each row of the array.", "twice the scale and twice every lifetime"),
        ({"distance": "cosine"}, "row", "enters neither the scale nor a lifetime"),
        ({"scale": "sphere"}, "row", "the same scale and the same lifetimes"),
        ({"scale": "rms"}, "row", "division by the rms distance. Twice as large activations: twice the scale and,"),
    ],
)
def test_terms_mean_what_the_recipe_makes_of_them(settings, point, scale):
    text = part(interpretation(a_profile(1, n=12, recipe=Recipe(components=6, **settings))), "How to read this")
    terms = dict(re.findall(r"^- \*\*(.+?)\*\*: (.*)$", text, re.MULTILINE))
    assert list(terms)[:6] == ["Point cloud", "Bar", "H0", "H1", "Total persistence", "Scale"]
    assert point in terms["Point cloud"]
    assert scale in terms["Scale"]
    assert "defined in the ToDACoMM article and its package todacomm 0.1.0" in terms["Expansion"]


def test_layers_that_lost_most_of_their_variance_are_noted_once_and_not_doubted():
    layers = [
        measurement(a_points(), Address("m", "d", name), variance_kept=kept)
        for name, kept in zip(layer_names(3, final=False), (0.9, 0.43, 0.45, 0.47), strict=True)
    ]
    text = interpretation(profile_of(layers))
    doubts = part(text, "Doubtful and undefined layers")
    assert doubts.startswith("\nNone: ")
    assert "- Note on layer_0 to layer_2: the projection kept 43 to 47" in doubts
    assert text.count("the projection kept 4") == 1
    assert "○" not in part(text, "The answer")


def test_a_doubtful_layer_is_listed_before_the_notes():
    profile = a_profile(2, n=12, massive=["layer_1"])
    noted = [replace(m, facts=replace(m.facts, variance_kept=0.2, components=20)) for m in profile.measurements]
    items = part(interpretation(profile_of(noted)), "Doubtful and undefined layers").strip().splitlines()
    assert [item.split(":")[0] for item in items] == [
        "- layer_1",
        *["- Note on embedding, layer_0, layer_1 and final"] * 2,
    ]

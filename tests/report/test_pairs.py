"""What is said and drawn of pairs of models: verdicts that follow the p-values, tables with intervals, figures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from report_profiles import a_profile
from todacomm import measure
from todacomm.comparison.compare import compare, renamed
from todacomm.core.inference_types import Interval
from todacomm.core.recipe import Recipe
from todacomm.core.types import ModelCard, PointCloud
from todacomm.report.comparison import pair_charts
from todacomm.report.comparison.all_charts import write_comparison_charts
from todacomm.report.comparison.comparison_sections import comparison_document
from todacomm.report.document.pieces import to_markdown
from todacomm.report.words.loops import loop_sentences
from todacomm.report.words.pairs import verdict, verdicts

N = 100


def layers_of(push=0.0, blocks=3):
    rng = np.random.default_rng(1)
    base = rng.normal(size=(N, 5))
    layers = {"embedding": base, **{f"layer_{i}": (i + 2) * base + rng.normal(size=(N, 5)) for i in range(blocks)}}
    return {**layers, "layer_1": layers["layer_1"] * (push * np.array([1, 1, 1, 0.02, 0.02]) if push else 1)}


LAYERS = {"base": layers_of(), "tuned": layers_of(20), "same": layers_of()}


def profile_of(name):
    card = ModelCard(name, "causal", "pre-LN", 10, 3, 5, "", "")
    language = {"bits_per_byte": 1.0, "perplexity": 9.0}
    return replace(measure(LAYERS[name], name=name, null_draws=19, resamples=40), card=card, language=language)


@pytest.fixture(scope="module")
def comparison():
    def clouds(profile):
        return lambda layer: PointCloud(LAYERS[profile.model][layer], profile.at(layer).address)

    return compare([profile_of(name) for name in LAYERS], clouds=clouds)


@pytest.fixture(scope="module")
def text(comparison):
    return to_markdown(comparison_document([("", comparison, {})]), Path()).replace("\\", "")


def test_what_differs_is_told_apart_from_what_the_data_cannot_show(comparison):
    told = verdicts(comparison)[0]
    differ, alike = told.split(". No difference that the data can show in: ")
    assert differ.startswith("base and tuned differ in expansion +")
    row = comparison.pairs[0].differences["H0_total_persistence_scaled"]
    assert row[2].adjusted < 0.05
    assert "H0 total / median distance at 1 of 4 layers, most at layer_1: -" in differ
    assert "the H0 diagrams at 1 of 4 layers (blocks of texts)" in differ
    for number in ("H0 total / median distance", "the H0 diagrams"):
        assert number not in alike


def test_a_growth_is_given_with_its_difference_and_its_ratio_whose_interval_belongs_to_p(comparison, text):
    found = comparison.pairs[0].growths["scale"]
    assert found.adjusted < 0.05
    for value in (found.difference, found.ratio.estimate, found.ratio.low, found.ratio.high):
        assert f"{value:.3g}" in verdicts(comparison)[0]
    assert (
        "| Growth | base, embedding to layer_2 | tuned, embedding to layer_1 | Difference | Ratio | p, adjusted p |"
        in text
    )


@pytest.mark.parametrize(
    ("p", "after", "begins"),
    [
        (0.001, 0.003, "differ in scale growth"),
        (0.02, 0.06, "Apart by the test of one growth alone, no longer once adjusted over the three: scale growth"),
        (0.049, 0.147, "Apart by the test of one growth alone, no longer once adjusted over the three: scale growth"),
        (0.3, 0.9, "No difference that the data can show in: scale growth"),
    ],
)
def test_no_sentence_denies_what_the_interval_beside_it_shows(comparison, p, after, begins):
    """An interval without 1 never follows "no difference": it belongs to p, the sentence to adjusted p."""
    pair, apart = comparison.pairs[0], replace(comparison.apart[0], diagrams={})
    ends = (1.1, 1.5) if p < 0.05 else (0.9, 1.5)
    ratio = Interval(1.3, *ends, 0.95, "split-half, on logarithms")
    found = replace(pair.growths["scale"], ratio=ratio, p=p, adjusted=after)
    told = verdict(replace(pair, growths={"scale": found}, differences={}), apart)
    assert begins in told
    assert ("No difference" in told) == (ratio.low < 1)
    assert (f"(p {p}, adjusted " in told) == begins.startswith("Apart")


def test_identical_models_are_said_to_be_equal(comparison):
    assert verdicts(comparison)[1] == "base and same are equal in every number at every layer."


def test_a_refused_pair_says_why():
    base = profile_of("base")
    refused = compare([base, replace(base, claims=None)])
    assert verdicts(refused) == ["base and base are not compared: base: no resamples: run again with --resamples 100."]


def test_a_doubtful_expansion_carries_no_sentence():
    pair = compare([profile_of("base"), profile_of("tuned")]).pairs[0]
    loud = replace(
        pair.second.at("layer_1"),
        facts=replace(
            pair.second.at("layer_1").facts, largest_variance_share=0.8, second_variance_share=0.01, dimension=768
        ),
    )
    others = tuple(loud if m.address.layer == "layer_1" else m for m in pair.second.measurements)
    found = compare([pair.first, replace(pair.second, measurements=others)])
    told = verdict(found.pairs[0], found.apart[0])
    assert (
        "Nothing is concluded from the expansions, which are doubtful (tuned: layer_1: one dimension holds 80%" in told
    )
    assert "Left out as doubtful: layer_1." in told
    assert "times" not in told
    assert "H0 total / median distance at" not in told


def test_other_texts_are_said_to_be_compared_as_such():
    found = compare([profile_of("base"), replace(profile_of("tuned"), texts_sha256="ab" * 32)])
    assert "Not compared text by text: the texts are not the same; intervals are wider for it." in verdicts(found)[0]


def test_the_table_of_models_has_intervals(comparison, text):
    row = comparison.rows[0]
    interval = row.intervals["expansion"]
    assert f"{row.expansion:.4g} [{interval.low:.3g}, {interval.high:.3g}]" in text


def test_the_pairs_stand_between_the_table_and_the_figures(text):
    parts = [line for line in text.splitlines() if line.startswith("## ")]
    assert parts.index("## Model by model") < parts.index("## Pair by pair") < parts.index("## H1: cycles")
    assert "## Which models are alike" in parts
    assert "causal: no correlation of expansion" in text
    assert "3 models; with fewer than 5" in text


def test_language_metrics_stand_side_by_side_with_a_word_on_perplexity(text):
    assert "| bits per byte | 1 | 1 |" in text
    assert "Perplexities are comparable only between models with the same tokens" in text


def test_loops_are_told_as_in_the_report_of_each_model(comparison, text):
    assert f"base (arrays, pooling given): {loop_sentences(comparison.profiles[0])[0]}" in text
    assert "H1 has not been tested" not in text


def test_every_pair_and_the_tree_are_drawn(comparison, tmp_path):
    drawn = write_comparison_charts(comparison, tmp_path)
    pairs, trees = (
        [f"comparison_differences_{i}_base_vs_{other}" for i, other in ((1, "tuned"), (2, "same"))],
        ["comparison_tree", "comparison_distances"],
    )
    assert {path.stem for path in drawn} == {"comparison_profiles", "comparison_expansion", *pairs, *trees}
    for path in drawn:
        assert path.read_bytes().startswith(b"\x89PNG")
    text = to_markdown(comparison_document([("", comparison, {"figures": drawn})]), tmp_path)
    assert [text.count(f"](<{path.name}>)") for path in drawn] == [1] * len(drawn)


def test_a_file_says_of_which_pair_it_is_whatever_the_models_are_called(comparison):
    pair = replace(
        comparison.pairs[0],
        first=renamed(comparison.pairs[0].first, "org/a <b>"),
        second=renamed(comparison.pairs[0].second, "../tuned"),
    )
    assert pair_charts.name_of(2, pair) == "comparison_differences_3_org_a_b__vs_.._tuned"


def test_profiles_without_claims_are_drawn_no_differences(tmp_path):
    profiles = [a_profile(2, n=12, model=m, recipe=Recipe(components=6)) for m in "ab"]
    drawn = write_comparison_charts(compare(profiles), tmp_path)
    assert [path.stem for path in drawn] == ["comparison_profiles", "comparison_expansion"]

"""Profiles side by side: rows, the common baseline, and what forbids reading them so."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from todacomm.comparison.compare import baseline_index, compare, groups_of, with_unique_names
from todacomm.core.errors import InvalidInput
from todacomm.core.types import ModelCard
from todacomm.profiles import from_arrays

measure = partial(from_arrays.measure, resamples=0, null_draws=0)


def layers_of(rng, *, growth=3.0, blocks=3):
    base = rng.normal(size=(40, 8))
    return {"embedding": base, **{f"layer_{i}": growth * (i + 1) * base for i in range(blocks)}}


@pytest.fixture
def profile(rng):
    return measure(layers_of(rng), name="one")


@pytest.fixture
def other(rng):
    return measure(layers_of(rng, growth=5.0), name="two")


def test_a_row_holds_the_expansion_and_its_factors(profile, other):
    row = compare([profile, other]).rows[1]
    assert (row.model, row.baseline, row.peak_layer) == ("two", "embedding", "layer_2")
    assert row.expansion == pytest.approx(15)
    assert row.expansion == pytest.approx(row.scale_growth * row.shape_growth)
    assert row.doubt == ""


def test_one_degenerate_embedding_sets_all_rows_on_their_first_sound_layer(rng, profile):
    layers = layers_of(rng)
    layers["embedding"] = np.ones((40, 8))
    pair = [profile, measure(layers, name="degenerate")]
    assert baseline_index(pair) == 1
    comparison = compare(pair)
    assert [row.baseline for row in comparison.rows] == ["embedding", "layer_0"]
    assert "degenerate (given) on layer_0" in comparison.warnings[-1]


def test_a_doubtful_block_of_largest_shape_growth_is_marked(rng):
    layers = layers_of(rng)
    layers["layer_1"] = rng.normal(size=(40, 8)) * np.array([9.0, 1, 1, 1, 1, 1, 1, 1])
    profile = measure({**layers, "layer_0": np.ones((40, 8)), "layer_2": np.ones((40, 8))}, name="one")
    row = compare([profile]).rows[0]
    assert row.largest_shape_layer == "layer_1"
    assert "one dimension holds" in row.largest_shape_doubt


def test_an_h1_peak_is_taken_from_sound_blocks(rng):
    layers = layers_of(rng)
    layers["layer_2"] = 100 * rng.normal(size=(40, 8)) * np.array([9.0, 1, 1, 1, 1, 1, 1, 1])
    assert compare([measure(layers, name="one")]).rows[0].h1_peak_layer != "layer_2"


def card(name, blocks):
    return ModelCard(name, "causal", "pre-LN", 10, blocks, 8, "", "0" * 64)


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (lambda p, rng: measure(layers_of(rng), name="two", components=3), "Different numbers of components"),
        (lambda p, rng: measure(layers_of(rng), name="two", scale="median"), "Different scales"),
        (lambda p, rng: measure(layers_of(rng), name="two", distance="cosine"), "Different distances"),
        (lambda p, rng: measure(layers_of(rng), name="two", subsample=20), "Different numbers of points"),
        (lambda p, rng: measure(layers_of(rng), name="two", threshold=9.0), "Different thresholds"),
        (lambda p, rng: measure(layers_of(rng), name="two", max_length=64), "Different lengths of text"),
        (lambda p, rng: replace(p, texts_sha256="ab" * 32), "Different texts"),
        (
            lambda p, rng: replace(measure(layers_of(rng, blocks=2), name="two"), card=card("two", 3)),
            "Different choices of blocks",
        ),
    ],
)
def test_what_forbids_reading_two_rows_side_by_side_is_said(profile, rng, change, warning):
    assert not compare([profile, profile]).warnings
    assert any(warning in found for found in compare([profile, change(profile, rng)]).warnings)


def test_a_warning_names_every_model(profile, other, rng):
    third = measure(layers_of(rng), name="three", scale="median")
    assert "none: one, two; median: three" in " ".join(compare([profile, other, third]).warnings)


def test_one_model_in_several_runs_goes_by_the_names_of_the_runs(profile, other):
    found = with_unique_names({"base": [profile], "tuned": [profile, other]})
    assert [p.model for p in found] == ["base", "tuned", "two"]
    assert found[1].measurements[0].address.model == "tuned"
    np.testing.assert_array_equal(found[1]["H0_total_persistence"], profile["H0_total_persistence"])


def test_nothing_to_compare_is_an_error():
    with pytest.raises(InvalidInput, match="nothing to compare"):
        compare([])


def test_profiles_of_one_dataset_and_pooling_are_one_group(profile, other):
    assert {name: len(group) for name, group in groups_of([profile, other]).items()} == {"arrays_given": 2}


@pytest.mark.parametrize("given", [np.zeros((4, 3)), "gpt2", 5, {"a": 1}, [np.zeros((4, 3))], ["a", "b"]])
def test_what_is_no_list_of_profiles_is_told_what_is(given):
    with pytest.raises(InvalidInput, match=r"profiles are compared, in a list: td.compare\(\[td.measure"):
        compare(given)


def test_arrays_are_compared_without_a_word_of_embeddings():
    clouds = [np.random.default_rng(seed).normal(size=(30, 4)) for seed in (1, 2)]
    plain = compare([measure(x, name=str(i), null_draws=0, resamples=20) for i, x in enumerate(clouds)])
    assert plain.warnings == ()
    layers = [
        measure({"layer_0": x, "layer_1": x**3}, name=str(i), null_draws=0, resamples=20) for i, x in enumerate(clouds)
    ]
    (warning,) = compare(layers).warnings
    assert warning.startswith(
        "No embedding was measured, so each model is set on its own first sound layer: 0 (given) on"
    )
    single = layers[0]
    with pytest.raises(InvalidInput, match="found Profile"):
        compare(single)

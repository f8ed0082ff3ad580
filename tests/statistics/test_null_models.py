"""Null models of points: draws keep their invariants, are reproducible, and reach records and reports."""

import numpy as np
import pytest

import todacomm as td
from todacomm.clouds.prepare import prepare
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud
from todacomm.report.layers.layer_document import interpretation
from todacomm.runs.config import OPTIONS
from todacomm.statistics import gaussian_null
from todacomm.statistics.null_models import NullModel, columns, given_layers, null_models, null_values

RECIPE = Recipe(components=None)


@pytest.fixture
def layers(rng):
    first = rng.normal(size=(40, 6))
    return [first, first + rng.normal(size=(40, 6)) / 100, rng.normal(size=(40, 3))]


def given(layers, recipe=RECIPE):
    raw = [PointCloud(points, Address("m", "d", f"layer_{i}")) for i, points in enumerate(layers)]
    return given_layers(raw, [prepare(cloud, recipe) for cloud in raw], recipe)


def test_shuffled_features_keep_their_values_and_go_together_along_the_layers(layers, rng):
    drawn = columns.draw(layers, rng)
    for before, after in zip(layers, drawn, strict=True):
        np.testing.assert_array_equal(np.sort(before, axis=0), np.sort(after, axis=0))
        assert not np.allclose(before, after)
    assert np.abs(drawn[0] - drawn[1]).max() < 0.1, "a feature stays with itself"
    shared = [np.argsort(np.argsort(points[:, :3], axis=0), axis=0) for points in (layers[2], drawn[2])]
    assert not np.array_equal(*shared)


def test_a_draw_is_decided_by_seed_and_number_and_blocks_fit_together(layers):
    together, null = given(layers), null_models["columns"]
    whole = null_values(together, null, RECIPE, range(6))
    blocks = [null_values(together, null, RECIPE, block) for block in (range(2), range(2, 6))]
    np.testing.assert_array_equal(whole, np.concatenate(blocks))
    assert not np.array_equal(whole, null_values(together, null, Recipe(components=None, seed=7), range(6)))
    assert whole.shape == (6, 3, len(gaussian_null.tested_names(RECIPE)))


def test_a_draw_is_measured_as_its_layer_is(layers):
    """A null that changes nothing gives the numbers of the layers themselves, whatever the recipe."""
    as_it_is = NullModel("nothing", "", lambda layers, _: layers)
    for recipe in (
        Recipe(components=2),
        Recipe(scale="sphere"),
        Recipe(scale="median"),
        Recipe(subsample=25),
        Recipe(distance="cosine"),
    ):
        profile = td.measure(
            {f"layer_{i}": x for i, x in enumerate(layers[:2])}, recipe=recipe, resamples=0, null_draws=0
        )
        names = gaussian_null.tested_names(recipe)
        [values] = null_values(given(layers[:2], recipe), as_it_is, recipe, [0])
        found = [[m.summary[name] for name in names] for m in profile.measurements]
        np.testing.assert_allclose(values, np.array(found, dtype=float), rtol=1e-5)


def test_rows_that_are_copies_in_all_layers_take_no_part_and_a_degenerate_layer_has_a_reason(rng):
    points = rng.normal(size=(20, 4))
    copies = np.concatenate([points, points[:5]])
    together = given([copies, np.zeros((25, 4))])
    assert [len(x) for x in together.points] == [20, 20]
    assert not together.reasons[0]
    assert "distinct" in together.reasons[1]
    assert np.isnan(null_values(together, null_models["columns"], RECIPE, [0])[0, 1]).all()


def test_what_a_null_model_may_not_do_is_refused(layers):
    fewer = NullModel("fewer", "", lambda layers, _: [x[:-1] for x in layers])
    with pytest.raises(InvalidInput, match=r"'fewer' gave \[39, 39, 39\] points; expected \[40, 40, 40\]"):
        null_values(given(layers), fewer, RECIPE, [0])
    with pytest.raises(InvalidInput, match="'text' is not drawn from points"):
        null_values(given(layers), null_models["text"], RECIPE, [0])


def test_a_relation_between_features_is_found_and_none_is_not():
    rng = np.random.default_rng(2)
    tied = rng.normal(size=(60, 1)) + rng.normal(size=(60, 8)) / 2
    free = rng.exponential(size=(60, 8))
    profile = td.measure({"layer_0": tied, "layer_1": free}, resamples=0, null_draws=99, nulls=["columns"])
    assert profile.test("H0_total_persistence", layer="layer_0", null="columns").found
    assert not profile.test("H0_total_persistence", layer="layer_1", null="columns").found
    assert profile.test("H0_total_persistence", layer="layer_0", null="columns").draws == 99
    said = " ".join(interpretation(profile).split())
    assert (
        "tested against clouds whose features are shuffled among the points, each feature by itself (99 draws)" in said
    )


@pytest.mark.parametrize(
    ("name", "error"), [("colums", UnknownName), ("text", InvalidInput), ("gaussian", UnknownName)]
)
def test_a_null_that_arrays_cannot_have_is_refused(name, error):
    with pytest.raises(error, match="columns"):
        td.measure(np.eye(8), nulls=[name])


def test_the_option_offers_every_null_model_of_ours_but_the_one_that_is_always_drawn():
    assert set(OPTIONS["nulls"].kind.choices) == set(null_models.ours) - {"gaussian"}
    assert OPTIONS["nulls"].kind.shape == "text,untrained,columns|none"

"""Clouds along a model → a profile with its expansions; the library call `measure`."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

import todacomm as td
from todacomm.clouds.prepare import PreparedOnce, prepare
from todacomm.core.errors import InvalidCloud, InvalidInput, UnknownName
from todacomm.core.recipe import Recipe
from todacomm.core.types import Activations, Address, PointCloud, Texts
from todacomm.homology import bitlink
from todacomm.profiles import from_arrays
from todacomm.profiles.measure import measure_prepared, measure_profile

measure = partial(from_arrays.measure, resamples=0, null_draws=0)


@pytest.fixture
def layers(rng):
    base = rng.normal(size=(60, 12))
    return {"final": base, "layer_1": 6 * base, "layer_0": rng.normal(size=(60, 12)) ** 3, "embedding": 0.5 * base}


def test_the_longest_loop_is_measured_over_z3_too(monkeypatch):
    points = np.load(Path(__file__).parents[1] / "golden" / "grokked_embedding.npy") / 1000

    def measured(**settings):
        recipe = Recipe(components=None, **settings)
        return measure_prepared(prepare(PointCloud(points, Address("m", "d", "embedding")), recipe), recipe)

    found, bars = measured(), td.rips(points, coeff=3)[1]
    assert found.H1_max_lifetime_Z3 == pytest.approx(float((bars[:, 1] - bars[:, 0]).max()), rel=1e-5)
    assert found.H1_max_lifetime_Z3 > 1.08 * found.summary["H1_max_lifetime"]
    assert 0 < measured(threshold=1.0).H1_max_lifetime_Z3 < 0.3 * found.H1_max_lifetime_Z3
    assert measured(maxdim=0).H1_max_lifetime_Z3 is None
    monkeypatch.setattr(bitlink, "available", lambda: False)
    assert measured(threshold=0.5).H1_max_lifetime_Z3 is None


def test_layers_stand_in_the_order_of_depth(layers):
    assert measure(layers).layers == ("embedding", "layer_0", "layer_1", "final")


def test_expansion_is_scale_growth_times_shape_growth(layers):
    profile = measure(layers)
    growth = profile.expansions[0].growth
    totals = dict(zip(profile.layers, profile["H0_total_persistence"], strict=True))
    scales = dict(zip(profile.layers, profile["scale"], strict=True))
    assert growth.peak == "layer_1"
    assert growth.ratio == pytest.approx(totals["layer_1"] / totals["embedding"])
    assert growth.scale == pytest.approx(scales["layer_1"] / scales["embedding"])
    assert growth.ratio == pytest.approx(growth.scale * growth.shape, rel=1e-12)


def test_a_cloud_that_only_grows_has_shape_growth_one(rng):
    base = rng.normal(size=(60, 12))
    growth = measure({"embedding": base, "layer_0": 30 * base}).expansions[0].growth
    assert growth.scale == pytest.approx(30)
    assert growth.shape == pytest.approx(1, rel=1e-5)


def test_final_takes_no_part_in_the_peak(rng):
    base = rng.normal(size=(40, 5))
    profile = measure({"embedding": base, "layer_0": 2 * base, "final": 100 * base})
    assert profile.expansions[0].growth.peak == "layer_0"


def test_the_largest_shape_growth_may_be_in_another_block(rng):
    even, clustered = rng.normal(size=(60, 4)), 50 * np.repeat(rng.normal(size=(6, 4)), 10, axis=0)
    profile = measure(
        {"embedding": rng.normal(size=(60, 4)), "layer_0": even, "layer_1": clustered + rng.normal(size=(60, 4))}
    )
    assert profile.expansions[0].growth.peak == "layer_1"
    assert profile.expansions[0].largest_shape.peak == "layer_0"


def test_an_embedding_of_one_point_has_no_expansion_but_the_first_sound_layer_has(layers):
    layers["embedding"] = np.ones((60, 12))
    embedding, sound = measure(layers).expansions
    assert embedding.growth is None
    assert embedding.reason == "embedding: 1 distinct point of 60"
    assert (sound.baseline, sound.growth.baseline) == ("layer_0", "layer_0")


def test_a_baseline_with_many_duplicates_is_marked_and_matched(rng):
    kinds = rng.normal(size=(20, 6))
    which = np.concatenate([np.arange(20), rng.integers(20, size=40)])
    layers = {"embedding": kinds[which], "layer_0": 3 * kinds[which] + 0.1 * rng.normal(size=(60, 6))}
    expansion = measure(layers).expansions[0]
    assert "20 distinct points of 60" in expansion.doubt
    assert expansion.matched.points == 20
    alone = measure({name: array[:20] for name, array in layers.items()}, components=None).expansions[0].growth
    assert expansion.matched.ratio == pytest.approx(alone.ratio, rel=1e-5)
    assert expansion.matched.ratio < expansion.growth.ratio


def test_measured_h0_is_the_spanning_tree_of_each_prepared_cloud(layers):
    from scipy.cluster.hierarchy import linkage

    profile = measure(layers, components=5)
    for m in profile.measurements:
        ready = prepare(PointCloud(layers[m.address.layer], m.address), m.recipe)
        assert m.summary["H0_total_persistence"] == pytest.approx(
            linkage(ready.condensed, "single")[:, 2].sum(), rel=1e-5
        )


def test_a_tenth_of_the_layers_is_checked_by_the_reference(layers):
    clouds = [PointCloud(a, Address("m", "d", layer)) for layer, a in layers.items()]
    assert len(measure_profile(clouds, Recipe())[1].layers) == 1
    assert measure_profile(clouds, Recipe(engine="ripser"))[1].layers == ()


def test_measure_takes_arrays_clouds_and_activations(rng):
    array = rng.normal(size=(20, 3)).astype(np.float32)
    texts = Texts("t", tuple("abcdefghijklmnopqrst"))
    found = [
        measure(array),
        measure({"cloud": array}),
        measure(PointCloud(array, Address("m", "d", "cloud"))),
        measure(Activations({"cloud": array}, "m", texts, "mean")),
    ]
    assert len({p["H0_total_persistence"][0] for p in found}) == 1


def test_measure_says_what_is_wrong(rng):
    array = rng.normal(size=(20, 3))
    with pytest.raises(InvalidCloud, match="all 20 points are equal"):
        measure(np.ones((20, 3)))
    with pytest.raises(UnknownName, match="'component' is not a setting of a recipe.*Did you mean 'components'"):
        measure(array, component=3)
    with pytest.raises(InvalidInput, match="give a recipe or its settings, not both"):
        measure(array, recipe=Recipe(), components=3)
    with pytest.raises(UnknownName, match="'euclid' is not a distance.*Did you mean 'euclidean'"):
        measure(array, distance="euclid")
    with pytest.raises(InvalidInput, match="maxdim is 3; expected 0"):
        measure(array, maxdim=3)


def test_a_profile_is_a_table(layers):
    profile = measure(layers)
    assert profile["distinct_points"].tolist() == [60, 60, 60, 60]
    assert profile.at("layer_1").address.layer == "layer_1"
    frame = profile.to_frame()
    assert frame.index.tolist() == list(profile.layers)
    assert frame.loc["layer_0", "H1_count"] == profile["H1_count"][1]
    with pytest.raises(UnknownName, match="'H0_totl_persistence' is not a metric.*Did you mean 'H0_total_persistence'"):
        profile["H0_totl_persistence"]
    with pytest.raises(UnknownName, match="'layer_7' is not a layer"):
        profile.at("layer_7")


def test_a_measurement_with_one_seed_is_the_same_twice(layers):
    one, two = (measure(layers, subsample=30, seed=5) for _ in range(2))
    assert [m.summary for m in one.measurements] == [m.summary for m in two.measurements]


@pytest.mark.parametrize("scale", ["none", "median", "rms"])
def test_the_growth_does_not_depend_on_a_rescaling_of_each_cloud(layers, scale):
    plain, rescaled = (measure(layers, scale=s).expansions[0] for s in ("none", scale))
    for ours, theirs in ((plain.growth, rescaled.growth), (plain.largest_shape, rescaled.largest_shape)):
        assert (ours.peak, ours.baseline) == (theirs.peak, theirs.baseline)
        assert (ours.ratio, ours.scale) == pytest.approx((theirs.ratio, theirs.scale), rel=1e-5)


def test_the_matched_growth_does_not_depend_on_a_rescaling_either(rng):
    kinds = rng.normal(size=(20, 6))
    which = np.concatenate([np.arange(20), rng.integers(20, size=40)])
    layers = {"embedding": kinds[which], "layer_0": 3 * kinds[which] + 0.1 * rng.normal(size=(60, 6))}
    plain, rescaled = (measure(layers, scale=s).expansions[0].matched for s in ("none", "median"))
    assert plain.ratio == pytest.approx(rescaled.ratio, rel=1e-6)


def test_layers_with_different_numbers_of_points_have_no_expansion(rng):
    for sizes in ((30, 20), (20, 30)):
        layers = {name: rng.normal(size=(n, 5)) for name, n in zip(("embedding", "layer_0"), sizes, strict=True)}
        expansion = measure(layers).expansions[0]
        assert expansion.growth is None
        assert expansion.reason == "the layers have different numbers of points"


@pytest.mark.parametrize("settings", [{}, {"scale": "median"}, {"scale": "sphere"}, {"distance": "cosine"}])
def test_copies_that_differ_by_rounding_are_one_point_under_every_recipe(rng, settings):
    one = rng.normal(size=(1, 30))
    copies = (one * (1 + 1e-7 * rng.normal(size=(100, 30)))).astype(np.float32)
    expansion, _ = (
        profile := measure({"embedding": copies, "layer_0": rng.normal(size=(100, 30))}, **settings)
    ).expansions
    assert profile["distinct_points"][0] == 1
    assert expansion.growth is None


@pytest.mark.parametrize("settings", [{"seed": -1}, {"threshold": 0.0}, {"threshold": float("nan")}])
def test_a_recipe_refuses_numbers_that_mean_nothing(settings):
    with pytest.raises(InvalidInput, match="expected"):
        Recipe(**settings)


X = np.arange(12.0).reshape(4, 3) ** 1.5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("layers.npz", "found the name 'layers.npz'. A file: todacomm measure layers.npz"),
        (Path("a/cloud.npy"), "A file: todacomm measure a/cloud.npy"),
        ("gpt2", "a model: td.run"),
        ([X, X], r"a list of 2 arrays; give each the name of its layer: td.measure\(\{'layer_0': first"),
        ((X, X[:3], X), "a list of 3 arrays"),
        ({1: X}, "a layer is called 1, which is no string"),
        ({None: X}, "a layer is called None"),
        ({}, "no layer was given"),
    ],
)
def test_what_is_given_in_place_of_an_array_is_told_what_to_give(given, message):
    with pytest.raises(InvalidCloud, match=message):
        measure(given, null_draws=0, resamples=0)


def test_a_list_of_rows_is_an_array():
    assert measure(X.tolist(), null_draws=0, resamples=0) == measure(X, null_draws=0, resamples=0)
    assert measure(list(X), null_draws=0, resamples=0) == measure(X, null_draws=0, resamples=0)


def test_layers_of_arrays_are_chosen_by_giving_them():
    with pytest.raises(UnknownName, match="'layers' is not a setting of a recipe .* Choose layers of arrays by giving"):
        measure(X, layers=3)


def test_each_layer_is_prepared_once_while_there_is_room(layers, monkeypatch):
    done = []

    def counted(cloud, recipe):
        done.append(cloud.address.layer)
        return prepare(cloud, recipe)

    monkeypatch.setattr("todacomm.clouds.prepare.prepare", counted)
    kept = measure(layers, resamples=20)
    assert sorted(done) == sorted(layers)
    monkeypatch.setattr("todacomm.profiles.from_arrays.PreparedOnce", partial(PreparedOnce, room=0))
    assert measure(layers, resamples=20) == kept
    assert len(done) > 2 * len(layers)

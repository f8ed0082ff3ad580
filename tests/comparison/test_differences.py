"""Two profiles number by number: identical, rotated, other texts, other depths, other sizes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from todacomm import measure
from todacomm.comparison.differences import matched, pair
from todacomm.core.types import ModelCard
from todacomm.statistics.intervals import spread_of
from todacomm.statistics.pvalues import adjusted

SHAPE = "H0_total_persistence_scaled"


def layers_of(seed=1, *, blocks=2, n=60, d=6):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(n, d))
    return {"embedding": base, **{f"layer_{i}": (i + 2) * base + rng.normal(size=(n, d)) for i in range(blocks)}}


def profile_of(layers, name="a", **settings):
    return measure(layers, name=name, **{"null_draws": 0, "resamples": 40, **settings})


@pytest.fixture(scope="module")
def base():
    return profile_of(layers_of())


@pytest.fixture(scope="module")
def grown():
    layers = layers_of()
    rng = np.random.default_rng(4)
    layers["layer_1"] = layers["layer_1"] + 6 * (rng.random((60, 1)) > 0.5)
    return profile_of(layers, "grown")


def everything(found):
    return [d for row in found.differences.values() for d in row]


def test_identical_models_do_not_differ_at_all(base):
    found = pair(base, replace(base))
    assert found.how == "paired"
    for d in everything(found):
        assert d.difference.estimate in (0, None)
        if d.first is not None:
            assert (d.difference.estimate, d.effect, d.adjusted) == (0, 0, 1)
        assert d.difference.note or (d.difference.low, d.difference.high) == (0, 0)
    for d in found.growths.values():
        assert (d.difference, d.ratio.estimate, d.adjusted) == (0, 1, 1)
        assert (d.ratio.low, d.ratio.high) == (1, 1)


def test_a_rotated_copy_differs_by_rounding_only(base):
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))[0]
    found = pair(base, profile_of({k: x @ turn for k, x in layers_of().items()}, "turned"))
    for d in everything(found):
        if d.first is not None:
            assert abs(d.difference.estimate) <= 1e-5 * max(1, abs(d.first))
    assert all(abs(d.ratio.estimate - 1) < 1e-5 for d in found.growths.values())


def test_differences_are_second_less_first_with_p_values_adjusted_over_layers(base, grown):
    found = pair(base, grown)
    row = found.differences[SHAPE]
    for i, d in enumerate(row):
        a, b = base[SHAPE][i], grown[SHAPE][i]
        assert d.difference.estimate == pytest.approx(b - a)
        assert d.relative.estimate == pytest.approx((b - a) / a)
        assert (
            (d.p < 0.05)
            == (not d.difference.low <= 0 <= d.difference.high)
            == (not d.relative.low <= 0 <= d.relative.high)
        )
        deviation = spread_of(SHAPE, base.claims.halves[base.layers[i]]).deviation
        assert d.effect == pytest.approx((b - a) / deviation)
    np.testing.assert_allclose([d.adjusted for d in row], adjusted(np.array([d.p for d in row])))
    assert [d.difference.estimate == 0 for d in row] == [True, True, False]
    assert row[2].adjusted < 0.05
    assert row[2].difference.high < 0
    np.testing.assert_allclose(
        found.along(SHAPE)[2], [row[2].difference.estimate, row[2].difference.low, row[2].difference.high]
    )


def test_growths_are_compared_by_the_logarithm_of_their_ratio(base, grown):
    found = pair(base, grown)
    a, b = base.expansions[0].growth, grown.expansions[0].growth
    for part in ("ratio", "scale", "shape"):
        d = found.growths[part]
        assert (d.first, d.second) == (pytest.approx(getattr(a, part)), pytest.approx(getattr(b, part)))
        assert d.ratio.estimate == pytest.approx(d.second / d.first)
        assert d.difference == pytest.approx(d.second - d.first)
        reach = np.log(d.ratio.high / d.ratio.estimate)
        assert reach == pytest.approx(np.log(d.ratio.estimate / d.ratio.low))
        deviation = reach / student.ppf(0.975, 10)
        assert d.p == pytest.approx(2 * student.sf(abs(np.log(d.ratio.estimate)) / deviation, 10))
    np.testing.assert_allclose(
        [d.adjusted for d in found.growths.values()], adjusted(np.array([d.p for d in found.growths.values()]))
    )


def test_other_texts_are_compared_unpaired_and_that_is_said(base):
    twin = replace(base, texts_sha256="ab" * 32)
    found = pair(base, twin)
    assert (found.how, found.unpaired) == ("unpaired", "the texts are not the same")
    d = found.differences[SHAPE][1]
    assert d.difference.estimate == 0
    assert d.difference.high == -d.difference.low > 0
    wide = found.growths["shape"].ratio
    assert wide.high > 1 > wide.low


def test_halves_that_were_drawn_differently_are_not_paired(base):
    found = pair(base, profile_of(layers_of(), "b", seed=7))
    assert found.how == "unpaired"
    assert found.unpaired.startswith("the halves were drawn differently (20 splits of 60 points, seed 42; 20 splits")


@pytest.mark.parametrize(
    ("layers", "settings", "reason"),
    [
        (layers_of(n=40), {}, "a has 60 points and b 40: totals, counts and entropies grow"),
        (layers_of(), {"scale": "median"}, "scale is none for a and median for b"),
        (layers_of(), {"distance": "cosine"}, "distance is euclidean for a and cosine for b"),
        (layers_of(), {"resamples": 0}, "b: no resamples: run again with --resamples 100"),
        ({"other": layers_of()["embedding"]}, {}, "they have no layers in common"),
    ],
)
def test_what_makes_no_sense_is_refused(base, layers, settings, reason):
    found = pair(base, profile_of(layers, "b", **settings))
    assert found.refused.startswith(reason)
    assert not found.differences
    assert not found.growths
    assert found.no_growths == found.refused


def test_language_metrics_stand_side_by_side(base):
    a = replace(base, language={"bits_per_byte": 1.5, "perplexity": 20.0, "accuracy": None, "loss": 3.0})
    b = replace(base, language={"bits_per_byte": 1.25, "accuracy": None})
    assert pair(a, b).language == {"bits_per_byte": (1.5, 1.25), "perplexity": (20.0, None)}


def card(blocks):
    return ModelCard("m", "causal", "pre-LN", 1, blocks, 6, "", "")


def test_layers_of_models_of_other_depths_are_matched_by_relative_depth():
    shallow, deep = (replace(profile_of(layers_of(blocks=b), f"m{b}", resamples=0), card=card(b)) for b in (2, 4))
    found = matched(shallow, deep)
    assert [(str(one), one.depth, one.other_depth) for one in found] == [
        ("embedding", 0, 0),
        ("layer_0 / layer_1", 0.5, 0.5),
        ("layer_1 / layer_3", 1, 1),
    ]
    assert [one.second for one in matched(deep, shallow)] == ["embedding", "layer_0", "layer_0", "layer_0", "layer_1"]


def test_layers_of_the_same_depth_are_matched_by_name_and_lonely_ones_are_named(base):
    layers = layers_of()
    del layers["layer_0"]
    found = pair(base, replace(profile_of(layers, "b"), card=card(2)))
    assert [one.first for one in found.layers] == ["embedding", "layer_1"]
    assert "Of a without counterpart in b: layer_0." in found.notes


def test_a_degenerate_baseline_leaves_no_growth_to_compare(base):
    layers = {**layers_of(), "embedding": np.ones((60, 6))}
    found = pair(base, profile_of(layers, "b"))
    assert found.no_growths == "b: embedding: 1 distinct point of 60"
    assert not found.growths
    assert SHAPE in found.differences
    assert "undefined" in found.differences[SHAPE][0].difference.note


def test_growths_from_different_layers_are_not_compared(base):
    layers = {**layers_of(), "embedding": np.ones((60, 6))}
    found = pair(base, profile_of(layers, "b"), baseline=1)
    assert found.no_growths == "their baselines are not the same layer (embedding and layer_0)"
    assert not found.growths

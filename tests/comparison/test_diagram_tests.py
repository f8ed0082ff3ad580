"""Distances between the diagrams of two models, and their test on blocks of texts."""

from dataclasses import replace

import numpy as np
import pytest

from todacomm import measure
from todacomm.clouds.cka import linear_cka
from todacomm.clouds.prepare import prepare
from todacomm.comparison.diagram_tests import cut_groups, diagrams_of, distances_apart, random_blocks
from todacomm.comparison.differences import pair
from todacomm.core.errors import InvalidInput
from todacomm.core.types import PointCloud
from todacomm.core.value_types import Missing
from todacomm.homology.diagram_distances import bottleneck, wasserstein
from todacomm.homology.rips import rips

N = 120


def circle(rng):
    angle = rng.uniform(0, 2 * np.pi, N)
    return 3 * np.c_[np.cos(angle), np.sin(angle)] + 0.1 * rng.normal(size=(N, 2))


@pytest.fixture(scope="module")
def clouds():
    rng = np.random.default_rng(2)
    first = {"layer_0": rng.normal(size=(N, 2)), "layer_1": rng.normal(size=(N, 2))}
    return {"a": first, "b": {"layer_0": 5 * first["layer_0"][:, ::-1], "layer_1": circle(rng)}}


def compared(clouds, *, change=lambda profile: profile, **settings):
    a, b = (measure(layers, name=name, null_draws=0, resamples=20) for name, layers in clouds.items())
    both = pair(a, change(b))
    sides = (lambda layer, p=p: PointCloud(clouds[p.model][layer], p.at(layer).address) for p in (a, b))
    return both, distances_apart(both, *sides, **settings)


def test_a_mirrored_larger_copy_has_the_same_scale_free_diagrams_and_a_circle_has_not(clouds):
    _, found = compared(clouds)
    assert found.blocks == (10, 12)
    assert found.cka == (pytest.approx(1), pytest.approx(linear_cka(clouds["a"]["layer_1"], clouds["b"]["layer_1"])))
    for rows in found.diagrams.values():
        assert rows[0].bottleneck < 1e-5
        assert rows[0].p > 0.2
        assert rows[0].smallest == 1 / 512
    h1 = found.diagrams["H1"][1]
    assert h1.p < 0.01
    assert h1.adjusted == 2 * h1.p
    assert h1.bottleneck > 0.3


def test_the_distances_are_those_of_the_bars_over_the_median_distance(clouds):
    both, found = compared(clouds)
    scales = [p.at("layer_1").facts.scale for p in (both.first, both.second)]
    a, b = (p.at("layer_1").diagrams.finite[1] / s for p, s in zip((both.first, both.second), scales, strict=True))
    assert found.diagrams["H1"][1].wasserstein == pytest.approx(wasserstein(a, b))
    assert found.diagrams["H1"][1].bottleneck == pytest.approx(bottleneck(a, b))


@pytest.mark.parametrize("scale", ["median", "rms"])
def test_a_recipe_that_divides_already_changes_no_distance(clouds, scale):
    found = [
        distances_apart(
            pair(*(measure(x, name=k, null_draws=0, resamples=20, **how) for k, x in clouds.items())),
            Missing("no"),
            Missing("no"),
        )
        for how in ({}, {"scale": scale})
    ]
    for k in ("H0", "H1"):
        for one, other in zip(*(f.diagrams[k] for f in found), strict=True):
            assert one.wasserstein == pytest.approx(other.wasserstein, rel=1e-4, abs=1e-5)


def test_without_clouds_the_distances_stand_and_the_reason_is_given(clouds):
    both, _ = compared(clouds)
    found = distances_apart(both, Missing("no activations of a"), Missing("no activations of b"))
    assert found.missing == found.untested == "no activations of a; no activations of b"
    assert found.cka == ()
    assert found.diagrams["H1"][1].p is None
    assert found.diagrams["H1"][1].bottleneck > 0.3


def test_other_texts_have_neither_cka_nor_blocks(clouds):
    _, found = compared(clouds, change=lambda p: replace(p, texts_sha256="ab" * 32))
    assert (found.missing, found.blocks, found.cka) == ("the texts are not the same", (0, 0), ())
    assert found.diagrams["H0"][0].wasserstein is not None


def test_small_clouds_are_not_cut_into_blocks():
    rng = np.random.default_rng(1)
    clouds = {name: {"layer_0": rng.normal(size=(60, 3))} for name in "ab"}
    _, found = compared(clouds)
    assert found.untested == "blocks of 6 texts are too small, 10 are needed"
    assert len(found.cka) == 1
    assert found.missing == ""


def test_a_refused_pair_has_no_distances(clouds):
    both, _ = compared(clouds, change=lambda p: replace(p, claims=None))
    assert distances_apart(both, Missing("x"), Missing("y")).diagrams == {}


@pytest.mark.parametrize("blocks", [9, 17])
def test_a_number_of_blocks_that_cannot_be_tested_is_refused(clouds, blocks):
    with pytest.raises(InvalidInput, match=f"{blocks} blocks; expected 10 to 16"):
        compared(clouds, blocks=blocks)


def test_blocks_are_disjoint_equal_and_decided_by_the_seed():
    parts = random_blocks(107, 10, 42)
    assert parts.shape == (10, 10)
    assert len(set(parts.ravel().tolist())) == 100
    assert (np.diff(parts) > 0).all()
    np.testing.assert_array_equal(parts, random_blocks(107, 10, 42))
    assert not np.array_equal(parts, random_blocks(107, 10, 43))


def test_the_diagrams_of_a_block_are_those_of_its_points_over_their_median_distance(clouds):
    profile = measure(clouds["a"], name="a", null_draws=0, resamples=0)
    cloud = prepare(PointCloud(clouds["a"]["layer_0"], profile.at("layer_0").address), profile.recipe)
    part = random_blocks(N, 10, 42)[3]
    found = diagrams_of(cloud, part[None], "bitlink", 1)[0]
    inner = clouds["a"]["layer_0"][part]
    distances = np.linalg.norm(inner[:, None] - inner[None], axis=2)[np.triu_indices(len(part), 1)]
    for bars, expected in zip(found, rips(inner, maxdim=1), strict=True):
        finite = expected[np.isfinite(expected[:, 1])] / np.median(distances)
        finite = finite[np.lexsort((finite[:, 1], finite[:, 0]))]
        np.testing.assert_allclose(bars, finite, atol=1e-5)


# Blocks of whole groups


@pytest.mark.parametrize(
    ("sizes", "number"),
    [
        ((14, 57, 38, 54, 20, 18, 88, 56, 125, 19, 11), 10),  # the first 500 lines of WikiText-2
        ((20,) * 30, 10),
        ((12,) * 7, 7),
        ((30, 30, 30, 5, 5, 5), 4),
        ((5,) * 40, 10),
        ((40, 3, 3), 1),
    ],
)
def test_blocks_are_of_whole_groups_and_of_ten_points_at_least(sizes, number):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = cut_groups(labels, 10)
    assert len(parts) == number
    assert sorted(np.concatenate(parts)) == list(range(sum(sizes)))
    assert min(map(len, parts)) >= 10
    for group in range(len(sizes)):
        assert sum(group in labels[part] for part in parts) == 1


def grouped_pair(groups, seed=1):
    """A model and a copy whose layer has another radius in each article: 8 articles of 15 texts."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(120, 5))
    other = base * np.exp(0.4 * rng.normal(size=(8, 1, 5))).repeat(15, axis=0).reshape(120, 5)
    layers = [{"embedding": base, "layer_0": x} for x in (base, other)]
    both = [
        measure(one, name=n, resamples=20, null_draws=0, groups=groups) for n, one in zip("ab", layers, strict=True)
    ]
    clouds = [
        lambda layer, p=p, one=one: PointCloud(one[layer], p.at(layer).address)
        for p, one in zip(both, layers, strict=True)
    ]
    return distances_apart(pair(*both), *clouds)


def test_where_texts_come_in_groups_the_blocks_of_the_test_are_of_whole_groups():
    labels = [f"article {i // 15}" for i in range(120)]
    whole, single = grouped_pair(labels), grouped_pair(None)
    assert whole.blocks == (8, 15)
    assert single.blocks == (10, 12)
    assert {d.smallest for d in whole.diagrams["H0"]} == {1 / 2**7}
    assert whole.diagrams["H0"][0].p == single.diagrams["H0"][0].p == 1  # the embeddings are one


def test_too_few_groups_for_blocks_leave_the_diagrams_untested_with_the_reason():
    found = grouped_pair([f"article {i // 30}" for i in range(120)])
    assert found.untested == "whole groups make no more than 4 blocks of 10 texts, 6 are needed"
    assert found.diagrams["H0"][0].p is None
    assert found.cka

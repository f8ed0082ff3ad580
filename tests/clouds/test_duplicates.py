"""Duplicates: one notion for counts, homology and neighbours; repeated points change nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform
from test_prepare import by_single_linkage

import todacomm as td
from todacomm.clouds.duplicates import kinds_of, linked
from todacomm.clouds.intrinsic_dimension import local_dimension, two_nn
from todacomm.core.errors import InvalidCloud
from todacomm.core.types import CloudFacts

QUICK = {"null_draws": 0, "resamples": 0}


def numbers(points, **settings):
    """Every number of a cloud but how many points were given."""
    found = td.measure(points, **QUICK, **settings)
    return {name: found[name][0] for name in found.names if name not in ("points", "landmarks_of")}


def assert_same(a, b, rtol=1e-6):
    """Equal numbers; the logarithm of a logarithm near 0 makes the screen more sensitive."""
    for name, value in a.items():
        within = 10 * rtol if name == "H1_screen" else rtol
        np.testing.assert_allclose(b[name], value, rtol=within, atol=1e-9, err_msg=name)


def test_a_twin_is_no_point_of_its_own():
    found = numbers(np.array([[0, 0], [3, 0], [0, 4], [1e-9, 0]]))
    assert (found["distinct_points"], found["H0_count"], found["H0_mean_lifetime"]) == (3, 2, 3.5)
    for engine in ("redzed", "ripser"):
        assert numbers(np.array([[0, 0], [3, 0], [0, 4], [1e-9, 0]]), engine=engine)["H0_count"] == 2


@pytest.mark.parametrize(
    "settings", [{}, {"components": 2}, {"scale": "median"}, {"scale": "sphere"}, {"distance": "cosine"}]
)
@pytest.mark.parametrize("noise", [0, 1e-9, 1e-7])
@pytest.mark.parametrize("again", ["few", "half", "all", "one, many times", "some, many times"])
def test_no_number_changes_when_points_are_given_again(settings, noise, again):
    rng = np.random.default_rng(8)
    points = rng.normal(size=(60, 5)) + 3
    which = {
        "few": rng.choice(60, 3),
        "half": rng.choice(60, 30),
        "all": np.arange(60),
        "one, many times": np.full(90, 7),
        "some, many times": rng.integers(0, 12, 120),
    }[again]
    step = rng.normal(size=(len(which), 5))
    copies = points[which] + noise * 3 * step / np.linalg.norm(step, axis=1, keepdims=True)
    alone = numbers(points, **settings)
    assert alone["distinct_points"] == 60
    assert_same(alone, numbers(np.concatenate([points, copies]), **settings))
    mixed = numbers(np.concatenate([copies, points])[rng.permutation(60 + len(copies))], **settings)
    assert_same(
        alone, mixed, rtol=1e-6 if noise < 1e-7 else 2e-5
    )  # the copies that stand first are these points, moved


def test_copies_in_float32_that_went_through_rounding_are_one():
    rng = np.random.default_rng(2)
    points = (rng.normal(size=(60, 30)) + 40).astype(np.float32)
    twice = np.concatenate([points, np.nextafter(points, np.float32(rng.choice([-np.inf, np.inf])))])
    alone, found = numbers(points), numbers(twice)
    assert found["distinct_points"] == 60
    assert_same(alone, found)


@pytest.mark.parametrize(("share", "times"), [(0.05, 1), (0.5, 1), (1.0, 1), (1.0, 3)])
@pytest.mark.parametrize("noise", [0, 1e-7])
def test_neighbours_are_other_points(share, times, noise):
    rng = np.random.default_rng(1)
    points = rng.normal(size=(1000, 5))
    twins = np.repeat(points[: round(1000 * share)], times, axis=0)
    given_again = np.concatenate([points, twins + noise * rng.normal(size=twins.shape)])
    assert two_nn(given_again) == pytest.approx(two_nn(points), rel=0.02)
    few = points[:200]
    assert local_dimension(np.concatenate([few, few])) == pytest.approx(local_dimension(few), rel=1e-9)


def test_a_far_point_makes_the_others_no_copies():
    square = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    for far in (1e7, 1e9, 1e12):
        found = numbers(np.concatenate([square, [[far, 0]]]))
        assert (found["distinct_points"], found["H0_count"]) == (5, 4)


@pytest.mark.parametrize("problem", [np.nan, np.inf])
def test_the_dimension_of_broken_points_is_refused_as_such(problem):
    points = np.random.default_rng(0).normal(size=(50, 3))
    points[4, 1] = problem
    with pytest.raises(ValueError, match="1 of 50 points hold NaN or infinity"):
        two_nn(points)


# Offsets: the rounding is that of the numbers that came


@pytest.mark.parametrize("offset", [1e3, 1e6, -1e7, 1e9])
def test_where_a_cloud_stands_does_not_matter(offset):
    square = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    found = numbers(square + offset)
    assert found["H0_total_persistence"] == pytest.approx(3, rel=1e-6)
    assert found["H1_max_lifetime"] == pytest.approx(np.sqrt(2) - 1, rel=1e-6)
    rng = np.random.default_rng(5)
    for points in (rng.normal(size=(100, 3)), rng.normal(size=(100, 60)), rng.integers(0, 9, (60, 2)).astype(float)):
        near, far = numbers(points), numbers(points + offset)
        assert far["distinct_points"] == near["distinct_points"]
        for name in ("H0_total_persistence", "H0_max_lifetime", "H1_total_persistence", "scale"):
            assert far[name] == pytest.approx(near[name], rel=2e-6), name
        for a, b in zip(td.rips(points), td.rips(points + offset), strict=True):
            assert len(a) == len(b) or offset == 1e9


def test_points_of_float32_are_judged_by_its_rounding():
    """What float32 does not tell apart is one point; as float64 the same numbers are many."""
    points = (np.random.default_rng(3).normal(size=(100, 3)) * 1e-4 + 1e3).astype(np.float32)
    with pytest.raises(InvalidCloud, match="all 100 points are equal"):
        numbers(points)
    assert numbers(points.astype(np.float64))["distinct_points"] > 50


def test_all_points_equal_at_any_offset():
    for value in (0.0, 1.0, 1e9, -1e300, 1e-300):
        with pytest.raises(InvalidCloud, match="all 5 points are equal"):
            td.measure(np.full((5, 3), value), **QUICK)


# Chains


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 60), k=st.integers(1, 4), steps=st.sampled_from([0.05, 0.3, 1]))
def test_kinds_are_the_clusters_of_single_linkage(seed, n, k, steps):
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal(size=(n, k)), np.cumsum(steps * rng.normal(size=(n, k)), axis=0)])
    points = points[rng.integers(0, len(points), len(points))]
    within = float(np.quantile(pdist(points), rng.uniform(0, 0.2)))
    found, expected = linked(points, within=within), by_single_linkage(points, within)
    assert len(set(zip(found.tolist(), expected.tolist(), strict=True))) == found.max() + 1 == expected.max()
    first = np.unique(found, return_index=True)[1]
    assert (np.diff(first) > 0).all()


def test_kinds_of_many_copies_of_few_points(rng):
    points = rng.normal(size=(40, 50))[rng.integers(0, 40, 3000)]
    centred = points - points.mean(axis=0)
    assert kinds_of(centred, rounding=0.0).max() == 39


# Few dimensions


def facts(points):
    return td.measure(points, **QUICK).measurements[0].facts


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("n", [5, 20, 200])
def test_few_dimensions_are_no_doubt(d, n):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        assert facts(rng.normal(size=(n, d))).doubtful == ""
        angle = rng.uniform(0, 2 * np.pi, n)
        circle = np.pad(np.c_[np.cos(angle), np.sin(angle)], ((0, 0), (0, max(0, d - 2))))[:, :d]
        assert facts(circle + 0.05 * rng.normal(size=(n, d))).doubtful == ""


@pytest.mark.parametrize(("d", "axis"), [(100, 15), (20, 30), (768, 60), (6, 10)])
def test_one_of_many_dimensions_with_most_of_the_variance_is_a_doubt(d, axis):
    points = np.random.default_rng(d).normal(size=(200, d))
    assert facts(points).doubtful == ""
    points[:, d // 2] *= axis
    assert "one dimension holds" in facts(points).doubtful


@pytest.mark.parametrize("d", [6, 20, 100])
def test_a_circle_in_two_of_many_coordinates_is_no_doubt(d):
    rng = np.random.default_rng(d)
    angle = rng.uniform(0, 2 * np.pi, 200)
    points = np.pad(np.c_[np.cos(angle), np.sin(angle)], ((0, 0), (0, d - 2))) + 0.01 * rng.normal(size=(200, d))
    assert facts(points).largest_variance_share > 0.45
    assert facts(points).doubtful == ""


def test_a_record_that_lacks_the_second_share_is_read_as_it_was():
    old = CloudFacts(60, 20, 20, 1.0, 60, 1.0, 1.0, 0.6, 1.0)
    assert "one dimension holds 60% of the variance" in old.doubtful


def test_squareform_of_copies_counts_them_once():
    points = np.repeat(np.random.default_rng(0).normal(size=(20, 3)), 2, axis=0)
    found = td.measure(squareform(pdist(points)), distance="precomputed", **QUICK)
    assert (found["distinct_points"], found["H0_count"]) == (20, 19)


# Claims


def test_intervals_and_nulls_take_a_copy_for_the_same_observation():
    rng = np.random.default_rng(4)
    points = rng.normal(size=(60, 4))
    twice = np.concatenate([points, points[:25] + 1e-9 * rng.normal(size=(25, 4))])
    alone, again = (td.measure(x, null_draws=39, resamples=40) for x in (points, twice))
    for name, interval in alone.claims.intervals["cloud"].items():
        other = again.claims.intervals["cloud"][name]
        assert (other.low, other.high) == pytest.approx((interval.low, interval.high), rel=1e-6), name
    for name, test in alone.claims.tests["gaussian"]["cloud"].items():
        assert again.claims.tests["gaussian"]["cloud"][name].p == test.p, name
    assert again.claims.halves["cloud"].drawn != alone.claims.halves["cloud"].drawn


def test_layers_are_halved_alike_where_only_some_have_copies():
    """Texts that an embedding does not tell apart are other texts all the same."""
    rng = np.random.default_rng(6)
    words = rng.normal(size=(10, 4))[rng.integers(0, 10, 60)]
    found = td.measure({"embedding": words, "layer_0": rng.normal(size=(60, 4))}, null_draws=19, resamples=40)
    drawn = {one.drawn for one in found.claims.halves.values()}
    assert drawn == {"20 splits of 60 points, seed 42"}
    counts = found.claims.halves["embedding"].values[..., found.claims.halves["embedding"].names.index("H0_count")]
    assert counts.max() <= 9
    assert found.claims.tests["gaussian"]["embedding"]["H0_total_persistence"].p is not None


def test_rows_that_are_copies_in_every_layer_are_left_out_of_the_draws():
    rng = np.random.default_rng(7)
    layers = {"a": rng.normal(size=(40, 4)), "b": rng.normal(size=(40, 6))}
    layers["a"][30:] = layers["a"][:10]
    alone = td.measure(layers, null_draws=19, resamples=20)
    again = td.measure({k: np.concatenate([x, x[:15]]) for k, x in layers.items()}, null_draws=19, resamples=20)
    for layer in layers:
        for name, test in alone.claims.tests["gaussian"][layer].items():
            assert again.claims.tests["gaussian"][layer][name].p == test.p, (layer, name)


def test_too_few_observations_have_no_interval_however_often_they_are_given():
    points = np.random.default_rng(9).normal(size=(12, 3))
    found = td.measure(np.tile(points, (4, 1)), null_draws=0, resamples=20)
    assert found.claims.missing == {"cloud": "12 points are too few, at least 20 are needed"}

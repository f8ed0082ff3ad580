"""The loop test of centroids: what centroids are, that a circle in noise is found, and which circles are not."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import todacomm as td
from todacomm.clouds.prepare import prepare
from todacomm.core.types import Address
from todacomm.report.words.loops import loop_cell, loop_sentence, loop_sentences, radius_seen
from todacomm.statistics.gaussian_null import gaussian_null, joint
from todacomm.statistics.loop_power import DIMENSIONS, POINTS, RADII, over_median, smallest_radius
from todacomm.statistics.loop_test import PROMINENCE, RATIO
from todacomm.statistics.vertices import MOST, centroids, centroids_of_draw, k_means, number_of_centroids

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from null_populations import curve, gaussian

FEW = {"resamples": 0, "null_draws": 39}
circle = partial(curve, turn=1.0, ratio=3.5)


def both(points, **settings):
    """The p-values of the loop tests of all points and of centroids, and the loops among centroids."""
    claims = td.measure(points, **FEW, **settings).claims
    tests = claims.tests["gaussian"]["cloud"]
    found = [bar for bar in claims.loops.get("cloud", ()) if bar.centroids and bar.found]
    return tests["H1_loop"].p, tests["H1_loop_centroids"].p, found


@pytest.fixture(scope="module")
def noisy():
    """A circle of radius 3.5 in noise of 20 dimensions, in the first two."""
    return circle(300, np.random.default_rng(4), d=20)


@pytest.fixture(scope="module")
def profile(noisy):
    return td.measure({"layer_0": gaussian(300, np.random.default_rng(5), d=20), "layer_1": noisy}, **FEW)


def test_clusters_far_apart_have_one_centroid_each_near_their_mean():
    """Twelve clusters of ten points: Lloyd's algorithm from one point of each ends at their means."""
    rng = np.random.default_rng(1)
    middles = 100 * rng.standard_normal((12, 5))
    points = np.repeat(middles, 10, axis=0) + rng.standard_normal((120, 5))

    one_of_each = SimpleNamespace(choice=lambda n, k, **_: np.arange(0, n, n // k))
    found, labels = k_means(points, 12, 6, one_of_each)
    np.testing.assert_array_equal(labels, np.repeat(np.arange(12), 10))
    for centre, cluster in zip(found, points.reshape(12, 10, 5), strict=True):
        apart = np.linalg.norm(cluster - cluster.mean(axis=0), axis=1)
        nearest = cluster[np.argsort(apart)[:6]]
        np.testing.assert_allclose(centre, nearest.mean(axis=0))


def test_each_centroid_has_a_point_of_its_own_cluster_that_is_nearest(noisy):
    cloud = prepare(td.PointCloud(noisy, Address("", "", "x")), td.Recipe())
    found = centroids(cloud, seed=42)
    assert found.centroids == len(found.points) == 60
    assert sorted(np.unique(found.labels)) == list(range(60))
    for vertex, point in enumerate(found.nearest):
        apart = np.linalg.norm(cloud.points[found.labels == vertex] - found.points[vertex], axis=1)
        assert found.labels[point] == vertex
        assert np.linalg.norm(cloud.points[point] - found.points[vertex]) == pytest.approx(apart.min())
    assert found.points_at(np.array([3])).tolist() == np.flatnonzero(found.labels == 3).tolist()


def test_a_circle_in_noise_is_found_among_centroids_and_not_among_its_points(noisy):
    alone, among, (best, *_) = both(noisy)
    assert alone > 0.05
    assert among == pytest.approx(1 / 40)
    angles = np.unwrap(np.arctan2(noisy[list(best.cycle), 1], noisy[list(best.cycle), 0]))
    around = np.append(np.diff(angles), angles[0] - angles[-1] + np.sign(angles[-1] - angles[0]) * 2 * np.pi)
    assert abs(around.sum()) == pytest.approx(2 * np.pi), "the nearest points go around once"
    assert (best.centroids, len(best.group)) == (60, 300)


def test_the_unit_and_the_order_of_layers_change_no_p_value(noisy):
    assert both(noisy)[:2] == both(1e-200 * noisy)[:2] == both(1e200 * noisy)[:2]


def test_the_cloud_is_drawn_as_its_null_is(noisy):
    """Exchangeable: the cloud itself in place of a rotation has numbers like the cloud's own."""
    cloud = prepare(td.PointCloud(noisy, Address("", "", "x")), td.Recipe())
    vertices = partial(centroids_of_draw, seed=42)
    of_cloud = td.rips(vertices(cloud.points, 7))[1]
    values = gaussian_null(
        joint([cloud], td.Recipe()),
        td.Recipe(),
        [7],
        names=(PROMINENCE, RATIO),
        change=lambda _, __: cloud.points,
        vertices=vertices,
    )
    assert values[0, 0, 1] == pytest.approx((of_cloud[:, 1] / of_cloud[:, 0]).max())
    assert not np.array_equal(vertices(cloud.points, 7), vertices(cloud.points, 8)), "each draw has its own beginning"


def test_few_points_have_no_centroids_and_the_test_says_so():
    claims = td.measure(np.random.default_rng(2).standard_normal((29, 3)), **FEW).claims
    test = claims.tests["gaussian"]["cloud"]["H1_loop_centroids"]
    assert test.p is None
    assert test.note == "29 distinct points; centroids are of at least 30, 5 a centroid"


def test_there_are_never_more_centroids_than_the_most():
    assert number_of_centroids(999) == 199
    assert number_of_centroids(100_000) == MOST


# Its power, and its words


def test_the_smallest_radius_is_that_of_the_table_and_falls_with_the_points():
    for i, n in enumerate(POINTS):
        for j, d in enumerate(DIMENSIONS):
            assert smallest_radius(n, d) == pytest.approx(RADII[i, j])
    assert smallest_radius(POINTS[0] - 1, 5) is None
    assert smallest_radius(300, 20) < smallest_radius(150, 20)
    assert smallest_radius(500, 100) > smallest_radius(500, 50)


def test_a_radius_over_the_median_distance_is_that_of_a_cloud():
    points = curve(2000, np.random.default_rng(6), d=20, turn=1.0, ratio=4.0)
    assert over_median(4.0, 20.0) == pytest.approx(
        4 / np.median(td.measure(points, **FEW | {"null_draws": 0})["scale"]), rel=0.05
    )


def test_both_p_values_and_the_radius_are_told(profile):
    (layer, bars), *_ = [(name, bars) for name, bars in profile.claims.loops.items() if any(b.centroids for b in bars)]
    bar = replace(next(b for b in bars if b.centroids), p_layer=0.011, p_group=0.042, centroids=61)
    tests = profile.claims.tests["gaussian"][layer]
    told = {
        "H1_loop": replace(tests["H1_loop"], p=0.012, adjusted=0.013, family_wise=0.31),
        "H1_loop_centroids": replace(tests["H1_loop_centroids"], p=0.021, adjusted=0.022, family_wise=0.023),
    }
    shown = replace(profile, claims=replace(profile.claims, tests={"gaussian": {layer: told}}, loops={layer: (bar,)}))
    sentences = " ".join(loop_sentences(shown))
    assert "Single points show no loop" in sentences
    assert "(smallest p 0.31" in sentences
    assert f"one through {len(bar.cycle)} of 61 centroids" in sentences
    assert "(p 0.042)" in sentences
    assert loop_cell(shown, shown.at(layer)) == "0.31 · 0.023"
    assert "Among centroids: one through" in loop_sentence(shown, shown.at(layer))
    assert f"at least {radius_seen(shown.at(layer)):.2g} of the median distance" in sentences
    assert td.finding(shown).endswith(f"Loops that noise does not explain are found among centroids alone at {layer}.")


@pytest.mark.slow
def test_the_test_of_centroids_holds_on_gaussian_clouds():
    """300 clouds: 0.05 is asked, and holding bars against their groups as well takes a little away."""
    rejected = [both(gaussian(60, np.random.default_rng([43, i]), d=12), seed=i)[1] <= 0.05 for i in range(300)]
    assert 0.02 <= np.mean(rejected) <= 0.08

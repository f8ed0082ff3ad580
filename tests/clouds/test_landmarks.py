"""Maxmin landmarks: the farthest point each time, and a bound on what they leave open that holds."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from persim import bottleneck
from scipy.spatial.distance import cdist, pdist

from shapes import circle
from todacomm.clouds.distances import pairwise
from todacomm.clouds.landmarks import maxmin
from todacomm.clouds.prepare import Shape, covered, prepare
from todacomm.core.errors import InvalidInput
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud
from todacomm.homology.engines import persistence
from todacomm.profiles.from_arrays import measure
from todacomm.report.layers.layer_document import interpretation

HERE = Address("model", "data", "layer_3")


def prepared(points, **settings):
    return prepare(PointCloud(points, HERE), Recipe(**settings))


def farthest_first(points, k, first):
    """The definition, one landmark at a time, with the lowest index of those that are equally far."""
    chosen = [first]
    while len(chosen) < min(k, len(points)):
        nearest = cdist(points, points[chosen], "sqeuclidean").min(axis=1)
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
    return chosen, cdist(points, points[chosen]).min(axis=1).max()


def gaussian(rng, n, d):
    return rng.normal(size=(n, d))


def grid(rng, n, d):
    return rng.integers(0, 4, (n, d)).astype(float)


def offset_copies(rng, n, d):
    return 1e4 + rng.normal(size=(n, d))[rng.integers(0, 1 + n // 2, n)]


@given(
    make=st.sampled_from([gaussian, grid, offset_copies]),
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 80), st.integers(1, 6)),
    k=st.integers(1, 100),
    pool=st.integers(1, 90),
)
def test_landmarks_and_radius_are_those_of_the_definition(make, seed, size, k, pool):
    rng = np.random.default_rng(seed)
    points = make(rng, *size)
    first = int(rng.integers(size[0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("todacomm.clouds.landmarks.POOL", pool)
        found, radius = maxmin(points, k, first=first)
    expected, brute = farthest_first(points, k, first)
    assert found.tolist() == expected
    assert radius == pytest.approx(brute, rel=1e-9)
    assert (radius == 0) == (brute == 0)


def test_float32_points_have_a_float64_radius(rng):
    points = (50 + rng.normal(size=(4000, 20))).astype(np.float32)
    found, radius = maxmin(points, 300, first=5)
    exact = points.astype(np.float64)
    assert radius == pytest.approx(cdist(exact, exact[found]).min(axis=1).max(), rel=1e-12)


def assert_within(bound, all_points, landmarks):
    for whole, thinned in zip(all_points.finite, landmarks.finite, strict=True):
        assert bottleneck(whole, thinned) <= bound * (1 + 1e-6)


@pytest.mark.parametrize("k", [8, 20, 60])
def test_diagrams_of_landmarks_are_within_twice_the_covering_radius(rng, engine, k):
    for points in (rng.normal(size=(90, 2)), circle(90) + 0.05 * rng.normal(size=(90, 2)), rng.normal(size=(90, 6))):
        whole, thinned = prepared(points), prepared(points, landmarks=k)
        facts = thinned.facts
        assert facts.bar_error == 2 * facts.covering_radius
        assert_within(facts.bar_error, *(persistence(cloud.condensed, engine=engine) for cloud in (whole, thinned)))


def test_the_bound_is_reached():
    """Two pairs of points: both gaps are the covering radius, and the gap between the pairs grows by twice that."""
    points = np.array([[0.0], [1.0], [9.0], [10.0]])
    (found, radius), whole = maxmin(points, 2, first=0), persistence(pdist(points))
    thinned = persistence(
        np.array([[0.0, 10, 10], [10, 0, 10], [10, 10, 0]])
    )  # a third point, as far: engines need three
    assert (found.tolist(), radius) == ([0, 3], 1.0)
    assert thinned.finite[0][-1, 1] - whole.finite[0][-1, 1] == 2 * radius


@pytest.mark.parametrize("k", [10, 40, 80])
def test_the_bound_holds_for_the_cosine_distance(rng, k):
    for points in (rng.normal(size=(90, 3)), circle(90) * rng.uniform(0.5, 2, (90, 1))):
        whole, thinned = (prepared(points, distance="cosine", landmarks=n) for n in (None, k))
        far = pairwise(whole.points, "cosine")
        assert thinned.facts.covering_radius <= far.max()
        assert_within(thinned.facts.bar_error, *(persistence(cloud.condensed) for cloud in (whole, thinned)))


def test_the_cosine_bound_is_nearly_reached():
    """Two pairs of directions, as in the test of the bound above: the gap between the pairs is measured too wide."""
    gap, step = 0.2, 0.02
    landmarks = Shape(np.eye(2), 1.0, np.array([1 - np.cos(gap)], dtype=np.float32), np.array([1, 2]))
    found = covered(landmarks, 2 * np.sin(step / 2), "cosine", whole=4)
    moved = np.cos(gap - 2 * step) - np.cos(gap)
    assert found.covering_radius == pytest.approx(1 - np.cos(step))
    assert moved <= found.bar_error <= 1.25 * moved


def test_the_cosine_radius_is_that_of_the_definition(rng):
    points = rng.normal(size=(120, 4))
    facts = prepared(points, distance="cosine", landmarks=30, components=None).facts
    centred = points - points.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    first = int(np.random.default_rng(42).integers(120))
    chosen = farthest_first(unit, 30, first)[0]
    assert facts.covering_radius == pytest.approx(cdist(centred, centred[chosen], "cosine").min(axis=1).max())


def test_landmarks_are_chosen_after_the_projection_and_keep_its_directions(rng):
    points = rng.normal(size=(200, 30)) * np.linspace(3, 0.1, 30)
    whole, thinned = (prepared(points, components=5, landmarks=k) for k in (None, 40))
    first = int(np.random.default_rng(42).integers(200))
    chosen, radius = farthest_first(whole.points, 40, first)
    np.testing.assert_array_equal(thinned.points, whole.points[np.sort(chosen)])
    assert thinned.facts.covering_radius == pytest.approx(radius)
    assert thinned.facts.variance_kept == whole.facts.variance_kept
    assert (thinned.facts.points, thinned.facts.landmarks_of) == (40, 200)


@pytest.mark.parametrize("scale", ["median", "rms", "sphere"])
def test_radius_and_error_stand_in_the_unit_of_the_scale(rng, scale):
    points = rng.normal(size=(150, 3))
    plain, larger = (prepared(f * points, scale=scale, landmarks=50).facts for f in (1, 8))
    factor = 1 if scale == "sphere" else 8
    assert larger.covering_radius == pytest.approx(factor * plain.covering_radius)
    assert larger.scale == pytest.approx(factor * plain.scale)
    unscaled = prepared(points, landmarks=50).facts
    assert scale == "sphere" or plain.covering_radius == unscaled.covering_radius


def test_the_first_landmark_is_drawn_by_the_seed(rng):
    points = rng.normal(size=(100, 4))
    one, again, other = (prepared(points, landmarks=20, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.points, again.points)
    assert not np.array_equal(one.points, other.points)


def test_as_many_landmarks_as_points_change_nothing(rng):
    points = rng.normal(size=(30, 4))
    for k in (30, 99):
        facts = prepared(points, landmarks=k).facts
        assert (facts.points, facts.landmarks_of, facts.covering_radius, facts.bar_error) == (30, None, None, None)
    with pytest.raises(InvalidInput, match="2 landmarks; expected at least 3"):
        Recipe(landmarks=2)


def test_landmarks_of_one_point_many_times(rng):
    facts = prepared(np.tile(rng.normal(size=(1, 9)), (500, 1)), landmarks=20).facts
    assert (facts.points, facts.landmarks_of, facts.covering_radius) == (20, 500, 0)
    assert facts.undefined == "1 distinct point of 20"


def test_what_landmarks_leave_open_is_said(rng):
    ring = prepared(circle(800) + 0.01 * rng.normal(size=(800, 2)), landmarks=200).facts
    assert ring.doubtful.count("landmarks") == 0
    assert "200 landmarks of 800 points: every bar end is within 4% of the median distance" in ring.note
    cloud = prepared(rng.normal(size=(800, 40)), landmarks=200).facts
    assert "200 landmarks leave bars below" in cloud.doubtful
    assert "10001 points are many" in replace(cloud, points=10_001).note


# What users see


@pytest.fixture
def profile(rng):
    noisy = circle(600) + 0.02 * rng.normal(size=(600, 2))
    return measure({"embedding": noisy, "layer_0": 3 * noisy}, landmarks=150, scale="median")


def test_the_report_says_which_bars_are_certain(profile):
    text = interpretation(profile)
    assert "thinned to 150 landmarks of 600" in text
    assert (
        "150 landmarks of each cloud, each the point farthest from those chosen before, stand for its 600 points"
        in text
    )
    error = 2 * profile["covering_radius"][1] / profile["scale"][1]
    lifetimes = np.diff(profile.at("layer_0").diagrams.finite[1]).ravel()
    row = next(line for line in text.splitlines() if line.startswith("| layer_0 |") and " of " in line)
    assert f"| {error:.4g} | " in row
    assert row.endswith(f"| {(lifetimes > 2 * error).sum()} of {len(lifetimes)} |")
    assert (lifetimes > 2 * error).sum() == 1


def test_a_growth_on_matched_texts_needs_the_same_texts(rng):
    kinds = rng.normal(size=(20, 6))
    which = rng.integers(0, 20, 200)
    layers = {"embedding": kinds[which], "layer_0": 3 * kinds[which] + 0.1 * rng.normal(size=(200, 6))}
    assert measure(layers).expansions[0].matched is not None
    assert measure(layers, landmarks=50).expansions[0].matched is None


@pytest.mark.slow
def test_the_command_line_measures_landmarks(todacomm, rng):
    np.save("ring.npy", circle(500) + 0.01 * rng.normal(size=(500, 2)))
    code, out, _ = todacomm("measure", "ring.npy", "--landmarks", "100", "--no-cache")
    assert code == 0
    assert "radius" in out
    assert "100 landmarks of 500 points: every bar end is within" in out
    record = json.loads(todacomm("measure", "ring.npy", "--landmarks", "100", "--no-cache", "--json")[1])
    assert record[0]["layers"]["cloud"]["landmarks_of"] == 500
    assert "landmarks" not in todacomm("measure", "ring.npy", "--no-cache")[1]

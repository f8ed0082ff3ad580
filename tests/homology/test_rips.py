"""The diagrams that `todacomm.rips` gives, against ripser.py and closed forms, and what it refuses."""

import numpy as np
import pytest
from ripser import ripser
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform

import todacomm as td
from shapes import circle, distances, octahedron
from small_clouds import sorted_bars
from todacomm.clouds.landmarks import maxmin
from todacomm.core.errors import InvalidInput, UnknownName


@pytest.mark.parametrize("maxdim", [0, 1, 2])
@pytest.mark.parametrize("threshold", [np.inf, 2.0])
def test_diagrams_are_those_of_ripser_py(rng, maxdim, threshold):
    points = rng.normal(size=(40, 3))
    found = td.rips(points, maxdim=maxdim, threshold=threshold)
    reference = ripser(distances(points), distance_matrix=True, maxdim=maxdim, thresh=threshold)["dgms"]
    assert len(found) == len(reference) == maxdim + 1
    for ours, theirs in zip(found, reference, strict=True):
        np.testing.assert_allclose(sorted_bars(ours), sorted_bars(theirs), rtol=1e-6)


def test_the_class_that_never_dies_stands_last():
    clusters, loops = td.rips(circle(12))
    np.testing.assert_array_equal(clusters[-1], [0, np.inf])
    np.testing.assert_allclose(clusters[:-1], np.tile([0, 2 * np.sin(np.pi / 12)], (11, 1)), rtol=1e-6)
    np.testing.assert_allclose(loops, [[2 * np.sin(np.pi / 12), np.sqrt(3)]], rtol=1e-6)
    assert len(td.rips(circle(12), threshold=0.1)[0]) == 12


def test_double_precision_keeps_what_single_precision_rounds(rng):
    points = rng.normal(size=(30, 4))
    for metric in ("euclidean", "cosine"):
        exact = np.maximum(pdist(points, metric), 0)
        ends = td.rips(points, metric=metric, precision="float64")[1]
        assert np.isin(ends, exact).all()
        np.testing.assert_allclose(td.rips(points, metric=metric)[1], ends, rtol=3e-7)
        given = td.rips(squareform(exact), metric="precomputed", precision="float64")[1]
        np.testing.assert_array_equal(given, ends)


@pytest.mark.parametrize("coeff", [2, 3])
def test_double_precision_holds_for_clusters_and_loops_with_voids_beside_them(rng, coeff):
    points = rng.normal(size=(25, 3))
    less, more = (td.rips(points, maxdim=k, precision="float64", coeff=coeff) for k in (1, 2))
    for a, b in zip(less, more, strict=False):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(more[2], td.rips(points, maxdim=2, coeff=coeff)[2])


@pytest.mark.parametrize("unit", [1e-300, 1e-30, 1.0, 1e40, 1e299])
@pytest.mark.parametrize("maxdim", [0, 1, 2])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_threshold_keeps_the_edges_that_equal_it_in_any_unit(rng, unit, maxdim, precision):
    """The rounding of float32 moves a distance above itself, and its limit with it."""
    exact = rng.random(28) * unit
    for limit in np.sort(exact)[::5]:
        found = td.rips(exact, metric="precomputed", threshold=limit, maxdim=maxdim, precision=precision)
        joined = connected_components(np.triu(squareform(exact) <= limit, 1) & (squareform(exact) > 0))[0]
        assert np.isinf(found[0][:, 1]).sum() == joined


def test_an_infinite_distance_is_no_edge():
    square = np.array([[0, 1, np.inf, 1], [1, 0, 1, np.inf], [np.inf, 1, 0, 1], [1, np.inf, 1, 0]])
    for maxdim in (1, 2):
        np.testing.assert_array_equal(td.rips(square, metric="precomputed", maxdim=maxdim)[1], [[1, np.inf]])


def test_voids(rng):
    np.testing.assert_allclose(td.rips(octahedron(), maxdim=2)[2], [[np.sqrt(2), 2]], rtol=1e-6)


@pytest.mark.parametrize("points", [1, 2])
@pytest.mark.parametrize("maxdim", [0, 1, 2])
def test_one_and_two_points(points, maxdim):
    found = td.rips(np.arange(float(points))[:, None], maxdim=maxdim)
    np.testing.assert_array_equal(found[0], [[0, 1], [0, np.inf]][-points:])
    assert all(f.shape == (0, 2) for f in found[1:])


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (np.zeros(3), {}, r"points of shape \(3,\); expected \(n, d\)"),
        (np.zeros((0, 2)), {}, r"points of shape \(0, 2\)"),
        (np.full((4, 2), np.nan), {}, "4 of 4 points hold NaN"),
        (np.zeros((3, 2)), {"metric": "precomputed"}, r"distances of shape \(3, 2\); expected \(n, n\)"),
        (np.array([[0, np.nan], [np.nan, 0]]), {"metric": "precomputed"}, "1 distances are NaN"),
        (np.array([[0.0, -1], [-1, 0]]), {"metric": "precomputed"}, "1 distances are negative"),
        (np.array([[0.0, 1], [2, 0]]), {"metric": "precomputed"}, "not symmetric"),
        (np.array([[1.0, 1], [1, 0]]), {"metric": "precomputed"}, "the diagonal must be zero"),
        (np.zeros((3, 2)), {"maxdim": 3}, "maxdim is 3; expected 0"),
        (np.zeros((3, 2)), {"threshold": np.nan}, "the threshold is NaN"),
    ],
)
def test_what_cannot_be_measured_is_refused(array, options, message):
    with pytest.raises(InvalidInput, match=message):
        td.rips(array, **options)


@pytest.mark.parametrize("options", [{"metric": "euclidian"}, {"precision": "float16"}])
def test_an_unknown_name_is_refused_with_a_suggestion(options):
    with pytest.raises(UnknownName, match="Did you mean '(euclidean|float32|float64)'"):
        td.rips(np.zeros((3, 2)), **options)


# What makes the bars


def cases(rng):
    angle = rng.uniform(0, 2 * np.pi, 40)
    return [rng.normal(size=(40, 3)), np.c_[np.cos(angle), np.sin(angle)] + 0.1 * rng.normal(size=(40, 2)), circle(12)]


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_edges_and_triangles_have_the_lengths_of_births_and_deaths(rng, precision):
    for points in cases(rng):
        found = td.generators(points, precision=precision)
        matrix = distances(points)
        for ours, plain in zip(found.diagrams, td.rips(points, precision=precision), strict=True):
            np.testing.assert_array_equal(ours, plain)
        bars, (i, j) = found.diagrams[1], found.birth_edges.T
        np.testing.assert_allclose(matrix[i, j], bars[:, 0], rtol=1e-6)
        sides = np.stack(
            [matrix[found.death_triangles[:, a], found.death_triangles[:, b]] for a, b in ((0, 1), (0, 2), (1, 2))]
        )
        np.testing.assert_allclose(sides.max(axis=0), bars[:, 1], rtol=1e-6)
        i, j = found.merging_edges.T
        np.testing.assert_allclose(matrix[i, j], found.diagrams[0][:-1, 1], rtol=1e-6)


def test_a_loop_that_nothing_fills_has_no_triangle():
    found = td.generators(circle(12), threshold=1.0)
    np.testing.assert_array_equal(found.death_triangles, [[-1, -1, -1]])
    assert found.diagrams[1][0, 1] == np.inf
    assert len(td.generators(np.zeros((3, 2))).birth_edges) == 0


def test_generators_are_named_by_what_was_given(rng):
    points = np.concatenate([rng.normal(size=(30, 2)) * 0.01, 50 + circle(12)])
    found = td.generators(points, landmarks=20)
    assert np.isin(found.birth_edges[-1], np.arange(30, 42)).all()
    assert len(found.diagrams[0]) == 20
    copies = td.generators(np.concatenate([circle(12), circle(12)]))
    np.testing.assert_allclose(copies.diagrams[1], td.rips(circle(12))[1])
    assert len(copies.merging_edges) == len(copies.diagrams[0]) - 1 == 11


# Landmarks


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "precomputed"])
def test_landmarks_are_the_farthest_points_and_few_bars_move_far(rng, metric):
    points = circle(60) + 0.02 * rng.normal(size=(60, 2))
    given = distances(points) if metric == "precomputed" else points
    whole, thinned = (td.rips(given, metric=metric, landmarks=k) for k in (None, 25))
    assert len(thinned[0]) == 25
    if metric != "cosine":
        radius = maxmin(points, 25, first=int(np.random.default_rng(0).integers(60)))[1]
        assert td.bottleneck(whole[1], thinned[1]) <= 2 * radius + 1e-6
        np.testing.assert_array_equal(thinned[0], td.rips(points, landmarks=25)[0])
    np.testing.assert_array_equal(td.rips(given, metric=metric, landmarks=60)[0], whole[0])
    assert any(
        len(a) != len(b) or (a != b).any()
        for a, b in zip(thinned, td.rips(given, metric=metric, landmarks=25, seed=3), strict=True)
    )


@pytest.mark.parametrize(
    "options", [{"landmarks": 0}, {"landmarks": 2.5}, {"landmarks": 5, "seed": -1}, {"landmarks": "many"}]
)
def test_wrong_landmarks_are_refused(options):
    for given in (circle(12), distances(circle(12))):
        with pytest.raises(InvalidInput, match="(landmarks|seed) is"):
            td.rips(given, metric="precomputed" if len(given.T) == 12 else "euclidean", **options)


# Between diagrams


def by_definition(a, b, degree):
    """The definition, over all matchings of few bars."""
    from itertools import permutations

    def cost(x, y):
        if x is None or y is None:
            bar = y if x is None else x
            return 0.0 if bar is None else np.inf if np.isinf(bar[1]) else (bar[1] - bar[0]) / 2
        ends = 0.0 if np.isinf(x[1]) and np.isinf(y[1]) else abs(x[1] - y[1])
        return max(abs(x[0] - y[0]), ends)

    left, right = [*a, *[None] * len(b)], [*b, *[None] * len(a)]
    costs = [[cost(x, y) for x, y in zip(left, order, strict=True)] for order in permutations(right)]
    return min(max(c, default=0.0) if np.isinf(degree) else sum(x**degree for x in c) ** (1 / degree) for c in costs)


@pytest.mark.parametrize("seed", range(12))
def test_distances_between_diagrams_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    first, second = (
        np.sort(rng.integers(0, 9, (k, 2)) / 4, axis=1) + np.array([0, 0.5])
        for k in (rng.integers(0, 4), rng.integers(0, 4))
    )
    for bars in (first, second):
        bars[: rng.integers(0, 2), 1] = np.inf
    assert td.bottleneck(first, second) == pytest.approx(by_definition(first, second, np.inf))
    for degree in (1, 2, 3):
        assert td.wasserstein(first, second, degree=degree) == pytest.approx(by_definition(first, second, degree))


def test_diagrams_of_rips_are_finitely_far_apart(rng):
    a, b = td.rips(rng.normal(size=(30, 3))), td.rips(rng.normal(size=(30, 3)) + 4)
    for k in (0, 1):
        assert 0 < td.bottleneck(a[k], b[k]) <= td.wasserstein(a[k], b[k]) < np.inf
        assert td.bottleneck(a[k], a[k]) == td.wasserstein(a[k], a[k]) == 0
    unit = 2.0**900
    assert td.wasserstein(unit * a[1], unit * b[1]) == pytest.approx(unit * td.wasserstein(a[1], b[1]))
    two = td.rips(np.array([[0.0], [1], [9]]), threshold=2)[0]
    assert td.bottleneck(two, a[0]) == td.wasserstein(two, a[0]) == np.inf
    assert td.bottleneck([], []) == 0
    assert td.wasserstein([[0, 2]], np.empty((0, 2)), degree=1) == 1


@pytest.mark.parametrize(
    "diagram",
    [
        [[1, 0]],
        [[0, np.nan]],
        [[-np.inf, 1]],
        [[np.inf, np.inf]],
        [0, 1],
        [[0, 1, 2]],
        "bars",
        [[0, 1j]],
        None,
        [[[0, 1]]],
    ],
)
def test_what_is_no_diagram_is_refused(diagram):
    for distance in (td.bottleneck, td.wasserstein):
        with pytest.raises(InvalidInput):
            distance(diagram, [[0, 1]])
        with pytest.raises(InvalidInput):
            distance([[0, 1]], diagram)

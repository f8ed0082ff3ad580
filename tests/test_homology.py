"""The diagrams that `todacomm.rips` gives, against ripser.py and closed forms, and what it refuses."""

import numpy as np
import pytest
from ripser import ripser
from scipy.spatial.distance import pdist, squareform

import todacomm as td
from shapes import circle, distances, octahedron
from small_clouds import sorted_bars
from todacomm.errors import InvalidInput, UnknownName


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

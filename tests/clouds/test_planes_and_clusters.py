"""The views of a cloud: both planes, their clusters, and which points they show."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform
from sklearn.manifold import smacof as reference

from todacomm.clouds.planes_and_clusters import classical, evenly, first_two, smacof, stress, views_of
from todacomm.clouds.prepare import prepare
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud

WHOLE = Recipe(components=None)


def prepared(points, recipe=WHOLE):
    return prepare(PointCloud(np.asarray(points), Address("m", "d", "layer_0")), recipe)


@pytest.fixture
def gaussian(rng):
    return rng.standard_normal((60, 8)) * np.linspace(3, 1, 8)


def blobs(rng, *sizes):
    """Groups of so many points, each within 0.1, on a line at distances 10, 11, 12 …"""
    places = np.cumsum([0, *(10 + i for i in range(len(sizes) - 1))])
    return np.concatenate(
        [rng.uniform(-0.02, 0.02, (n, 2)) + np.array([x, 0]) for n, x in zip(sizes, places, strict=True)]
    )


# Multidimensional scaling


def test_points_of_a_plane_are_shown_as_they_are(rng):
    points = rng.standard_normal((40, 2)) * [3, 1]
    turned = np.linalg.qr(rng.standard_normal((5, 5)))[0][:, :2]
    found = views_of(prepared(points @ turned.T))
    assert found.stress < 1e-6
    assert pdist(found.scaled) == pytest.approx(pdist(points), rel=1e-4)
    assert pdist(found.components) == pytest.approx(pdist(points), rel=1e-9)
    assert found.variance == pytest.approx(1)


def normalised(raw, plane):
    """Kruskal's stress of the sum of squares that scikit-learn gives."""
    return np.sqrt(raw / (pdist(plane) ** 2).sum())


def test_a_step_is_that_of_scikit_learn(gaussian):
    distances, start = prepared(gaussian).distances.astype(float), first_two(gaussian)[0]
    theirs, _ = reference(distances, n_init=1, init=start, max_iter=1, eps=0.0, normalized_stress=False)
    ours, _ = smacof(distances, start, iterations=1)
    assert pdist(ours) == pytest.approx(pdist(theirs), abs=1e-4)


def test_the_stress_is_that_of_scikit_learn_after_many_more_steps(gaussian):
    distances, start = prepared(gaussian).distances.astype(float), first_two(gaussian)[0]
    plane, raw = reference(distances, n_init=1, init=start, max_iter=2000, eps=1e-12, normalized_stress=False)
    best = normalised(raw, plane)
    _, ours = smacof(distances, start)
    assert best == pytest.approx(stress(pdist(gaussian), pdist(plane)), rel=1e-3)
    assert best <= ours <= 1.02 * best
    assert ours < 0.7 * stress(pdist(gaussian), pdist(start))


def test_no_step_raises_the_stress(gaussian):
    distances, start = prepared(gaussian).distances, first_two(gaussian)[0]
    planes = [smacof(distances, start, iterations=k)[0] for k in (0, 1, 2, 3, 5, 8, 13, 21, 34)]
    raw = [float(((pdist(plane) - pdist(gaussian)) ** 2).sum()) for plane in planes]
    assert raw == sorted(raw, reverse=True)
    assert raw[-1] < raw[0] / 2


def test_the_classical_solution_of_euclidean_distances_is_that_of_principal_components(gaussian):
    assert classical(squareform(pdist(gaussian))) == pytest.approx(first_two(gaussian)[0], abs=1e-9)


def test_what_is_scaled_are_the_distances_used(rng):
    """Of points on a half circle about the origin, seen by their angles: 1 - cos is no distance of a plane."""
    angles = rng.uniform(0, np.pi, 50)
    points = np.c_[np.cos(angles), np.sin(angles)] * rng.uniform(1, 9, (50, 1))
    recipe = replace(WHOLE, distance="cosine", centre=False)
    found = views_of(prepared(points, recipe), distance="cosine")
    cosines = 1 - np.cos(angles[:, None] - angles)
    assert found.stress == pytest.approx(stress(squareform(cosines, checks=False), pdist(found.scaled)), rel=1e-4)
    plane, raw = reference(
        cosines, n_init=1, init=classical(cosines), max_iter=1000, eps=1e-12, normalized_stress=False
    )
    assert found.stress == pytest.approx(normalised(raw, plane), rel=0.02)
    assert found.scaled == pytest.approx(smacof(cosines, classical(cosines))[0], abs=1e-3)


def test_a_cloud_is_shown_alike_however_it_is_turned(gaussian, rng):
    first = views_of(prepared(gaussian))
    rotation = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    for other in (views_of(prepared(gaussian @ rotation)), views_of(prepared(-gaussian))):
        assert other.components == pytest.approx(first.components, abs=1e-6)
        assert other.scaled == pytest.approx(first.scaled, abs=0.02)
        assert (other.labels == first.labels).all()


def test_the_components_hold_their_share_of_the_variance(gaussian):
    found = views_of(prepared(gaussian))
    squares = np.linalg.svd(gaussian - gaussian.mean(axis=0), compute_uv=False) ** 2
    assert found.variance == pytest.approx(squares[:2].sum() / squares.sum())
    assert (found.components**2).sum() == pytest.approx(squares[:2].sum())


def test_a_line_and_a_point_are_shown_as_such(rng):
    line = views_of(prepared(rng.standard_normal((20, 1))))
    assert (line.components[:, 1] == 0).all()
    assert line.stress < 1e-6
    one = views_of(prepared(np.ones((20, 4))))
    assert not one.components.any()
    assert not one.scaled.any()
    assert (one.stress, one.clusters.count) == (0, 1)


# Clusters


def test_clusters_are_numbered_by_size_and_the_rest_is_in_none(rng):
    points = np.concatenate([blobs(rng, 4, 20, 10), [[0, 500], [0, -500], [500, 0]]])
    found = views_of(prepared(points)).clusters
    assert (found.count, found.fewest) == (3, 3)
    assert found.labels.tolist() == [2] * 4 + [0] * 20 + [1] * 10 + [-1] * 3


def test_noise_within_clusters_makes_no_more_of_them(rng):
    found = views_of(prepared(blobs(rng, 60, 50, 40))).clusters
    assert found.count == 3
    assert 0 < found.since < 0.04
    assert found.until == pytest.approx(10, abs=0.05)


def test_a_cluster_has_a_fiftieth_of_the_points(rng):
    assert views_of(prepared(blobs(rng, 100, 94, 4))).clusters.count == 3
    assert views_of(prepared(blobs(rng, 100, 97, 4))).clusters.count == 2


def test_of_two_ranges_that_are_as_wide_the_larger_distances_are_taken():
    line = np.cumsum([0.0, 1, 1, 2, 1, 1, 3, 1, 1])[:, None]
    found = views_of(prepared(line)).clusters
    assert (found.count, found.since, found.until) == (2, 2, 3)


def test_evenly_spaced_points_are_one_cluster_at_every_distance():
    found = views_of(prepared(np.arange(30.0)[:, None])).clusters
    assert (found.count, found.since, found.until) == (1, 1, np.inf)
    assert not found.labels.any()


def large_components(cloud, fewest):
    """Merging distance → how many components of so many points there are."""
    found = {}
    for distance in np.unique(cloud.condensed):
        components = connected_components(cloud.distances <= distance)[1]
        found[float(distance)] = int((np.bincount(components) >= fewest).sum())
    return found


def test_the_clusters_stay_as_many_over_no_wider_range(rng):
    for _ in range(12):
        n = int(rng.integers(12, 30))
        points = rng.integers(0, 12, (n, 2)) if rng.random() < 0.5 else rng.standard_normal((n, 2))
        cloud = prepared(points.astype(float))
        found, counts = views_of(cloud).clusters, large_components(cloud, 3)
        changes = [d for i, d in enumerate(counts) if i == 0 or counts[d] != counts[list(counts)[i - 1]]]
        ranges = {(a, b): counts[a] for a, b in pairwise(changes) if counts[a] > 1}
        widest = max(ranges, key=lambda ends: (round(ends[1] - ends[0], 9), ends[0]), default=None)
        if widest is None:
            assert found.count == 1
        else:
            assert ranges[widest] == found.count == found.labels.max() + 1
            assert found.until - found.since >= widest[1] - widest[0]


# Which points


@pytest.mark.parametrize("changes", [{}, {"subsample": 30}, {"landmarks": 12}, {"subsample": 30, "landmarks": 12}])
def test_every_point_knows_its_row(gaussian, changes):
    cloud = prepared(gaussian, Recipe(components=None, centre=False, **changes))
    assert cloud.points == pytest.approx(gaussian[cloud.rows])
    assert len(cloud.rows) == min(changes.values(), default=60)
    one = prepared(np.ones((60, 3)), Recipe(**changes))
    assert len(one.rows) == len(one.points)


def test_of_many_points_some_are_shown_evenly_spaced(gaussian):
    cloud = prepared(gaussian, replace(WHOLE, subsample=50))
    found, whole = views_of(cloud, most=20), views_of(cloud)
    shown = evenly(50, 20)
    assert found.rows.tolist() == cloud.rows[shown].tolist()
    assert (found.components == whole.components[shown]).all()
    assert (found.labels == whole.labels[shown]).all()
    assert found.scaled.shape == (20, 2)
    expected = stress(pdist(gaussian[found.rows]), pdist(found.scaled))
    assert found.stress == pytest.approx(expected, rel=1e-4)
    assert np.diff(evenly(10_000, 1000)).min() >= 10
    assert evenly(10_000, 1000)[[0, -1]].tolist() == [0, 9999]

"""Principal components: what the singular value decomposition gives, sooner."""

import numpy as np
import pytest
import scipy.linalg
from scipy.spatial.distance import pdist

from todacomm.clouds import pca
from todacomm.clouds.pca import project


def by_svd(points, k):
    """The definition: directions of the centred points, each turned so that its largest entry is positive."""
    _, singular, directions = scipy.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    directions = directions[:k]
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])
    return points @ (directions * signs[:, None]).T, (singular[:k] ** 2).sum() / (singular**2).sum()


def decaying(rng, n, d):
    return 3 + rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5


def flat(rng, n, d):
    return rng.normal(size=(n, d))


def massive(times):
    def make(rng, n, d):
        points = rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5
        points[:, d // 2] *= times
        return points

    return make


def repeated(rng, n, d):
    return decaying(rng, n, d)[rng.integers(0, n // 2, n)]


def low_rank(rng, n, d):
    return rng.normal(size=(n, 4)) @ rng.normal(size=(4, d))


CASES = [
    (make, n, d)
    for make in (decaying, flat, massive(1e3), massive(1e6), repeated, low_rank)
    for n, d in ((40, 90), (150, 100), (90, 250), (400, 120), (260, 260), (12, 60))
]


@pytest.mark.parametrize(("make", "n", "d"), CASES, ids=[f"{m.__name__}-{n}x{d}" for m, n, d in CASES])
def test_the_projection_is_that_of_the_singular_values(rng, make, n, d):
    points = make(rng, n, d)
    (ours, share), (theirs, kept) = project(points, 12), by_svd(points, 12)
    scale = np.median(pdist(theirs))
    assert ours.shape == theirs.shape
    assert share == pytest.approx(kept, rel=1e-10)
    np.testing.assert_allclose(pdist(ours), pdist(theirs), rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize(("n", "d"), [(300, 400), (400, 300)])
@pytest.mark.parametrize("times", [1.0, 1e2, 1e4, 1e7])
def test_a_weak_component_beside_a_massive_one_keeps_its_digits(rng, n, d, times):
    points = massive(times)(rng, n, d)
    ours, theirs = project(points, 6)[0], by_svd(points, 6)[0]
    for axis in range(6):
        np.testing.assert_allclose(ours[:, axis], theirs[:, axis], atol=1e-7 * theirs[:, axis].std())


def test_weak_components_are_left_to_the_svd(rng, monkeypatch):
    asked, by_values = [], pca.by_svd
    monkeypatch.setattr(pca, "by_svd", lambda around, k: asked.append(k) or by_values(around, k))
    project(massive(1e3)(rng, 100, 80), 5)
    assert asked == []
    project(massive(1e6)(rng, 100, 80), 5)
    assert asked == [5]


def test_equal_points_stay_equal(rng):
    which = rng.integers(0, 40, 300)
    found = project(decaying(rng, 40, 500)[which], 20)[0]
    for kind in range(40):
        assert len(np.unique(found[which == kind], axis=0)) <= 1


def test_points_are_rotated_and_not_moved(rng):
    points = decaying(rng, 200, 90)
    found = project(points, 10)[0]
    mean = project(points - points.mean(axis=0), 10)[0]
    np.testing.assert_allclose(found - found.mean(axis=0), mean, atol=1e-12)
    assert np.linalg.norm(found.mean(axis=0)) > 1
    centred = points - points.mean(axis=0)
    np.testing.assert_array_equal(project(centred, 10, centred=True)[0], centred @ directions_of(centred, 10).T)


def directions_of(centred, k):
    found = pca.principal(centred, k)[0]
    return found * np.sign(found[np.arange(k), np.abs(found).argmax(axis=1)])[:, None]


def test_directions_are_orthonormal_and_turned(rng):
    for n, d in ((150, 400), (400, 150)):
        centred = decaying(rng, n, d)
        centred -= centred.mean(axis=0)
        directions = directions_of(centred, 9)
        np.testing.assert_allclose(directions @ directions.T, np.eye(9), atol=1e-12)
        assert (directions.max(axis=1) >= -directions.min(axis=1)).all()


def test_no_more_dimensions_than_components_are_left_alone(rng):
    points = rng.normal(size=(30, 8))
    for components in (None, 8, 50):
        found, share = project(points, components)
        assert found is points
        assert share == 1
    assert project(np.zeros((30, 60)), 4)[1] == 1

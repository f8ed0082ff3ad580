"""Theorems that every registered engine must obey."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist

from shapes import distances
from todacomm.core.errors import EngineDisagreement, InvalidInput, UnknownName
from todacomm.core.types import Diagrams
from todacomm.homology.engines import assert_agreement, checked, cross_check, enclosing_radius, engines, persistence

grids = arrays(np.float64, st.tuples(st.integers(3, 12), st.integers(1, 3)), elements=st.integers(0, 4).map(float))


def assert_same(a, b, tolerance=1e-6):
    assert len(a) == len(b)
    np.testing.assert_allclose(a, b, atol=tolerance, rtol=0)


def assert_same_diagrams(a, b, tolerance=1e-6):
    for k in range(a.maxdim + 1):
        assert_same(a.finite[k], b.finite[k], tolerance)
        assert_same(a.essential[k], b.essential[k], tolerance)


def test_h0_deaths_are_the_spanning_tree_edges(engine, rng):
    matrix = distances(rng.normal(size=(80, 7)))
    deaths = persistence(matrix, engine=engine, maxdim=0).finite[0][:, 1]
    heights = linkage(matrix[np.triu_indices(80, 1)], "single")[:, 2]
    np.testing.assert_allclose(deaths, np.sort(heights), rtol=1e-6)


@given(points=grids)
def test_engines_agree_with_the_reference_on_grids_with_ties_and_duplicates(points):
    matrix = distances(points)
    for name in engines:
        found, reference = (persistence(matrix, engine=e, maxdim=2) for e in (name, "ripser"))
        assert_same_diagrams(found, reference)


def test_engines_agree_with_the_reference_on_a_cloud_in_many_dimensions(engine, rng):
    matrix = distances(rng.normal(size=(70, 50)))
    assert_same_diagrams(persistence(matrix, engine=engine, maxdim=2), persistence(matrix, engine="ripser", maxdim=2))


def test_the_order_of_the_points_does_not_matter(engine, rng):
    matrix = distances(rng.normal(size=(40, 4)))
    order = rng.permutation(40)
    assert_same_diagrams(persistence(matrix[np.ix_(order, order)], engine=engine), persistence(matrix, engine=engine))


def test_scaling_the_distances_scales_the_bars(engine, rng):
    matrix = distances(rng.normal(size=(40, 4)))
    scaled = persistence(matrix, engine=engine).scaled(2.0)
    assert_same_diagrams(persistence(2 * matrix, engine=engine), scaled)


def test_duplicated_points_change_nothing(engine, rng):
    points = rng.normal(size=(30, 3))
    doubled = np.concatenate([points, points[:10]])
    assert_same_diagrams(
        persistence(distances(doubled), engine=engine, maxdim=2),
        persistence(distances(points), engine=engine, maxdim=2),
    )


def test_nothing_changes_beyond_the_enclosing_radius(engine, rng):
    matrix = distances(rng.normal(size=(40, 4)))
    assert enclosing_radius(matrix) < matrix.max()
    assert_same_diagrams(
        persistence(matrix, engine=engine), persistence(matrix, engine=engine, threshold=2 * float(matrix.max()))
    )


def test_a_threshold_leaves_essential_classes_and_invents_no_death(engine):
    angle = 2 * np.pi * np.arange(24) / 24
    found = persistence(distances(np.c_[np.cos(angle), np.sin(angle)]), engine=engine, threshold=0.5)
    assert len(found.finite[1]) == 0
    np.testing.assert_allclose(found.essential[1], [2 * np.sin(np.pi / 24)], rtol=1e-6)
    assert len(found.essential[0]) == 1


def test_bottleneck_stability_of_h0(engine, rng):
    """Moving each point by at most e moves each sorted H0 death by at most 2e (Chazal et al. 2009)."""
    points = rng.normal(size=(50, 3))
    nudge = rng.normal(size=points.shape)
    moved = points + 0.01 * nudge / np.linalg.norm(nudge, axis=1, keepdims=True)
    before, after = (persistence(distances(p), engine=engine, maxdim=0).finite[0][:, 1] for p in (points, moved))
    assert np.abs(before - after).max() <= 0.02 + 1e-6


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((3, 4)), r"shape \(3, 4\); expected \(n, n\)"),
        (np.zeros((2, 2)), "at least 3"),
        (np.full((4, 4), np.nan), "16 distances are NaN"),
        (np.ones((4, 4)), "diagonal must be zero"),
        (np.triu(np.ones((4, 4)), 1), r"not symmetric: \[0, 1\] is 1.0 but \[1, 0\] is 0.0"),
    ],
)
def test_a_matrix_that_is_no_distance_matrix_is_refused(matrix, message):
    with pytest.raises(InvalidInput, match=message):
        checked(matrix)


def test_an_unknown_engine_is_named_with_a_suggestion():
    with pytest.raises(UnknownName, match="'ripsr' is not an engine.*Did you mean 'ripser'.*redzed"):
        persistence(np.zeros((3, 3)), engine="ripsr")


def test_disagreement_between_engines_is_an_error(rng):
    matrix = distances(rng.normal(size=(30, 3)))
    found = persistence(matrix)
    longer = Diagrams((found.finite[0], found.finite[1] * 1.001), found.essential)
    assert_agreement(found, found, scale=1.0, where="here")
    with pytest.raises(EngineDisagreement, match="here: two engines differ in dimension 1"):
        assert_agreement(found, longer, scale=1.0, where="here")


def test_the_cross_check_runs_the_engine_that_it_is_told(rng):
    condensed = pdist(rng.normal(size=(30, 3)))

    def halved(found, *, maxdim, threshold):
        return engines["ripser"](found, maxdim=maxdim, threshold=threshold).scaled(0.5)

    cross_check(condensed, engine="redzed", rng=rng, where="here", largest=20)
    engines.add("halved", halved)
    try:
        with pytest.raises(EngineDisagreement):
            cross_check(condensed, engine="halved", rng=rng, where="here")
    finally:
        engines._entries.pop("halved")

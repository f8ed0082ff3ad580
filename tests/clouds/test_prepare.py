"""From a cloud as it came to the distances that are measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from todacomm.clouds.distances import pairwise
from todacomm.clouds.duplicates import distinct
from todacomm.clouds.prepare import prepare, spanning_tree_length
from todacomm.core.errors import InvalidCloud, InvalidInput
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud

HERE = Address("model", "data", "layer_3")
FLOAT32 = 2.0**-23


def prepared(points, **settings):
    return prepare(PointCloud(points, HERE), Recipe(**settings))


def test_projection_keeps_the_share_of_variance_that_an_eigendecomposition_gives(rng):
    points = rng.normal(size=(80, 30)) * np.linspace(3, 0.1, 30)
    eigenvalues = np.linalg.eigvalsh(np.cov(points.T))[::-1]
    facts = prepared(points, components=5).facts
    assert facts.variance_kept == pytest.approx(eigenvalues[:5].sum() / eigenvalues.sum())
    assert facts.components == 5


def test_projection_is_an_isometry_with_enough_components(rng):
    points = rng.normal(size=(20, 100))
    found = prepared(points, components=50)
    np.testing.assert_allclose(found.condensed, pdist(points), rtol=FLOAT32)
    assert found.facts.variance_kept == pytest.approx(1)
    assert "isometry" in found.facts.note


def test_distances_are_those_of_the_points_and_in_float32(rng):
    for settings in ({}, {"components": 5}, {"scale": "median"}, {"scale": "sphere"}, {"centre": False}):
        found = prepared(3 + rng.normal(size=(60, 20)), **settings)
        assert found.condensed.dtype == np.float32
        np.testing.assert_allclose(found.condensed, pdist(found.points), rtol=3 * FLOAT32)
        np.testing.assert_array_equal(found.distances, found.distances.T)


def test_preparing_leaves_the_array_alone(rng):
    points = rng.normal(size=(40, 6))
    before = points.copy()
    for settings in ({"scale": "rms"}, {"centre": False, "scale": "median"}, {"components": 3}, {"landmarks": 10}):
        prepared(points, **settings)
    np.testing.assert_array_equal(points, before)


def test_without_centring_the_points_are_measured_as_they_are(rng):
    points = 5 + rng.normal(size=(40, 6))
    np.testing.assert_array_equal(prepared(points, centre=False).points, points)
    np.testing.assert_allclose(
        prepared(points, centre=False, distance="cosine").condensed, pdist(points, "cosine"), rtol=2 * FLOAT32
    )


def test_no_projection_with_components_none(rng):
    points = rng.normal(size=(60, 80))
    assert prepared(points, components=None).facts.components == 80


@pytest.mark.parametrize("scale", ["none", "median", "rms", "sphere"])
def test_scale_sets_the_unit(rng, scale):
    found = prepared(5 + 3 * rng.normal(size=(60, 8)), scale=scale)
    if scale == "median":
        assert np.median(found.condensed) == pytest.approx(1)
    if scale == "rms":
        assert np.sqrt((found.condensed**2).mean()) == pytest.approx(1)
    if scale == "sphere":
        np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), 1)
    if scale == "none":
        assert np.median(found.condensed) == pytest.approx(found.facts.scale)


def test_scale_free_recipes_do_not_see_a_factor(rng):
    points = rng.normal(size=(40, 6))
    for scale in ("median", "rms", "sphere"):
        np.testing.assert_allclose(
            prepared(points, scale=scale).condensed, prepared(50 * points, scale=scale).condensed, rtol=4 * FLOAT32
        )


def test_cosine_distance_is_that_of_the_centred_points(rng):
    points = rng.normal(size=(30, 6)) + 9
    centred = points - points.mean(axis=0)
    np.testing.assert_allclose(
        prepared(points, distance="cosine").condensed, pdist(centred, "cosine"), rtol=2 * FLOAT32
    )


def test_distinct_points_are_counted_through_float32_rounding(rng):
    kinds = 100 + rng.normal(size=(7, 20))
    points = kinds[rng.permutation(np.arange(70) % 7)]
    noise = 1 + np.finfo(np.float32).eps * rng.choice([-1, 0, 1], size=points.shape)
    found = prepared((points * noise).astype(np.float32))
    assert found.facts.distinct_points == 7
    assert len(found.first_of_each_kind()) == 7
    assert "7 distinct points of 70" in found.facts.doubtful


@pytest.mark.parametrize(("dtype", "value"), [(np.float32, 1e8), (np.float64, 1e16), (np.float16, 6e4)])
def test_a_coordinate_that_never_changes_changes_nothing(rng, dtype, value):
    points = rng.normal(size=(40, 6)).astype(dtype)
    wide = np.c_[points, np.full(40, value, dtype)]
    less, more = (prepared(array, components=None) for array in (points, wide))
    assert less.facts.distinct_points == more.facts.distinct_points == 40
    np.testing.assert_array_equal(less.condensed, more.condensed)


def test_half_precision_is_measured_as_the_numbers_that_it_holds(rng):
    half = rng.normal(size=(30, 5)).astype(np.float16)
    np.testing.assert_array_equal(prepared(half).condensed, prepared(half.astype(np.float32)).condensed)
    assert prepared(half).facts.distinct_points == 30


@pytest.mark.parametrize("exponent", [-1060, -1000, 900])
def test_a_cloud_of_denormal_or_huge_numbers_has_the_shape_of_its_numbers(rng, exponent):
    points = np.ldexp(rng.integers(-1000, 1000, size=(30, 4)).astype(float), exponent)
    near = points * 2.0**-500 * 2.0**-400 if exponent > 0 else points * 2.0**1000
    near = np.ldexp(near, 0 if exponent > 0 else -exponent - 1000)
    found, expected = prepared(points), prepared(near)
    np.testing.assert_allclose(found.condensed / found.median_distance, expected.condensed / expected.median_distance,
                               rtol=3 * FLOAT32)  # fmt: skip
    assert found.facts.distinct_points == expected.facts.distinct_points


def test_points_that_are_close_but_different_are_counted_apart(rng):
    points = np.repeat(rng.normal(size=(10, 5)), 2, axis=0)
    points[1::2] += 1e-4
    assert prepared(points).facts.distinct_points == 20


def by_single_linkage(points, within):
    """The definition: chains of steps no longer than ``within``."""
    return fcluster(linkage(pdist(points), "single"), within, criterion="distance")


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 60), k=st.integers(1, 4), steps=st.sampled_from([0.05, 0.3, 1]))
def test_distinct_points_are_the_clusters_of_single_linkage(seed, n, k, steps):
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal(size=(n, k)), np.cumsum(steps * rng.normal(size=(n, k)), axis=0)])
    points = points[rng.integers(0, len(points), len(points))]
    at = float(np.quantile(pdist(points), rng.uniform(0, 0.2)))
    within = at * (1 + 1e-9)  # beside the distance that it may be, where the last bit would decide
    found = distinct(pairwise(points), points, within=within)
    expected = by_single_linkage(points, within)
    assert len(set(zip(found.tolist(), expected.tolist(), strict=True))) == found.max() == expected.max()
    first = np.unique(found, return_index=True)[1]
    assert (np.diff(first) > 0).all()


def test_a_step_at_the_limit_is_decided_in_float64():
    """Where float32 does not tell a distance from the limit."""
    limit = 1 + 2.0**-40
    for last, kinds in ((1.0, 2), (limit, 2), (1 + 2.0**-39, 3)):
        points = np.array([[0.0], [last], [9.0]])
        assert distinct(pairwise(points), points, within=limit).max() == kinds


def test_kinds_are_joined_across_parts_of_the_distances(rng, monkeypatch):
    monkeypatch.setattr("todacomm.clouds.duplicates.CHUNK", 7)
    chain = rng.permutation(30)[:, None] * 1.0
    points = np.concatenate([chain, 100 + chain])
    assert distinct(pairwise(points), points, within=1.0).max() == 2
    assert distinct(pairwise(points), points, within=0.9).max() == 60


def test_one_point_many_times_is_undefined(rng):
    found = prepared(np.tile(rng.normal(size=(1, 9)), (50, 1)).astype(np.float32))
    assert found.facts.distinct_points == 1
    assert found.facts.undefined == "1 distinct point of 50"
    assert found.facts.variance_kept == 1
    assert prepared(np.ones((5, 2)), distance="cosine", scale="sphere").facts.distinct_points == 1


def test_a_massive_dimension_is_a_doubt(rng):
    points = rng.normal(size=(60, 20))
    assert prepared(points).facts.doubtful == ""
    points[:, 3] *= 30
    assert "one dimension holds" in prepared(points).facts.doubtful


def test_a_restriction_has_the_distances_of_its_points(rng):
    points = rng.normal(size=(25, 3))
    chosen = np.array([2, 7, 8, 19, 24])
    np.testing.assert_allclose(prepared(points).restricted(chosen), pdist(points[chosen]), rtol=FLOAT32)


def test_a_subsample_is_drawn_by_seed_without_replacement(rng):
    points = rng.normal(size=(50, 4))
    first, again, other = (prepared(points, subsample=20, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.points, again.points)
    assert not np.array_equal(first.points, other.points)
    assert first.facts.distinct_points == 20
    with pytest.raises(InvalidInput, match="subsample of 51 points was asked for, but there are 50"):
        prepared(points, subsample=51)


def test_spanning_tree_of_points_on_a_line():
    assert spanning_tree_length(pdist(np.array([[0.0], [1.0], [3.0], [7.0]]))) == 7


@pytest.mark.parametrize("settings", [{"scale": "sphere"}, {"distance": "cosine"}])
def test_a_point_at_the_centre_is_refused_where_it_has_no_direction(settings):
    points = np.array([[-1.0, 0], [1, 0], [0, 0]])
    with pytest.raises(InvalidCloud, match="1 points stand at the centre"):
        prepared(points, **settings)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros(5), r"expected numbers of shape \(n points, d features\), found shape \(5,\)"),
        (np.zeros((2, 5)), "2 points in 5 dimensions; a point cloud needs at least 3"),
        (np.array([["a", "b"]] * 4), "found shape .* of type <U1"),
        (np.array([[1.0, np.nan], [0, 1], [np.inf, 0], [1, 1]]), "layer_3: 2 of 4 points hold NaN or infinity"),
        (1e307 * np.eye(4), r"coordinates up to 1e\+307; sums of distances beyond 1e\+302 leave float64"),
    ],
)
def test_an_array_that_is_no_cloud_is_refused(points, message):
    with pytest.raises(InvalidCloud, match=message):
        PointCloud(points, HERE)


def test_a_cloud_is_read_only_and_the_callers_array_is_not(rng):
    array = rng.normal(size=(5, 2))
    cloud = PointCloud(array, HERE)
    with pytest.raises(ValueError, match="read-only"):
        cloud.points[0, 0] = 1
    array[0, 0] = 1

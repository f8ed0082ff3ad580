"""Points to condensed distances: right to the last place of float32 on every cloud, in the memory of the result."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from todacomm.clouds import distances
from todacomm.clouds.distances import EUCLIDEAN, angular, blocked, median, pairwise, rms, rows_and_columns, unit_rows
from todacomm.core.errors import InvalidInput, UnknownName

LAST_PLACE = 2.0**-23


def offset(rng, n, k):
    return 1e4 + rng.normal(size=(n, k))


def near_duplicates(rng, n, k):
    return rng.normal(size=(n, k))[rng.integers(0, 1 + n // 2, n)] + 1e-6 * rng.normal(size=(n, k))


def far_near_duplicates(rng, n, k):
    return 1e4 + near_duplicates(rng, n, k)


def duplicates(rng, n, k):
    return rng.normal(size=(n, k))[rng.integers(0, 1 + n // 2, n)] + 7


def massive_dimension(rng, n, k):
    points = rng.normal(size=(n, k))
    points[:, 0] *= 1000
    return points


def one_far_point(rng, n, k):
    points = rng.normal(size=(n, k))
    points[-1] *= 1e6
    return points


def two_tight_clusters(rng, n, k):
    """Distances within a cluster about where the product begins to be too coarse for them."""
    points = 10.0 ** rng.uniform(-6, -1) * rng.normal(size=(n, k))
    points[::2] += 1
    return points


def grid(rng, n, k):
    return rng.integers(0, 5, (n, k)).astype(float)


def float32(rng, n, k):
    return (3 + rng.normal(size=(n, k))).astype(np.float32)


CLOUDS = [
    offset, near_duplicates, far_near_duplicates, duplicates, massive_dimension, one_far_point, two_tight_clusters,
        grid,
    float32,
]  # fmt: skip
seeds = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(2, 70), st.integers(1, 60))


def assert_right(found, exact):
    """Within one unit in the last place of float32, and 0 where the exact distance is 0."""
    assert found.dtype == np.float32
    assert found.shape == exact.shape
    assert (np.abs(found - exact) <= LAST_PLACE * exact).all()


@given(make=st.sampled_from(CLOUDS), seed=seeds, size=sizes)
def test_every_distance_is_right_to_the_last_place(make, seed, size):
    points = make(np.random.default_rng(seed), *size)
    exact = pdist(points.astype(np.float64))
    assert_right(pairwise(points), exact)
    assert_right(blocked(points.astype(np.float64), EUCLIDEAN), exact)


@given(make=st.sampled_from(CLOUDS), seed=seeds, size=sizes, block=st.integers(1, 80))
def test_neither_the_size_of_a_block_nor_the_order_of_the_points_matters(make, seed, size, block):
    rng = np.random.default_rng(seed)
    points = make(rng, *size).astype(np.float64)
    order = rng.permutation(len(points))
    whole = squareform(blocked(points, EUCLIDEAN))
    np.testing.assert_allclose(squareform(blocked(points, EUCLIDEAN, block=block)), whole, rtol=2 * LAST_PLACE)
    np.testing.assert_allclose(
        squareform(blocked(points[order], EUCLIDEAN)), whole[np.ix_(order, order)], rtol=2 * LAST_PLACE
    )


def test_equal_distances_of_a_grid_stay_equal(rng):
    points = rng.integers(0, 6, (300, 20)).astype(float)
    np.testing.assert_array_equal(pairwise(points), np.sqrt(pdist(points, "sqeuclidean").astype(np.float32)))


def test_many_points_of_few_kinds(rng):
    points = rng.normal(size=(40, 50))[rng.integers(0, 40, 700)] + 3
    assert_right(pairwise(points), pdist(points))


@pytest.mark.parametrize("power", [-60, -25, -15, 15, 25, 37])
def test_points_of_any_size(rng, power):
    points = 10.0**power * rng.normal(size=(200, 30))
    exact = pdist(points)
    normal = exact > np.finfo(np.float32).tiny
    np.testing.assert_allclose(pairwise(points)[normal], exact[normal], rtol=LAST_PLACE)
    assert normal.all() == (power > -40)


@pytest.mark.parametrize("power", [-25, -13, 13, 30])
def test_an_offset_that_dwarfs_the_distances(rng, power):
    """Their size is what counts, not how far the points are from the origin."""
    points = 10.0**power * (1 + 2.0**-40 * rng.integers(0, 99, (150, 60)))
    assert_right(pairwise(points), pdist(points))


@given(seed=seeds, size=sizes, block=st.integers(1, 80))
def test_the_cosine_distance_keeps_its_digits_at_small_angles(seed, size, block):
    rng = np.random.default_rng(seed)
    n, k = size
    points = rng.normal(size=(n, k))[rng.integers(0, 1 + n // 3, n)] * rng.uniform(0.5, 2, (n, 1))
    points += 10.0 ** rng.uniform(-6, 0) * rng.normal(size=(n, k))
    exact = pdist(unit_rows(points), "sqeuclidean") / 2
    tiny = exact < 1e-20
    found = blocked(unit_rows(points), angular(k), block=block)
    np.testing.assert_allclose(found[~tiny], exact[~tiny], rtol=LAST_PLACE)
    np.testing.assert_allclose(found, pdist(points, "cosine"), atol=1e-6)
    assert (found[tiny] <= 1e-20).all()


def test_vectors_of_one_direction_are_at_cosine_distance_zero(rng):
    points = np.outer(rng.uniform(0.1, 9, 50), rng.normal(size=30))
    assert not pairwise(points, "cosine").any()
    assert pairwise(np.eye(3), "cosine").tolist() == [1, 1, 1]
    assert pairwise(np.array([[1.0, 0], [-3, 0]]), "cosine").tolist() == [2]


def test_an_offset_leaves_nothing_to_measure_again(rng, monkeypatch):
    monkeypatch.setattr("todacomm.clouds.distances.finish", counted := Counter(distances.finish))
    pairwise(1e4 + rng.normal(size=(400, 50)))
    assert counted.below_limit == 0
    pairwise(np.repeat(rng.normal(size=(200, 50)), 2, axis=0))
    assert counted.below_limit == 200


class Counter:
    """Counts the squared distances that the product does not tell from rounding."""

    def __init__(self, finish):
        self.finish, self.below_limit = finish, 0

    def __call__(self, found, points, measure, *, rows, limit):
        self.below_limit += int((found < limit).sum())
        self.finish(found, points, measure, rows=rows, limit=limit)


def test_memory_is_that_of_the_result_and_a_block(rng):
    n, k = 3000, 50
    points = rng.normal(size=(n, k))
    pairwise(points[:200])
    tracemalloc.start()
    found = pairwise(points)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < found.nbytes + points.nbytes + 128 * 8 * n * 1.5 + 1e6


@pytest.mark.parametrize("power", [-307, -300, -200, -39, 39, 154, 300, 307])
def test_distances_beyond_float32_keep_its_digits(rng, power):
    for n, k in ((40, 2), (200, 30)):
        points = rng.normal(size=(n, k))
        found, near = pairwise(np.ldexp(points, round(power * np.log2(10)))), pairwise(points)
        np.testing.assert_array_equal(found, np.ldexp(near.astype(np.float64), round(power * np.log2(10))))
        assert rms(found) == pytest.approx(np.ldexp(rms(near), round(power * np.log2(10))))


def test_an_offset_at_the_end_of_float64_does_not_matter(rng):
    points = np.c_[rng.normal(size=(300, 30)), np.full(300, 1.7e308)]
    assert_right(pairwise(points), pdist(points[:, :-1]))
    assert not pairwise(np.full((300, 30), -1.7e308)).any()


@pytest.mark.parametrize("power", [-300, -160, 160, 300])
def test_angles_do_not_depend_on_the_size_of_either_point(rng, power):
    points = rng.normal(size=(30, 4))
    apart = points * np.where(np.arange(30) % 3, 1.0, 10.0**power)[:, None]
    np.testing.assert_allclose(pairwise(apart, "cosine"), pairwise(points, "cosine"), rtol=1e-6)


def test_few_points_and_many_dimensions(rng):
    assert pairwise(rng.normal(size=(1, 5))).shape == (0,)
    points = rng.normal(size=(2, 9000))
    assert_right(pairwise(points), pdist(points))
    assert_right(pairwise(np.array([[0], [3], [7]])), np.array([3.0, 7.0, 4.0]))


@pytest.mark.parametrize(
    ("points", "distance", "message"),
    [
        (np.zeros(5), "euclidean", r"shape \(n points, k dimensions\), found shape \(5,\)"),
        (np.zeros((5, 0)), "euclidean", r"found shape \(5, 0\)"),
        (np.array([["a"]]), "euclidean", "type <U1"),
        (np.array([[0, np.nan], [np.inf, 1], [2, 2]]), "euclidean", "2 of 3 points hold NaN or infinity"),
        (np.array([[0, 1.7e308], [0.0, -1.7e308], [1, 1]]), "euclidean", "distances are beyond float64"),
        (np.array([[0, 1j]]), "euclidean", "type complex128"),
        (np.array([[0.0, 1], [0, 0], [1, 1]]), "cosine", "1 points stand at the origin"),
    ],
)
def test_what_has_no_distances_is_refused(points, distance, message):
    with pytest.raises(InvalidInput, match=message):
        pairwise(points, distance)


def test_an_unknown_distance_is_named():
    with pytest.raises(UnknownName, match="'cosin' is not a distance.*Did you mean 'cosine'"):
        pairwise(np.eye(3), "cosin")


# Condensed vectors


@pytest.mark.parametrize("n", [3, 4, 127, 129, 260])
def test_pairs_are_found_again(n):
    i, j = rows_and_columns(np.arange(n * (n - 1) // 2), n)
    np.testing.assert_array_equal((i, j), np.triu_indices(n, 1))


@given(seed=seeds, n=st.integers(1, 50))
def test_the_median_is_the_mean_of_the_middle_two(seed, n):
    distances = np.random.default_rng(seed).uniform(size=n).astype(np.float32)
    assert median(distances) == np.median(distances.astype(np.float64))
    assert distances.dtype == np.float32


@pytest.mark.parametrize("n", [2001, 2002])
def test_the_median_of_many_is_found_by_a_sample_and_exact(rng, n):
    distances = rng.normal(size=n * 1000).astype(np.float32)
    for many in (distances, np.sort(distances), np.round(distances), np.zeros_like(distances)):
        assert median(many) == np.median(many.astype(np.float64))
    misled = distances + 100
    misled[:: len(misled) // 2**16] = 0  # all that the sample sees
    assert median(misled) == np.median(misled.astype(np.float64))


def test_the_rms_is_summed_in_float64(rng):
    distances = rng.uniform(size=600_000).astype(np.float32)
    assert rms(distances) == pytest.approx(np.sqrt((distances.astype(np.float64) ** 2).mean()), rel=1e-14)

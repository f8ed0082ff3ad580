"""Distances that are given: rounding is taken, all else is refused with value, place and remedy; limits and units."""

import warnings

import numpy as np
import pytest
import torch
from ripser import ripser
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.metrics import pairwise_distances

import todacomm as td
from todacomm.clouds.distance_matrices import compact, points_among
from todacomm.clouds.planes_and_clusters import views_of
from todacomm.clouds.prepare import prepare
from todacomm.core.diagrams import by_birth_and_death
from todacomm.core.errors import InvalidCloud, InvalidInput
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud
from todacomm.homology import bitlink
from todacomm.homology.engines import persistence

SQUARE = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
HERE = Address("model", "data", "layer_3")
SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def points(dtype=np.float64, n=60, d=40):
    return np.random.default_rng(3).normal(size=(n, d)).astype(dtype)


def units(dtype=np.float64):
    x = points(dtype)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


WAYS = {
    "scipy cosine": lambda: cdist(points(), points(), "cosine"),
    "scipy correlation": lambda: cdist(points(), points(), "correlation"),
    "scikit-learn euclidean": lambda: pairwise_distances(points()),
    "scikit-learn euclidean in single precision": lambda: pairwise_distances(points(np.float32)),
    "scikit-learn cosine": lambda: pairwise_distances(points(), metric="cosine"),
    "scikit-learn correlation": lambda: pairwise_distances(points(), metric="correlation"),
    "one less the products": lambda: 1 - units() @ units().T,
    "the same in single precision": lambda: 1 - units(np.float32) @ units(np.float32).T,
    "one less correlations": lambda: 1 - np.corrcoef(points()),
    "roots of squares": lambda: np.sqrt(np.maximum(2 - 2 * units() @ units().T, 0)) ** 2,
    "torch by differences": lambda: torch.cdist(
        torch.tensor(points()), torch.tensor(points()), compute_mode="donot_use_mm_for_euclid_dist"
    ),
    "torch cosine": lambda: (
        1 - torch.nn.functional.cosine_similarity(torch.tensor(points())[:, None], torch.tensor(points())[None], dim=2)
    ),
    "a mean of two directions": lambda: (cdist(points(), points()) + cdist(points(), points()).T) / 2,
}


@pytest.mark.parametrize("way", WAYS)
def test_common_ways_to_distances_are_taken_without_a_word(way):
    matrix = WAYS[way]()
    even = np.asarray(matrix).astype(np.float64)
    even = np.maximum((even + even.T) / 2, 0)
    np.fill_diagonal(even, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = td.rips(matrix, metric="precomputed")
        np.testing.assert_array_equal(persistence(matrix).finite[0], found[0][:-1])
    for ours, theirs in zip(found, td.rips(even, metric="precomputed"), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("noise", [1e-9, 1e-7, 5e-6])
@pytest.mark.parametrize("where", ["diagonal", "symmetry", "below zero"])
def test_more_than_rounding_is_evened_out_with_one_warning(noise, where):
    matrix = squareform(pdist(points()))
    expected = td.rips(matrix, metric="precomputed")
    size = noise * matrix.max()
    if where == "diagonal":
        matrix[5, 5] = -size
    elif where == "symmetry":
        matrix[2, 7] += size
    else:
        matrix[2, 7] = matrix[7, 2] = -size
    with pytest.warns(UserWarning, match="made symmetric") as told:
        found = td.rips(matrix, metric="precomputed")
    assert len(told) == 1
    if where != "below zero":
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=size + 1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({(5, 5): 0.1}, r"diagonal must be zero: \[5, 5\] is 0.1, and the largest.*fill_diagonal"),
        ({(2, 7): 9.0}, r"not symmetric: \[2, 7\] is 9.0 but \[7, 2\] is \d.*\(D \+ D.T\) / 2"),
        ({(2, 7): -1.0, (7, 2): -1.0}, r"1 distances are negative, the least is -1 at \[2, 7\]"),
        ({(2, 7): np.nan, (7, 2): np.nan}, r"1 distances are NaN, the first at \[2, 7\]"),
        ({(4, 4): np.nan}, r"1 distances are NaN, the first at \[4, 4\]"),
        ({(4, 4): np.inf}, r"diagonal must be zero: \[4, 4\] is inf"),
        ({(2, 7): np.inf}, r"not symmetric: \[2, 7\] is inf"),
        ({(2, 7): -np.inf, (7, 2): -np.inf}, r"negative, the least is -inf at \[2, 7\]"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_no_rounding_is_refused_with_value_place_and_remedy(change, message, dtype):
    matrix = squareform(pdist(points())).astype(dtype)
    for place, value in change.items():
        matrix[place] = value
    with pytest.raises(InvalidInput, match=message.replace("0.1,", r"0\.1\d*,")):
        td.rips(matrix, metric="precomputed")


def test_similarities_are_no_distances():
    with pytest.raises(InvalidInput, match="diagonal must be zero: .*similarities are no distances"):
        td.rips(units() @ units().T, metric="precomputed")


@pytest.mark.parametrize("n", [1, 2, 3, 31, 32, 33, 64, 65, 130])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_pass_writes_what_scipy_writes(n, dtype):
    matrix = squareform(np.random.default_rng(n).random(n * (n - 1) // 2)).astype(dtype)
    for given in (
        matrix,
        np.asfortranarray(matrix),
        np.broadcast_to(matrix, matrix.shape),
        np.pad(matrix, 1)[1:-1, 1:-1],
    ):
        for precision in (SINGLE, DOUBLE):
            found = bitlink.condense(given, precision)
            assert found.dtype == precision
            np.testing.assert_array_equal(found, squareform(matrix).astype(precision))


@pytest.mark.parametrize(
    ("place", "value"),
    [((3, 40), 9.0), ((40, 3), 9.0), ((7, 7), 1e-9), ((3, 40), np.nan), ((39, 39), np.nan), ((0, 0), -0.0)],
)
def test_one_pass_sees_what_is_not_even(place, value):
    matrix = squareform(pdist(points()))
    matrix[place] = value
    assert bitlink.condense(matrix, SINGLE) is None


@pytest.mark.parametrize("value", [-1.0, np.inf, -np.inf, np.nan, 1e39, -0.0])
def test_one_pass_sees_what_is_no_length(value):
    matrix = squareform(pdist(points()))
    matrix[3, 40] = matrix[40, 3] = value
    assert bitlink.condense(matrix, SINGLE) is None


def test_pairs_are_told_from_other_numbers():
    assert [points_among(k) for k in range(8)] == [1, 2, 0, 3, 0, 0, 4, 0]
    assert points_among(2**15 * (2**16 - 1)) == 2**16


# Limits


@pytest.mark.parametrize("t", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_an_edge_as_long_as_the_limit_is_there(t):
    rng = np.random.default_rng(round(10 * t))
    pair = np.array([[0, t], [t, 0]])
    np.testing.assert_allclose(td.rips(pair, metric="precomputed", threshold=t)[0], [[0, t], [0, np.inf]], rtol=1e-7)
    clusters, loops = td.rips(t * SQUARE, threshold=t)
    assert (len(clusters), len(loops)) == (4, 1)
    assert np.isinf(clusters[:, 1]).sum() == 1
    for grid in (rng.integers(1, 10, 45) / 10, rng.integers(1, 10, 45) * 0.1, np.round(rng.random(45), 1)):
        matrix = squareform(grid)
        expected = [len(bars) for bars in ripser(matrix, distance_matrix=True, thresh=t)["dgms"]]
        for precision in ("float32", "float64"):
            found = td.rips(matrix, metric="precomputed", threshold=t, precision=precision)
            assert [len(bars) for bars in found] == expected
        for engine in ("bitlink", "redzed", "ripser"):
            found = persistence(matrix, engine=engine, threshold=t)
            lengths = [len(a) + len(e) for a, e in zip(found.finite, found.essential, strict=True)]
            assert lengths == expected, engine


def test_the_limit_keeps_the_precision_that_is_asked_for():
    pair = np.array([[0, 1 + 1e-9], [1 + 1e-9, 0]])
    assert len(td.rips(pair, metric="precomputed", threshold=1.0, precision="float64")[0]) == 2
    assert np.isinf(td.rips(pair, metric="precomputed", threshold=1.0, precision="float64")[0]).sum() == 2
    assert np.isinf(td.rips(pair, metric="precomputed", threshold=1.0)[0]).sum() == 1


def test_a_limit_of_a_recipe_is_that_of_the_distances():
    found = td.measure(0.1 * SQUARE, threshold=0.1, null_draws=0, resamples=0).measurements[0].diagrams
    assert len(found.finite[0]) == 3
    assert len(found.essential[1]) == 1


# Any unit


@pytest.mark.parametrize("power", [-300, -154, -50, -39, -20, 20, 38, 39, 154, 300])
@pytest.mark.parametrize("engine", ["bitlink", "redzed", "ripser"])
def test_the_unit_of_the_distances_is_free(power, engine):
    """A square has one loop, from its side to its diagonal."""
    unit = 10.0**power
    matrix = squareform(pdist(SQUARE))
    found = persistence(unit * matrix, engine=engine)
    np.testing.assert_allclose(found.finite[0], [[0, unit]] * 3, rtol=1e-6)
    np.testing.assert_allclose(found.finite[1], [[unit, np.sqrt(2) * unit]], rtol=1e-6)
    limited = persistence(unit * matrix, engine=engine, threshold=1.2 * unit)
    np.testing.assert_allclose(limited.essential[1], [unit], rtol=1e-6)


@pytest.mark.parametrize("power", [-300, -154, -50, -39, 39, 154, 300])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_unit_of_points_and_of_matrices_is_free(power, precision):
    cloud = np.random.default_rng(1).normal(size=(40, 3))
    unit = 2.0 ** round(power * np.log2(10))
    for near, far, metric in (
        (cloud, unit * cloud, "euclidean"),
        (squareform(pdist(cloud)), unit * squareform(pdist(cloud)), "precomputed"),
        (pdist(cloud), unit * pdist(cloud), "precomputed"),
    ):
        for a, b in zip(
            td.rips(near, metric=metric, precision=precision),
            td.rips(far, metric=metric, precision=precision),
            strict=True,
        ):
            np.testing.assert_array_equal(b, a * unit)


@pytest.mark.parametrize("power", [-300, -154, -50, 50, 154, 300])
@pytest.mark.parametrize("settings", [{}, {"scale": "median"}, {"scale": "rms"}, {"landmarks": 20}, {"components": 2}])
def test_the_unit_of_a_measured_cloud_is_free(power, settings):
    cloud = np.random.default_rng(1).normal(size=(40, 3)) + 5
    unit = 2.0 ** round(power * np.log2(10))
    near, far = (td.measure(u * cloud, null_draws=0, resamples=0, **settings) for u in (1.0, unit))
    scaled = settings.get("scale") is None
    lengths = {"scale", "rms_distance", "norm", "covering_radius", "bar_error"}
    for name in near.names:
        length = name in lengths or (
            scaled
            and any(part in name for part in ("total", "max", "mean", "norm", "birth_of"))
            and "scaled" not in name
        )
        expected = near[name] * (unit if length else 1)
        np.testing.assert_allclose(far[name], expected, rtol=1e-9, err_msg=name)
    assert far.measurements[0].facts.doubtful == near.measurements[0].facts.doubtful


@pytest.mark.parametrize("power", [-300, 154, 300])
def test_intervals_and_tests_do_not_depend_on_the_unit(power):
    cloud = np.random.default_rng(1).normal(size=(40, 3))
    unit = 2.0 ** round(power * np.log2(10))
    near, far = (td.measure(u * cloud, null_draws=19, resamples=20).claims for u in (1.0, unit))
    for name in ("H0_total_persistence", "H1_max_lifetime", "scale"):
        a, b = (claims.intervals["cloud"][name] for claims in (near, far))
        assert (b.low / unit, b.high / unit) == pytest.approx((a.low, a.high), rel=1e-9), name
    for name in ("H0_entropy", "H1_total_persistence_scaled"):
        a, b = (claims.intervals["cloud"][name] for claims in (near, far))
        assert (b.low, b.high) == pytest.approx((a.low, a.high), rel=1e-9), name
    for name, test in near.tests["gaussian"]["cloud"].items():
        other = far.tests["gaussian"]["cloud"][name]
        assert (other.p, other.family_wise) == (test.p, test.family_wise), name


def test_distances_within_float32_stay_there_and_others_keep_its_digits():
    lengths = np.array([1.0, 1 / 3, 0.0])
    assert compact(lengths).dtype == np.float32
    assert compact(1e-30 * lengths).dtype == np.float32
    for unit in (2.0**200, 2.0**-200, 2.0**-1000):
        np.testing.assert_array_equal(compact(unit * lengths), unit * lengths.astype(np.float32).astype(np.float64))


# Given to measure


def test_measured_distances_give_what_their_points_give():
    cloud = points(d=3)
    of_points = td.measure(cloud, null_draws=0)
    of_distances = td.measure(squareform(pdist(cloud)), distance="precomputed", null_draws=0)
    for name in of_points.measurements[0].summary:
        np.testing.assert_allclose(of_distances[name], of_points[name], rtol=1e-6, err_msg=name)
    layer = of_points.layers[0]
    ours, theirs = (p.claims.intervals[layer]["H0_total_persistence"] for p in (of_distances, of_points))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-6)
    assert of_distances["distinct_points"] == 60
    assert of_distances.recipe.components is None


def test_measured_distances_have_no_gaussian_null_and_say_so():
    found = td.measure(squareform(pdist(points(d=3))), distance="precomputed", null_draws=19, resamples=0)
    test = found.claims.tests["gaussian"]["cloud"]["H1_max_lifetime"]
    assert test.p is None
    assert "distances were given" in test.note


def test_copies_landmarks_and_subsamples_of_measured_distances():
    cloud = points(d=3)
    matrix = squareform(pdist(np.concatenate([cloud, cloud[:9]])))
    quick = {"distance": "precomputed", "null_draws": 0, "resamples": 0}
    found, alone = td.measure(matrix, **quick), td.measure(matrix[:60, :60], **quick)
    assert (found["points"], found["distinct_points"]) == (69, 60)
    for name in found.measurements[0].summary:
        np.testing.assert_array_equal(found[name], alone[name])
    thinned = td.measure(matrix, landmarks=20, **quick)
    assert (thinned["points"], thinned["landmarks_of"]) == (20, 69)
    assert td.measure(matrix, subsample=30, **quick)["points"] == 30


@pytest.mark.parametrize(
    ("matrix", "settings", "message"),
    [
        (np.ones((4, 3)), {}, r"array/arrays/cloud: distances of shape \(4, 3\); expected \(n, n\)"),
        (np.ones((4, 4)), {}, "array/arrays/cloud: .*diagonal must be zero"),
        (np.zeros((4, 4)), {"scale": "sphere"}, "no sphere"),
        (np.zeros((4, 4)), {}, "all 4 points are equal"),
    ],
)
def test_what_are_no_distances_to_measure_is_refused(matrix, settings, message):
    with pytest.raises(InvalidInput, match=message):
        td.measure(matrix, distance="precomputed", null_draws=0, resamples=0, **settings)
    assert issubclass(InvalidCloud, InvalidInput)


def test_measured_distances_with_rounding_get_one_warning():
    matrix = squareform(pdist(points(d=3)))
    matrix[2, 7] += 1e-6
    with pytest.warns(UserWarning, match="made symmetric") as told:
        td.measure(matrix, distance="precomputed", null_draws=0)
    assert len(told) == 1


def test_the_command_line_measures_distances_and_says_what_they_lack(todacomm, tmp_path):
    matrix = squareform(pdist(points(d=3)))
    matrix[2, 7] += 1e-6
    np.save(tmp_path / "d.npy", matrix)
    code, out, err = todacomm("measure", "d.npy", "--distance", "precomputed", "--output", "kept", "--null-draws", 19)
    assert code == 0
    assert err.count("made symmetric") == 1
    assert "H0" in out
    text = (tmp_path / "kept" / "tda_interpretation.md").read_text(encoding="utf-8")
    for sentence in ("given by their distances", "Nothing is tested against Gaussian clouds", "nothing was projected"):
        assert sentence in text
    assert "is tested against Gaussian" not in text.replace("Nothing is tested against Gaussian", "")
    assert " 0 dimensions" not in text
    code, _, err = todacomm("measure", "d.npy", "--resamples", 0, "--null-draws", 0)
    assert code == 0
    assert "look like a matrix of distances" in err
    np.save(tmp_path / "x.npy", points(d=3))
    code, _, err = todacomm("measure", "x.npy", "--distance", "precomputed")
    assert code == 2
    assert "(60, 3); expected (n, n)" in " ".join(err.split())


def test_a_page_shows_measured_distances_by_their_classical_planes():
    cloud = points(d=3)
    given, of_points = (
        views_of(prepare(PointCloud(x, HERE), Recipe(distance=d)), distance=d)
        for x, d in ((squareform(pdist(cloud)), "precomputed"), (cloud, "euclidean"))
    )
    np.testing.assert_allclose(pdist(given.components), pdist(of_points.components), rtol=1e-3, atol=1e-4)
    assert given.variance == pytest.approx(of_points.variance, rel=1e-4)
    assert given.clusters.count == of_points.clusters.count


@pytest.mark.parametrize("n", [1, 2, 5, 8, 9, 15, 16, 17, 24, 29])
def test_one_bit_in_any_place_of_a_matrix_is_seen(n):
    """The compiled pass looks at rows in strips; every place of every strip is looked at."""
    matrix = squareform(pdist(np.random.default_rng(n).normal(size=(n, 3)))) if n > 1 else np.zeros((1, 1))
    np.testing.assert_array_equal(bitlink.condense(matrix, DOUBLE), squareform(matrix))
    for i, j in np.ndindex(n, n):
        changed = matrix.copy()
        changed[i, j] = np.nextafter(changed[i, j], 9.0)
        assert bitlink.condense(changed, SINGLE) is None, (i, j)


def test_bars_of_one_birth_are_ordered_by_death():
    rng = np.random.default_rng(0)
    for births in (
        np.arange(40.0),
        np.repeat(np.arange(8.0), 5),
        np.sort(rng.integers(30, size=40)),
        rng.integers(9, size=40),
    ):
        bars = np.column_stack([births, births + rng.integers(1, 4, size=40)])
        np.testing.assert_array_equal(bars[by_birth_and_death(bars)], bars[np.lexsort(bars.T[::-1])])

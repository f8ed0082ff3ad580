"""The Gaussian null: what a rotation keeps, what it gives, and whom it finds."""

import numpy as np
import pytest
from scipy.stats import kstest

import todacomm as td
from todacomm.clouds.distances import median, rms
from todacomm.clouds.prepare import prepare
from todacomm.core.errors import InvalidInput
from todacomm.core.types import Address
from todacomm.profiles.measure import measure_prepared
from todacomm.statistics import gaussian_null, loop_test, loop_test_in_groups

N = 24
RECIPE = td.Recipe(components=4)


def clouds_of(*arrays):
    return [td.PointCloud(x, Address("m", "d", f"layer_{i}")) for i, x in enumerate(arrays)]


def layers_like_a_model(rng, count=3, n=N, d=6):
    """Correlated layers of unlike scale, away from the origin."""
    base = rng.normal(size=(n, d))
    return clouds_of(*(10.0**i * (base @ rng.normal(size=(d, d)) + 5 + rng.normal(size=(n, d))) for i in range(count)))


def prepared(clouds, recipe=RECIPE):
    return [prepare(cloud, recipe) for cloud in clouds]


def claims_on(clouds, recipe=RECIPE, draws=19):
    ready = prepared(clouds, recipe)
    found = [measure_prepared(cloud, recipe) for cloud in ready]
    together = gaussian_null.joint(ready, recipe, raw=clouds)
    names = gaussian_null.tested_names(recipe)
    values = gaussian_null.gaussian_null(together, recipe, range(draws))
    tests = gaussian_null.null_tests([m.summary for m in found], values, names, reasons=together.reasons)
    prominences, ratios = (values[:, :, names.index(name)] for name in (loop_test.PROMINENCE, loop_test.RATIO))
    bars = [m.diagrams.finite[1] for m in found]
    against = loop_test.against_layers(bars, prominences, ratios, together.reasons)
    of_prominence = [row[loop_test.PROMINENCE] for row in tests]
    found = loop_test_in_groups.loop_bars(ready, bars, against, recipe, draws)
    return tests, loop_test.loop_tests(loop_test.LOOP, against, of_prominence, found)


def significant(bars, prominences, ratios):
    return loop_test.bar_p_values(bars, prominences, ratios) <= 0.05


def circle(n, rng, *, noise=0.05):
    angle = 2 * np.pi * np.arange(n) / n
    return np.c_[np.cos(angle), np.sin(angle), np.zeros(n)] + noise * rng.normal(size=(n, 3))


# Rotations


@pytest.mark.parametrize("width", [1, 3, 12])
def test_frames_are_orthonormal_and_begin_with_ones(width):
    frame = gaussian_null.haar_frame(12, width, np.random.default_rng(0))
    np.testing.assert_allclose(frame.T @ frame, np.eye(width), atol=1e-14)
    np.testing.assert_allclose(frame[:, 0], np.full(12, 12**-0.5), rtol=1e-14)


def test_frames_are_uniform():
    """Second and fourth moments of columns that are uniform on the sphere orthogonal to ones, 4000 frames."""
    rng = np.random.default_rng(1)
    frames = np.array([gaussian_null.haar_frame(5, 5, rng)[:, 1:] for _ in range(4000)])
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=0.035)
    np.testing.assert_allclose((frames**2).mean(axis=0), 1 / 5, atol=0.02)
    np.testing.assert_allclose((frames**4).mean(axis=0), 3 * (4 / 5) ** 2 / (4 * 6), atol=0.02)


@pytest.mark.parametrize("components", [2, 4, None])
@pytest.mark.parametrize("centre", [True, False])
def test_a_draw_keeps_means_covariances_and_those_between_layers(components, centre):
    """With 3 × 2 columns a frame of 6 is enough; with 3 × 9 and 24 points the frame is the whole space."""
    recipe = td.Recipe(components=components, centre=centre)
    ready = prepared(layers_like_a_model(np.random.default_rng(2), d=9), recipe)
    together = gaussian_null.joint(ready, recipe)
    given = [cloud.points for cloud in ready]
    for number in (0, 7):
        drawn = gaussian_null.rotated(together, number, seed=3)
        for i, (x, a) in enumerate(zip(drawn, given, strict=True)):
            size = np.abs(a).max()
            np.testing.assert_allclose(x.mean(axis=0), a.mean(axis=0), atol=1e-12 * size)
            assert np.abs(x - a).max() > 0.1 * size
            for y, b in zip(drawn[i:], given[i:], strict=True):
                np.testing.assert_allclose(covariance(x, y), covariance(a, b), atol=1e-9 * size * np.abs(b).max())


def covariance(x, y):
    return (x - x.mean(axis=0)).T @ (y - y.mean(axis=0)) / len(x)


def test_layers_whose_columns_depend_on_one_another_rotate_as_well():
    x = np.random.default_rng(4).normal(size=(N, 2))
    together = gaussian_null.joint(prepared(clouds_of(np.c_[x, x[:, :1]], 3 * x)), RECIPE)
    first, second = gaussian_null.rotated(together, 0, seed=0)
    np.testing.assert_allclose(first[:, :2], second / 3, atol=1e-12)
    np.testing.assert_allclose(first[:, 2], first[:, 0], atol=1e-12)


def test_draws_are_the_same_in_any_block():
    together = gaussian_null.joint(prepared(layers_like_a_model(np.random.default_rng(5))), RECIPE)
    whole = gaussian_null.gaussian_null(together, RECIPE, range(6))
    parts = [gaussian_null.gaussian_null(together, RECIPE, part) for part in (range(2), range(2, 6))]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert len(np.unique(whole[:, 0, 0])) == 6
    other = gaussian_null.gaussian_null(together, td.Recipe(components=4, seed=1), range(6))
    assert not np.isin(other[:, 0, 0], whole[:, 0, 0]).any()


def test_the_same_texts_are_rotated_the_same_in_each_layer():
    cloud = layers_like_a_model(np.random.default_rng(6), count=1)[0]
    twice = gaussian_null.joint(prepared(clouds_of(cloud.points, cloud.points)), RECIPE)
    values = gaussian_null.gaussian_null(twice, RECIPE, range(3))
    np.testing.assert_allclose(values[:, 0], values[:, 1], rtol=1e-5)


# Recipes


@pytest.mark.parametrize(
    "settings",
    [
        {"distance": "cosine"},
        {"distance": "cosine", "centre": False},
        {"scale": "median"},
        {"scale": "rms"},
        {"scale": "sphere"},
        {"scale": "sphere", "centre": False, "subsample": 20},
        {"maxdim": 0},
        {"threshold": 3.0},
    ],
    ids=str,
)
def test_every_recipe_has_a_null(settings):
    recipe = td.Recipe(components=4, **settings)
    name = "H0_total_persistence"
    clouds = layers_like_a_model(np.random.default_rng(7))
    ready = prepared(clouds, recipe)
    values = gaussian_null.gaussian_null(gaussian_null.joint(ready, recipe, raw=clouds), recipe, range(9), names=[name])
    tests = gaussian_null.null_tests([measure_prepared(cloud, recipe).summary for cloud in ready], values, [name])
    for row in tests:
        assert 0 < row[name].p <= 1
        assert row[name].observed == pytest.approx(row[name].mean, rel=0.5)


@pytest.mark.parametrize(("scale", "unit"), [("median", median), ("rms", rms)])
def test_a_draw_has_its_own_unit(scale, unit):
    recipe = td.Recipe(components=4, scale=scale)
    together = gaussian_null.joint(prepared(layers_like_a_model(np.random.default_rng(8)), recipe), recipe)
    points = 7.0 * gaussian_null.rotated(together, 0, seed=0)[0]
    assert unit(gaussian_null.condensed_of(points, recipe, together.addresses[0])) == pytest.approx(1, rel=1e-6)


def test_on_the_sphere_the_cloud_is_rotated_before_it():
    recipe = td.Recipe(components=None, scale="sphere")
    clouds = layers_like_a_model(np.random.default_rng(9), count=1, d=3)
    together = gaussian_null.joint(prepared(clouds, recipe), recipe, raw=clouds)
    (drawn,) = gaussian_null.rotated(together, 0, seed=0)
    np.testing.assert_allclose(covariance(drawn, drawn), covariance(clouds[0].points, clouds[0].points), rtol=1e-9)
    assert gaussian_null.condensed_of(drawn, recipe, clouds[0].address).max() <= 2
    with pytest.raises(InvalidInput, match="Found raw clouds for 0 of 1 layers"):
        gaussian_null.joint(prepared(clouds, recipe), recipe)


def test_scaled_names_are_over_the_median_distance_of_the_draw():
    together = gaussian_null.joint(prepared(layers_like_a_model(np.random.default_rng(10), count=1)), RECIPE)
    names = ("H0_total_persistence", "H0_total_persistence_scaled")
    (((total, scaled),),) = gaussian_null.gaussian_null(together, RECIPE, [4], names=names)
    drawn = gaussian_null.condensed_of(
        gaussian_null.rotated(together, 4, seed=RECIPE.seed)[0], RECIPE, together.addresses[0]
    )
    assert scaled == pytest.approx(total / median(drawn))


# Refusals


def test_a_layer_of_two_points_has_no_null_and_says_why():
    clouds = layers_like_a_model(np.random.default_rng(11), count=2)
    two = np.repeat([[0.0, 1.0], [2.0, 3.0]], N // 2, axis=0)
    tests, loop = claims_on([*clouds, *clouds_of(two)])
    for name, test in tests[2].items():
        assert test.p is test.adjusted is test.family_wise is test.mean is None, name
        assert test.note == f"2 distinct points of {N}"
    assert loop[2].p is None
    assert loop[2].note == f"2 distinct points of {N}"
    for test in (test for row in tests[:2] for test in row.values() if test.observed is not None):
        assert test.p is not None
        assert test.layers == 2


def test_landmarks_have_no_null_and_say_why():
    recipe = td.Recipe(components=4, landmarks=12)
    together = gaussian_null.joint(prepared(layers_like_a_model(np.random.default_rng(12), count=1), recipe), recipe)
    assert "landmarks were measured" in together.reasons[0]
    assert np.isnan(gaussian_null.gaussian_null(together, recipe, range(2))).all()


def test_layers_of_different_texts_are_refused():
    rng = np.random.default_rng(13)
    with pytest.raises(InvalidInput, match="different numbers of points"):
        gaussian_null.joint(prepared(clouds_of(rng.normal(size=(9, 3)), rng.normal(size=(8, 3)))), RECIPE)
    with pytest.raises(InvalidInput, match="no layer"):
        gaussian_null.joint([], RECIPE)


def test_draws_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match=r"draws of shape \(0, 1, 1\)"):
        gaussian_null.null_tests([{"H1_count": 1.0}], np.zeros((0, 1, 1)), ["H1_count"])


# Tests


def test_p_values_of_gaussian_clouds_are_uniform():
    """200 clouds of 12 points: the p-values of the longest bar of H0, by Kolmogorov and Smirnov."""
    name = "H0_max_lifetime"
    found = []
    for seed in range(200):
        recipe = td.Recipe(seed=seed, maxdim=0)
        ready = prepared(clouds_of(np.random.default_rng([14, seed]).normal(size=(12, 3))), recipe)
        values = gaussian_null.gaussian_null(gaussian_null.joint(ready, recipe), recipe, range(19), names=[name])
        observed = measure_prepared(ready[0], recipe).summary
        found.append(gaussian_null.null_tests([observed], values, [name])[0][name].p)
    spread = np.array(found) - np.random.default_rng(0).uniform(size=200) / 20
    assert kstest(spread, "uniform").pvalue > 0.01
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.09


def test_a_circle_is_found_and_a_gaussian_is_not():
    rng = np.random.default_rng(15)
    tests, loop = claims_on(clouds_of(circle(40, rng), rng.normal(size=(40, 3))), draws=39)
    assert loop[0].p == loop[0].smallest == 1 / 40
    assert loop[0].family_wise == 1 / 40
    assert loop[0].effect > 5
    assert loop[1].p > 0.05
    assert tests[0]["H1_max_lifetime"].p == 1 / 40
    assert tests[0]["H1_max_lifetime"].alternative == "greater"
    assert tests[0]["H0_total_persistence"].alternative == "two-sided"


def test_the_loop_is_the_bar_that_is_signal():
    rng = np.random.default_rng(16)
    recipe = td.Recipe()
    (ready,) = prepared(clouds_of(circle(60, rng, noise=0.2)), recipe)
    bars = measure_prepared(ready, recipe).diagrams.finite[1]
    values = gaussian_null.gaussian_null(
        gaussian_null.joint([ready], recipe), recipe, range(39), names=[loop_test.PROMINENCE, loop_test.RATIO]
    )
    signal = significant(bars, *values[:, 0].T)
    assert len(bars) > 1
    assert signal.sum() == 1
    assert signal[(bars[:, 1] - bars[:, 0]).argmax()]


def test_a_score_is_the_lesser_of_prominence_and_ratio_in_units_of_the_draws():
    bars = np.array([(1.0, np.exp(2.0)), (1.0, np.exp(0.5))])
    prominences, ratios = np.array([10.0, 30.0, 20.0, 0.0]), np.exp([0.5, 1.5, 1.0, 0.0])
    ratios[3] = np.nan  # no bars
    of_bars, of_draws = loop_test.scores(bars, prominences, ratios)
    usual = np.log(1.01)
    columns = [[2.0 / usual, 10, 30, 20, 0], [2.0, 0.5, 1.5, 1.0, 0.0]]
    (m, v), (s, t) = ((np.mean(c), np.std(c, ddof=1)) for c in columns)
    lesser = [min((x - m) / v, (y - s) / t) for x, y in ((0, 0), (2 / usual, 2), (0.5 / usual, 0.5))]
    assert of_bars == pytest.approx(lesser)
    assert of_draws[:2] == pytest.approx([min((10 - m) / v, (0.5 - s) / t), min((30 - m) / v, (1.5 - s) / t)])
    assert of_draws[3] == pytest.approx(of_bars[0])
    assert loop_test.bar_p_values(bars, prominences, ratios).tolist() == [
        (1 + (of_draws >= score).sum()) / 5 for score in of_bars[1:]
    ]


@pytest.mark.slow
def test_the_loop_test_holds_its_level():
    """One statistic for cloud and draws alike: half of Gaussian clouds are in the upper half of their draws."""
    found = [
        claims_on(clouds_of(np.random.default_rng([22, i]).normal(size=(24, 4))), draws=19)[1][0].p for i in range(120)
    ]
    assert 0.35 < np.mean(np.array(found) <= 0.5) < 0.65
    assert 0.04 < np.mean(np.array(found) <= 0.1) < 0.18


def test_two_loops_are_both_signal():
    rng = np.random.default_rng(23)
    eight = np.vstack([circle(40, rng), circle(40, rng) + np.array([2.2, 0.0, 0.0])])
    recipe = td.Recipe()
    (ready,) = prepared(clouds_of(eight), recipe)
    bars = measure_prepared(ready, recipe).diagrams.finite[1]
    values = gaussian_null.gaussian_null(
        gaussian_null.joint([ready], recipe), recipe, range(39), names=[loop_test.PROMINENCE, loop_test.RATIO]
    )
    assert significant(bars, *values[:, 0].T).sum() == 2


def test_no_bar_is_signal_where_there_is_none():
    assert significant(np.empty((0, 2)), np.ones(9), np.ones(9)).shape == (0,)
    with pytest.raises(InvalidInput, match="expected one of each a draw"):
        loop_test.bar_p_values(np.array([[1.0, 2.0]]), np.ones(3), np.ones(2))


def test_one_loop_among_many_layers_is_found_with_few_draws():
    """The most extreme layer of each draw decides: 19 draws are enough, however many layers there are."""
    rng = np.random.default_rng(18)
    clouds = clouds_of(circle(24, rng), *rng.normal(size=(7, 24, 3)))
    _, loop = claims_on(clouds, draws=19)
    assert loop[0].p == loop[0].family_wise == loop[0].smallest
    assert loop[0].layers == 8
    assert [test.found for test in loop] == [True] + 7 * [False]

"""``td.loops``: planted truth, noise, bad input, and what the record says."""

import pickle
import re
from functools import cache

import numpy as np
import pytest

import todacomm as td
from shapes import agreement, circle
from todacomm.core.errors import InvalidCloud, InvalidInput, InvalidTexts

TRUTH = 2 * np.pi * np.random.default_rng(0).uniform(size=200)


def noisy(points, d, seed, noise=0.1):
    padded = np.pad(points, ((0, 0), (0, d - points.shape[1])))
    return padded + noise * np.random.default_rng(seed).normal(size=padded.shape)


def on_circle(angle):
    return np.c_[np.cos(angle), np.sin(angle)]


def ring():
    return noisy(on_circle(TRUTH), 10, 1)


@cache
def of_ring():
    return td.loops(ring(), [f"text {i}" for i in range(200)], null_draws=39)


def test_a_circle_has_one_coordinate_which_is_its_angle():
    found = of_ring()
    [one] = found.coordinates
    assert agreement(one.angles, TRUTH) > 0.994
    assert (one.betti, one.torsion, one.points) == (1, (), 200)
    assert one.birth < one.scale < one.death
    assert one.p == found.p_plateau == pytest.approx(2 / 40)
    assert found.reasons == ()
    assert repr(found) == "Loops(array/arrays/cloud: 1 coordinate)"
    assert repr(one).startswith("LoopCoordinate(birth 0.")


def test_new_points_have_the_angle_of_their_place():
    [one] = of_ring().coordinates
    assert np.array_equal(one.angle(ring()), one.angles)
    near = one.angle(np.pad(on_circle(TRUTH), ((0, 0), (0, 8))))
    assert np.abs(np.angle(np.exp(1j * (near - one.angles)))).mean() < 0.1
    assert agreement(near, TRUTH) > 0.998
    with pytest.raises(InvalidInput, match="the loops were found in a cloud of 10 dimensions"):
        one.angle(np.zeros((1, 9)))


def test_the_texts_on_the_cycle_come_in_its_order_and_begin_at_the_angle_0():
    [one] = of_ring().coordinates
    assert one.texts == tuple(f"text {row}" for row in one.cycle)
    assert one.angles[one.cycle[0]] == pytest.approx(0, abs=1e-9)
    assert (np.diff(one.angles[list(one.cycle)]) > -0.5).all()
    around = np.angle(np.exp(1j * np.diff(TRUTH[[*one.cycle, one.cycle[0]]]))).sum() / (2 * np.pi)
    assert abs(around) == pytest.approx(1)


def test_what_was_found_is_the_same_again_and_after_pickling():
    again = td.loops(ring(), null_draws=39)
    for other in (again, pickle.loads(pickle.dumps(of_ring()))):  # noqa: S301 - our own
        assert np.array_equal(other.coordinates[0].angles, of_ring().coordinates[0].angles)
        assert np.array_equal(other.coordinates[0].angle(ring()[:3]), of_ring().coordinates[0].angles[:3])
        assert other.coordinates[0].cycle == of_ring().coordinates[0].cycle


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_the_unit_of_the_points_changes_nothing_but_scales(unit):
    [one] = td.loops(ring() * unit, null_draws=39).coordinates
    [before] = of_ring().coordinates
    assert one.scale == pytest.approx(before.scale * unit)
    assert one.cycle == before.cycle
    assert np.exp(1j * one.angles) == pytest.approx(np.exp(1j * before.angles), abs=1e-3)


def test_many_points_are_seen_through_centres():
    truth = 2 * np.pi * np.random.default_rng(3).uniform(size=600)
    found = td.loops(noisy(6 * on_circle(truth), 20, 4, noise=1.0), null_draws=39, components=None)
    [one] = found.coordinates
    assert found.centres == 150
    assert agreement(one.angles, truth) > 0.98
    assert len(set(one.cycle)) == len(one.cycle)
    assert one.points == 600


def test_a_torus_has_two_angles_at_one_scale():
    rng = np.random.default_rng(5)
    truth = 2 * np.pi * rng.uniform(size=(280, 2))
    found = td.loops(
        noisy(np.hstack([on_circle(truth[:, 0]), on_circle(truth[:, 1])]), 6, 6, noise=0.03), null_draws=39
    )
    assert found.torus.shape == (280, 2)
    best = [max(agreement(column, t) for column in found.torus.T) for t in truth.T]
    assert min(best) > 0.995


def test_each_lobe_of_a_figure_eight_has_its_angle():
    rng = np.random.default_rng(7)
    truth, right = 2 * np.pi * rng.uniform(size=240), rng.integers(2, size=240).astype(bool)
    points = on_circle(truth) + np.array([1, 0])
    found = td.loops(noisy(np.where(right[:, None], points, -points), 8, 8, noise=0.05), null_draws=39)
    for lobe in (right, ~right):
        assert max(agreement(one.angles[lobe], truth[lobe]) for one in found.coordinates) > 0.98
    assert len(found) == 2


def test_of_two_circles_apart_each_has_an_angle_of_its_own_points_alone():
    truth = 2 * np.pi * np.random.default_rng(9).uniform(size=160)
    points = on_circle(truth) + np.repeat([[0.0, 0.0], [9.0, 0.0]], 80, axis=0)
    found = td.loops(noisy(points, 5, 10, noise=0.05), null_draws=39)
    assert sorted(np.flatnonzero(~np.isnan(one.angles))[0] for one in found.coordinates) == [0, 80]
    assert [one.points for one in found.coordinates] == [80, 80]


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_no_coordinate_and_says_why(seed):
    found = td.loops(np.random.default_rng(seed).normal(size=(120, 10)))
    assert not found
    assert len(found.torus) == 0
    assert found.reasons[0].startswith("no loop stands out of ")
    assert "p 1 for" in found.reasons[0] or "p 0." in found.reasons[0]
    assert found.p_plateau > 0.05


def test_a_loop_whose_curve_has_many_harmonics_keeps_its_harmonic_angle():
    residue = np.arange(113)
    rows = np.hstack([on_circle(2 * np.pi * k * residue / 113) for k in (1, 14, 31, 40, 52)])
    points = rows + 0.01 * np.random.default_rng(0).normal(size=rows.shape)
    [one] = td.loops(points, null_draws=0).coordinates
    agreements = [agreement(one.angles, 2 * np.pi * k * residue / 113) for k in range(1, 57)]
    assert max(agreements) > 0.999


def tight_group(k, seed):
    """A Gaussian cloud of 30 dimensions, a fifth of whose points are a tight group of k dimensions."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(300, 30))
    points[:60] = rng.normal(size=30) / 2 + np.pad(0.15 * rng.normal(size=(60, k)), ((0, 0), (0, 30 - k)))
    return points


@pytest.mark.parametrize(("k", "seed"), [(2, 0), (2, 1), (3, 1)])
def test_a_tight_group_without_a_loop_has_none_and_says_so(k, seed):
    found = td.loops(tight_group(k, seed))
    assert not found
    said = r"lies in a group of \d+ of 300 points, and Gaussian clouds of such a group have loops as well"
    assert any(re.search(said, reason) for reason in found.reasons)


def test_a_small_circle_in_a_cloud_is_found_and_told_with_its_size():
    rng = np.random.default_rng(2)
    truth = 2 * np.pi * rng.uniform(size=60)
    points = rng.normal(size=(300, 20))
    points[:60] = points[299] / 2 + noisy(0.5 * on_circle(truth), 20, 3, noise=0.02)
    [one] = td.loops(points).coordinates
    assert one.points == 60
    assert agreement(one.angles[:60], truth) > 0.99
    assert np.isnan(one.angles[60:]).all()


def test_without_a_null_the_best_there_is_is_offered_untested():
    found = td.loops(np.random.default_rng(1).normal(size=(120, 10)), null_draws=0)
    assert found
    assert {one.p for one in found.coordinates} == {None} == {found.p_plateau}


def test_on_the_sphere_and_by_angle_a_cone_is_a_circle():
    rng = np.random.default_rng(11)
    truth, size = 2 * np.pi * rng.uniform(size=150), np.exp(0.5 * rng.normal(size=(150, 1)))
    points = size * noisy(on_circle(truth), 6, 12, noise=0.05)
    for settings in ({"scale": "sphere"}, {"distance": "cosine"}):
        [one] = td.loops(points, null_draws=39, centre=False, **settings).coordinates
        assert agreement(one.angles, truth) > 0.995
        assert agreement(one.angle(7 * points), truth) > 0.995


# Bad input


def test_ties_and_duplicates_are_no_trouble():
    points = np.repeat(circle(24), 3, axis=0)
    [one] = td.loops(points, list(map(str, range(72)))).coordinates
    assert agreement(one.angles, np.repeat(2 * np.pi * np.arange(24) / 24, 3)) == pytest.approx(1)
    assert np.array_equal(one.angles[::3], one.angles[1::3])
    assert one.texts == tuple(str(3 * i) for i in range(24))


def test_a_bar_that_is_born_and_dead_at_one_scale_is_none():
    i, j = np.divmod(np.arange(16), 4)
    triangles = np.c_[i + j / 2, j * 3**0.5 / 2]  # all sides are equal: each triangle is filled as it closes
    found = td.loops(triangles.round(6))
    assert not found
    assert found.reasons == ("no cycle is ever open: H1 has no bar",)


@pytest.mark.parametrize("points", [circle(5), np.repeat(circle(5), 9, axis=0)], ids=["few", "copies of few"])
def test_fewer_than_six_distinct_points_have_no_loop(points):
    assert td.loops(points).reasons == ("5 distinct points; a loop is looked for among 6 or more",)


def test_points_that_are_all_one_have_no_loop():
    assert td.loops(np.ones((9, 3))).reasons[0].startswith("1 distinct points")


REFUSED = {
    "distances": ({"distance": "precomputed"}, "give the points themselves"),
    "landmarks": ({"landmarks": 50}, "50 landmarks; of more than 300 points, centres stand for the cloud"),
    "few draws": (
        {"null_draws": 19},
        "19 null draws; expected at least 39, with which 0.05 is the least p-value of 2 tests",
    ),
    "both": ({"recipe": td.Recipe(), "scale": "median"}, "give a recipe or its settings, not both"),
    "texts": ({"texts": ["a", "b"]}, "2 texts for 200 points; expected a list of one text a point"),
    "one text": ({"texts": "a" * 200}, "1 texts for 200 points"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused(name):
    settings, message = REFUSED[name]
    with pytest.raises(InvalidInput, match=message):
        td.loops(ring(), **settings)


def test_what_is_no_cloud_and_no_text_is_refused():
    with pytest.raises(InvalidCloud, match="1 of 200 points hold NaN or infinity"):
        td.loops(np.where(np.arange(200)[:, None] == 3, np.nan, ring()))
    with pytest.raises(InvalidTexts):
        td.loops(ring(), [1] * 200)

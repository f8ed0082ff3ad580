"""From classes of centres to angles of points: plateaus, centres, blending, curves, the frame of a recipe."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import todacomm as td
from shapes import agreement, circle
from todacomm.clouds.landmarks import maxmin
from todacomm.clouds.prepare import prepare
from todacomm.cohomology.centres import MANY, SEEN, blended, centres_of, number_of_centres
from todacomm.cohomology.curve import Curves, arc_of, fitted, sharpened, waves, winding, within_a_turn
from todacomm.cohomology.fit import together
from todacomm.cohomology.frame import frame_of
from todacomm.cohomology.scales import MOST_CLASSES, Plateau, staircase, widest
from todacomm.core.errors import InvalidInput

# Scales


def test_the_staircase_has_a_step_wherever_a_bar_begins_or_ends():
    bars = np.array([[1.0, 4.0], [2.0, 3.0], [3.0, 8.0]])
    scales, betti = staircase(bars)
    assert scales.tolist() == [1, 2, 4, 8]  # at 3 one ends where another begins
    assert betti.tolist() == [1, 2, 1, 0]


def test_the_widest_plateau_is_that_of_the_logarithm_and_may_lie_in_a_bar():
    bars = np.array([[1.0, 4.0], [2.0, 3.0], [3.0, 8.0]])
    assert widest(bars) == Plateau(1.0, 2.0, 1)  # as wide as (4, 8): the first
    assert widest(bars, 1.5, 3.9) == Plateau(2.0, 3.9, 2)
    assert widest(bars).middle == pytest.approx(2**0.5)
    assert widest(bars).width == pytest.approx(np.log(2))


def test_too_many_classes_and_none_are_no_plateau():
    many = np.repeat([[1.0, 2.0]], MOST_CLASSES + 1, axis=0)
    assert widest(many) is None
    assert widest(many[1:]) == Plateau(1.0, 2.0, MOST_CLASSES)
    assert widest(np.empty((0, 2))) is None


# Centres


def test_few_points_are_their_own_centres():
    points = np.random.default_rng(0).normal(size=(MANY, 3))
    centres, label = centres_of(points, np.random.default_rng(1))
    assert centres is points
    assert label.tolist() == list(range(MANY))


def test_centres_are_means_of_a_fiftieth_of_the_points_and_no_mean_is_far_from_one():
    points = np.random.default_rng(2).normal(size=(450, 20))
    centres, label = centres_of(points, np.random.default_rng(1))
    assert len(centres) == number_of_centres(450) == 150
    nearest = np.argsort(cdist(points, points), axis=1)[:, :9]
    means = points[nearest].mean(axis=1)
    assert cdist(centres, means).min(axis=1).max() < 1e-12
    landmarks, radius = maxmin(means, 100, 0)
    assert len(landmarks) == 100
    assert cdist(means, centres).min(axis=1).max() <= 1.2 * radius
    assert np.array_equal(label, cdist(points, centres).argmin(axis=1))
    assert np.array_equal(centres_of(points, np.random.default_rng(1))[0], centres)


def test_of_very_many_points_a_random_part_gives_the_centres_and_all_are_labelled():
    points = np.random.default_rng(3).normal(size=(SEEN + 500, 3))
    centres, label = centres_of(points, np.random.default_rng(4))
    assert len(centres) == 150
    assert label.shape == (SEEN + 500,)


def test_a_point_at_a_centre_has_its_angle_and_one_between_two_is_between():
    centres, angles = circle(8), 2 * np.pi * np.arange(8)[:, None] / 8
    assert blended(centres, centres, angles) == pytest.approx(angles)
    between = centres[:2].mean(axis=0, keepdims=True)
    assert blended(between, centres, angles)[0, 0] == pytest.approx(np.pi / 8)


def test_a_point_near_centres_without_an_angle_has_none():
    centres = np.array([[0.0, 0.0], [10.0, 0.0]])
    found = blended(np.array([[1.0, 0.0], [9.0, 0.0]]), centres, np.array([[np.nan], [2.0]]))
    assert np.isnan(found[0, 0])
    assert found[1, 0] == pytest.approx(2.0)


# Curves


def test_coefficients_of_a_curve_are_found_again():
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(9, 6))
    curves = Curves(rows, 2)
    angles = rng.uniform(0, 2 * np.pi, size=(400, 2))
    points = np.column_stack([np.ones(400), waves(angles, 2)]) @ rows
    assert points == pytest.approx(rows[0] + curves.along(0, angles[:, 0]) + curves.along(1, angles[:, 1]))
    assert fitted(points, angles, 2, 0.0).coefficients == pytest.approx(rows)
    assert curves.harmonics == 2


def test_the_nearest_place_on_a_noisy_circle_is_its_angle_in_the_plane():
    rng = np.random.default_rng(6)
    points = circle(300) + 0.1 * rng.normal(size=(300, 2))
    curve = Curves(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), 1)
    found = curve.nearest(points, np.zeros((300, 1)))[:, 0]
    assert np.abs(np.angle(np.exp(1j * (found - np.arctan2(points[:, 1], points[:, 0]))))).max() < 1e-5


def test_angles_that_crowd_are_counted_by_length_in_the_end():
    rng = np.random.default_rng(8)
    truth = rng.vonmises(0, 2, size=800)
    points = np.pad(5 * np.c_[np.cos(truth), np.sin(truth)], ((0, 0), (0, 18))) + rng.normal(size=(800, 20))
    crowded = (truth + 0.5 * np.sin(truth))[:, None] % (2 * np.pi)
    [best, *_] = sharpened(points, crowded)
    assert best.harmonics == 1
    assert agreement(crowded[:, 0], truth) < 0.96
    assert agreement(best.nearest(points, crowded)[:, 0], truth) > 0.97


def test_a_curve_has_as_many_harmonics_as_it_needs():
    rng = np.random.default_rng(9)
    truth = rng.uniform(0, 2 * np.pi, size=(600, 1))
    points = 4 * np.pad(waves(truth, 3), ((0, 0), (0, 14))) + rng.normal(size=(600, 20))
    best = sharpened(points, truth + 0.2 * rng.normal(size=(600, 1)))[0]
    assert best.harmonics == 3
    assert agreement(best.nearest(points, truth)[:, 0], truth[:, 0]) > 0.995


def test_angles_in_all_combinations_are_sharpened_together_and_others_alone():
    rng = np.random.default_rng(1)
    torus = rng.uniform(0, 2 * np.pi, size=(500, 2))
    side = rng.integers(2, size=500).astype(bool)
    eight = np.where(np.c_[side, ~side], torus, 0.3)
    assert [group.tolist() for group in together(torus)] == [[0, 1]]
    assert [group.tolist() for group in together(eight)] == [[0], [1]]


def test_a_winding_counts_whole_turns_whatever_lies_between():
    angle = 2 * np.pi * np.arange(12) / 12
    assert winding(angle) == 1
    assert winding((-2 * angle) % (2 * np.pi)) == -2
    assert winding(np.minimum(angle, 2)) == 0
    assert winding(angle[:0]) == 0


# Frames


RECIPES = [
    {"components": None},
    {"components": 4},
    {"components": 4, "scale": "median"},
    {"components": 4, "scale": "sphere"},
    {"components": None, "scale": "rms", "centre": False},
    {"components": 4, "scale": "none", "centre": False},
    {"components": 4, "subsample": 30},
]


@pytest.mark.parametrize("settings", RECIPES, ids=str)
def test_a_frame_does_to_new_points_what_was_done_to_the_cloud(settings):
    rng = np.random.default_rng(3)
    points = 3 + rng.normal(size=(40, 9)) * np.arange(1, 10)
    points[7] = points[2]  # copies count once in the mean
    cloud, recipe = td.PointCloud(points, td.Address("m", "d", "l")), td.Recipe(**settings)
    ready = prepare(cloud, recipe)
    frame = frame_of(cloud, ready, recipe)
    assert frame.place(points[ready.rows]) == pytest.approx(ready.points, abs=1e-9)


def test_new_points_of_another_layer_are_refused():
    cloud = td.PointCloud(np.random.default_rng(0).normal(size=(20, 4)), td.Address("m", "d", "l"))
    frame = frame_of(cloud, prepare(cloud, td.Recipe()), td.Recipe())
    with pytest.raises(InvalidInput, match="points in 5 dimensions; the loops were found in a cloud of 4 dimensions"):
        frame.place(np.zeros((2, 5)))


def test_an_angle_is_within_a_turn_and_nothing_stays_nothing():
    found = within_a_turn(np.array([-1e-17, -1.0, 7.0, np.nan]))
    assert found == pytest.approx([0, 2 * np.pi - 1, 7 - 2 * np.pi, np.nan], nan_ok=True)
    assert found[0] == 0


def test_the_shortest_arc_holds_nine_tenths_of_the_points_also_across_zero():
    assert arc_of(2 * np.pi * np.arange(100) / 100) == pytest.approx(2 * np.pi * 0.89)
    heap = np.array([6.2, 6.25, 0.01, 0.05, 0.1, 6.1, 0.2, 6.15, 0.0, 3.0])
    assert arc_of(heap) == pytest.approx(2 * np.pi - 6.1 + 0.2)
    assert arc_of(np.append(heap, np.nan)) == arc_of(heap)
    assert arc_of(heap, 1.0) == pytest.approx(2 * np.pi - 3.1)  # the widest gap is from 3.0 to 6.1
    assert np.isnan(arc_of(np.full(3, np.nan)))

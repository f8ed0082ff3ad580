"""Harmonic forms: the angle of a class, its birth, its shortest cycle, and when there is no coordinate."""

import itertools

import numpy as np
import pytest

from shapes import agreement, circle, distances
from todacomm.cohomology.curve import winding
from todacomm.cohomology.harmonic import HALF_A_TURN, harmonic_classes
from todacomm.cohomology.integer_cohomology import cohomology
from todacomm.homology.engines import persistence


def classes(matrix, scale):
    return harmonic_classes(cohomology(matrix, scale))


@pytest.mark.parametrize("scale", [0.6, 0.9, 1.6])
@pytest.mark.parametrize("mirrored", [False, True])
def test_equal_steps_on_a_circle_get_equal_angles_from_the_lowest_point_on(scale, mirrored):
    points = circle(24) * ([1, -1] if mirrored else [1, 1])
    [found] = classes(distances(points), scale)
    assert found.cycle.tolist() == list(range(24))
    assert found.angle == pytest.approx(2 * np.pi * np.arange(24) / 24)
    assert (found.winding, found.fault) == (1, "")
    assert found.birth == pytest.approx(2 * np.sin(np.pi / 24))


def test_the_angle_grows_along_the_cycle_of_points_in_any_order():
    rng = np.random.default_rng(3)
    order = rng.permutation(30)
    points = (circle(30) + 0.03 * rng.normal(size=(30, 2)))[order]
    [found] = classes(distances(points), 0.8)
    assert found.cycle[0] == found.cycle.min()
    assert found.angle[found.cycle[0]] == 0
    assert winding(found.angle[found.cycle]) == 1
    assert winding(found.angle[found.cycle[::-1]]) == -1
    assert agreement(found.angle, 2 * np.pi * order / 30) > 0.996


def test_a_class_is_born_with_its_bar():
    rng = np.random.default_rng(7)
    matrix = distances(circle(40) + 0.1 * rng.normal(size=(40, 2)))
    bars = persistence(matrix).finite[1]
    birth, death = bars[(bars[:, 1] / bars[:, 0]).argmax()]
    [found] = classes(matrix, death * 0.99)
    assert found.birth == pytest.approx(birth, rel=1e-6)
    sides = matrix[found.cycle, np.roll(found.cycle, -1)]
    assert sides.max() == pytest.approx(birth, rel=1e-6)


def test_a_point_in_a_part_that_a_class_does_not_go_around_has_no_angle():
    matrix = distances(np.concatenate([circle(12), circle(9) + 9, [[30.0, 0.0]]]))
    first, second = classes(matrix, 0.8)
    parts = [np.flatnonzero(~np.isnan(one.angle)).tolist() for one in (first, second)]
    assert sorted(parts) == [list(range(12)), list(range(12, 21))]


def test_classes_of_a_torus_are_its_two_angles():
    k = 12
    points = np.hstack([np.repeat(circle(k), k, axis=0), np.tile(circle(k), (k, 1))])
    truths = [np.repeat(np.arange(k), k), np.tile(np.arange(k), k)]
    found = classes(distances(points), 0.8)
    found.sort(key=lambda one: one.cycle[1] == 1)  # the angle of the tiles last
    for one, truth in zip(found, truths, strict=True):
        assert np.exp(1j * one.angle) == pytest.approx(np.exp(2j * np.pi * truth / k))


def two_crowds(bridge):
    """Two crowds of thirty points, joined by one edge on one side and by a way of ``bridge`` points on the other."""
    n = 60 + bridge
    matrix = np.full((n, n), 2.0)
    np.fill_diagonal(matrix, 0.0)
    way = [0, *range(60, n), 30]
    edges = [(5, 35), *itertools.pairwise(way)]
    edges += [(a, b) for start in (0, 30) for a in range(start, start + 30) for b in range(a + 1, start + 30)]
    for u, v in edges:
        matrix[u, v] = matrix[v, u] = 1.0
    return matrix


def test_a_step_of_half_a_turn_on_an_edge_is_no_coordinate():
    [found] = classes(two_crowds(2), 1.0)
    assert found.step > HALF_A_TURN
    assert found.fault.startswith("its harmonic form has a step of 0.")
    assert "less than half a turn" in found.fault


def test_a_class_that_its_first_cycle_goes_around_often_has_a_cycle_that_goes_around_once():
    """Residues mod 35 are joined by a shift of 6, then by 1 and 5, which fill triangles."""
    n, residue = 35, np.arange(35)
    matrix = np.full((n, n), 2.0)
    np.fill_diagonal(matrix, 0.0)
    for shift, length in ((6, 1.0), (1, 1.1), (5, 1.1)):
        matrix[residue, (residue + shift) % n] = matrix[(residue + shift) % n, residue] = length
    for one in classes(matrix, 1.1):
        steps = np.angle(np.exp(1j * np.diff(one.angle[[*one.cycle, one.cycle[0]]])))
        assert (one.winding, one.fault) == (1, "")
        assert steps.sum() == pytest.approx(2 * np.pi)
        sides = matrix[one.cycle, np.roll(one.cycle, -1)]
        assert sides.max() == one.birth


def test_a_complex_without_a_loop_has_no_class():
    assert classes(distances(np.random.default_rng(0).normal(size=(9, 2))), 0.0) == []
    assert classes(distances(circle(9)), 2.0) == []


def test_points_that_coincide_are_joined_by_an_edge_of_no_length():
    points = np.concatenate([circle(12), circle(12)[:3]])
    [found] = classes(distances(points), 0.8)
    assert np.exp(1j * found.angle[12:]) == pytest.approx(np.exp(1j * found.angle[:3]))
    assert found.winding == 1

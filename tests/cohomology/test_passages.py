"""Winding numbers of the cycles of one layer in the coordinates of the next."""

import numpy as np
import pytest

import todacomm as td
from todacomm.cohomology.passages import passages
from todacomm.core.errors import InvalidInput

N, D, LAYERS = 120, 16, 10


def carried(angle, seed):
    """A circle carried through random orthogonal maps, in fresh noise in each layer."""
    rng = np.random.default_rng(seed)
    plane = np.pad(np.c_[np.cos(angle), np.sin(angle)], ((0, 0), (0, D - 2)))
    maps = [np.linalg.qr(rng.normal(size=(D, D)))[0] for _ in range(LAYERS)]
    return [plane @ turn + 0.05 * rng.normal(size=(N, D)) for turn in maps]


def loops(points):
    return td.loops(points, null_draws=39, components=None)


@pytest.fixture(scope="module")
def layers():
    return [loops(points) for points in carried(2 * np.pi * np.random.default_rng(0).uniform(size=N), 1)]


def test_a_circle_goes_on_through_ten_random_layers(layers):
    found = passages(layers)
    assert [one.layer for one in found] == list(range(LAYERS - 1))
    assert {abs(one.winding) for one in found} == {1}
    assert max(one.p for one in found) == 1 / 1000
    assert min(abs(one.share) for one in found) > 0.5


def test_after_its_texts_are_permuted_it_does_not(layers):
    rng = np.random.default_rng(3)
    points = carried(2 * np.pi * np.random.default_rng(0).uniform(size=N), 1)
    shuffled = [loops(one[rng.permutation(N)]) for one in points[:3]]
    assert all(len(one) == 1 for one in shuffled)
    assert {one.winding for one in passages(shuffled)} == {0}


def test_after_it_is_cut_there_is_no_coordinate_to_go_around(layers):
    angle = 2 * np.pi * np.random.default_rng(0).uniform(size=N)
    opened = [loops(one) for one in carried(0.5 * angle, 4)[:2]]
    assert [len(one) for one in opened] == [0, 0]
    assert passages([layers[0], opened[0], layers[1]]) == []


def test_a_cycle_does_not_go_around_a_circle_that_its_texts_are_not_ordered_by():
    rng = np.random.default_rng(6)
    angle, other = 2 * np.pi * rng.uniform(size=(2, N))
    torus = np.c_[np.cos(angle), np.sin(angle), np.cos(other), np.sin(other)] + 0.03 * rng.normal(size=(N, 4))
    circle = np.c_[np.cos(other), np.sin(other)] + 0.05 * rng.normal(size=(N, 2))
    first, second = loops(torus), loops(circle)
    assert len(first) == 2
    assert sorted(abs(one.winding) for one in passages([first, second])) == [0, 1]
    assert [abs(one.winding) for one in passages([second, first]) if abs(one.winding)] == [1]


def test_two_loops_that_stay_apart_are_told_apart():
    rng = np.random.default_rng(8)
    angle = 2 * np.pi * rng.uniform(size=N)
    right = (np.arange(N) % 2 == 0)[:, None]
    first = np.c_[np.cos(angle), np.sin(angle)]
    points = np.where(right, np.c_[first, 0 * first], np.c_[0 * first + 5, first])
    found = passages([loops(points + 0.05 * rng.normal(size=(N, 4))), loops(points @ np.diag([1, -1, 1, 1]))])
    by_pair = {(one.source, one.target): abs(one.winding) for one in found}
    assert sorted(by_pair.values()) == [0, 0, 1, 1]
    lost = [one for one in found if not one.winding]
    assert {one.share for one in lost} == {0.0}


def test_the_same_seed_gives_the_same_p_values(layers):
    assert passages(layers[:3], draws=99, seed=7) == passages(layers[:3], draws=99, seed=7)
    assert len(passages(layers[:1])) == 0


def test_layers_of_other_texts_are_refused(layers):
    with pytest.raises(InvalidInput, match="layers of 60, 120 points; loops are followed through the same texts"):
        passages([layers[0], loops(carried(2 * np.pi * np.random.default_rng(0).uniform(size=N), 1)[0][:60])])

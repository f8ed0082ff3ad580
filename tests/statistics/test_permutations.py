"""Exact permutation tests against brute force and SciPy."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy.stats import spearmanr

from todacomm.core.errors import InvalidInput
from todacomm.statistics.permutations import arrangements, groups_apart, spearman, swapped_within_blocks


def distances_of(points):
    return np.abs(points[:, None] - points[None, :])


def joint_loss(distances, chosen):
    """Robinson and Turner 2017: the mean distance within each group, added up, over two."""
    others = [i for i in range(len(distances)) if i not in chosen]
    return sum(distances[i, j] for group in (chosen, others) for i in group for j in group) / (
        2 * len(chosen) * (len(chosen) - 1)
    )


def test_swaps_within_blocks_are_all_counted(rng):
    k = 5
    distances = distances_of(np.r_[rng.normal(size=k), rng.normal(size=k) + 0.7])
    losses = [
        joint_loss(distances, [b + k * swap for b, swap in enumerate(swaps)]) for swaps in product((0, 1), repeat=k)
    ]
    found = swapped_within_blocks(distances)
    assert found.statistic == pytest.approx(losses[0])
    assert found.p == pytest.approx(np.mean(np.array(losses) <= losses[0] + 1e-12))
    assert (found.arrangements, found.smallest) == (16, 1 / 16)


def test_blocks_that_differ_in_every_one_reach_the_least_p_and_equal_ones_reach_one():
    apart = np.r_[np.linspace(0, 0.1, 10), 5 + np.linspace(0, 0.1, 10)]
    assert swapped_within_blocks(distances_of(apart)).p == 1 / 512
    same = np.tile(np.linspace(0, 1, 10), 2)
    assert swapped_within_blocks(distances_of(same)).p == 1


@pytest.mark.parametrize("blocks", [1, 17])
def test_too_few_or_too_many_blocks_are_refused(blocks):
    with pytest.raises(InvalidInput, match=f"{blocks} blocks; expected 2 to 16"):
        swapped_within_blocks(np.zeros((2 * blocks, 2 * blocks)))


def test_arrangements_are_all_and_each_once():
    labels = [0, 0, 1, 1, 2]
    assert sorted(arrangements(labels)) == sorted(set(permutations(labels)))


def test_groups_are_tested_by_every_arrangement_of_their_labels(rng):
    points, labels = rng.normal(size=6), list("aabbbc")
    distances = distances_of(points)

    def statistic(order):
        pairs = [(distances[i, j], order[i] == order[j]) for i in range(6) for j in range(i)]
        return np.mean([d for d, same in pairs if not same]) - np.mean([d for d, same in pairs if same])

    every = [statistic(order) for order in permutations(labels)]
    found = groups_apart(distances, labels)
    assert found.p == pytest.approx(np.mean(np.array(every) >= statistic(labels) - 1e-12))
    assert (found.exact, found.arrangements) == (True, 60)


def test_two_clear_families_of_four_are_found_and_cannot_be_surer():
    found = groups_apart(distances_of(np.r_[0, 0.1, 0.2, 0.3, 9, 9.1, 9.2, 9.3]), list("aaaabbbb"))
    assert found.p == found.smallest == pytest.approx(2 / 70)


def test_many_models_are_drawn(rng):
    points = np.r_[rng.normal(size=10), rng.normal(size=10) + 8]
    found = groups_apart(distances_of(points), ["a"] * 10 + ["b"] * 10)
    assert (found.exact, found.p) == (False, 1 / 10_000)


def test_kinds_that_cannot_be_told_apart_are_refused():
    for labels in ("aaa", "abc"):
        with pytest.raises(InvalidInput, match="expected two kinds, one of them twice"):
            groups_apart(np.ones((3, 3)), list(labels))


def test_spearman_is_that_of_scipy_and_its_p_counts_all_orders(rng):
    for ranked in ([1, 2, 2, 3, 5, 4], [3, 1, 2, 6, 5, 4]):
        x, y = np.array(ranked, dtype=np.float64), rng.normal(size=6)
        rho = spearmanr(x, y).statistic
        every = [spearmanr(x, y[list(order)]).statistic for order in permutations(range(6))]
        found = spearman(x, y)
        assert found.statistic == pytest.approx(rho)
        assert found.p == pytest.approx(np.mean(np.abs(every) >= abs(rho) - 1e-9))
        assert found.exact


def test_the_least_p_of_five_is_two_of_120():
    assert spearman(np.arange(5.0), np.arange(5.0) ** 3).p == pytest.approx(2 / 120)


def test_more_than_eight_are_drawn_and_no_spread_gives_nothing(rng):
    assert spearman(np.arange(12.0), np.arange(12.0)).p == pytest.approx(1 / 10_000)
    assert spearman(np.ones(6), rng.normal(size=6)) is None

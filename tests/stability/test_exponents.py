"""Exponents from growths and distances: what is dropped, what saturates, where epsilon does not matter."""

import numpy as np
import pytest

from todacomm.stability.association import (
    Association,
    associate,
    associations,
    change_of,
    fisher_interval,
    partial_spearman,
)
from todacomm.stability.exponents import (
    cumulated_exponents,
    flat_range,
    interval_of,
    local_exponents,
    missing_for_random_start,
    raw_exponent,
    renormalised_exponent,
    saturated_at,
    spread,
)
from todacomm.stability.follow import windows_of
from todacomm.stability.recipes import random_recipes
from todacomm.stability.symmetry import hidden_units, match_units


def test_the_first_fifth_is_dropped_and_windows_count_by_their_steps():
    lengths = np.array([20, 40, 40])
    growths = np.array([[9.0, 9.0], [4.0, 8.0], [2.0, 4.0]])
    found = renormalised_exponent(growths, lengths)
    assert found.copies == pytest.approx((6 / 80, 12 / 80))
    assert found.value == pytest.approx(9 / 80)
    np.testing.assert_allclose(local_exponents(growths, lengths)[1], [0.1, 0.2])
    along = cumulated_exponents(growths, lengths)
    assert np.isnan(along[0]).all()
    np.testing.assert_allclose(along[-1], found.copies)


def test_the_raw_exponent_takes_free_copies_and_its_bias_is_known():
    found = raw_exponent(np.array([1.0, 1.0, 1.0]), np.array([np.e, np.e**2, np.nan]), 10)
    assert found.copies == (pytest.approx(0.1), pytest.approx(0.2), None)
    assert missing_for_random_start(100_000, 3000) == pytest.approx(0.0019188, abs=1e-6)


def test_the_raw_exponent_of_the_mean_distance_is_that_of_deep_lyapunov():
    """Its `compute_lyapunov_from_trajectories` (0.1.2) gives this number for these four trajectories of six steps."""
    trajectories = np.cumsum(np.random.default_rng(8).normal(size=(6, 4, 10)), axis=0)
    spreads = spread(np.linalg.norm(trajectories[:, 1:] - trajectories[:, :1], axis=2))
    assert raw_exponent(spreads[:1], spreads[-1:], 5).value == pytest.approx(0.15193263627994608, abs=1e-12)


def test_student_gives_the_interval_over_copies():
    low, high = interval_of(np.array([1.0, 2.0, 3.0]))
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), abs=1e-5)
    assert interval_of(np.array([1.0])) == (None, None)


def test_a_spread_above_a_tenth_of_the_weight_norm_is_saturation():
    spreads = spread(np.array([[0.01, 0.03], [1.0, np.nan], [2.0, 0.2]]))
    np.testing.assert_allclose(spreads, [0.02, 1.0, 1.1])
    assert saturated_at(spreads, np.array([10.0, 10.0, 10.0]), np.array([0, 25, 50])) == 50
    assert saturated_at(spreads, np.array([20.0, 20.0, 20.0]), np.array([0, 25, 50])) is None


def test_the_flat_range_is_what_lies_next_to_the_main_epsilon():
    values = [0.5, 0.11, None, 0.1, 0.105]
    assert flat_range([1, 2, 3, 4, 5], values, 3, 0.01) == (3, 4)
    assert flat_range([1, 2], [0.11, 0.1], 1, 0.02) == (0, 1)


def test_windows_hold_all_steps():
    assert windows_of(100, 25) == [25] * 4
    assert windows_of(110, 25) == [25, 25, 25, 35]
    assert windows_of(10, 25) == [10]


# Hidden units


def test_a_permuted_copy_is_told_from_another_one():
    rng = np.random.default_rng(0)
    weights = {
        "embed.weight": rng.normal(size=(5, 4)), "layers.0.weight": rng.normal(size=(6, 8)),
        "layers.0.bias": rng.normal(size=6), "layers.1.weight": rng.normal(size=(7, 6)),
        "layers.1.bias": rng.normal(size=7), "head.weight": rng.normal(size=(3, 7)), "head.bias": rng.normal(size=3),
    }  # fmt: skip
    first, second = rng.permutation(6), rng.permutation(7)
    permuted = {
        **weights,
        "layers.0.weight": weights["layers.0.weight"][first],
        "layers.0.bias": weights["layers.0.bias"][first],
        "layers.1.weight": weights["layers.1.weight"][second][:, first],
        "layers.1.bias": weights["layers.1.bias"][second],
        "head.weight": weights["head.weight"][:, second],
    }
    blocks = hidden_units(list(weights))
    assert len(blocks) == 2
    found = match_units(weights, permuted, blocks)
    assert found.distance > 1
    assert found.share < 1e-12
    assert found.moved > 0
    moved = {name: one + 0.01 * rng.normal(size=one.shape) for name, one in weights.items()}
    assert match_units(weights, moved, blocks).share == 1


def test_units_are_known_by_the_names_of_parameters():
    assert hidden_units(["up", "up_bias", "down"])[0].places == (("up", 1), ("up_bias", 0), ("down", 0))
    forward = hidden_units(["layers.0.linear1.weight", "layers.0.linear1.bias", "layers.0.linear2.weight"])
    assert forward[0].places[2] == ("layers.0.linear2.weight", 1)
    assert hidden_units(["weight", "bias"]) == ()


# Over recipes


def test_a_partial_correlation_is_that_of_ranks_without_what_is_given():
    rng = np.random.default_rng(1)
    common = rng.normal(size=400)
    x, y = common + 0.1 * rng.normal(size=400), common + 0.1 * rng.normal(size=400)
    assert partial_spearman(np.array([x, y])) > 0.9
    assert abs(partial_spearman(np.array([x, y, common]))) < 0.15
    assert partial_spearman(np.array([x, np.ones(400)])) is None


def test_with_24_independent_points_the_interval_is_about_four_tenths_wide_on_either_side():
    low, high = fisher_interval(0.0, 24, 0)
    assert (low, high) == pytest.approx((-0.40, 0.40), abs=0.01)


def test_runs_of_one_recipe_do_not_count_as_independent():
    rng = np.random.default_rng(2)
    of_recipe = np.repeat(rng.normal(size=(2, 8)), 3, axis=1)
    x, y = of_recipe + 0.01 * rng.normal(size=(2, 24))
    labels = [f"recipe_{i // 3}" for i in range(24)]
    found = associate(("x", x), ("y", y), {}, labels, seed=0)
    assert found.n == 24
    assert found.recipes == 8
    assert found.high_recipes - found.low_recipes > found.high - found.low
    assert 0 < found.p <= 1
    too_few = associate(("x", x), ("y", np.full(24, np.nan)), {}, labels, seed=0)
    assert too_few == Association("x", "y", (), 0, 0, None, reason=too_few.reason)
    assert "too few runs" in too_few.reason


def test_recipes_are_drawn_with_both_networks_and_keep_what_is_given():
    found = random_recipes(6, {"prime": 23, "weight_decay": 0.5}, seed=1)
    assert [one["network"] for one in found] == ["mlp", "transformer"] * 3
    assert {one["prime"] for one in found} == {23}
    assert {one["weight_decay"] for one in found} == {0.5}
    assert len({one["learning_rate"] for one in found}) > 3
    assert found == random_recipes(6, {"prime": 23, "weight_decay": 0.5}, seed=1)


def test_a_change_is_between_medians_of_the_ends(stable):
    assert change_of(stable, "embedding/sphere/H1_max_lifetime") == pytest.approx(np.log(0.4 / 0.1))
    rows = associations([("recipe_1", stable), ("recipe_2", stable)])
    assert {one.given for one in rows} == {(), ("learning_rate", "weight_decay")}
    assert all(one.rho is None and one.reason for one in rows)

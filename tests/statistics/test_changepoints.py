"""Onset, lag and rank correlation of series whose answers are known."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from todacomm.statistics.changepoints import blocks, hinge, lag_of, onset_of, rank_correlation, steady_rise


def test_the_knee_of_a_hinge_is_found():
    x = np.arange(60.0)
    place, fitted = hinge(x, 0.1 + 0.02 * np.maximum(0, x - 35))
    assert place == 35
    np.testing.assert_allclose(fitted, 0.1 + 0.02 * np.maximum(0, x - 35), atol=1e-12)


def test_the_onset_of_a_noisy_rise_is_in_its_interval(rng):
    steps = list(range(0, 3000, 30))
    x = np.array(steps)
    hits = 0
    for _ in range(20):
        values = 0.08 + 0.0004 * np.clip(x - 1500, 0, 600) + rng.normal(0, 0.004, len(x))
        found = onset_of(steps, values)
        assert abs(found.step - 1500) <= 150
        assert found.low <= found.step <= found.high
        hits += found.low - 30 <= 1500 <= found.high + 30
    assert hits >= 16


def test_no_onset_without_a_past():
    assert onset_of(range(20), np.ones(20)) is None
    assert onset_of(range(5), np.arange(5.0)) is None
    assert onset_of(range(20), np.full(20, np.nan)) is None


def turn(at, width=3.0, count=100):
    """A smooth rise from 0 to 1 around the checkpoint ``at``."""
    return 1 / (1 + np.exp(-np.clip((np.arange(count) - at) / width, -40, 40)))


@pytest.mark.parametrize("shift", [-3, 0, 4, 20, -24, 30, -30, 50, -50, 60, -65])
def test_the_lag_of_a_shifted_series_is_its_shift(shift, rng):
    """Beyond a quarter of the run as well, where the sign was that of the noise."""
    steps = list(range(0, 1000, 10))
    leader = turn(50 - shift / 2) + rng.normal(0, 0.003, 100)
    found = lag_of(steps, turn(50 + shift / 2), leader)
    assert abs(found.steps - 10 * shift) <= 10
    assert found.low <= found.steps <= found.high
    assert found.low - 10 <= 10 * shift <= found.high + 10
    assert found.high - found.low <= 60
    assert found.correlation >= found.at_zero
    assert found.correlation > 0.8


@pytest.mark.parametrize("kind", ["white", "walk", "heavy", "slow"])
@pytest.mark.parametrize("count", [20, 101, 250])
def test_no_lag_is_given_between_independent_noises(kind, count, rng, monkeypatch):
    monkeypatch.setattr("todacomm.statistics.changepoints.DRAWS", 2)
    draw = {
        "white": lambda: rng.normal(size=count),
        "walk": lambda: np.cumsum(rng.normal(size=count)),
        "heavy": lambda: rng.standard_t(3, size=count),
        "slow": lambda: np.convolve(rng.normal(size=count + 9), 0.8 ** np.arange(10), "valid"),
    }[kind]
    steps = range(0, 10 * count, 10)
    assert sum(lag_of(steps, draw(), draw()) is not None for _ in range(50)) <= 3


def test_no_lag_is_given_between_noise_and_a_rise(rng):
    steps = range(0, 1000, 10)
    assert sum(lag_of(steps, rng.normal(size=100), turn(50)) is not None for _ in range(20)) <= 1
    assert lag_of(steps, np.full(100, 0.3), turn(50)) is None
    assert lag_of(range(5), np.arange(5.0), np.arange(5.0)) is None
    assert lag_of(steps, np.full(100, np.nan), turn(50)) is None


def test_a_dip_of_one_checkpoint_does_not_decide_the_lag(rng):
    accuracy = turn(40, 1.0)
    accuracy[80] = 0.1
    loop = turn(55, 4.0) + rng.normal(0, 0.005, 100)
    loop[78] = 0.2
    assert abs(lag_of(range(0, 1000, 10), loop, accuracy).steps - 150) <= 20


def test_the_interval_of_a_lag_covers_it(rng):
    hits = 0
    for _ in range(20):
        leader, follower = (turn(at, 6) + rng.normal(0, 0.03, 100) for at in (40, 52))
        found = lag_of(range(100), follower, leader)
        hits += found is None or found.low - 1 <= 12 <= found.high + 1
    assert hits >= 17


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(0.02, 0.6, 80), True),
        (np.concatenate([np.zeros(95), [0.02, 0.05, 0.1, 0.2, 0.3]]), True),
        (np.concatenate([np.linspace(0, 0.62, 60), np.full(40, 0.62)]), False),
        (np.concatenate([np.zeros(50), np.full(50, 0.97)]), False),
        (np.linspace(0.9, 0.3, 80), False),
        (np.full(30, 0.25), False),
        (np.linspace(0, 1, 5), False),
    ],
)
def test_what_still_rises_is_told_from_what_has_settled(values, expected, rng):
    assert steady_rise(values) is expected
    if len(values) > 20:
        assert steady_rise(values + rng.normal(0, 0.003, len(values))) is expected


def test_one_answer_more_of_few_inputs_is_no_rise():
    assert not steady_rise(np.repeat([0.0, 0.025], [8, 8]))
    assert steady_rise(np.repeat([0.0, 0.025, 0.05, 0.1, 0.2], 3))


def test_noise_does_not_rise(rng):
    assert sum(steady_rise(0.5 + rng.normal(0, 0.05, 100)) for _ in range(200)) <= 6


def test_the_rank_correlation_is_that_of_scipy_and_in_its_interval(rng):
    x = np.cumsum(rng.normal(size=80))
    y = x + rng.normal(size=80)
    y[3] = np.nan
    found = rank_correlation(x, y)
    assert found.rho == pytest.approx(spearmanr(x[np.isfinite(y)], y[np.isfinite(y)])[0])
    assert found.low <= found.rho <= found.high
    assert found.points == 79
    assert rank_correlation(x, np.ones(80)) is None
    assert rank_correlation(x[:5], y[5:10]) is None


def test_blocks_keep_neighbours_together(rng):
    drawn = blocks(rng, 100)
    assert len(drawn) == 100
    assert (np.diff(drawn) == 1).mean() > 0.7

"""Onset, lag and rank correlation of series whose answers are known."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from todacomm.changepoints import blocks, hinge, lag_of, onset_of, rank_correlation


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


@pytest.mark.parametrize("shift", [-3, 0, 4])
def test_the_lag_of_a_shifted_series_is_its_shift(shift, rng):
    steps = list(range(0, 1000, 10))
    x = np.arange(100)
    leader = 1 / (1 + np.exp(-(x - 50) / 3)) + rng.normal(0, 0.003, 100)
    follower = 1 / (1 + np.exp(-(x - 50 - shift) / 3))
    found = lag_of(steps, follower, leader)
    assert abs(found.steps - 10 * shift) <= 10
    assert found.correlation >= found.at_zero
    assert found.correlation > 0.9


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

"""The onset of a change in a short series: closed cases, coverage on planted ones, silence on noise."""

import numpy as np
import pytest

from todacomm.statistics.changepoints import change_of

WAYS = {
    "at once": lambda z, _: (z > 0).astype(float),
    "evenly": lambda z, length: np.clip(z / length, 0, 1),
    "fast first": lambda z, length: 1 - np.exp(-3 * np.maximum(z, 0) / length),
}


def test_a_shift_lies_before_the_checkpoint_that_shows_it_and_not_far_before():
    steps = (0, 10, 30, 70, 150, 310, 630)
    values = np.array([2.0, 2.1, 1.9, 2.0, 7.0, 7.1, 6.9])
    found = change_of(steps, values)
    assert (found.low, found.high) == (30, 150)
    assert found.low <= found.step <= found.high
    assert found.before == pytest.approx(2.0, abs=0.1)
    assert found.after == pytest.approx(7.0, abs=0.1)
    fallen = change_of(steps, -values)
    assert (fallen.step, fallen.low, fallen.high) == (found.step, found.low, found.high)


def test_a_fall_over_decades_is_seen_on_logarithms():
    values = np.exp(-np.clip(np.arange(12) - 5.0, 0, None))
    found = change_of(range(0, 1200, 100), values)
    assert (found.low, found.high) == (400, 600)
    assert found.after == pytest.approx(values[-1], rel=0.2)


def test_undefined_checkpoints_are_passed_over():
    steps = tuple(range(9))
    values = np.array([1.0, np.nan, 1.01, 0.99, 1.0, np.nan, 5.0, 5.01, 4.99])
    found = change_of(steps, values)
    assert (found.low, found.high) == (3, 6)
    assert change_of(steps, np.where(np.arange(9) < 4, np.nan, values)) is None
    assert change_of(steps, np.ones(9)) is None


@pytest.mark.parametrize("count", [6, 12])
def test_noise_has_no_onset(count):
    rng = np.random.default_rng(count)
    found = [change_of(range(count), rng.normal(size=count)) for _ in range(100)]
    assert sum(one is not None for one in found) <= 5


@pytest.mark.parametrize("way", WAYS)
def test_planted_onsets_are_covered(way):
    rng, covered, gaps = np.random.default_rng(3), 0, []
    for _ in range(60):
        count = int(rng.choice([8, 12, 20]))
        steps = np.arange(count) * 100
        onset, length = rng.uniform(101, steps[-3]), rng.uniform(100, 300)
        found = change_of(steps.tolist(), WAYS[way](steps - onset, length) + rng.normal(size=count) / 20)
        covered += found is not None and found.low <= onset <= found.high
        gaps.append((found.high - found.low) / 100)
    assert covered >= 54
    assert np.median(gaps) <= 3

"""Onsets of all layers of a trajectory."""

import numpy as np
import pytest

import todacomm as td
from todacomm.profiles.trajectory import Trajectory


@pytest.fixture(scope="module")
def trajectory():
    rng, steps = np.random.default_rng(0), tuple(range(0, 1000, 100))
    scale = 1 + 0.02 * rng.normal(size=(10, 3))
    scale[6:, 1] -= 0.5
    scale[:, 2] = 4.0
    shape = np.where(np.arange(10)[:, None] < 7, np.nan, scale)
    return Trajectory("planted", steps, ("embedding", "layer_0", "final"), {"scale": scale, "H1_count": shape})


def test_the_layer_that_changes_is_found(trajectory):
    still, moved, flat = td.onsets(trajectory)
    assert [one.number for one in (still, moved, flat)] == ["scale"] * 3
    assert moved.found
    assert (moved.layer, moved.change.high) == ("layer_0", 600)
    assert 400 <= moved.change.low < moved.change.step <= 600
    assert not still.found
    assert still.reason == "a constant describes it as well"
    assert flat.reason == "it is the same at every checkpoint"


def test_too_few_checkpoints_are_named(trajectory):
    first, *_ = td.onsets(trajectory, ["H1_count"])
    assert first.change is first.adjusted is None
    assert first.reason == "3 checkpoints with this number, at least 6 are needed"

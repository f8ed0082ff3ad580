"""Planted truth: the interval of the onset holds the step at which a layer collapses, and at which a ring closes."""

import sys
from pathlib import Path

import pytest

import todacomm as td

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

import onsets

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [1, 3])
def test_a_layer_that_collapses_is_dated(tmp_path, seed):
    begin, layer = onsets.collapse(seed, tmp_path / "run", every=10, last=120)
    trajectory = td.track(tmp_path / "run", pooling="mean", samples=60, resamples=0, null_draws=0, language=False)
    found = {one.layer: one for one in td.onsets(trajectory, ["scale"])}[layer]
    assert found.found
    assert found.change.after < 0.5 * found.change.before
    assert found.change.low <= begin <= found.change.high


@pytest.mark.parametrize("seed", [3, 4, 6])
def test_an_embedding_that_closes_into_a_ring_is_dated(seed):
    begin, trajectory = onsets.ring(seed)
    [found] = td.onsets(trajectory, ["H1_max_lifetime"])
    assert found.found
    assert found.change.after > 3 * found.change.before
    assert found.change.low <= begin <= found.change.high

"""A layer that collapses at a known step is told within two measurements."""

import pytest

import collapsing
from todacomm.monitoring.recording import TopologyAlert


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_collapse_of_a_layer_is_told_within_two_measurements(tmp_path, seed):
    with pytest.warns(TopologyAlert, match="relative_scale"):
        monitor = collapsing.fine_tuned(tmp_path, seed)
    first = monitor.fired[0].step
    assert collapsing.BEGINS < first <= collapsing.BEGINS + 2 * collapsing.EVERY
    assert f"layer_{collapsing.BLOCK}" in {one.layer for one in monitor.fired}


@pytest.mark.slow
def test_without_one_there_is_no_alert(tmp_path):
    assert collapsing.fine_tuned(tmp_path, 0, collapse=False).fired == []

"""When two series of profiles part: planted differences, none, and what cannot be compared."""

import numpy as np
import pytest

import todacomm as td
from todacomm.comparison.partings import partings


@pytest.fixture(scope="module")
def series():
    """Two series of three steps on the same points: the second gathers its layer_1 in clusters from step 20 on."""
    rng = np.random.default_rng(5)
    base = rng.normal(size=(50, 6))
    centres = 6 * rng.normal(size=(4, 6))

    def profile(name, step, *, gathered):
        noise, same = (np.random.default_rng(step + k).normal(size=base.shape) for k in (len(name), 0))
        layer = centres[np.arange(50) % 4] + 0.3 * noise if gathered else base + 0.1 * noise
        arrays = {"embedding": base + 0.1 * same, "layer_1": layer}
        return td.measure(arrays, name=name, resamples=20, null_draws=0)

    steps = (0, 20, 30)
    first = {step: profile("a", step, gathered=False) for step in steps}
    second = {step: profile("bb", step, gathered=step >= 20) for step in steps}
    return first, second


def test_the_layer_that_parts_is_found_at_its_step(series):
    found = partings(("a", "bb"), series)
    assert found.how == "paired"
    still, parted = found.partings
    assert (parted.layer, parted.first, parted.for_good) == ("layer_1", 20, 20)
    assert parted.difference[2] < parted.high[2] < 0
    assert still.for_good is None
    alike = partings(("a", "a"), (series[0], series[0]))
    assert [one.first for one in alike.partings] == [None, None]


def test_what_cannot_be_compared_says_why(series):
    late = {40: series[1][30]}
    assert partings(("a", "b"), (series[0], late)).refused == "they have no step in common"
    bare = {0: td.measure(np.random.default_rng(0).normal(size=(50, 6)), resamples=0, null_draws=0)}
    assert "no resamples" in partings(("a", "b"), (series[0], bare)).refused

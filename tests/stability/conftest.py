"""A run whose copies were followed, as it is stored, without a training."""

import numpy as np
import pytest

import stable_runs


@pytest.fixture
def stable():
    return stable_runs.stable_run(np.random.default_rng(0))

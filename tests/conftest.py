"""Fixtures shared by all tests; those parametrised by a registry enrol whatever registers."""

import numpy as np
import pytest
from hypothesis import settings

from todacomm.engines import engines
from todacomm.metrics import metrics

settings.register_profile("todacomm", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("todacomm")


@pytest.fixture
def rng():
    return np.random.default_rng(20260)


@pytest.fixture(params=sorted(engines))
def engine(request):
    return request.param


@pytest.fixture(params=sorted(metrics))
def metric(request):
    return metrics[request.param]

"""Every public door holds linear algebra to one thread, and gives back what there was."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import todacomm as td
from todacomm.clouds import intrinsic_dimension
from todacomm.clouds.intrinsic_dimension import local_dimension, two_nn
from todacomm.comparison import compare
from todacomm.core.errors import InvalidInput
from todacomm.homology import rips
from todacomm.profiles import from_arrays

POINTS = np.random.default_rng(0).normal(size=(40, 3))
QUICK = {"null_draws": 0, "resamples": 0}


def threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def two():
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.fixture
def profile():
    return td.measure(POINTS, **QUICK)


@pytest.mark.parametrize(
    ("door", "module", "inner"),
    [
        (lambda _: td.measure(POINTS, **QUICK), from_arrays, "measure_arrays"),
        (lambda _: td.rips(POINTS), rips, "pairwise"),
        (lambda _: td.rips(POINTS, precision="float64"), rips, "in_double"),
        (lambda _: two_nn(POINTS), intrinsic_dimension, "squared"),
        (lambda _: local_dimension(POINTS), intrinsic_dimension, "squared"),
        (lambda profile: td.compare([profile, profile]), compare, "warnings"),
    ],
)
@pytest.mark.usefixtures("two")
def test_a_door_holds_its_threads_and_gives_them_back(door, module, inner, profile, monkeypatch):
    whole, seen = getattr(module, inner), []

    def looking(*given, **options):
        seen.append(threads())
        return whole(*given, **options)

    monkeypatch.setattr(module, inner, looking)
    assert threads() == {2}
    door(profile)
    assert seen
    assert all(found == {1} for found in seen)
    assert threads() == {2}


@pytest.mark.usefixtures("two")
def test_threads_are_given_back_after_an_error():
    with pytest.raises(InvalidInput):
        td.measure(np.zeros((4, 2)), **QUICK)
    assert threads() == {2}

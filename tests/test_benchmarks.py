"""The arithmetic of the benchmarks: a table is no better than the fit it prints."""

import sys
from mmap import PAGESIZE, mmap
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import linregress

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import growth
import measure


def test_the_exponent_of_a_power_law_is_found_without_error():
    x = np.array([100, 200, 400, 1000])
    assert measure.fit(x, 3e-4 * x**2.5) == pytest.approx((2.5, 0), abs=1e-9)


def test_exponent_and_standard_error_are_those_of_a_regression_over_logarithms():
    rng = np.random.default_rng(3)
    x = np.array([1, 2, 4, 8, 16])
    y = x**1.5 * np.exp(0.2 * rng.normal(size=5))
    expected = linregress(np.log(x), np.log(y))
    assert measure.fit(x, y) == pytest.approx((expected.slope, expected.stderr))


def test_a_cost_that_does_not_grow_hides_less_of_the_last_step():
    ends, whole, last = growth.exponents([1, 10, 100, 1000], [101, 110, 200, 1100])
    assert ends == "101 to 1100"
    assert float(whole.split(" ±")[0]) < 0.5
    assert float(last) == round(np.log10(1100 / 200), 2)


def test_values_that_are_too_small_take_no_part_in_an_exponent():
    assert growth.exponents([1, 2, 4, 8], [9, 4, 16, 64], least=1.0)[1] != "2.00 ± 0.00"
    assert growth.exponents([1, 2, 4, 8], [0.9, 4, 16, 64], least=1.0) == ("0.9 to 64", "2.00 ± 0.00", "2.00")


def test_of_fewer_than_three_values_no_exponent_is_made():
    assert growth.exponents([1, 2, 4], [0.5, 4, 16], least=1.0) == ("0.5 to 16", "", "")


def filled(held):
    """Touch each page."""
    for start in range(0, len(held), PAGESIZE):
        held[start] = 1


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a peak that can be reset")
def test_the_peak_of_memory_is_counted_from_the_moment_it_is_asked_for():
    size = 64 * 2**20
    with mmap(-1, size) as held:  # malloc may hand out what earlier tests left over, which would not show
        filled(held)
        before = measure.resident_mebibytes()
    after = measure.resident_mebibytes()
    with mmap(-1, size) as held:
        filled(held)
    assert 60 < before - after < 70
    assert 60 < growth.peak_mebibytes() - after < 70

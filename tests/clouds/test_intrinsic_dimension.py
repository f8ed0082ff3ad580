"""TwoNN beside scikit-dimension, on shapes whose dimension is known, and where it is undefined."""

import numpy as np
import pytest

from todacomm.clouds.intrinsic_dimension import local_dimension, two_nn
from todacomm.core.errors import InvalidCloud, InvalidInput


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("discard", [0.0, 0.1])
def test_two_nn_is_that_of_scikit_dimension(seed, discard):
    from skdim.id import TwoNN

    rng = np.random.default_rng(seed)
    cloud = rng.normal(size=(300, 4 + seed)) @ rng.normal(size=(4 + seed, 40))
    kept = max(discard, 0.004)  # scikit-dimension fits the last point at infinity where none is left out
    assert two_nn(cloud, discard=kept) == pytest.approx(TwoNN(discard_fraction=kept).fit(cloud).dimension_, rel=1e-6)


def test_random_points_of_a_circle_have_dimension_one(rng):
    angles = rng.uniform(0, 2 * np.pi, 1000)
    assert two_nn(np.c_[np.cos(angles), np.sin(angles)]) == pytest.approx(1, rel=0.1)


def test_points_in_equal_steps_get_a_word_about_ties():
    angles = 2 * np.pi * np.arange(1000) / 1000
    with pytest.raises(InvalidCloud, match="ties, two neighbours equally near.*at random"):
        two_nn(np.c_[np.cos(angles), np.sin(angles)])


def test_points_that_are_there_twice_are_left_out(rng):
    cloud = rng.normal(size=(200, 3))
    doubled = np.concatenate([cloud, cloud[:20]])
    assert two_nn(doubled) == pytest.approx(two_nn(cloud), rel=0.25)


@pytest.mark.parametrize(
    ("cloud", "message"), [(np.zeros((2, 3)), "2 points"), (np.zeros((50, 3)), "0 distinct points")]
)
def test_too_few_points_are_refused(cloud, message):
    with pytest.raises(InvalidCloud, match=message):
        two_nn(cloud)


def test_a_share_of_one_is_refused(rng):
    with pytest.raises(InvalidInput, match="share"):
        two_nn(rng.normal(size=(50, 2)), discard=1.0)


def test_the_local_dimension_of_a_bent_sheet_is_two(rng):
    u, v = rng.uniform(0, 3 * np.pi, 1500), rng.uniform(0, 8, 1500)
    roll = np.c_[u * np.cos(u), u * np.sin(u), v]
    assert local_dimension(roll, centres=200) == pytest.approx(2, rel=0.15)


def test_the_local_dimension_of_one_neighbourhood_is_that_of_the_cloud(rng):
    cloud = rng.normal(size=(40, 3))
    assert local_dimension(cloud) == pytest.approx(two_nn(cloud), rel=1e-9)
    assert local_dimension(np.ones((40, 3))) is None

"""Linear CKA: its formula by kernels, what leaves it alone, and what it is not defined for."""

import numpy as np
import pytest

from todacomm.errors import InvalidInput
from todacomm.geometry import linear_cka


def by_kernels(x, y):
    """Kornblith et al. 2019, equations 2 and 3: HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)) with centred linear kernels."""
    h = np.eye(len(x)) - 1 / len(x)
    k, other = h @ x @ x.T @ h, h @ y @ y.T @ h
    return np.trace(k @ other) / np.sqrt(np.trace(k @ k) * np.trace(other @ other))


@pytest.mark.parametrize("d", [3, 12, 50])
def test_it_is_the_alignment_of_the_centred_kernels(rng, d):
    x, y = rng.normal(size=(20, d)) + 3, rng.normal(size=(20, 7))
    assert linear_cka(x, y) == pytest.approx(by_kernels(x, y), rel=1e-10)


def test_rotation_shift_and_one_scale_change_nothing(rng):
    x = rng.normal(size=(30, 6))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert linear_cka(x, 1e30 * (x @ turn) + 5) == pytest.approx(1)
    assert linear_cka(x, x * np.array([9.0, 1, 1, 1, 1, 1])) < 0.9


def test_clouds_with_nothing_in_common_are_near_zero_when_there_are_many_points(rng):
    assert linear_cka(rng.normal(size=(4000, 3)), rng.normal(size=(4000, 3))) < 0.01


def test_float32_activations_are_taken_as_they_are(rng):
    x = rng.normal(size=(30, 6))
    assert linear_cka(x.astype(np.float32), x) == pytest.approx(1, abs=1e-6)


def test_a_cloud_of_one_point_has_none_and_other_texts_are_refused(rng):
    x = rng.normal(size=(10, 3))
    assert linear_cka(np.full((10, 3), 0.1, dtype=np.float32), x) is None
    with pytest.raises(InvalidInput, match="clouds of 10 and 9 points; expected the same texts in both"):
        linear_cka(x, x[1:])

"""Linear CKA: its definition, values of another implementation, invariances, undefined cases."""

import numpy as np
import pytest

from todacomm.clouds import cka
from todacomm.clouds.cka import linear_cka
from todacomm.core.errors import InvalidInput


def by_definition(x, y):
    """Song et al. 2012, equation 5, HSIC₁ of whole Gram matrices, and its alignment, in long double."""
    n = len(x)
    k, other = (np.asarray(z, np.longdouble) @ np.asarray(z, np.longdouble).T for z in (x, y))
    for gram in (k, other):
        np.fill_diagonal(gram, 0)

    def hsic(a, b):
        products = (a * b).sum()
        sums = a.sum() * b.sum() / ((n - 1) * (n - 2))
        rows = 2 * (a.sum(axis=1) * b.sum(axis=1)).sum() / (n - 2)
        return (products + sums - rows) / (n * (n - 3))

    return float(hsic(k, other) / np.sqrt(hsic(k, k) * hsic(other, other)))


@pytest.mark.parametrize(("n", "d", "e"), [(20, 3, 7), (20, 50, 7), (60, 5, 400), (4, 3, 2), (5, 1, 1)])
def test_it_is_the_alignment_of_the_unbiased_hsic(rng, n, d, e):
    x, y = rng.normal(size=(n, d)) + 3, rng.normal(size=(n, e))
    y[:, 0] += x[:, 0]
    assert linear_cka(x, y) == pytest.approx(by_definition(x, y), abs=1e-10)


def test_rows_taken_in_parts_give_the_same(rng, monkeypatch):
    x, y = rng.normal(size=(50, 6)), rng.normal(size=(50, 9))
    whole = linear_cka(x, y)
    monkeypatch.setattr(cka, "BLOCK", 300)  # 6 rows at a time, 2 at the end
    assert linear_cka(x, y) == pytest.approx(whole, abs=1e-14)


def waves(n, d, phase):
    return np.sin(np.outer(np.arange(1, n + 1), np.sqrt(np.arange(1, d + 1))) + phase)


@pytest.mark.parametrize(
    ("shape", "value"),
    [((40, 5, 9), 0.08188307291459125), ((60, 200, 3), -0.03700346934182203), ((300, 768, 768), -0.02174924139654579)],
)
def test_values_of_pytorch_cka(shape, value):
    """pytorch-cka 1.1.3, ``cka.hsic.hsic`` of the Gram matrices in float64."""
    n, d, e = shape
    assert linear_cka(waves(n, d, 0), waves(n, e, 1) ** 3) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("d", [768, 2048, 4096])
def test_clouds_with_nothing_in_common_are_at_zero_in_any_dimension(rng, d):
    """The biased estimator gives 0.60, 0.80 and 0.89."""
    first, second = rng.normal(size=(2, 500, d)).astype(np.float32)
    assert abs(linear_cka(first, second)) <= 0.02
    assert abs(linear_cka(first, second[:, :64])) <= 0.02


def test_what_is_shared_is_seen_in_any_dimension(rng):
    shared = rng.normal(size=(200, 3))
    first, second = (shared @ rng.normal(size=(3, 500)) + rng.normal(size=(200, 500)) for _ in range(2))
    assert 0.5 < linear_cka(first, second) < 1


def test_rotation_shift_and_one_scale_change_nothing(rng):
    x = rng.normal(size=(30, 6))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    for scale in (1e-300, 1e30, 1e300):
        assert linear_cka(x, scale * (x @ turn + 5)) == pytest.approx(1)
    assert linear_cka(x, x + 1e7) == pytest.approx(1)
    assert linear_cka(x, x * np.array([9.0, 1, 1, 1, 1, 1])) < 0.9


def test_float32_activations_are_taken_as_they_are(rng):
    x = rng.normal(size=(30, 6))
    assert linear_cka(x.astype(np.float32), x) == pytest.approx(1, abs=1e-6)


def test_one_point_that_lies_far_out_costs_no_digits(rng):
    x, y = rng.normal(size=(40, 5)), rng.normal(size=(40, 5))
    x[0] *= 1e5
    assert linear_cka(x, y) == pytest.approx(by_definition(x, y), abs=1e-9)


@pytest.mark.parametrize("n", [4, 50, 600])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_clouds_of_one_place_or_of_one_place_and_a_point_have_none(rng, n, kind):
    x, equal = rng.normal(size=(n, 3)), np.full((n, 3), 0.1, dtype=kind)
    apart = equal.copy()
    apart[n // 2] = [1, 2, 3]
    assert linear_cka(equal, x) is linear_cka(x, equal) is linear_cka(apart, x) is None


def test_three_points_have_none_and_other_texts_are_refused(rng):
    x = rng.normal(size=(10, 3))
    assert linear_cka(x[:3], x[:3]) is None
    with pytest.raises(InvalidInput, match="clouds of 10 and 9 points; expected the same texts in both"):
        linear_cka(x, x[1:])

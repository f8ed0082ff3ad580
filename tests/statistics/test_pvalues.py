"""Counts to p-values, and their adjustments."""

import numpy as np
import pytest

from todacomm.statistics import pvalues

NULL = np.array([[1.0], [2.0], [3.0], [4.0]])


def p(observed, alternative, null=NULL):
    return pvalues.p_values(np.array([observed]), null, alternative).item()


def test_p_counts_the_observed_number_as_a_draw():
    assert p(5.0, "greater") == 1 / 5
    assert p(2.5, "greater") == 3 / 5
    assert p(0.0, "greater") == 1
    assert p(5.0, "two-sided") == p(0.0, "two-sided") == 2 / 5
    assert p(2.5, "two-sided") == 1


def test_ties_and_undefined_draws_count_as_extreme():
    assert p(4.0, "greater") == 2 / 5
    assert p(1.0, "two-sided") == 4 / 5
    with_nan = np.array([[1.0], [np.nan], [3.0], [4.0]])
    assert p(5.0, "greater", with_nan) == 2 / 5
    assert p(0.0, "two-sided", with_nan) == 4 / 5
    assert np.isnan(p(np.nan, "greater"))


def test_a_number_that_never_varies_is_never_significant():
    assert p(7.0, "two-sided", np.full((199, 1), 7.0)) == 1
    assert p(7.0, "greater", np.full((199, 1), 7.0)) == 1


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_the_smallest_p_is_that_of_a_number_beyond_all_draws(alternative):
    null = np.random.default_rng(0).normal(size=(199, 1))
    assert p(9.0, alternative, null) == pytest.approx(pvalues.smallest(199, alternative))
    assert pvalues.smallest(1, "two-sided") == 1


def test_adjusted_is_that_of_benjamini_and_hochberg():
    """The example of their paper, section 3.2: 15 p-values, of which four are below 0.05 after adjustment."""
    found = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1,
    ]
    after = pvalues.adjusted(np.array(found))
    steps = [min(1, *(p * 15 / (i + 1) for i, p in enumerate(found) if i >= rank)) for rank in range(15)]
    np.testing.assert_allclose(after, steps, rtol=1e-12)
    assert (after <= 0.05).sum() == 4


def test_adjusted_leaves_out_what_is_undefined():
    found = pvalues.adjusted(np.array([0.01, np.nan, 0.04]))
    np.testing.assert_allclose(found, [0.02, np.nan, 0.04])
    assert np.isnan(pvalues.adjusted(np.full(3, np.nan))).all()
    assert pvalues.adjusted(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_the_family_wise_p_is_no_smaller_than_that_of_the_layer(alternative):
    rng = np.random.default_rng(2)
    for _ in range(20):
        null, observed = rng.exponential(size=(49, 6)), 2 * rng.exponential(size=6)
        alone = pvalues.p_values(observed, null, alternative)
        assert (pvalues.family_wise(observed, null, alternative) >= alone).all()


def test_two_sides_are_alike():
    """A number as far below its draws as another is above has the same p, alone and beside other layers."""
    rng = np.random.default_rng(7)
    null, observed = rng.normal(size=(99, 4)), np.array([-6.0, 0.2, 5.0, -0.1])
    for p_of in (pvalues.p_values, pvalues.family_wise):
        np.testing.assert_array_equal(p_of(-observed, -null, "two-sided"), p_of(observed, null, "two-sided"))
    assert (pvalues.family_wise(observed, null, "two-sided") <= 0.05).tolist() == [True, False, True, False]


def test_the_family_wise_p_of_one_layer_is_its_own():
    null, observed = np.random.default_rng(3).normal(size=(99, 1)), np.array([1.5])
    assert pvalues.family_wise(observed, null, "greater") == pvalues.p_values(observed, null, "greater")


def test_the_family_wise_p_does_not_grow_with_copies_of_a_layer():
    """Layers that say the same are one test, where Bonferroni would make them many."""
    null, observed = np.random.default_rng(4).normal(size=(199, 1)), np.array([2.2])
    many = pvalues.family_wise(np.repeat(observed, 32), np.repeat(null, 32, axis=1), "greater")
    assert set(many) == {pvalues.p_values(observed, null, "greater").item()}


def test_family_wise_error_of_independent_layers_is_at_the_level():
    """400 families of 8 true nulls: least family-wise p ≤ 0.05 in 5 % of them, least p in a third."""
    rng = np.random.default_rng(5)
    least, alone = [], []
    for _ in range(400):
        observed, null = rng.normal(size=8), rng.normal(size=(99, 8))
        least.append(pvalues.family_wise(observed, null, "greater").min())
        alone.append(pvalues.p_values(observed, null, "greater").min())
    assert 0.02 <= np.mean(np.array(least) <= 0.05) <= 0.08
    assert np.mean(np.array(alone) <= 0.05) > 0.25


def test_layers_without_a_number_take_no_part():
    null = np.random.default_rng(6).normal(size=(99, 3))
    observed = np.array([np.nan, 2.0, 0.1])
    found = pvalues.family_wise(observed, null, "greater")
    assert np.isnan(found[0])
    np.testing.assert_array_equal(found[1:], pvalues.family_wise(observed[1:], null[:, 1:], "greater"))


def test_each_number_is_held_against_the_largest_of_each_draw():
    null = np.array([[1.0, 5.0], [2.0, 3.0], [np.nan, 0.0]])
    assert pvalues.against_all(np.array([0.0, 4.0, 6.0]), null).tolist() == [1.0, 3 / 4, 2 / 4]
    assert pvalues.against_all(np.empty(0), null).shape == (0,)


def test_one_layer_beyond_its_draws_is_found_among_many():
    """Benjamini and Hochberg with 199 draws cannot pass one layer of 32; the largest layer of each draw can."""
    null = np.random.default_rng(5).standard_normal((199, 32))
    observed = np.array([8.0, *np.zeros(31)])
    assert pvalues.adjusted(pvalues.p_values(observed, null, "greater"))[0] == pytest.approx(0.16)
    assert pvalues.family_wise(observed, null, "greater")[0] == 1 / 200

"""Laws of every registered metric."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from todacomm.core.types import Diagrams
from todacomm.homology.metrics import SCALED, betti_curve, metrics, names_of, summarise

lengths = st.tuples(st.floats(0.1, 10), st.floats(0.01, 10))
diagrams = st.lists(lengths, min_size=0, max_size=12).map(
    lambda rows: np.array([(b, b + life) for b, life in rows]).reshape(-1, 2)
)


@given(bars=diagrams, factor=st.sampled_from([0.25, 2.0, 8.0]))
def test_degree_is_the_unit(bars, factor):
    for entry in metrics.values():
        before, after = entry.of(bars), entry.of(factor * bars)
        if before is None:
            assert after is None
        else:
            assert after == pytest.approx(factor**entry.degree * before, rel=1e-9, abs=1e-12), entry.name


@given(bars=diagrams, seed=st.integers(0, 99))
def test_the_order_of_the_bars_does_not_matter(bars, seed):
    shuffled = np.random.default_rng(seed).permutation(bars)
    for entry in metrics.values():
        assert entry.of(shuffled) == pytest.approx(entry.of(bars)), entry.name


def test_the_empty_diagram_is_defined_for_each_metric():
    empty = np.zeros((0, 2))
    expected = {
        "count": 0,
        "total_persistence": 0,
        "max_lifetime": 0,
        "mean_lifetime": None,
        "persistence_norm": 0,
        "entropy": 0,
        "birth_of_longest": None,
        "death_birth_ratio": None,
        "prominence": 0,
        "screen": None,
    }
    assert {name: entry.of(empty) for name, entry in metrics.items()} == expected


def test_every_metric_says_where_it_is_from_or_what_it_is(metric):
    assert metric.of.__doc__
    assert metric.degree in (0, 1)
    assert metric.label


def test_entropy_is_in_nats():
    """n bars of one length have entropy ln n (Chintakunta et al. 2015)."""
    bars = np.array([(0.0, 2.0)] * 8)
    assert metrics["entropy"].of(bars) == pytest.approx(np.log(8))
    assert metrics["entropy"].of(bars[:1]) == 0


def test_a_summary_gives_each_degree_one_metric_its_scale_free_twin():
    found = Diagrams.from_arrays([np.array([(0.0, 2.0), (0.0, 4.0)]), np.array([(1.0, 3.0)])])
    summary = summarise(found, scale=4.0)
    assert summary["H0_total_persistence"] == 6
    assert summary["H0_total_persistence_scaled"] == 1.5
    assert summary["H1_death_birth_ratio"] == 3
    twins = {name for name, (_, entry) in names_of(1).items() if entry.degree == 1}
    assert {name.removesuffix(SCALED) for name in summary if name.endswith(SCALED)} == twins
    assert summarise(found, scale=0.0)["H0_total_persistence_scaled"] is None


def test_a_betti_curve_counts_the_classes_alive():
    bars, essential = np.array([(0.0, 1.0), (0.5, 2.0)]), np.array([0.0])
    grid = np.array([-0.1, 0.0, 0.5, 1.0, 1.5, 2.0])
    np.testing.assert_array_equal(betti_curve(bars, essential, grid), [0, 2, 3, 2, 2, 1])


def test_prominence_is_over_what_a_tenth_of_the_bars_are_above():
    """Death / birth of e³, e², e and twenty of 1.01 beside them: of these 23 a tenth, two, are above e."""
    logs = np.array([3.0, 1.0, 2.0])
    bars = np.column_stack([np.full(3, 2.0), 2 * np.exp(logs)])
    assert metrics["prominence"].of(bars) == pytest.approx(3 / 1)
    assert metrics["prominence"].of(bars[:2]) == pytest.approx(3 / np.log(1.01))
    many = np.column_stack([np.ones(80), np.exp(np.arange(1, 81))])
    assert metrics["prominence"].of(many) == pytest.approx(80 / 70)
    assert metrics["prominence"].of(np.empty((0, 2))) == 0


def test_the_birth_of_the_longest_is_the_earliest_of_several():
    assert metrics["birth_of_longest"].of(np.array([(2.0, 4.0), (1.0, 3.0), (0.5, 1.0)])) == 1.0

"""Distances between diagrams: closed forms, golden values of GUDHI, brute force over matchings, laws."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist

from todacomm.core.errors import InvalidInput
from todacomm.homology import diagram_distances
from todacomm.homology.diagram_distances import bottleneck, cheapest, shortest_reach, wasserstein
from todacomm.homology.engines import persistence

EMPTY = np.zeros((0, 2))
A = np.array([[0, 1.0], [0.2, 0.9], [0.5, 0.6], [0.1, 1.7]])
B = np.array([[0.05, 1.2], [0.3, 0.7], [0.15, 1.55]])


def bars_of(lengths_from_zero):
    pairs = np.asarray(lengths_from_zero, dtype=np.float64).reshape(-1, 2)
    return np.c_[pairs[:, 0], pairs[:, 0] + pairs[:, 1]]


def diagrams(most=5):
    numbers = st.floats(0, 4, allow_subnormal=False)
    return st.integers(0, most).flatmap(lambda m: arrays(np.float64, (m, 2), elements=numbers)).map(bars_of)


def random_diagram(rng, m):
    births = rng.random(m)
    return np.c_[births, births + rng.exponential(0.2, m)]


def by_brute_force(a, b, degree):
    """The cheapest of all matchings of bars and places on the diagonal."""
    m, k = len(a), len(b)
    cost = np.zeros((m + k, m + k))
    cost[:m, :k] = np.abs(a[:, None] - b[None]).max(axis=2, initial=0)
    cost[:m, k:] = ((a[:, 1] - a[:, 0]) / 2)[:, None]
    cost[m:, :k] = ((b[:, 1] - b[:, 0]) / 2)[None, :]
    orders = np.array(list(permutations(range(m + k))), dtype=int)
    moves = cost[np.arange(m + k), orders]
    most = moves.max(axis=1, initial=0.0).min()
    return most if degree == np.inf else (moves**degree).sum(axis=1).min() ** (1 / degree)


def test_values_of_gudhi():
    """GUDHI 3.13: bottleneck_distance(A, B, 0), wasserstein_distance(A, B, order=q, internal_p=inf)."""
    assert bottleneck(A, B) == pytest.approx(0.2, abs=1e-12)
    assert wasserstein(A, B, degree=1) == pytest.approx(0.6, abs=1e-12)
    assert wasserstein(A, B) == pytest.approx(0.324037034920393, abs=1e-12)
    rng = np.random.default_rng(7)
    first, second = random_diagram(rng, 40), random_diagram(rng, 30)
    assert bottleneck(first, second) == pytest.approx(0.5305214282137156, abs=1e-12)
    assert wasserstein(first, second, degree=1) == pytest.approx(3.528945685890549, abs=1e-12)
    assert wasserstein(first, second) == pytest.approx(0.8261513082837182, abs=1e-12)


def test_a_diagram_and_nothing_are_half_of_its_lifetimes_apart():
    half = (A[:, 1] - A[:, 0]) / 2
    assert bottleneck(A, EMPTY) == half.max()
    assert wasserstein(EMPTY, A, degree=1) == pytest.approx(half.sum())
    assert wasserstein(A, EMPTY) == pytest.approx(np.sqrt((half**2).sum()))
    assert bottleneck(EMPTY, EMPTY) == wasserstein(EMPTY, EMPTY) == 0


def test_one_bar_moves_to_the_other_or_both_go_to_the_diagonal():
    near, far = np.array([[0.0, 2.0]]), np.array([[0.1, 2.3]])
    assert bottleneck(near, far) == pytest.approx(0.3)
    apart = np.array([[10.0, 12.0]])
    assert bottleneck(near, apart) == 1.0
    assert wasserstein(near, apart) == pytest.approx(np.sqrt(2))


@given(diagrams(3), diagrams(3))
def test_every_matching_was_tried(a, b):
    assert bottleneck(a, b) == pytest.approx(by_brute_force(a, b, np.inf), abs=1e-9)
    for degree in (1, 2):
        assert wasserstein(a, b, degree=degree) == pytest.approx(by_brute_force(a, b, degree), abs=1e-7)


@given(diagrams(), diagrams(), diagrams())
def test_they_are_metrics(a, b, c):
    for distance in (bottleneck, wasserstein):
        assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-9)
        assert distance(a, a) == 0
        assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9
    assert bottleneck(a, b) <= wasserstein(a, b) + 1e-9
    assert wasserstein(a, b) <= wasserstein(a, b, degree=1) + 1e-9


def test_no_bar_moves_further_than_twice_the_points():
    """Stability: Chazal, de Silva and Oudot 2014, https://doi.org/10.1007/s10711-013-9937-z"""
    rng = np.random.default_rng(5)
    for _ in range(5):
        points = rng.normal(size=(30, 3))
        step = rng.normal(size=(30, 3))
        moved = points + 0.05 * step / np.linalg.norm(step, axis=1, keepdims=True)
        before, after = persistence(pdist(points)), persistence(pdist(moved))
        for k in (0, 1):
            assert 0 < bottleneck(before.finite[k], after.finite[k]) <= 2 * 0.05 + 1e-6


@pytest.mark.parametrize("degree", [0.5, np.inf, np.nan])
def test_a_degree_that_makes_no_distance(degree):
    with pytest.raises(InvalidInput, match=f"degree {degree}; expected 1 or more, and finite"):
        wasserstein(A, B, degree=degree)


# Bars that are born at 0


def from_zero(deaths):
    return np.c_[np.zeros(len(deaths)), np.sort(deaths)]


def pairs_from_zero(rng, number):
    """H0 diagrams of 0 to 60 bars: several spreads, ties, copies of one another, very different sizes."""
    for i in range(number):
        m, k = rng.integers(0, 60, 2)
        a, b = (rng.gamma(rng.choice([0.5, 2, 9]), 1, size) for size in (m, k))
        if i % 3 == 1:
            a, b = np.round(a, 1) + 0.1, np.round(b, 1) + 0.1
        if i % 3 == 2:
            b = rng.permutation(np.concatenate([a + 1e-3 * rng.random(m), b[:5]]))
        yield from_zero(a), from_zero(b * rng.choice([0.1, 1, 1, 3]))


def test_bars_from_zero_are_matched_as_any_others_are():
    """300 pairs of diagrams: the alignment of bars on a line against the general assignment."""
    rng = np.random.default_rng(19)
    for a, b in pairs_from_zero(rng, 300):
        for degree in (1, 2, 3.5):
            expected = cheapest(a, b, degree) ** (1 / degree)
            assert wasserstein(a, b, degree=degree) == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert bottleneck(a, b) == shortest_reach(a, b)


@given(diagrams(3), diagrams(3))
def test_every_matching_of_bars_from_zero_was_tried(a, b):
    a, b = (np.c_[np.zeros(len(bars)), bars[:, 1]] for bars in (a, b))
    assert bottleneck(a, b) == pytest.approx(by_brute_force(a, b, np.inf), abs=1e-9)
    for degree in (1, 2):
        assert wasserstein(a, b, degree=degree) == pytest.approx(by_brute_force(a, b, degree), abs=1e-7)


def test_h0_of_clouds_is_matched_on_the_line(monkeypatch):
    """No assignment and no graph matching is called for H0; H1, and bars born elsewhere, call it."""
    rng = np.random.default_rng(3)
    a, b = (persistence(pdist(rng.normal(size=(40, 3)))) for _ in range(2))
    expected = cheapest(a.finite[0], b.finite[0], 2) ** 0.5
    monkeypatch.delattr(diagram_distances, "cheapest")
    monkeypatch.delattr(diagram_distances, "shortest_reach")
    assert wasserstein(a.finite[0], b.finite[0]) == pytest.approx(expected, rel=1e-12)
    assert wasserstein(a.finite[0], EMPTY) == pytest.approx(np.linalg.norm(a.finite[0][:, 1] / 2))
    assert bottleneck(EMPTY, b.finite[0]) == b.finite[0][:, 1].max() / 2
    with pytest.raises(NameError):
        wasserstein(a.finite[1], b.finite[1])
    with pytest.raises(NameError):
        bottleneck(a.finite[0] + [1, 1], b.finite[0])


def test_without_numba_the_general_assignment_stands_in(monkeypatch):
    rng = np.random.default_rng(4)
    a, b = from_zero(rng.random(20)), from_zero(rng.random(25))
    expected = wasserstein(a, b), bottleneck(a, b)
    monkeypatch.setattr(diagram_distances.importlib.util, "find_spec", lambda name: None)
    assert (wasserstein(a, b), bottleneck(a, b)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("exponent", [-1000, -600, 0, 600, 1000])
def test_distances_scale_with_the_bars_in_the_whole_range_of_floats(exponent):
    """A power of two changes no digit."""
    for a, b in ((A, B), (from_zero(A[:, 1]), from_zero(B[:, 1]))):
        for degree in (1, 2, 8):
            scaled = wasserstein(np.ldexp(a, exponent), np.ldexp(b, exponent), degree=degree)
            assert scaled == np.ldexp(wasserstein(a, b, degree=degree), exponent)
        assert bottleneck(np.ldexp(a, exponent), np.ldexp(b, exponent)) == np.ldexp(bottleneck(a, b), exponent)

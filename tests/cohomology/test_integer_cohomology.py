"""Integer cohomology at a scale: closed forms, other fields, boundary matrices, and the relations that make no unit."""

import itertools
import math

import numpy as np
import pytest
import ripser
from scipy.spatial.distance import pdist, squareform

from shapes import circle, distances, projective_plane
from todacomm.cohomology import integer_cohomology
from todacomm.cohomology.integer_cohomology import Homology, cohomology, deaths, edges_by_length
from todacomm.cohomology.integer_matrices import reduced, smith
from todacomm.core.errors import InvalidInput
from todacomm.homology.engines import persistence


def flat_torus(k):
    return np.hstack([np.repeat(circle(k), k, axis=0), np.tile(circle(k), (k, 1))])


def eight(k):
    """Two circles of radius 1 that touch in the origin; k is even."""
    right = circle(k) + np.array([1.0, 0.0])
    return np.concatenate([right, np.delete(-right, k // 2, axis=0)])


def disc(k):
    grid = np.array(list(itertools.product(range(-k, k + 1), repeat=2)), dtype=float)
    return grid[np.linalg.norm(grid, axis=1) <= k]


CLOSED = {
    "circle": (distances(circle(24)), 0.6, 1, ()),
    "circle at its death": (distances(circle(24)), 1.7321, 0, ()),
    "flat torus": (distances(flat_torus(12)), 0.8, 2, ()),
    "figure eight": (distances(eight(24)), 0.3, 2, ()),
    "two circles": (distances(np.concatenate([circle(9), circle(9) + 9])), 0.8, 2, ()),
    "filled disc": (distances(disc(5)), 1.5, 0, ()),
    "grid, squares open": (distances(np.array(list(itertools.product(range(3), repeat=2)), float)), 1.0, 4, ()),
    "projective plane": (projective_plane(), 1.0, 0, (2,)),
}


@pytest.mark.parametrize("name", CLOSED)
def test_rank_and_torsion_are_those_of_the_space(name):
    matrix, scale, betti, torsion = CLOSED[name]
    found = cohomology(matrix, scale)
    assert (found.betti, found.torsion) == (betti, torsion)


def joined(first, second, bridge):
    """Two spaces beside each other, far enough apart to be joined by no edge."""
    n, m = len(first), len(second)
    whole = np.full((n + m, n + m), bridge)
    whole[:n, :n], whole[n:, n:] = first, second
    return whole


def test_torsion_of_two_projective_planes_and_a_circle_stands_beside_the_rank():
    planes = joined(projective_plane(), projective_plane(), 2.0)
    found = cohomology(joined(planes, distances(circle(7)), 2.0), 1.0)
    assert (found.betti, found.torsion) == (1, (2, 2))


def lens_like():
    """The cone of z ↦ z³ on a circle: a disc whose boundary is wrapped three times around a circle of nine points; H₁
    is Z/3.
    """
    inner, outer, apex = range(9), range(9, 36), 36
    edges = {(i, (i + 1) % 9) for i in inner} | {(apex, i) for i in outer}
    for j, i in enumerate(outer):
        after = 9 + (j + 1) % 27
        edges |= {(i, after), (i, j % 9), (i, (j + 1) % 9)}
    matrix = np.full((37, 37), 2.0)
    np.fill_diagonal(matrix, 0.0)
    for u, v in edges:
        matrix[u, v] = matrix[v, u] = 1.0
    return matrix


def test_torsion_of_order_three_is_seen_by_its_own_field_alone():
    assert cohomology(lens_like(), 1.0).torsion == (3,)
    assert [of_field(lens_like(), 1.0, prime) for prime in (2, 3, 5)] == [0, 1, 0]


def of_field(matrix, scale, prime):
    """β₁ over a field at a scale, by ripser."""
    bars = ripser.ripser(matrix, distance_matrix=True, maxdim=1, coeff=prime, thresh=scale)["dgms"][1]
    return int(((bars[:, 0] <= scale) & (bars[:, 1] > scale)).sum())


def awkward(rng):
    """Distances with ties, without a metric, on a circle, or of a Gaussian cloud."""
    n = int(rng.integers(6, 40))
    angle = rng.uniform(0, 2 * np.pi, n)
    kinds = (
        lambda: pdist(rng.normal(size=(n, 4))),
        lambda: pdist(rng.integers(4, size=(n, 2)).astype(float)),
        lambda: rng.integers(1, 9, size=n * (n - 1) // 2).astype(float),
        lambda: pdist(np.c_[np.cos(angle), np.sin(angle)] + 0.1 * rng.normal(size=(n, 2))),
    )
    return squareform(kinds[rng.integers(len(kinds))]().astype(np.float32).astype(np.float64))


@pytest.mark.parametrize("seed", range(40))
def test_other_fields_see_the_rank_and_the_torsion_that_their_prime_divides(seed):
    rng = np.random.default_rng(seed)
    matrix = awkward(rng)
    scale = float(rng.choice(matrix[matrix > 0]))
    found = cohomology(matrix, scale)
    for prime in (2, 3):
        assert of_field(matrix, scale, prime) == found.betti + sum(order % prime == 0 for order in found.torsion)
    ours = persistence(matrix).finite[1]
    alive = ((ours[:, 0] <= scale) & (ours[:, 1] > scale)).sum()
    assert alive == of_field(matrix, scale, 2)


def boundaries(found):
    """∂₁ and ∂₂ of the complex, by hand."""
    number = {tuple(edge): i for i, edge in enumerate(found.edges.tolist())}
    first = np.zeros((found.points, len(number)))
    for (u, v), i in number.items():
        first[u, i], first[v, i] = -1, 1
    triangles = [
        t
        for t in itertools.combinations(range(found.points), 3)
        if all(e in number for e in itertools.combinations(t, 2))
    ]
    second = np.zeros((len(number), len(triangles)))
    for j, (a, b, c) in enumerate(triangles):
        second[[number[a, b], number[b, c], number[a, c]], j] = 1, 1, -1
    return first, second


@pytest.mark.parametrize("seed", range(20))
def test_cocycles_vanish_on_triangles_and_are_a_basis_of_all_that_do(seed):
    rng = np.random.default_rng(100 + seed)
    matrix = awkward(rng)[:18, :18]
    found = cohomology(matrix, float(np.quantile(matrix[matrix > 0], 0.4)) if matrix.any() else 0.0)
    first, second = boundaries(found)
    assert not (second.T @ found.cocycles).any()
    rank = np.linalg.matrix_rank
    assert found.betti == len(found.edges) - rank(first) - (rank(second) if second.size else 0)
    assert (
        rank(np.hstack([first.T, found.cocycles])) == rank(first) + found.betti if found.edges.size else not found.betti
    )
    assert not found.torsion or smith(second.astype(int))[0][-len(found.torsion) :] == found.torsion


@pytest.mark.parametrize("scale", [0.3, 1.2])
def test_a_cycle_dies_where_its_bar_does(scale):
    rng = np.random.default_rng(4)
    matrix = distances(circle(30) + 0.02 * rng.normal(size=(30, 2))).astype(np.float32).astype(np.float64)
    [bar] = persistence(matrix).finite[1]
    found = cohomology(matrix, scale)
    around = np.arange(30)
    assert deaths(matrix, found, [around]) == [pytest.approx(bar[1], rel=1e-6)]


def test_a_cycle_that_only_torsion_keeps_open_is_a_boundary_over_the_rationals():
    matrix = lens_like()
    before = matrix.copy()
    before[36, :36] = before[:36, 36] = np.where(before[36, :36] < 2, 1.5, 2)
    found = cohomology(before, 1.0)
    assert (found.betti, found.torsion) == (1, ())
    assert cohomology(before, 1.5).torsion == (3,)
    assert deaths(before, found, [np.arange(9)]) == [1.5]


def test_a_coefficient_beyond_the_largest_is_refused_and_not_computed_with(monkeypatch):
    monkeypatch.setattr(integer_cohomology, "LARGEST", 0)
    with pytest.raises(InvalidInput, match="coefficients beyond 0; choose a smaller scale"):
        cohomology(distances(np.random.default_rng(1).normal(size=(30, 3))), 9.0)


def test_edges_come_by_length_and_then_by_index_and_stop_where_all_is_a_cone():
    edges, lengths = edges_by_length(distances(np.array([[0.0], [1.0], [2.0], [3.0]])), np.inf)
    assert edges.tolist() == [[0, 1], [1, 2], [2, 3], [0, 2], [1, 3]]
    assert lengths.tolist() == [1, 1, 1, 2, 2]


def test_more_generators_than_there_was_room_for_are_kept():
    grid = np.array(list(itertools.product(range(7), repeat=2)), dtype=float)
    assert (
        Homology.of(49, edges_by_length(distances(grid), 1.0)[0]).generators
        == 36
        == cohomology(distances(grid), 1.0).betti
    )


# Matrices


def minors(matrix, size):
    rows, columns = (itertools.combinations(range(side), size) for side in matrix.shape)
    columns = list(columns)
    return [round(np.linalg.det(matrix[np.ix_(r, c)])) for r in rows for c in columns]


@pytest.mark.parametrize("seed", range(30))
def test_the_smith_form_has_the_greatest_common_divisors_of_minors(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-6, 7, size=rng.integers(1, 5, size=2))
    diagonal, columns = smith(matrix)
    assert all(b % a == 0 for a, b in itertools.pairwise(diagonal))
    for size in range(1, min(matrix.shape) + 1):
        assert math.gcd(*minors(matrix, size)) == (math.prod(diagonal[:size]) if size <= len(diagonal) else 0)
    assert abs(round(np.linalg.det(columns))) == 1
    changed = matrix @ columns
    assert not changed[:, len(diagonal) :].any()
    for j, order in enumerate(diagonal):
        assert math.gcd(*changed[:, j].tolist()) % order == 0


def test_a_reduced_basis_is_short_and_spans_the_same_lattice():
    short = np.diag([1.0, 2.0, 3.0])
    long = np.array([[1, 0, 0], [7, 1, 0], [-30, 11, 1]]) @ short
    change = reduced(long @ long.T)
    assert abs(round(np.linalg.det(change))) == 1
    assert np.linalg.norm(change @ long, axis=1) == pytest.approx(np.linalg.norm(short, axis=1))


@pytest.mark.parametrize("k", [0, 1])
def test_a_basis_of_one_vector_or_none_is_reduced_already(k):
    assert np.array_equal(reduced(np.eye(k)), np.eye(k))

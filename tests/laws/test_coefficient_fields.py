"""Homology over other fields than Z/2: spaces whose torsion is known, ripser, and what does not depend on the field."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import squareform

import todacomm as td
from shapes import circle, circulant, klein_bottle, moore_space, projective_plane
from small_clouds import differences
from todacomm.core.errors import InvalidInput
from todacomm.homology import bitlink, engines

SPACES = {  # ranks of H1 and H2 over Z/2, Z/3 and Z/5, by the universal coefficient theorem
    projective_plane: {2: (1, 1), 3: (0, 0), 5: (0, 0)},
    klein_bottle: {2: (2, 1), 3: (1, 0), 5: (1, 0)},
    moore_space: {2: (0, 0), 3: (1, 1), 5: (0, 0)},
}


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.__name__)
def test_surfaces_have_the_classes_that_their_torsion_leaves_over_each_field(space):
    matrix = space()
    for prime, (loops, voids) in SPACES[space].items():
        by_library = td.rips(matrix, metric="precomputed", maxdim=2, coeff=prime)
        np.testing.assert_array_equal(by_library[2], [[1.0, 2.0]] * voids or np.empty((0, 2)))
        for found in (by_library[1], td.rips(matrix, metric="precomputed", coeff=prime)[1]):
            np.testing.assert_array_equal(found, [[1.0, 2.0]] * loops or np.empty((0, 2)))


@pytest.mark.parametrize("prime", [3, 5])
def test_residues_at_random_distances_give_what_ripser_gives_and_often_not_what_z2_gives(prime):
    rng, other = np.random.default_rng(7), 0
    for n in range(9, 49, 2):
        condensed = squareform(circulant(rng, n)).astype(np.float32)
        assert list(differences(condensed, np.inf, prime)) == []
        other += not np.array_equal(*(bitlink.homology(condensed, prime=p).bars for p in (2, prime)))
    assert other >= 3


def test_the_embedding_of_a_network_that_adds_has_a_longer_bar_over_odd_fields():
    """Residues step along a loop, and triangles of three shifts that add up to 113 close it only over Z/2."""
    points = np.load(Path(__file__).parents[1] / "golden" / "grokked_embedding.npy") / 1000
    bars = {prime: td.rips(points, coeff=prime)[1] for prime in (2, 3, 5)}
    longest = {prime: found[np.argmax(found[:, 1] - found[:, 0])] for prime, found in bars.items()}
    np.testing.assert_allclose(longest[2], [0.8656, 1.1177], atol=1e-4)
    for prime in (3, 5):
        np.testing.assert_allclose(longest[prime], [0.8656, 1.1396], atol=1e-4)
        np.testing.assert_array_equal(*(np.sort(found[:, 0]) for found in (bars[2], bars[prime])))


def test_generators_over_a_field_make_the_bars_of_that_field():
    given, paired = circulant(np.random.default_rng(0), 31), {}
    for prime in (2, 3):
        found = td.generators(given, metric="precomputed", coeff=prime)
        np.testing.assert_array_equal(found.diagrams[1], td.rips(given, metric="precomputed", coeff=prime)[1])
        np.testing.assert_array_equal(given[tuple(found.birth_edges.T)], found.diagrams[1][:, 0])
        sides = [given[found.death_triangles[:, a], found.death_triangles[:, b]] for a, b in ((0, 1), (0, 2), (1, 2))]
        np.testing.assert_array_equal(np.max(sides, axis=0), found.diagrams[1][:, 1])
        paired[prime] = found.diagrams[1]
    assert td.bottleneck(paired[2], paired[3]) > 0
    assert td.bottleneck(found.diagrams[0], td.rips(given, metric="precomputed")[0]) == 0


def test_clusters_do_not_depend_on_the_field(rng):
    points = rng.normal(size=(30, 3))
    for maxdim in (0, 1, 2):
        np.testing.assert_array_equal(td.rips(points, maxdim=maxdim, coeff=7)[0], td.rips(points, maxdim=maxdim)[0])


def test_without_numba_ripser_takes_the_field(monkeypatch):
    ours = td.rips(moore_space(), metric="precomputed", coeff=3)
    monkeypatch.setattr(engines.bitlink, "available", lambda: False)
    for a, b in zip(ours, td.rips(moore_space(), metric="precomputed", coeff=3), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("coeff", [1, 0, -3, 4, 121, 128, 131, 2.0, True, "3", None])
def test_what_is_no_prime_up_to_127_is_refused(coeff):
    for call in (td.rips, td.generators):
        with pytest.raises(InvalidInput, match=r"expected a prime from 2 to 127: 3 for homology over Z/3"):
            call(circle(5), coeff=coeff)


def test_more_classes_than_a_term_can_name_are_refused(rng, monkeypatch):
    monkeypatch.setattr("todacomm.homology.bitlink.odd_primes.MOST_CLASSES", 50)
    condensed = rng.permutation(300 * 299 // 2).astype(np.float32) + 1
    with pytest.raises(InvalidInput, match=r"classes of H1, too many for this field; give coeff=2, or a threshold"):
        bitlink.homology(condensed, prime=3)
    bitlink.homology(condensed)

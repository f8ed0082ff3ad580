"""Diagrams that theorems give; each runs on every engine."""

from pathlib import Path

import numpy as np
import pytest

from shapes import circle, cube, distances, nearest_between, octahedron, projective_plane, two_clusters
from todacomm.homology.engines import persistence
from todacomm.profiles.from_arrays import measure


def test_24_points_on_a_circle_have_one_loop(engine):
    """Adamaszek and Adams 2017, https://doi.org/10.2140/pjm.2017.290.1: born at the side, dead at the triangle."""
    found = persistence(distances(circle(24)), engine=engine, maxdim=1)
    np.testing.assert_allclose(found.finite[1], [[2 * np.sin(np.pi / 24), np.sqrt(3)]], rtol=1e-6)
    np.testing.assert_allclose(found.finite[0][:, 1], 23 * [2 * np.sin(np.pi / 24)], rtol=1e-6)


def test_the_vertices_of_the_cube_have_five_loops_and_no_void(engine):
    found = persistence(distances(cube()), engine=engine, maxdim=2)
    np.testing.assert_allclose(found.finite[1], 5 * [[1.0, np.sqrt(2)]], rtol=1e-6)
    assert len(found.finite[2]) == 0


def test_the_octahedron_has_one_void(engine):
    """Its six vertices span a 2-sphere from the side √2 on, filled when antipodes join at 2."""
    found = persistence(distances(octahedron()), engine=engine, maxdim=2)
    np.testing.assert_allclose(found.finite[2], [[np.sqrt(2), 2.0]], rtol=1e-6)


def test_the_projective_plane_has_a_loop_and_a_void_over_z2(engine):
    """H1(RP²; Z/2) = H2(RP²; Z/2) = Z/2; over any odd field both vanish, so this pins the field."""
    found = persistence(projective_plane(), engine=engine, maxdim=2)
    np.testing.assert_allclose(found.finite[1], [[1.0, 2.0]])
    np.testing.assert_allclose(found.finite[2], [[1.0, 2.0]])


def test_two_far_clusters_have_one_long_h0_bar(engine, rng):
    points = two_clusters(rng, 40, gap=100.0)
    deaths = persistence(distances(points), engine=engine, maxdim=0).finite[0][:, 1]
    assert deaths[-1] == pytest.approx(nearest_between(points, 40), rel=1e-6)
    assert deaths[-2] < 10


def test_measure_sees_the_circle_whatever_its_plane(rng):
    frame, _ = np.linalg.qr(rng.normal(size=(90, 2)))
    profile = measure(circle(24, radius=3.0) @ frame.T + 7.0)
    assert profile["H1_count"] == [1]
    assert profile["H1_max_lifetime"] == pytest.approx(3 * (np.sqrt(3) - 2 * np.sin(np.pi / 24)), rel=1e-5)
    assert profile["variance_kept"] == pytest.approx(1.0)


@pytest.mark.slow
def test_a_cloud_of_many_classes_that_die_by_one_another_comes_to_an_end():
    """The embedding of a network that has learned addition mod 113, by four frequencies, in thousandths: 284 of 287
    classes die early, each equal to a sum of others, and replacing them in any other order than by age takes time
    exponential in their number.
    """
    points = np.load(Path(__file__).parent / "grokked_embedding.npy") / 1000
    found, expected = (
        persistence(distances(points), engine=name, maxdim=1).finite[1] for name in ("bitlink", "ripser")
    )
    np.testing.assert_array_equal(found, expected)
    assert len(found) == 307

"""Point clouds and distance matrices whose homology is known in closed form."""

import itertools
from itertools import combinations

import numpy as np
from scipy.spatial.distance import cdist, pdist, squareform


def distances(points):
    return squareform(pdist(points))


def circle(n, radius=1.0):
    angle = 2 * np.pi * np.arange(n) / n
    return radius * np.c_[np.cos(angle), np.sin(angle)]


def cube():
    return np.array(list(itertools.product((0.0, 1.0), repeat=3)))


def octahedron():
    return np.concatenate([np.eye(3), -np.eye(3)])


def subdivided(triangles):
    """Graph distances (2 for all that are not neighbours) on the barycentric subdivision of some triangles.

    The clique complex of its 1-skeleton is the subdivision itself, so that from 1 to 2 the Rips complex is the space.
    """
    faces = {frozenset(face) for triangle in triangles for k in (1, 2, 3) for face in combinations(triangle, k)}
    ordered = sorted(faces, key=lambda f: (len(f), sorted(f)))
    matrix = np.full((len(ordered), len(ordered)), 2.0)
    for (i, a), (j, b) in itertools.product(enumerate(ordered), repeat=2):
        if a < b or b < a:
            matrix[i, j] = 1.0
    np.fill_diagonal(matrix, 0.0)
    return matrix


def projective_plane():
    """The real projective plane of six vertices: H1 = Z/2. Kühnel, https://doi.org/10.1007/BFb0085144."""
    return subdivided(["123", "134", "145", "156", "126", "235", "346", "452", "563", "624"])


def klein_bottle():
    """A square of 4 × 4 cells, its upper side glued to its lower one and its right side, turned over, to its left one.

    H1 = Z + Z/2.
    """

    def corner(i, j):
        return (i % 4, j % 4 if i < 4 else -j % 4)

    cells = itertools.product(range(4), repeat=2)
    return subdivided(
        [(corner(i, j), corner(*middle), corner(i + 1, j + 1)) for i, j in cells for middle in ((i + 1, j), (i, j + 1))]
    )


def moore_space():
    """A disc whose boundary runs three times around a triangle: H1 = Z/3."""
    edge, ring = [f"e{k % 3}" for k in range(10)], [f"r{k % 9}" for k in range(10)]
    cells = [[(edge[k], edge[k + 1], ring[k]), (edge[k + 1], ring[k], ring[k + 1])] for k in range(9)]
    return subdivided([*itertools.chain(*cells), *((ring[k], ring[k + 1], "centre") for k in range(9))])


def circulant(rng, n):
    """Distances between residues modulo n that depend on their difference alone: many of their cycles have torsion."""
    gap = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.append(0, rng.permutation(n // 2) + 1.0)[np.minimum(gap, n - gap)]


def two_clusters(rng, each, gap, d=5):
    first = rng.normal(size=(each, d))
    second = rng.normal(size=(each, d))
    second[:, 0] += gap
    return np.concatenate([first, second])


def nearest_between(points, each):
    return cdist(points[:each], points[each:]).min()


def agreement(found, truth):
    """The mean resultant length of the difference of two angles, over the better direction."""
    return max(abs(np.exp(1j * (found - sign * truth)).mean()) for sign in (1, -1))

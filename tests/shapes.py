"""Point clouds and distance matrices whose homology is known in closed form."""

import itertools

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


def projective_plane():
    """Graph distances on the barycentric subdivision of the six-vertex triangulation of RP².

    The clique complex of its 1-skeleton is the subdivision itself, a flag triangulation of the real projective plane.
    Triangles from Kühnel, https://doi.org/10.1007/BFb0085144.
    """
    triangles = ["123", "134", "145", "156", "126", "235", "346", "452", "563", "624"]
    faces = set()
    for triangle in triangles:
        for size in (1, 2, 3):
            faces |= {frozenset(face) for face in itertools.combinations(triangle, size)}
    ordered = sorted(faces, key=lambda f: (len(f), sorted(f)))
    n = len(ordered)
    matrix = np.full((n, n), 2.0)
    for i, j in itertools.product(range(n), repeat=2):
        if i == j:
            matrix[i, j] = 0.0
        elif ordered[i] < ordered[j] or ordered[j] < ordered[i]:
            matrix[i, j] = 1.0
    return matrix


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

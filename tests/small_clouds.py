"""Random small clouds of every awkward kind, and what the engine says of them against ripser; also run as a program."""

import sys

import numpy as np
import ripser
from scipy.spatial.distance import pdist, squareform

from shapes import circulant
from todacomm.homology import bitlink

ODD = (3, 5, 127)


def cloud(rng):
    """Condensed float32 distances of 2 to 90 points: generic, grid, duplicates, noisy circle, ring, not metric."""
    n = int(rng.integers(2, 91)) if rng.random() < 0.8 else int(rng.integers(2, 12))
    pairs = n * (n - 1) // 2
    angle = rng.uniform(0, 2 * np.pi, n)
    ring = np.c_[np.cos(angle), np.sin(angle)]
    kinds = (
        lambda: pdist(rng.normal(size=(n, int(rng.integers(1, 6))))),
        lambda: pdist(rng.integers(0, int(rng.integers(2, 7)), size=(n, int(rng.integers(1, 4)))).astype(float)),
        lambda: pdist(rng.normal(size=(n, 2))[rng.integers(n, size=n)]),
        lambda: rng.random(pairs),
        lambda: rng.integers(int(rng.integers(2)), int(rng.integers(2, 30)), size=pairs).astype(float),
        lambda: pdist(ring + 0.1 * rng.normal(size=(n, 2))),
        lambda: pdist(np.concatenate([rng.normal(size=(n, 2)), 40 * ring[:9]])[-n:]),
        lambda: pdist(np.concatenate([ring + 0.05 * rng.normal(size=(n, 2)), 40 * ring[:9]])[-n:]),
    )
    return kinds[rng.integers(len(kinds))]().astype(np.float32)


def sorted_bars(bars):
    """The bars of positive length, by birth and death."""
    bars = np.asarray(bars, np.float64).reshape(-1, 2)
    bars = bars[bars[:, 1] > bars[:, 0]]
    return bars[np.lexsort((bars[:, 1], bars[:, 0]))]


def differences(condensed, threshold, prime=2):
    """What differs from ripser over Z/prime, bit for bit, and what of edges, triangles and Prim does not fit."""
    matrix = squareform(condensed)
    reference = ripser.ripser(matrix, distance_matrix=True, maxdim=1, thresh=threshold, coeff=prime)["dgms"]
    found = bitlink.homology(condensed, threshold=threshold, prime=prime)
    for k, ours in enumerate((found.clusters(), found.bars)):
        if not np.array_equal(sorted_bars(ours), sorted_bars(reference[k])):
            yield f"H{k} differs from ripser"
    if not np.array_equal(bitlink.merges(condensed, threshold=threshold), found.merges):
        yield "Prim's algorithm differs"
    yield from misfits(found, matrix)


def misfits(found, matrix):
    """Edges and triangles whose size is not what the bar says."""
    for (born, died), edge, triangle in zip(found.bars, found.birth_edges, found.death_triangles, strict=True):
        if matrix[tuple(edge)] != born:
            yield "a birth edge has another length"
        if np.isinf(died):
            fits = (triangle == -1).all()
        else:
            fits = len(set(triangle)) == 3 and matrix[np.ix_(triangle, triangle)].max() == died
        if not fits:
            yield "a death triangle has another size"


def resample_differences(condensed, rng):
    """What differs between a resample and the same points measured afresh."""
    matrix = squareform(condensed)
    indices = rng.integers(len(matrix), size=len(matrix))
    chosen = np.unique(indices)
    found = bitlink.resample(bitlink.sorted_edges(condensed), indices)
    afresh = bitlink.homology(squareform(matrix[np.ix_(chosen, chosen)], checks=False).astype(np.float32))
    same = np.array_equal(sorted_bars(found.bars), sorted_bars(afresh.bars))
    if not same or not np.array_equal(found.merges, afresh.merges):
        yield "a resample differs"
    yield from misfits(found, matrix)


def all_differences(seed, count):
    """What is wrong in ``count`` random clouds, a third of them under a threshold, and in some of residues."""
    rng, apart = np.random.default_rng(seed), np.random.default_rng(seed)
    for k in range(count):
        condensed, prime = cloud(rng), ODD[k % len(ODD)]
        threshold = float(np.quantile(condensed, rng.random())) if rng.random() < 1 / 3 else np.inf
        yield from differences(condensed, threshold)
        yield from differences(condensed, threshold, prime)
        if k % 10 == 0:
            yield from differences(squareform(circulant(apart, 9 + k % 40)).astype(np.float32), np.inf, prime)
        yield from resample_differences(condensed, rng)


if __name__ == "__main__":
    first = next(all_differences(int(sys.argv[1]), int(sys.argv[2])), "all equal")
    sys.stdout.write(f"{first}\n")

"""Compare the diagrams of random clouds between engines, and hold them to the laws of persistent homology.

    pip install gudhi                                   # an engine in float64 that shares no code with the others
    python benchmarks/agreement.py --clouds 10000
    python benchmarks/agreement.py --clouds 10 --first 4711     # from the 4711th on

Clouds have 3 to 60 points in 1 to 200 dimensions, of any size from 1e-300 to 1e300: Gaussian, on a grid (ties), with
duplicates, with constant coordinates, of low rank, on a noisy circle; or they are distances that are no metric. Each is
measured in float32 or float64, without a threshold, under one that is a distance, or under one that is none. Births and
deaths are distances of the input, so engines must agree bit for bit: ours with GUDHI, in float32 also with ripser, over
Z/2 and an odd prime. H2, which is that of distances in float32 always, is compared with ripser, up to 20 points also
with GUDHI. Ten thousand clouds take five minutes. A difference is printed, and the command fails.
"""

import argparse
import collections
import math
import sys

import gudhi
import numpy as np
import ripser
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

import todacomm as td
from todacomm.clouds.distances import in_double, pairwise
from todacomm.homology.bitlink.edge_order import SLACK
from todacomm.homology.engines import checked

LARGEST_H2 = 20  # points: GUDHI holds every tetrahedron
LEAST, MOST = -300, 300  # powers of ten
SINGLE = 37  # of which float32 has this many either way
PRIMES = (3, 5, 127)


def points_of(rng, kind, n, d):
    points = rng.normal(size=(n, d))
    if kind == "ties":
        return rng.integers(0, int(rng.integers(2, 6)), size=(n, d)).astype(float)
    if kind == "duplicates":
        return points[rng.integers(n, size=n)]
    if kind == "constant":
        points[:, rng.random(d) < 0.7] = rng.normal()
        return points
    if kind == "low rank":
        return rng.normal(size=(n, min(2, d))) @ rng.normal(size=(min(2, d), d))
    if kind == "circle":
        angle = rng.uniform(0, 2 * np.pi, n)
        points[:, : min(2, d)] += 5 * np.c_[np.cos(angle), np.sin(angle)][:, : min(2, d)]
    return points


def distances_of(rng, n):
    """Distances that are no metric, half of them with ties."""
    pairs = n * (n - 1) // 2
    return (
        rng.integers(0, int(rng.integers(2, 30)), size=pairs).astype(float) if rng.random() < 0.5 else rng.random(pairs)
    )


def cloud(rng):
    """A kind, and condensed distances in float64."""
    kind = rng.choice(["gaussian", "ties", "duplicates", "constant", "low rank", "circle", "no metric"])
    n = int(rng.integers(3, 61)) if rng.random() < 0.6 else int(rng.integers(3, 16))
    unit = float(f"1e{rng.integers(LEAST, MOST + 1)}") if rng.random() < 0.5 else 1.0
    if kind == "no metric":
        return kind, unit, None, distances_of(rng, n) * unit
    points = points_of(rng, kind, n, int(rng.integers(1, 201))) * unit
    return kind, unit, points, in_double(points, "euclidean")


def limit_of(rng, condensed):
    """What kind of threshold, and where."""
    kind = rng.choice(["none", "a distance", "no distance"])
    low, high = np.quantile(condensed, np.sort(rng.random(2)), method="lower")
    return kind, {"none": math.inf, "a distance": high, "no distance": low / 2 + high / 2}[kind]


def as_rounded(limit, condensed, precision):
    """The limit as the engine takes it: with the digits of float32, or above distances that differ by rounding."""
    if math.isinf(limit):
        return limit
    if precision == "float64":
        return float(condensed[condensed <= limit * (1 + SLACK)].max(initial=0.0))
    return float(np.ldexp(np.float64(np.float32(math.frexp(limit)[0])), math.frexp(limit)[1]))


def in_gudhi(condensed, limit, maxdim):
    tree = gudhi.RipsComplex(distance_matrix=squareform(condensed), max_edge_length=limit).create_simplex_tree(
        max_dimension=maxdim + 1
    )
    tree.compute_persistence(homology_coeff_field=2, min_persistence=0, persistence_dim_max=True)
    return [tree.persistence_intervals_in_dimension(k).reshape(-1, 2) for k in range(maxdim + 1)]


def in_ripser(condensed, limit, maxdim, prime=2):
    """Ripser of distances in float32, in the unit of the longest where they are beyond its range."""
    unit = 2.0 ** (math.frexp(float(condensed.max()))[1]) if condensed.dtype != np.float32 else 1.0
    square = squareform((condensed / unit).astype(np.float32))
    cut = np.float32(min(limit / unit, 4.0 * float(square.max()) + 1))
    found = ripser.ripser(square, distance_matrix=True, maxdim=maxdim, thresh=cut, coeff=prime)["dgms"]
    return [diagram.astype(np.float64) * unit for diagram in found]


def of_length(bars):
    """Bars of positive length, sorted by birth and death."""
    bars = np.asarray(bars, np.float64).reshape(-1, 2)
    bars = bars[bars[:, 1] > bars[:, 0]]
    return bars[np.lexsort((bars[:, 1], bars[:, 0]))]


def same(a, b):
    return all(np.array_equal(of_length(x), of_length(y)) for x, y in zip(a, b, strict=True))


def cut(bars, limit):
    """The bars of a filtration that stops at ``limit``."""
    bars = of_length(bars)
    bars = bars[bars[:, 0] <= limit]
    return np.c_[bars[:, 0], np.where(bars[:, 1] > limit, np.inf, bars[:, 1])]


def differing(rng, condensed, limit, precision):
    """Name the engines that differ."""
    square, single = squareform(condensed), checked(squareform(condensed))
    found = td.rips(square, metric="precomputed", threshold=limit, precision=precision, maxdim=2)
    if not same(found[:2], in_gudhi(condensed, limit, 1)):
        yield "H0 and H1 differ from GUDHI"
    if len(square) <= LARGEST_H2 and precision == "float32" and not same(found, in_gudhi(condensed, limit, 2)):
        yield "H2 differs from GUDHI"
    if not same(found[2:], in_ripser(single, limit, 2)[2:]):
        yield "H2 differs from ripser"
    if precision == "float32":
        if not same(found[:2], in_ripser(single, limit, 1)):
            yield "H0 and H1 differ from ripser"
        prime = int(rng.choice(PRIMES))
        over = td.rips(square, metric="precomputed", threshold=limit, coeff=prime)
        if not same(over, in_ripser(single, limit, 1, prime)):
            yield f"differs from ripser over Z/{prime}"


def lawless(rng, condensed, limit, precision):
    """Name the laws that do not hold."""
    square = squareform(condensed)
    order = rng.permutation(len(square))

    def ours(matrix, limit):
        return td.rips(matrix, metric="precomputed", threshold=limit, precision=precision)

    found, full = ours(square, limit), ours(square, math.inf)
    if not all(np.array_equal(of_length(a), cut(b, limit)) for a, b in zip(found, full, strict=True)):
        yield "a threshold changes more than what is beyond it"
    tree = linkage(condensed, "single")[:, 2]
    if not np.array_equal(full[0][:-1, 1], tree[tree > 0]):
        yield "H0 is no minimum spanning tree"
    if not same(ours(square[np.ix_(order, order)], limit), found):
        yield "the order of the points matters"
    if not same(ours(square / 2, limit / 2), [bars / 2 for bars in found]):
        yield "half the distances do not give half the bars"


def misplaced(points, precision, condensed):
    """Whether a distance is off by more than a unit in the last place of float32, or of the difference in float64."""
    if points is None or precision == "float64":
        return False
    found = pairwise(points).astype(np.float64)
    return bool((np.abs(found - condensed) > 2.0**-23 * condensed).any())


def rounded(condensed, precision):
    """The distances as the engine takes them; in float64 as they are."""
    return checked(squareform(condensed)).astype(np.float64) if precision == "float32" else condensed


def checked_cloud(number):
    """What is wrong with the cloud of this number, and of which kinds it is."""
    rng = np.random.default_rng(number)
    kind, unit, points, exact = cloud(rng)
    precision = str(rng.choice(["float32", "float64"]))
    condensed = rounded(exact, precision)
    threshold, limit = limit_of(rng, condensed)
    limit = as_rounded(limit, condensed, precision)
    told = [*differing(rng, condensed, limit, precision), *lawless(rng, condensed, limit, precision)]
    told += ["a distance is wrong"] if misplaced(points, precision, exact) else []
    beyond = "beyond float32" if abs(math.log10(unit)) > SINGLE else "within float32"
    return told, (str(kind), precision, f"threshold: {threshold}", beyond)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clouds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first cloud, which is its seed")
    given = parser.parse_args()
    counts, problems = collections.Counter(), 0
    for number in range(given.first, given.first + given.clouds):
        told, kinds = checked_cloud(number)
        for one in told:
            print(f"cloud {number} ({', '.join(kinds)}): {one}", flush=True)
        problems += bool(told)
        counts.update(kinds)
    print(f"{given.clouds} clouds from {given.first} on, {problems} with a difference")
    print("; ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()

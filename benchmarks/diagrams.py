"""Print what distances between diagrams take: H0 on a line against the general assignment, and whole comparisons.

python benchmarks/diagrams.py           # two minutes

CPU milliseconds on one thread, medians of calls in turn within one process. Diagrams are those of Gaussian clouds in 20
dimensions and of gamma deviates; "general" is what every diagram took before H0 had its own way, and what H1 takes. A
comparison is `todacomm.compare` of two profiles of 8 layers and 500 points.
"""

import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.spatial.distance import pdist

import todacomm as td
from clouds import interleaved, machine
from todacomm.homology.diagram_distances import bottleneck, cheapest, shortest_reach, wasserstein

SIZES = (100, 500, 1000, 2000)
LAYERS, POINTS, WIDTH = 8, 500, 64


def of_cloud(bars, rng):
    """The H0 bars of a Gaussian cloud whose size varies from one to the next."""
    points = rng.normal(size=(bars + 1, 20)) * rng.uniform(0.8, 1.2)
    return td.persistence(pdist(points), maxdim=0).finite[0]


def of_gamma(bars, rng):
    return np.c_[np.zeros(bars), np.sort(rng.gamma(9, rng.uniform(0.8, 1.2), bars))]


def rows():
    """One row for each kind and size of diagram: both distances, both ways, and how many times as fast the first is."""
    for name, diagram in (("Gaussian cloud", of_cloud), ("gamma", of_gamma)):
        for bars in SIZES:
            rng = np.random.default_rng(bars)
            a, b = diagram(bars, rng), diagram(bars, rng)
            wasserstein(a, b), bottleneck(a, b)  # compiled before it is timed
            ways = {
                "line": lambda a=a, b=b: wasserstein(a, b),
                "general": lambda a=a, b=b: cheapest(a, b, 2.0),
                "line, bottleneck": lambda a=a, b=b: bottleneck(a, b),
                "general, bottleneck": lambda a=a, b=b: shortest_reach(a, b),
            }
            took = interleaved(ways, rounds=3)
            line, general, line_b, general_b = (took[way] for way in ways)
            times = (f"{general / line:.0f}", f"{general_b / line_b:.0f}")
            yield name, bars, *(f"{milliseconds:.2f}" for milliseconds in took.values()), *times


def layers_of(seed):
    """Layers that each move the points of the one before, as the blocks of a network do."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(POINTS, WIDTH)) * np.linspace(0.2, 2, WIDTH)
    found = {}
    for i in range(LAYERS):
        step = np.tanh(points @ rng.normal(size=(WIDTH, WIDTH)) / 8)
        points = points + 0.3 * step + 0.1 * rng.normal(size=points.shape)
        found[f"layer_{i}"] = points.astype(np.float32)
    return found


def comparison():
    """The least CPU seconds of three comparisons."""
    profiles = [td.measure(layers_of(seed), name=str(seed), null_draws=0, resamples=20) for seed in (1, 2)]
    took = []
    for _ in range(3):
        begun = time.process_time()
        td.compare(profiles)
        took.append(time.process_time() - begun)
    return min(took)


if __name__ == "__main__":
    print(machine())
    head = ("diagrams", "bars", "line", "general", "bottleneck, line", "general", "times", "bottleneck, times")
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows():
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    print(f"\ncompare, {LAYERS} layers of {POINTS} points: {comparison():.2f} s of CPU")

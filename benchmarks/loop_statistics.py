"""Print how often rival statistics of H1 find a loop where there is one, and where there is none, against the Gaussian
null.

python benchmarks/loop_statistics.py --clouds 100 --points 200 --dimension 20

A statistic that answers "is there a loop" should reject in 5 % of the clouds of every population without a loop (more:
it answers "not Gaussian") and often where there is one. Populations: null_populations.py.
"""

import argparse
import os
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from null_populations import low_dimensional, with_loop, without_loop

import todacomm as td
from todacomm.clouds.distances import pairwise
from todacomm.clouds.prepare import prepare
from todacomm.homology import bitlink
from todacomm.homology.metrics import metrics
from todacomm.statistics.gaussian_null import joint, rotated
from todacomm.statistics.pvalues import p_values, standardised

RECIPE = td.Recipe(components=None)
prominence = metrics["prominence"]


class Loops(NamedTuple):
    """H1 bars (m, 2) and their lifetimes, longest first."""

    bars: np.ndarray
    life: np.ndarray


def quotient(top, bottom):
    return top / bottom if bottom > 0 else np.inf


def loglog(x):
    return np.log(np.log(x.bars[:, 1] / x.bars[:, 0]))


RIVALS = {
    "longest": lambda x: x.life[0],
    "longest / mean": lambda x: x.life[0] / x.life.mean(),
    "longest / usual": lambda x: x.life[0] / ((x.life.sum() + x.bars[:, 0].mean()) / (len(x.life) + 10)),
    "longest / median": lambda x: x.life[0] / np.median(x.life),
    "longest / second": lambda x: quotient(x.life[0], x.life[1]) if len(x.life) > 1 else 1.0,
    "longest / root mean square": lambda x: x.life[0] / np.sqrt((x.life**2).mean()),
    "(longest - mean) / sd": lambda x: quotient(x.life[0] - x.life.mean(), x.life.std()),
    "longest / 90 % quantile": lambda x: x.life[0] / np.quantile(x.life, 0.9),
    "longest / mean of the longest tenth": lambda x: x.life[0] / x.life[: max(2, len(x.life) // 10)].mean(),
    "share of total": lambda x: x.life[0] / x.life.sum(),
    "death / birth": lambda x: (x.bars[:, 1] / x.bars[:, 0]).max(),
    "log log (death / birth) over mean": lambda x: loglog(x).max() - loglog(x).mean(),
    "prominence": lambda x: prominence.of(x.bars),
    "total": lambda x: x.life.sum(),
    "count": lambda x: len(x.life),
}
PAIRS = (
    ("longest / usual", "death / birth"),
    ("longest / usual", "longest"),
    ("log log (death / birth) over mean", "death / birth"),
    ("prominence", "death / birth"),
)
LESSER = (("longest / usual", "death / birth"), ("prominence", "death / birth"))


def statistics(points):
    """Each rival; NaN without bars."""
    bars = bitlink.homology(pairwise(points)).bars
    bars = bars[bars[:, 0] > 0]
    if not len(bars):
        return [np.nan] * len(RIVALS)
    given = Loops(bars, np.sort(bars[:, 1] - bars[:, 0])[::-1])
    return [rival(given) for rival in RIVALS.values()]


def p_of(points, draws, seed):
    """The p-value of each rival on one cloud, then of pairs: the larger, and that of the standardised minimum."""
    ready = prepare(td.PointCloud(points, td.types.Address("", "", "")), RECIPE)
    layers = joint([ready], RECIPE)
    drawn = np.array([statistics(rotated(layers, b, seed=seed)[0]) for b in range(draws)])
    found = np.array(statistics(ready.points))
    alone = p_values(found, drawn, "greater")
    names = list(RIVALS)
    places = [[names.index(name) for name in pair] for pair in (*PAIRS, *LESSER)]
    larger = [alone[pair].max() for pair in places[: len(PAIRS)]]
    return [*alone, *larger, *(lesser(np.vstack([found, drawn])[:, pair]) for pair in places[len(PAIRS) :])]


def lesser(both):
    """The p-value of the lesser of two standardised logarithms of cloud (first row) and draws; none without bars."""
    units = standardised(np.log(both)).min(axis=1)
    return float(p_values(units[:1], units[1:, None], "greater")[0])


def rates(population, arguments, case):
    """The share of clouds that each rival rejects at 0.05; an undefined number does not."""
    found = []
    for seed in range(arguments.clouds):
        rng = np.random.default_rng([arguments.seed, case, seed])
        found.append(p_of(population(arguments.points, rng), arguments.draws, seed))
    return (np.array(found) <= 0.05).mean(axis=0)


def cases_of(arguments):
    cases = {} if arguments.only == "loops" else without_loop(arguments.dimension)
    if arguments.low:
        cases |= low_dimensional()
    if arguments.only != "none":
        for ratio in arguments.ratios:
            found = with_loop(arguments.dimension, ratio)
            cases |= {f"{name}, r = {ratio:g}": population for name, population in found.items()}
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clouds", type=int, default=100)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--dimension", type=int, default=20)
    parser.add_argument("--draws", type=int, default=99)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ratios", type=float, nargs="*", default=[4.0, 6.0])
    parser.add_argument("--low", action="store_true", help="spheres and clouds of few dimensions as well")
    parser.add_argument("--only", choices=["none", "loops"], help="populations with a loop, or with none, alone")
    arguments = parser.parse_args()
    print(f"{arguments.clouds} clouds of {arguments.points} points, {arguments.draws} draws, seed {arguments.seed}\n")
    print(
        "| population |",
        " | ".join([*RIVALS, *(" and ".join(p) for p in PAIRS), *("lesser of " + " and ".join(p) for p in LESSER)]),
        "|",
    )
    print("|---" * (len(RIVALS) + len(PAIRS) + len(LESSER) + 1) + "|")
    for case, (name, population) in enumerate(cases_of(arguments).items()):
        print(f"| {name} |", " | ".join(f"{r:.2f}" for r in rates(population, arguments, case)), "|", flush=True)


if __name__ == "__main__":
    main()

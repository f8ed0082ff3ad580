"""Print how often the tests against the Gaussian null reject where it is true, where there is a loop, and where there
is none.

python benchmarks/null_calibration.py --quick                      # minutes
python benchmarks/null_calibration.py --tables gaussian --clouds 1000
python benchmarks/null_calibration.py --tables power,none,layers

gaussian   rejections at 0.05 and a Kolmogorov–Smirnov p of uniform p-values on Gaussian clouds; per-bar family-wise
error power      loops of growing signal-to-noise none       populations without a loop like       populations like
layers (groups, duplicates, tails); those that Rips sees as loops; small loops in a cloud layers     family-wise error
over correlated layers bars       family-wise error of the universal null of Bobrowski and Skraba against that of the
bars of this package columns    rejections at 0.05 by shuffled features, where features are independent and where they
are not

``--centroids``: the loop test of centroids alone, in gaussian, power, none and like. Populations: null_populations.py.
Seeds are fixed; one process.
"""

import argparse
import os
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from null_populations import (
    GAUSSIAN,
    gaussian,
    like_layers,
    loops_to_rips,
    low_dimensional,
    small_loops,
    with_loop,
    without_loop,
)
from scipy.stats import kstest

import todacomm as td
from todacomm.clouds.prepare import prepare
from todacomm.profiles.measure import measure_prepared
from todacomm.statistics.gaussian_null import alternative_of, gaussian_null, joint, null_tests, tested_names
from todacomm.statistics.layer_statistics import Against, statistics
from todacomm.statistics.loop_test import CENTROID_LOOP, LOOP, PROMINENCE, RATIO, against_layers, loop_tests
from todacomm.statistics.loop_test_in_groups import loop_bars
from todacomm.statistics.null_models import given_layers, null_models, null_values
from todacomm.statistics.pvalues import smallest

RECIPE = td.Recipe()
NAMES = tested_names(RECIPE)
SHORT = ("H0_total_persistence", "H0_entropy", "H1_count", "H1_total_persistence", "H1_max_lifetime", "H1_entropy")
EULER = 0.5772156649015329
ALONE = "layer alone"  # the loop test of one level
SEED = 20_261  # fixed before any run


def tested(layers, seed, draws):
    """Tests of each layer by name, with ``H1_loop``; the p-value of its best bar against the layer alone; H1 bars."""
    recipe = td.Recipe(seed=seed)
    ready = [prepare(td.PointCloud(x, td.types.Address("", "", f"layer_{i}")), recipe) for i, x in enumerate(layers)]
    found = [measure_prepared(cloud, recipe) for cloud in ready]
    together = joint(ready, recipe)
    values = gaussian_null(together, recipe, range(draws))
    tests = null_tests([m.summary for m in found], values, NAMES)
    bars = [m.diagrams.finite[1] for m in found]
    of_loops = (values[:, :, NAMES.index(name)] for name in (PROMINENCE, RATIO))
    layers = against_layers(bars, *of_loops, together.reasons)
    of_prominence = [test[PROMINENCE] for test in tests]
    loops = loop_tests(LOOP, layers, of_prominence, loop_bars(ready, bars, layers, recipe, draws))
    alone = [float(layer.family_wise.min()) for layer in layers]
    return [{**test, LOOP: loop} for test, loop in zip(tests, loops, strict=True)], alone, bars


def tested_on_centroids(points, seed, draws):
    """The p-values of the loop test of centroids, and of its best bar against the layer alone."""
    recipe = td.Recipe(seed=seed)
    ready = prepare(td.PointCloud(points, td.Address("", "", "layer_0")), recipe)
    together = joint([ready], recipe)
    again = partial(gaussian_null, together, recipe, range(draws))
    given = Against(
        "gaussian", recipe, [None], [ready], (), np.empty((draws, 1, 0)), [{}], together.reasons, draws=again
    )
    outcome = statistics[CENTROID_LOOP].test(given)
    [test], [loops] = outcome.tests, outcome.loops
    return {CENTROID_LOOP: test.p, ALONE: min((bar.p_layer for bar in loops), default=test.p)}


def universal(bars):
    """Bonferroni-corrected p-value under the universal null: Bobrowski and Skraba 2023, section 2.4."""
    bars = bars[bars[:, 0] > 0]
    if len(bars) < 2:
        return 1.0
    ell = np.log(np.log(bars[:, 1] / bars[:, 0]))
    return float(np.exp(-np.exp(ell.max() - ell.mean() - EULER)) * len(bars))


def p_of(population, n, arguments, case):
    """Name → p-values of the clouds, including the loop test against the layer alone and the universal null."""
    rows = []
    for cloud in range(arguments.clouds):
        points = population(n, np.random.default_rng([SEED, case, n, cloud]))
        if arguments.centroids:
            rows.append(tested_on_centroids(points, cloud, arguments.draws))
            continue
        (tests,), (alone,), (bars,) = tested([points], cloud, arguments.draws)
        p = {name: 1.0 if test.p is None else test.p for name, test in tests.items()}
        rows.append({**p, ALONE: alone, "universal": universal(bars)})
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def rate(p):
    return float((p <= 0.05 + 1e-12).mean())


def header(*columns):
    print("|", " | ".join(columns), "|")
    print("|---" * len(columns) + "|", flush=True)


def line(*cells):
    print("|", " | ".join(f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells), "|", flush=True)


def table_gaussian(arguments):
    """Each name: the share of clouds with p ≤ 0.05; and the least p of uniformity over the names."""
    names = columns(arguments, (*NAMES, LOOP, ALONE, "universal"))
    header("spectrum", "d", "n", *names, "least KS p (count aside)")
    for n in arguments.points:
        for d in (20, 50):
            for case, (spectrum, population) in enumerate(GAUSSIAN.items(), start=d):
                p = p_of(lambda m, rng, of=population, d=d: of(m, rng, d=d), n, arguments, case)
                continuous = [name for name in NAMES if name != "H1_count" and name in p] or [CENTROID_LOOP]
                least = min(uniformity(p[name], smallest(arguments.draws, way_of(name))) for name in continuous)
                line(spectrum, d, n, *(rate(p[name]) for name in names), least)


def columns(arguments, of_all):
    """The columns of a table."""
    return (CENTROID_LOOP, ALONE) if arguments.centroids else of_all


def way_of(name):
    """The alternative that a number is tested against."""
    return "greater" if name == CENTROID_LOOP else alternative_of(name)


def uniformity(p, step):
    """The p-value of a Kolmogorov–Smirnov test for uniformity, discrete p-values smeared by fixed random numbers."""
    return float(kstest(p - step * np.random.default_rng(SEED).uniform(size=len(p)), "uniform").pvalue)


def table_bars(arguments):
    header("d", "n", "bars of this package", "universal null")
    for n in arguments.points:
        for d in (2, 5, 20, 50):
            p = p_of(lambda m, rng, d=d: gaussian(m, rng, d=d), n, arguments, 100 + d)
            line(d, n, rate(p[LOOP]), rate(p["universal"]))


def by_columns(points, seed, draws):
    """Name → p-value against clouds whose features are shuffled."""
    recipe = td.Recipe(seed=seed)
    cloud = td.PointCloud(points, td.Address("", "", "layer_0"))
    ready = prepare(cloud, recipe)
    values = null_values(given_layers([cloud], [ready], recipe), null_models["columns"], recipe, range(draws))
    [tests] = null_tests([measure_prepared(ready, recipe).summary], values, NAMES, null="columns")
    return {name: 1.0 if test.p is None else test.p for name, test in tests.items()}


FEATURES = {
    "uniform": lambda rng, shape: rng.uniform(size=shape),
    "exponential": lambda rng, shape: rng.exponential(size=shape),
    "Laplace": lambda rng, shape: rng.laplace(size=shape),
    "Student, 3 degrees of freedom": lambda rng, shape: rng.standard_t(3, size=shape),
    "uniform, of scales 1, 1/2, 1/3 …": lambda rng, shape: rng.uniform(size=shape) / np.arange(1, shape[1] + 1),
    "a circle in two of the features": lambda rng, shape: in_two(rng, shape, np.cos, np.sin),
    "Gaussian, correlated 0.5": lambda rng, shape: rng.normal(size=shape) + rng.normal(size=(shape[0], 1)),
}


def in_two(rng, shape, *functions):
    points, angle = rng.normal(size=shape), rng.uniform(0, 2 * np.pi, shape[0])
    points[:, :2] += np.column_stack([5 * function(angle) for function in functions])
    return points


def table_columns(arguments):
    header("features", "d", "n", *SHORT, "H1_prominence")
    for n in arguments.points:
        for d in arguments.dimensions:
            for case, (name, features) in enumerate(FEATURES.items(), start=3000):
                rows = [
                    by_columns(features(np.random.default_rng([SEED, case, n, cloud]), (n, d)), cloud, arguments.draws)
                    for cloud in range(arguments.clouds)
                ]
                line(name, d, n, *(rate(np.array([row[c] for row in rows])) for c in (*SHORT, "H1_prominence")))


COLUMNS = (LOOP, ALONE, PROMINENCE, RATIO, "H1_max_lifetime", "H1_total_persistence", "H1_count", "universal")


def table_power(arguments):
    names = columns(arguments, COLUMNS)
    header("loop", "radius / noise", "d", "n", *names)
    for n in arguments.points:
        for ratio in arguments.ratios:
            for d in arguments.dimensions:
                for case, (name, population) in enumerate(with_loop(d, ratio).items()):
                    if name == "circle" or not arguments.circles:
                        p = p_of(population, n, arguments, 1000 + case)
                        line(name, f"{ratio:g}", d, n, *(rate(p[c]) for c in names))


def table_none(arguments):
    header("population", "d", "n", *columns(arguments, COLUMNS))
    for n in arguments.points:
        cases = [(name, d, f) for d in arguments.dimensions for name, f in without_loop(d).items()]
        cases += [(name, "", f) for name, f in low_dimensional().items()]
        rates(cases, n, arguments, 2000)


def table_like(arguments):
    """Populations like layers, those that Rips sees as loops, and small loops that are there."""
    header("population", "d", "n", *columns(arguments, COLUMNS))
    of = (like_layers, loops_to_rips, small_loops)
    for n in arguments.points:
        for d in arguments.dimensions:
            rates([(name, d, f) for make in of for name, f in make(d).items()], n, arguments, 4000)


def rates(cases, n, arguments, first):
    for case, (name, d, population) in enumerate(cases):
        p = p_of(population, n, arguments, first + case)
        line(name, d, n, *(rate(p[c]) for c in columns(arguments, COLUMNS)))


def correlated(n, rng, *, layers, d=20):
    """Gaussian layers, each the one before plus as much that is new."""
    found = [rng.standard_normal((n, d))]
    while len(found) < layers:
        found.append((found[-1] @ rng.standard_normal((d, d)) / np.sqrt(d) + rng.standard_normal((n, d))) / np.sqrt(2))
    return found


def table_layers(arguments, layers=8):
    """The share of families of ``layers`` true nulls in which any is rejected."""
    rows = []
    for cloud in range(arguments.clouds):
        rng = np.random.default_rng([SEED, 3000, cloud])
        tests, _, _ = tested(correlated(arguments.points[0], rng, layers=layers), cloud, arguments.draws)
        rows.append(
            [[least(tests, name, kind) for kind in ("p", "adjusted", "family_wise")] for name in (*SHORT, LOOP)]
        )
    header("metric", f"any of {layers} layers, alone", "Benjamini–Hochberg", "max-statistic")
    for name, rates in zip((*SHORT, LOOP), (np.array(rows) <= 0.05 + 1e-12).mean(axis=0), strict=True):
        line(name, *map(float, rates))


def least(tests, name, kind):
    return min(getattr(test[name], kind) for test in tests)


TABLES = {
    "gaussian": table_gaussian,
    "bars": table_bars,
    "power": table_power,
    "none": table_none,
    "like": table_like,
    "layers": table_layers,
    "columns": table_columns,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clouds", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=199)
    parser.add_argument("--points", type=int, nargs="*", default=[100, 500])
    parser.add_argument("--dimensions", type=int, nargs="*", default=[10, 30], help="of power and none")
    parser.add_argument("--ratios", type=float, nargs="*", default=[3.0, 4.0, 5.0, 6.0])
    parser.add_argument("--circles", action="store_true", help="power for a circle alone")
    parser.add_argument("--tables", default=",".join(TABLES))
    parser.add_argument("--centroids", action="store_true", help="the loop test of centroids alone")
    parser.add_argument("--quick", action="store_true", help="40 clouds of 100 points, 59 draws")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.clouds, arguments.points, arguments.draws = 40, [100], 59
    for name in arguments.tables.split(","):
        print(f"\n{name}: {arguments.clouds} clouds each, {arguments.draws} draws, seed {SEED}\n")
        TABLES[name](arguments)


if __name__ == "__main__":
    main()

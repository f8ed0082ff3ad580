"""Print how often the 95 % intervals cover, and how wide they are.

python benchmarks/intervals.py                    # all of it: about 35 minutes python benchmarks/intervals.py
--populations real --detail    # --quick: fewer clouds, no model python benchmarks/intervals.py --populations groups
corpus embedding --detail    # points in groups, and the shipped models

The truth of a number is its mean over 2,000 fresh clouds of the same n, from the same population: of seven made ones,
all that is random in a cloud are its points. Each comes in two layers, the points and a fixed bend of them. The
population called real is the pooled texts of WikiText-2 that have more than one word, in three layers of
SmolLM2-135M-Instruct (93 MB, from PyPI once), N in all, from which n are drawn without replacement. So drawn, numbers
vary less, by √(1 - n / N), than those of fresh texts, of which the intervals speak: errors and true deviations are
divided by that. Populations of groups and of the shipped models: grouped_populations.py.

The width is in true standard deviations; an interval that knew everything would have 3.9.
"""

import argparse
import math
import os
import sys
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
from grouped_populations import GROUPED, Lines, shipped_layers

import todacomm as td
from clouds import machine
from todacomm.clouds.prepare import prepare
from todacomm.core.types import Address, PointCloud
from todacomm.profiles.measure import measure_prepared
from todacomm.statistics.intervals import difference_interval, difference_test, interval, ratio_interval
from todacomm.statistics.metrics_on_halves import halves_of
from todacomm.statistics.random_halves import refusal, splits

LEVEL = 0.05
RECIPE = td.Recipe()
KINDS = ("Gaussian", "power law", "clustered", "noisy circle", "thin circle", "sphere", "Student t")
REAL = ("layer_2", "layer_15", "layer_29")
SHAPE = "H0_total_persistence_scaled"

# Populations


@dataclass(frozen=True)
class Population:
    """``draw(n, rng)`` gives the layers of a cloud, (n, d) each, and the groups of its points, or None; ``size`` is how
    many points there are, 0 for no end; ``kind`` is which table it is in.
    """

    name: str
    draw: object
    kind: str
    size: int = 0

    @property
    def sizes(self):
        """The sizes of clouds."""
        return {"groups": (300,), "corpus": (500,), "embedding": (500,), "real": (100, 300, 500)}.get(
            self.kind, (100, 300)
        )

    def kept(self, n):
        """What drawing without replacement leaves of a deviation."""
        return math.sqrt(1 - n / self.size) if self.size else 1.0


class Made:
    """Points of one kind in d dimensions; centres and the bend are fixed."""

    def __init__(self, kind, d):
        self.kind, self.d = kind, d
        rng = np.random.default_rng(zlib.crc32(f"{kind} {d}".encode()))
        self.centres = 3 * rng.normal(size=(10, d))
        self.bend = rng.normal(size=(d, d)) / d**0.5
        self.bend /= np.abs(self.points(2000, rng)).mean()

    def __call__(self, n, rng):
        points = self.points(n, rng)
        return [points, np.tanh(points @ self.bend)], None

    def points(self, n, rng):
        return getattr(self, "_" + self.kind.replace(" ", "_").lower())(n, rng)

    def _gaussian(self, n, rng):
        return rng.normal(size=(n, self.d))

    def _power_law(self, n, rng):
        return self._gaussian(n, rng) / np.arange(1, self.d + 1)

    def _clustered(self, n, rng):
        return self._gaussian(n, rng) + self.centres[rng.integers(10, size=n)]

    def _circle(self, n, rng):
        angle = rng.uniform(0, 2 * np.pi, n)
        return np.pad(np.c_[np.cos(angle), np.sin(angle)], ((0, 0), (0, self.d - 2)))

    def _noisy_circle(self, n, rng):
        return 5 * self._circle(n, rng) + self._gaussian(n, rng)

    def _thin_circle(self, n, rng):
        return self._circle(n, rng) + 0.3 / self.d**0.5 * self._gaussian(n, rng)

    def _sphere(self, n, rng):
        points = rng.normal(size=(n, 11))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        return np.pad(points, ((0, 0), (0, self.d - 11))) + 0.05 / self.d**0.5 * self._gaussian(n, rng)

    def _student_t(self, n, rng):
        return self._gaussian(n, rng) / np.sqrt(rng.chisquare(3, size=(n, 1)) / 3)


@dataclass(frozen=True)
class Drawn:
    """Rows of fixed arrays, without replacement."""

    layers: list

    def __call__(self, n, rng):
        chosen = rng.choice(len(self.layers[0]), n, replace=False)
        return [layer[chosen] for layer in self.layers], None


def real_layers():
    """Three layers of a real decoder on all texts that ship."""
    from real_weights import decoder

    return read_layers("SmolLM2-135M-Instruct (Q4_1)", decoder(), REAL, "last")


def real_embeddings():
    """The embedding of a real encoder, mean and last pooling; by the last token, a third of the points are distinct."""
    from real_weights import encoder

    return [read_layers("all-MiniLM-L6-v2", encoder(), ["embedding"], pooling)[0] for pooling in ("mean", "last")]


def read_layers(name, place, layers, pooling):
    from todacomm.models.checkpoints.loading import load_model
    from todacomm.models.extraction import extract
    from todacomm.models.names import ModelSource

    texts = several_words(td.texts("wikitext2", 2891))
    source = ModelSource(name, str(place))
    read, _ = extract(load_model(source), texts, pooling=pooling, language=False, layers=list(layers))
    return [np.asarray(read.layers[layer]) for layer in layers]


def several_words(texts):
    """Without the texts of one word: the first token of any text lies far from all others (the attention sink)."""
    return texts.take([i for i, text in enumerate(texts.items) if " " in text.strip()])


def populations(chosen, layers):
    tails = {kind: "t" if kind.startswith("Student") else "light" for kind in KINDS}
    made = [Population(f"{kind}, d = {d}", Made(kind, d), tails[kind]) for kind in KINDS for d in (20, 50)]
    made += [Population(name, draw, "groups") for name, draw in GROUPED.items()]
    made += [Population("real", Drawn(layers), "real", len(layers[0]))] if layers else []
    found = [
        one for one in made if not chosen or any(word.lower() in f"{one.kind} {one.name}".lower() for word in chosen)
    ]
    wanted = {"corpus", "embedding"} & set(chosen)
    return found + [one for one in (shipped() if wanted else []) if one.kind in wanted]


def shipped():
    """The shipped models on the first lines of WikiText-2's articles, shuffled; and embeddings of single texts."""
    layers, groups = shipped_layers()
    encoder = real_embeddings()
    embeddings = [layer for name, layer in layers.items() if name.endswith("embedding")]
    return [
        Population(f"corpus: {', '.join(layers)}", Lines(list(layers.values()), groups), "corpus", len(groups)),
        Population("embedding", Drawn(embeddings), "embedding", len(groups)),
        Population("embedding of all-MiniLM-L6-v2", Drawn(encoder), "embedding", len(encoder[0])),
    ]


# The simulation


@dataclass
class Cell:
    """One population at one n: ``truth`` (fresh, layers, names), ``halves`` of each cloud and layer."""

    population: str
    tails: str
    n: int
    names: tuple
    truth: np.ndarray
    halves: list
    kept: float


def prepared(points, layer):
    cloud = prepare(PointCloud(points, Address("population", "fresh", f"layer_{layer}")), RECIPE)
    return cloud, measure_prepared(cloud, RECIPE)


def whole(points, layer):
    cloud, found = prepared(points, layer)
    return [*found.summary.values(), found.facts.scale, found.summary["H0_total_persistence"] * cloud.unit]


def simulate(population, n, *, clouds, fresh, resamples, seed):
    """Clouds with their halves, and the truth from fresh ones."""
    rng = np.random.default_rng([seed, zlib.crc32(population.name.encode()), n])
    truth = [[whole(x, k) for k, x in enumerate(population.draw(n, rng)[0])] for _ in range(fresh)]
    halves = [halved(*drawn_whole(population, n, rng), resamples) for _ in range(clouds)]
    names = halves[0][0].names
    truth = np.array(truth, dtype=float)
    return Cell(population.name, population.kind, n, names, truth, halves, population.kept(n))


def drawn_whole(population, n, rng):
    """A cloud whose groups, where it has any, can be drawn whole."""
    while True:
        layers, labels = population.draw(n, rng)
        if labels is None or not refusal(labels):
            return layers, labels


def halved(layers, labels, resamples):
    cut = splits(len(layers[0]), resamples // 2, groups=labels)
    return [halves_of(*prepared(x, k), cut) for k, x in enumerate(layers)]


# What came out


@dataclass
class Outcome:
    """How one number fared: ``covered`` and ``width`` over the clouds whose interval is ``defined``."""

    statistic: str
    population: str
    tails: str
    n: int
    covered: float
    width: float
    defined: float


def outcome(statistic, cell, layer, found, truth):
    """Coverage and mean width, in true standard deviations, of intervals of one number."""
    truth = truth[np.isfinite(truth)]
    good = [i for i in found if i.defined]
    if not all(i.low <= i.estimate <= i.high for i in good):
        raise SystemExit(f"an interval of {statistic} does not hold its estimate")
    if not good or not len(truth):
        return Outcome(statistic, f"{cell.population} ({layer})", cell.tails, cell.n, math.nan, math.nan, 0.0)
    mean, deviation = truth.mean(), truth.std(ddof=1) / cell.kept
    slack = 1e-9 * abs(mean)
    hits = [i.low - slack <= i.estimate + (mean - i.estimate) / cell.kept <= i.high + slack for i in good]
    width = np.mean([i.high - i.low for i in good]) / deviation if deviation > slack else math.nan
    label = f"{cell.population} ({layer})"
    return Outcome(statistic, label, cell.tails, cell.n, np.mean(hits), width, len(good) / len(found))


def outcomes(cell):
    """Every number of every layer, and its ratio and difference to the first layer."""
    for k, name in enumerate(cell.names):
        for layer in range(len(cell.halves[0])):
            own = [interval(name, h[layer]) for h in cell.halves]
            yield outcome(name, cell, layer, own, cell.truth[:, layer, k])
            if not layer:
                continue
            first, second = cell.truth[:, 0, k], cell.truth[:, layer, k]
            ratio = [ratio_interval(name, h[layer], h[0]) for h in cell.halves]
            with np.errstate(divide="ignore", invalid="ignore"):
                yield outcome(f"{name} ratio", cell, layer, ratio, second / first)
            gap = [difference_interval(name, h[0], h[layer]) for h in cell.halves]
            yield outcome(f"{name} difference", cell, layer, gap, second - first)


def rejections(cell):
    """Name → share of independent pairs of clouds that the unpaired test tells apart."""
    pairs = [(a[0], b[0]) for a, b in zip(cell.halves, cell.halves[1:] + cell.halves[:1], strict=True)]
    for name in cell.names:
        p = [difference_test(name, a, b, paired=False) for a, b in pairs]
        defined = [x for x in p if x is not None]
        yield name, np.mean([x <= LEVEL for x in defined]) if defined else math.nan


BOUNDS = {  # statistic: coverage on light tails, on the t, width on light tails, on the t
    "H0_total_persistence": (0.92, 0.87, 5.4, 8.5),
    "tree_length ratio": (0.92, 0.87, 5.8, 8.5),
    "H0_entropy": (0.92, 0.87, 6.2, 8.5),
    "H1_count": (0.92, 0.87, 5.8, 8.5),
    "H1_entropy": (0.92, 0.87, 5.8, 8.5),
    "H1_total_persistence": (0.91, 0.87, 6.6, 8.5),
    "H1_max_lifetime": (0.91, 0.87, 6.8, 8.5),
    SHAPE: (0.90, 0.87, 5.8, 8.5),
}
SHOWN = (
    *BOUNDS, "scale", "scale ratio", f"{SHAPE} ratio", "H0_count", "H0_max_lifetime", "H1_total_persistence_scaled",
    "H1_max_lifetime_scaled", "H1_death_birth_ratio", "H1_prominence",
)  # fmt: skip


def spread_of(values, form):
    values = [v for v in values if not math.isnan(v)]
    return f"{form.format(min(values))}–{form.format(max(values))}" if values else "–"


def row(statistic, found):
    """One line of the table: light tails, then the t, and whether the bounds are kept in every cell."""
    sides = [[o for o in found if o.statistic == statistic and o.tails == tails] for tails in ("light", "t")]
    cells = []
    for side in sides:
        cells += [spread_of([100 * o.covered for o in side], "{:.1f}"), spread_of([o.width for o in side], "{:.2f}")]
    undefined = max((1 - o.defined for o in found if o.statistic == statistic), default=0.0)
    return f"| {statistic} | {' | '.join(cells)} | {100 * undefined:.0f} | {verdict(statistic, sides)} |"


def verdict(statistic, sides):
    if statistic not in BOUNDS or not any(sides):
        return ""
    light, heavy, narrow, wide = BOUNDS[statistic]
    wrong = [
        f"{o.population}, n = {o.n}: {100 * o.covered:.1f} %, {o.width:.2f}"
        for side, least, most in zip(sides, (light, heavy), (narrow, wide), strict=True)
        for o in side
        if o.covered < least or o.width > most
    ]
    return f"missed: {'; '.join(wrong)}" if wrong else "kept"


def report(cells, *, detail):
    found = [o for cell in cells for o in outcomes(cell)]
    print("\n| statistic | coverage %, light tails | width | coverage %, Student t | width | undefined % | bounds |")
    print("|---|---|---|---|---|---|---|")
    for statistic in dict.fromkeys(o.statistic for o in found if o.tails in ("light", "t")):
        print(row(statistic, found))
    for kind in ("groups", "corpus", "embedding", "real"):
        report_kind(kind, [o for o in found if o.tails == kind])
    report_rejections([cell for cell in cells if cell.tails in ("light", "t")])
    report_lines([o for o in found if detail])


def report_kind(kind, found):
    """The least and the largest coverage and width of each number over the populations of one kind."""
    if not found:
        return
    print(f"\n| {kind} | coverage % | width | worst in |\n|---|---|---|---|")
    for statistic in dict.fromkeys(o.statistic for o in found if o.statistic in SHOWN):
        row = [o for o in found if o.statistic == statistic]
        shown = spread_of([100 * o.covered for o in row], "{:.1f}"), spread_of([o.width for o in row], "{:.2f}")
        print(f"| {statistic} | {' | '.join(shown)} | {min(row, key=lambda o: o.covered).population} |")


def report_rejections(cells):
    print("\nIndependent pairs of clouds told apart by the unpaired test at 0.05, % of pairs in each cell:\n")
    rejected = [dict(rejections(cell)) for cell in cells]
    for name in rejected[0] if rejected else ():
        found = [100 * one[name] for one in rejected if not math.isnan(one[name])]
        print(f"- {name}: {np.mean(found):.1f} on average, {spread_of(found, '{:.1f}')}")


def report_lines(found):
    """One line for each population."""
    print("\n| statistic | population (layer) | n | coverage % | width | undefined % |\n|---|---|---|---|---|---|")
    for o in found:
        shown = f"{100 * o.covered:.1f} | {o.width:.2f} | {100 * (1 - o.defined):.0f}"
        print(f"| {o.statistic} | {o.population} | {o.n} | {shown} |")


def tasks(arguments):
    """Population and n of each cell."""
    chosen = arguments.populations
    real = not arguments.quick if not chosen else any("real".startswith(word.lower()) for word in chosen)
    for population in populations(chosen, real_layers() if real else []):
        for n in population.sizes:
            yield population, n


def simulated(task):
    (population, n), settings = task
    return simulate(population, n, **settings)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clouds", type=int, default=200)
    parser.add_argument("--fresh", type=int, default=2000, help="clouds for the truth")
    parser.add_argument("--resamples", type=int, default=100, help="halves of each cloud")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--populations", nargs="*", default=[], help="words of their names; real for those of a model")
    parser.add_argument("--quick", action="store_true", help="40 clouds, 400 for the truth, no model")
    parser.add_argument("--detail", action="store_true", help="one line for each population too")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.clouds, arguments.fresh = 40, 400
    settings = {name: getattr(arguments, name) for name in ("clouds", "fresh", "resamples", "seed")}
    print(machine("numpy", "numba", "scipy"))
    print(f"\n`python benchmarks/intervals.py {' '.join(sys.argv[1:])}`")
    begun = time.perf_counter()
    work = [(task, settings) for task in tasks(arguments)]
    if arguments.jobs > 1:
        with ProcessPoolExecutor(arguments.jobs) as pool:
            cells = list(pool.map(simulated, work))
    else:
        cells = [simulated(one) for one in work]
    report(cells, detail=arguments.detail)
    print(f"\n{len(cells)} cells of {arguments.clouds} clouds, {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()

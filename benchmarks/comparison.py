"""Print whether comparisons reject what is the same, and grow with what is not.

python benchmarks/comparison.py splits            # one model on two random disjoint halves of the texts: about 15
minutes python benchmarks/comparison.py noise             # SmolLM2 against itself with noise on its weights: about 15
minutes python benchmarks/comparison.py blocks            # the test of diagrams on blocks, of clouds from one
population: about 5 minutes

``splits``: two disjoint random sets of texts of one model, compared unpaired, should differ at 0.05 in 2 to 8 of 100
splits, for every number. Two disjoint sets drawn without replacement from N texts differ as two fresh ones do: the
correlation of their means, -1/N, makes up for what drawing without replacement takes from the variance of each.
``blocks``: the same shape twice, in other coordinates and with its own noise. ``noise``: each weight tensor gets
Gaussian noise of a share of its own standard deviation.
"""

import argparse
import math
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np

import todacomm as td
from clouds import machine
from todacomm.comparison.diagram_tests import distances_apart
from todacomm.comparison.differences import pair
from todacomm.core.types import PointCloud
from todacomm.report.words.pairs import HEADLINES
from todacomm.runs.config import Study
from todacomm.runs.experiment import load, read

LEVEL = 0.05
MODEL, EACH, SPLITS = "tiny-preln-decoder", 250, 300
LAYERS = ("embedding", "layer_1", "layer_3", "layer_5")
NOISE, DRAWS, TEXTS = (0.01, 0.02, 0.05, 0.1, 0.2), 5, 100


def table(header, rows):
    """Print a Markdown table."""
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


# One model, two disjoint sets of texts


def whole(pooling):
    """The activations of the model on all texts that ship, by layer."""
    texts = td.texts("wikitext2")
    study = Study(models=(MODEL,), samples=len(texts), layers=LAYERS, language=False)
    return read(load(MODEL, study), texts, study, pooling=pooling).activations.layers


def split(layers, seed):
    """Name → the p-value of every sound layer, of two disjoint random sets; and the p-values of the growths."""
    n = len(next(iter(layers.values())))
    order = np.random.default_rng([2026, seed]).permutation(n)
    sets = [np.sort(order[:EACH]), np.sort(order[EACH : 2 * EACH])]
    profiles = [
        td.measure({layer: points[chosen] for layer, points in layers.items()}, name=str(i), null_draws=0)
        for i, chosen in enumerate(sets)
    ]
    found = pair(*(unlike(profile, i) for i, profile in enumerate(profiles)), baseline=1)
    doubtful = {layer for profile in profiles for layer in profile.layers if profile.at(layer).facts.doubtful}
    numbers = {
        name: [math.nan if one.first in doubtful else d.p for one, d in zip(found.layers, row, strict=True)]
        for name, row in found.differences.items()
    }
    growths = {f"growth: {part}": [d.p] for part, d in found.growths.items()}
    return numbers | growths


def unlike(profile, i):
    """The profile with texts of its own, so that nothing is taken text by text."""
    from dataclasses import replace

    return replace(profile, texts_sha256=f"{i:064d}")


def splits(arguments):
    """The rejections of each number over splits, over all layers together and in the worst layer."""
    layers = whole(arguments.pooling)
    names = list(layers)
    found = []
    for seed in range(arguments.splits):
        found.append(split(layers, seed))
        print(f"\r{seed + 1} splits", end="", file=sys.stderr, flush=True)
    print(
        f"\n{arguments.splits} splits of {len(layers[names[0]])} texts into two sets of {EACH}, {MODEL}, pooling "
        f"{arguments.pooling}\n"
    )
    rows = []
    for name in max(found, key=len):
        nothing = [math.nan] * len(max(found, key=len)[name])
        p = np.array([[math.nan if x is None else x for x in one.get(name, nothing)] for one in found])
        known = np.isfinite(p).any(axis=0)
        rates = (p[:, known] <= LEVEL).sum(axis=0) / np.isfinite(p[:, known]).sum(axis=0)
        if known.any():
            rows.append(
                (
                    name,
                    f"{100 * rates.mean():.1f} %",
                    f"{100 * rates.min():.1f} to {100 * rates.max():.1f} %",
                    int(np.isnan(p[:, known]).sum()),
                )
            )
    table(("number", "rejections at 0.05, mean over layers", "least and most of a layer", "undefined"), rows)


# The test on blocks


def blocks(arguments):
    """How often the test on blocks rejects where the two clouds are of one population, and where they are not."""
    rows = []
    for name, change in CHANGES.items():
        found = [blocks_once(change, seed) for seed in range(arguments.splits)]
        rates = (statistics.fmean(one[k] <= LEVEL for one in found) for k in ("H0", "H1"))
        rows.append((name, *(f"{100 * rate:.1f} %" for rate in rates)))
    table(("the second cloud", "H0 rejected at 0.05", "H1 rejected at 0.05"), rows)


def stretched(points, _):
    """One direction three times as long."""
    return points * np.r_[3, np.ones(points.shape[1] - 1)]


def with_loop(points, rng):
    """A circle added in two directions."""
    angle = rng.uniform(0, 2 * np.pi, len(points))
    return points + 6 * np.pad(np.c_[np.cos(angle), np.sin(angle)], ((0, 0), (0, points.shape[1] - 2)))


CHANGES = {
    "another rotation and noise of its own": lambda points, _: points,
    "and one direction 3 times as long": stretched,
    "and a circle of radius 6": with_loop,
}


def blocks_once(change, seed):
    """The p-values of one pair of clouds that share most of what the texts are."""
    rng = np.random.default_rng([7, seed])
    texts = rng.normal(size=(300, 10))
    first, second = (np.c_[texts, rng.normal(size=(300, 5))] for _ in range(2))
    clouds = {"a": first, "b": change(second @ np.linalg.qr(rng.normal(size=(15, 15)))[0], rng)}
    profiles = [
        td.measure({"layer_0": points}, name=name, null_draws=0, resamples=20) for name, points in clouds.items()
    ]
    found = distances_apart(
        pair(*profiles),
        *(lambda layer, p=p: PointCloud(clouds[p.model], p.at(layer).address) for p in profiles),
    )
    return {dimension: row[0].p for dimension, row in found.diagrams.items()}


# A model and itself with noise


def noise(_):
    """Effects against the size of the noise, the median of the draws and their range."""
    import torch

    from real_weights import decoder

    study = Study(models=(str(decoder()),), samples=TEXTS, language=False)
    model, texts = load(str(decoder()), study), td.texts("wikitext2", TEXTS)
    base = measured(model, texts, study, "SmolLM2")
    weights = {name: weight.detach().clone() for name, weight in model.network.named_parameters()}
    rows = []
    for size in NOISE:
        found = []
        for draw in range(DRAWS):
            generator = torch.Generator().manual_seed(1000 * draw + 7)
            with torch.no_grad():
                for name, weight in model.network.named_parameters():
                    kick = torch.randn(weight.shape, generator=generator, dtype=torch.float32)
                    weight.copy_(weights[name] + (size * weights[name].float().std() * kick).to(weight.dtype))
            found.append(effects(base, measured(model, texts, study, f"noise {size}")))
        print(size, {name: [round(one[name], 4) for one in found] for name in found[0]}, file=sys.stderr, flush=True)
        rows.append((size, *(middle([one[name] for one in found]) for name in found[0])))
    print(f"\nSmolLM2-135M-Instruct (Q4_1), {TEXTS} texts, {DRAWS} draws: median (least to most)\n")
    table(("noise / standard deviation of each weight", *found[0]), rows)


def middle(values):
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def measured(model, texts, study, name):
    """The profile of a model in memory, and its clouds."""
    layers = read(model, texts, study, pooling=None).activations.layers
    return td.measure(layers, name=name, null_draws=0), layers


def effects(base, other):
    """Median over the layers of the size of each effect, the growths, and the distances."""
    (first, a), (second, b) = base, other
    both = pair(first, second)
    apart = distances_apart(
        both,
        lambda layer: PointCloud(a[layer], first.at(layer).address),
        lambda layer: PointCloud(b[layer], second.at(layer).address),
    )
    found = {
        f"effect: {label}": statistics.median(abs(d.effect) for d in both.differences[name] if d.effect is not None)
        for name, label in HEADLINES.items()
    }
    found |= {f"|log {part} growth ratio|": abs(math.log(d.ratio.estimate)) for part, d in both.growths.items()}
    found |= {f"Wasserstein, {k}": statistics.median(d.wasserstein for d in row) for k, row in apart.diagrams.items()}
    return found | {"1 - CKA": 1 - statistics.median(apart.cka)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("splits", "noise", "blocks"))
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--pooling", default="last")
    arguments = parser.parse_args()
    begun = time.process_time()
    print(machine())
    {"splits": splits, "noise": noise, "blocks": blocks}[arguments.what](arguments)
    print(f"\n{time.process_time() - begun:.0f} s of CPU")

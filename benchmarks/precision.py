"""Print how far bfloat16 moves the topology of each layer, against what another draw of texts would.

python benchmarks/precision.py                                # the four shipped models
python benchmarks/precision.py DIRECTORY… [--texts 300]       # any other

Shift: how far a number in bfloat16 is from that in float32, over the half width of its 95 % interval (1.96 times the
delete-d jackknife's deviation, from 100 subsamples of 63 %). Of all layers and poolings the median and the largest, and
how many shift by more than their interval; distinct points that bfloat16 loses are counted apart.
"""

import argparse

import numpy as np

import todacomm as td
from todacomm.clouds.prepare import prepare
from todacomm.homology import bitlink
from todacomm.models.checkpoints.loading import load_model
from todacomm.models.extraction import extract
from todacomm.models.names import SHIPPED, resolve

NAMES = ("H0 total", "H1 total", "scale", "H0 total / scale", "H1 total / scale")
SHARE = 0.63


def numbers(found, scale):
    h0, h1 = found.merges.sum(), (found.bars[:, 1] - found.bars[:, 0]).sum()
    return np.array([h0, h1, scale, h0 / scale, h1 / scale])


def of_cloud(cloud):
    """The numbers of a layer, the half widths of their intervals, and its distinct points."""
    ready = prepare(cloud, td.Recipe())
    n, rng = len(ready.points), np.random.default_rng(0)
    edges, m = bitlink.sorted_edges(ready.condensed), round(SHARE * n)
    draws = [rng.permutation(n)[:m] for _ in range(100)]
    found = [numbers(bitlink.resample(edges, draw), np.median(ready.restricted(np.sort(draw)))) for draw in draws]
    width = 1.96 * np.std(found, axis=0, ddof=1) * np.sqrt(m / (n - m))
    return numbers(bitlink.homology(ready.condensed), ready.median_distance), width, ready.facts


def shifts_of(name, texts, pooling):
    """One row a layer: the shifts, and the distinct points in float32 and in bfloat16."""
    layers = {}
    for dtype in ("float32", "bfloat16"):
        read, _ = extract(load_model(resolve(name), device="cpu", dtype=dtype), texts, pooling=pooling, language=False)
        layers[dtype] = {cloud.address.layer: of_cloud(cloud) for cloud in read.clouds()}
    for layer, (exact, width, facts) in layers["float32"].items():
        half, _, other = layers["bfloat16"][layer]
        if not facts.undefined:
            yield layer, np.abs(half - exact) / width, facts.distinct_points, other.distinct_points


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=SHIPPED)
    parser.add_argument("--texts", type=int, default=300)
    arguments = parser.parse_args()
    texts = td.texts("wikitext2", arguments.texts)
    print("| model | pooling | layers |", " | ".join(NAMES), "| layers that lose distinct points |")
    print("|---|---|---|" + "---|" * (len(NAMES) + 1))
    for name in arguments.models:
        for pooling in ("last", "mean"):
            rows = list(shifts_of(name, texts, pooling))
            shifts = np.array([shift for _, shift, _, _ in rows])
            cells = [f"{np.median(c):.2f}, at most {c.max():.1f}; {(c > 1).sum()} beyond" for c in shifts.T]
            lost = sum(after < before for *_, before, after in rows)
            print(f"| {resolve(name).name} | {pooling} | {len(rows)} |", " | ".join(cells), f"| {lost} |", flush=True)


if __name__ == "__main__":
    main()

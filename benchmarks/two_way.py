"""Print a two-way table of the twelve models of docs/encoder-decoder.md: what attention's direction does, and what the
place of the norm.

python benchmarks/two_way.py

The rows are those of the tables "All twelve" of that page, which `python benchmarks/zoo.py` printed for three training
seeds of each cell. All numbers are ratios, so that effects are ratios too: geometric means over the cells. The spread
between seeds is the pooled standard deviation of the logarithm within the four cells (8 degrees of freedom), as a
factor. An effect within twice the spread of a difference of two means of six models is called consistent with none;
three seeds carry no p-value.
"""

import math
import re
import statistics
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "encoder-decoder.md"
NUMBERS = ("expansion", "scale growth", "shape growth")
ROW = re.compile(
    r"^\| (postln|preln)-(encoder|decoder)-(\d) \| \S+ \| \S+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", re.MULTILINE
)


def tables(text):
    """Pooling → (norm, direction) → number → its three logarithms."""
    found = {}
    for pooling, part in re.findall(
        r"^(Mean|Last-token) pooling:\n(.*?)(?=^\S+ pooling:|\Z)", text, re.MULTILINE | re.DOTALL
    ):
        for norm, direction, _, *values in ROW.findall(part):
            cell = found.setdefault(pooling, {}).setdefault((norm, direction), {name: [] for name in NUMBERS})
            for name, value in zip(NUMBERS, values, strict=True):
                cell[name].append(math.log(float(value)))
    return found


def effects(cells, name):
    """The logarithms of both effects, of the interaction, and of the spread between seeds."""
    mean = {cell: statistics.mean(values[name]) for cell, values in cells.items()}
    pre = {d: mean["preln", d] - mean["postln", d] for d in ("encoder", "decoder")}
    causal = {n: mean[n, "decoder"] - mean[n, "encoder"] for n in ("postln", "preln")}
    within = math.sqrt(statistics.mean(statistics.variance(values[name]) for values in cells.values()))
    return statistics.mean(pre.values()), statistics.mean(causal.values()), pre["decoder"] - pre["encoder"], within


def told(effect, within, models):
    """An effect as a factor, and whether seeds alone would explain it."""
    spread = within * math.sqrt(2 / models)
    return f"× {math.exp(effect):.2f}" + (" (consistent with none)" if abs(effect) <= 2 * spread else "")


def main():
    head = "| pooling | number | post-LN → pre-LN | bidirectional → causal | interaction | spread between seeds |"
    print(f"{head}\n|---|---|---|---|---|---|")
    for pooling, cells in tables(PAGE.read_text(encoding="utf-8")).items():
        for name in NUMBERS:
            norm, direction, both, within = effects(cells, name)
            print(
                f"| {pooling.lower()} | {name} | {told(norm, within, 6)} | {told(direction, within, 6)} | "
                f"{told(both, within, 1.5)} | × {math.exp(within):.2f} |"
            )


if __name__ == "__main__":
    main()

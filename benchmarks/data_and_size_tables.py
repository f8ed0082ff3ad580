r"""Print tables: does the shape of a model follow the corpus that it was trained on, or its size?

    for corpus in english shuffled python music; do
        todacomm run --models models/english-1,models/english-2,… --dataset corpora/$corpus/test.jsonl --samples 500 \
            --pooling mean --null-draws 19 --output-dir measured/$corpus
    done
    python benchmarks/data_and_size_tables.py measured --figure data_and_size.png

The models are those of benchmarks/data_and_size.py: four corpora and five widths, three seeds each; the widths are
measured on English alone. A name ends with its seed. The spread between seeds is the pooled standard deviation within
the groups: an effect is the standard deviation of their means, and beside it stands what seeds alone would make of it.
"""

import argparse
import math
import statistics
from itertools import combinations
from pathlib import Path

import todacomm as td
from todacomm.comparison.compare import How

LEVEL = 0.05
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
NUMBERS = {
    "bits / byte": lambda profile: profile.language.get("bits_per_byte"),
    "expansion": lambda profile: profile.expansion().growth.ratio,
    "scale growth": lambda profile: profile.expansion().growth.scale,
    "shape growth": lambda profile: profile.expansion().growth.shape,
    "expansion from layer_0": lambda profile: last(profile, "H0_total_persistence") / first(profile),
    "H0 total / median distance, layer_5": lambda profile: last(profile, "H0_total_persistence_scaled"),
    "H1 total / median distance, layer_5": lambda profile: last(profile, "H1_total_persistence_scaled"),
    "longest H1 bar / median distance, layer_5": lambda profile: last(profile, "H1_max_lifetime_scaled"),
    "participation ratio, layer_5": lambda profile: profile.at("layer_5").facts.participation_ratio,
}
LOOPS = ("H1_loop", "H1_loop_centroids")


def last(profile, name):
    return profile.at("layer_5").summary[name]


def first(profile):
    return profile.at("layer_0").summary["H0_total_persistence"]


def group_of(profile):
    return profile.model.rpartition("-")[0]


def profiles_in(directory):
    """The profiles of the runs of a directory, by group, seeds in order."""
    found = [td.load(place.parent) for place in sorted(directory.glob("*/runs/run_0/tda_summaries.json"))]
    groups = {}
    for profile in sorted(found, key=lambda profile: (order(profile), profile.model)):
        groups.setdefault(group_of(profile), []).append(profile)
    return groups


def order(profile):
    """Widths by number, corpora as they come."""
    group = group_of(profile)
    return int(group.removeprefix("width-")) if group.startswith("width-") else 0


def print_table(header, rows):
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def shown(values):
    """The mean of three seeds and their range."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return "–"
    return f"{statistics.mean(known):.3g} ({min(known):.3g}–{max(known):.3g})"


def effect(groups, number):
    """Standard deviation of the means of groups, pooled deviation within them, and what the latter makes of means."""
    values = [[number(profile) for profile in group] for group in groups.values()]
    within = math.sqrt(statistics.mean(statistics.variance(one) for one in values))
    between = statistics.stdev(statistics.mean(one) for one in values)
    return between, within, within / math.sqrt(len(values[0]))


def told_effect(groups, number):
    between, within, by_seeds = effect(groups, number)
    ratio = f"{between / by_seeds:.1f}" if by_seeds else "∞"
    return [f"{between:.3g}", f"{within:.3g}", ratio]


def loops_of(group):
    """How many layers have a loop by each test, of all layers of all seeds."""
    tests = [profile.test(name, layer=layer) for name in LOOPS for profile in group for layer in profile.layers]
    found = [test for test in tests if test.family_wise is not None and test.family_wise <= LEVEL]
    return f"{len(found)} of {len(tests)}"


def numbers(groups):
    header = ["number", *groups, "between groups", "between seeds", "times what seeds make of it"]
    rows = [
        [
            name,
            *(shown([number(profile) for profile in group]) for group in groups.values()),
            *told_effect(groups, number),
        ]
        for name, number in NUMBERS.items()
        if all(number(profile) is not None for group in groups.values() for profile in group)
    ]
    print_table(header, rows)
    print("\nLayers with a loop at 0.05, both tests: ", end="")
    print("; ".join(f"{name} {loops_of(group)}" for name, group in groups.items()))


def apart(groups):
    """The share of layers and numbers in which two models differ, within groups and between them."""
    members = [profile for group in groups.values() for profile in group]
    shares = {}
    for pair in td.compare(members, how=How(against="all")).pairs:
        judged = [d.adjusted for row in pair.differences.values() for d in row if d.adjusted is not None]
        names = tuple(dict.fromkeys((group_of(pair.first), group_of(pair.second))))
        shares.setdefault(names, []).append(statistics.mean(p <= LEVEL for p in judged))
    wanted = [*((name,) for name in groups), *combinations(groups, 2)]
    rows = [
        [
            " and ".join(key) if len(key) > 1 else f"{key[0]}, two seeds",
            f"{100 * statistics.mean(found):.0f}",
            f"{len(found)}",
        ]
        for key in wanted
        if (found := shares.get(key) or shares.get(key[::-1]))
    ]
    print_table(["models", "numbers of layers that differ, %", "pairs"], rows)


def draw(groups, axes, number, label):
    """One line a seed along the layers, one colour a group."""
    for colour, (name, members) in zip(COLOURS, groups.items(), strict=False):
        for profile in members:
            heights = [profile.at(layer).summary[number] for layer in profile.layers]
            axes.plot(range(len(heights)), heights, color=colour, label=name if profile is members[0] else None)
    axes.set_xticks(range(len(profile.layers)), [layer.removeprefix("layer_") for layer in profile.layers], rotation=45)
    axes.set(xlabel="layer", ylabel=label)
    above(axes)


def above(axes):
    """The legend above the panel, where it hides no line."""
    axes.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)


def draw_sizes(groups, axes):
    """Shape and scale growth against the number of parameters, a point a seed."""
    for colour, marker, what in zip(COLOURS, "os", ("scale", "shape"), strict=False):
        points = [(one.card.parameters, getattr(one.expansion().growth, what)) for g in groups.values() for one in g]
        axes.plot(*zip(*points, strict=True), marker, color=colour, label=f"{what} growth")
    axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="times the embedding")
    above(axes)


def figure(corpora, widths, path):
    """H0 total over the median distance along the layers, by corpus and by width, and growth against size."""
    from todacomm.report.document.style import styled

    with styled():
        from matplotlib import pyplot as plt

        _, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
        draw(corpora, left, "H0_total_persistence_scaled", "H0 total / median distance")
        draw(widths, middle, "H0_total_persistence_scaled", "H0 total / median distance")
        draw_sizes(widths, right)
        plt.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="directory with one directory of runs for each corpus read")
    parser.add_argument("--figure", type=Path, help="where to draw what is read on English")
    given = parser.parse_args()
    for place in sorted(path for path in given.measured.iterdir() if path.is_dir()):
        groups = profiles_in(place)
        by_corpus = {name: group for name, group in groups.items() if not name.startswith("width-")}
        by_width = {name: group for name, group in groups.items() if name.startswith("width-")}
        for what, chosen in (("corpora", by_corpus), ("widths", by_width)):
            if len(chosen) > 1:
                print(f"\n### {what.capitalize()}, read on {place.name}\n")
                numbers(chosen)
                print()
                apart(chosen)
        if given.figure and by_corpus and by_width:
            figure(by_corpus, by_width, given.figure)


if __name__ == "__main__":
    main()

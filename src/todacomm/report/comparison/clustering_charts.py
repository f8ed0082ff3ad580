"""Charts of the clustering of profiles: the tree with the groups beside it, and the distances."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from todacomm.comparison.clustering import Clustering
from todacomm.comparison.compare import Comparison
from todacomm.report.comparison.comparison_charts import comparison_charts
from todacomm.report.document import style
from todacomm.report.document.chart import INK, Axis, Cells, Chart, Panel, Series, exact, finite, names_axis, table
from todacomm.report.document.style import cut
from todacomm.report.words.phrases import listed, number

AXIS = "distance of profiles (root mean square, in standard deviations)"
ROW, STEP = 42, 0.045  # pixels of a model; the width of a column of families, in widths of the tree
FAMILIES = (*style.PALETTE[5:3:-1], style.PALETTE[7], *style.PALETTE[:4])  # what models take last comes first
SHAPES = ("s", "D", "^", "v", "*", "h", "P")
MOST_TOLD = 8  # models, up to which the squares of the matrix hold their numbers


@dataclass(frozen=True, slots=True)
class Join:
    """A join of two branches: the mean distance of their models, these models, and their positions."""

    far: float
    members: tuple[tuple[str, ...], tuple[str, ...]]
    starts: tuple[float, float]
    places: tuple[float, float]


def joins_of(found: Clustering) -> list[Join]:
    """The joins by distance; leaves are at 0, 1, … from the bottom, in the order of the tree."""
    place = {leaf: float(i) for i, leaf in enumerate(found.order)}
    branches: list[tuple[float, float, tuple[str, ...]]] = [
        (0.0, place[i], (model,)) for i, model in enumerate(found.models)
    ]
    joins = []
    for left, right, far, _ in found.tree.tolist():
        (a, low, here), (b, high, there) = branches[int(left)], branches[int(right)]
        joins.append(Join(far, (here, there), (a, b), (low, high)))
        branches.append((far, (low + high) / 2, here + there))
    return joins


@comparison_charts.register("comparison_tree")
def tree_chart(comparison: Comparison) -> Iterator[Chart]:
    """The dendrogram, models down the side, distance along the bottom."""
    found = comparison.likeness
    if found is None:
        return
    joins, labels = joins_of(found), labels_of(found)
    widest = max(join.far for join in joins) or 1.0
    columns = len(dict.fromkeys(factor for factor, _ in labels))
    shown = tuple(families(found, labels, widest))
    left = -(columns + 0.5) * STEP * widest if columns else 0.0
    rows = ((", ".join(one.members[0]), ", ".join(one.members[1]), exact(one.far)) for one in joins)
    names = tuple((float(i), f"{cut(found.models[leaf], 28)}{tag(found, leaf)}") for i, leaf in enumerate(found.order))
    down = Axis(limits=(-0.5, len(names) - 0.5), ticks=tuple((i, cut(name, 48)) for i, name in names), named=True)
    across = Axis(AXIS, limits=(left, 1.05 * widest), most=7)
    yield Chart(
        "comparison_tree",
        "Which models are alike",
        "Average linkage of the root mean square differences of scale-free numbers (H0 and H1 totals and longest H1 "
        "bar over the median "
        "distance, entropies) on a grid of relative depth, each in its own standard deviation over models and "
        "depths. Where two branches "
        "join is how far apart their models are on average."
        + (" The marks at the left are the families of a model, named below." if labels else ""),
        (Panel((branches(joins), marks(joins), *shown), across, down, height=ROW * len(names)),),
        table(("joined", "with", "distance"), rows),
        keys=tuple(Series(label=one.label, colour=one.colour, marker=one.marker, dashes="") for one in shown),
        tall=0.5 + 0.26 * len(names),
    )


def branches(joins: Sequence[Join]) -> Series:
    """The branches, with a gap after each join."""
    x = [v for one in joins for v in (one.starts[0], one.far, one.far, one.starts[1], None)]
    y = [v for one in joins for v in (one.places[0], *one.places, one.places[1], None)]
    return Series(tuple(x), tuple(y), colour=INK, marker="", width=0.9)


def marks(joins: Sequence[Join]) -> Series:
    """A mark at each join, whose hover text names models and distance."""
    told = tuple(
        (f"{number(one.far, 3)} apart on average:", f"{listed(one.members[0])}", f"and {listed(one.members[1])}")
        for one in joins
    )
    x, y = tuple(one.far for one in joins), tuple(sum(one.places) / 2 for one in joins)
    return Series(x, y, colour=INK, dashes="", told=told)


def tag(found: Clustering, i: int) -> str:
    """The labels of a model, in brackets."""
    told = ", ".join(dict.fromkeys(one.labels[i] for one in found.families if one.labels[i]))
    return f" ({told})" if told else ""


def labels_of(found: Clustering) -> list[tuple[str, str]]:
    """The groups of each factor that distinguishes any two models."""
    telling = [one for one in found.families if len(set(filter(None, one.labels))) > 1]
    return [(one.factor, label) for one in telling for label in dict.fromkeys(filter(None, one.labels))]


def families(found: Clustering, labels: Sequence[tuple[str, str]], widest: float) -> Iterator[Series]:
    """A column of marks a factor, one colour and shape a group."""
    columns = {factor: -(i + 1) * STEP * widest for i, factor in enumerate(dict.fromkeys(f for f, _ in labels))}
    members: Mapping[str, tuple[str, ...]] = {one.factor: one.labels for one in found.families}
    for i, (factor, label) in enumerate(labels):
        there = [(leaf, place) for place, leaf in enumerate(found.order) if members[factor][leaf] == label]
        yield Series(
            (columns[factor],) * len(there),
            tuple(float(place) for _, place in there),
            f"{factor}: {label}",
            FAMILIES[i % len(FAMILIES)],
            SHAPES[i % len(SHAPES)],
            "",
            told=tuple((found.models[leaf], f"{factor}: {label}") for leaf, _ in there),
            size=1.4,
        )


@comparison_charts.register("comparison_distances")
def distances_chart(comparison: Comparison) -> Iterator[Chart]:
    """The distances of all pairs, in the order of the tree."""
    found = comparison.likeness
    if found is None:
        return
    order = found.order[::-1]
    names, values = [found.models[i] for i in order], found.distances[np.ix_(order, order)]
    told = tuple(
        tuple((a, b, f"{number(values[i, j], 3)} apart") for j, b in enumerate(names)) for i, a in enumerate(names)
    )
    apart = np.where(np.eye(len(names), dtype=bool), np.nan, values)
    cells = Cells(tuple(map(finite, apart)), "distance", told, written=len(names) <= MOST_TOLD)
    across = Axis("the same models", ticks=tuple((i, f"{i + 1}") for i in range(len(names))), named=True)
    down = names_axis([f"{cut(name, 20)} {i + 1}" for i, name in enumerate(names)])
    rows = ((a, b, exact(values[i, j])) for i, a in enumerate(names) for j, b in enumerate(names) if i < j)
    yield Chart(
        "comparison_distances",
        "All distances of profiles",
        "How far apart the profiles of any two models lie (root mean square, in standard deviations), in the order "
        "of the tree above; "
        "the darker, the further apart. A join of the tree is the mean over all pairs across it; here stands each "
        "pair.",
        (Panel((), across, down, cells=cells, height=34 * len(names)),),
        table(("model", "other model", "distance"), rows),
        tall=0.5 + 0.26 * len(names),
    )

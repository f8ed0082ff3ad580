"""The charts of which profiles are alike: the tree with the families beside it, and the distances that it is made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from todacomm.comparison.clustering import Likeness
from todacomm.report.comparison.pair_plots import TREE, tag
from todacomm.report.document import style
from todacomm.report.document.chart_parts import Trace, cut, exact, hover, key, plain, table, title
from todacomm.report.document.pieces import Chart
from todacomm.report.document.rounding import all_rounded, rounded
from todacomm.report.words.phrases import listed, number

AXIS = "distance of profiles", "(root mean square, in standard deviations)"
ROW, STEP = 42, 0.045  # pixels of a model; the width of a column of families, in widths of the tree
FAMILIES = (*style.PALETTE[5:3:-1], style.PALETTE[7], *style.PALETTE[:4])  # what models take last comes first
SHAPES = ("square", "diamond", "triangle-up", "triangle-down", "star", "hexagon", "cross")
MATRIX = (
    "How far apart the profiles of any two models lie (root mean square, in standard deviations), in the order of the tree above; the darker, "
    "the further apart. A join of the tree is the mean over all pairs across it; here stands each pair."
)
MOST_TOLD = 8  # models, up to which the squares of the matrix hold their numbers


def likeness_charts(found: Likeness | None) -> list[Chart]:
    """The tree and the matrix; none where there is no likeness."""
    return [] if found is None else [tree_chart(found), distances_chart(found)]


@dataclass(frozen=True, slots=True)
class Join:
    """Where two branches of the tree meet: how far apart their models are on average, who they are, and their places."""

    far: float
    members: tuple[tuple[str, ...], tuple[str, ...]]
    starts: tuple[float, float]
    places: tuple[float, float]


def joins_of(found: Likeness) -> list[Join]:
    """The joins from the nearest on; the leaves stand at 0, 1, … from the bottom, in the order of the tree."""
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


def tree_chart(found: Likeness) -> Chart:
    """The dendrogram, models down the side, distance along the bottom."""
    joins, labels = joins_of(found), labels_of(found)
    widest = max(join.far for join in joins) or 1.0
    columns = len(dict.fromkeys(factor for factor, _ in labels))
    tall = ROW * len(found.models)
    axis = {"range": [-(columns + 0.5) * STEP * widest if columns else 0, 1.05 * widest], "title": title(*AXIS)}
    layout = {
        "height": tall + 80 + 20 * len(labels),
        "margin": {"l": 10, "r": 14, "t": 6, "b": 74},
        "showlegend": bool(labels),
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": -70 / tall, "yanchor": "top"},
        "xaxis": {**axis, "nticks": 7},
        "yaxis": {"visible": False, "range": [-0.4, len(found.models) - 0.2]},
        "annotations": [leaf_name(found, leaf, place) for place, leaf in enumerate(found.order)],
    }
    told = TREE + (" The marks at the left are the families of a model, named below." if labels else "")
    traces = (lines(joins), marks(joins), *families(found, labels, widest))
    rows = (((", ".join(one.members[0]), ", ".join(one.members[1]), exact(one.far))) for one in joins)
    data = table(("joined", "with", "distance"), rows, words=2)
    return Chart("comparison_tree", "Which models are alike", told, traces, layout, data)


def lines(joins: list[Join]) -> Trace:
    """The branches, with a gap after each join."""
    x = [v for one in joins for v in (one.starts[0], one.far, one.far, one.starts[1], None)]
    y = [v for one in joins for v in (one.places[0], *one.places, one.places[1], None)]
    drawn = {"x": all_rounded(x), "y": all_rounded(y), "line": {"color": "ink", "width": 1.6}}
    return {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False, **drawn}


def marks(joins: list[Join]) -> Trace:
    """A mark at each join, which tells who is joined at what distance."""
    told = [
        hover(f"{number(one.far, 3)} apart on average:", f"{listed(one.members[0])}", f"and {listed(one.members[1])}")
        for one in joins
    ]
    x, y = [one.far for one in joins], [sum(one.places) / 2 for one in joins]
    drawn = {"x": all_rounded(x), "y": all_rounded(y), "hovertext": told, "marker": {"color": "ink", "size": 7}}
    return {"type": "scatter", "mode": "markers", "hoverinfo": "text", "showlegend": False, **drawn}


def leaf_name(found: Likeness, leaf: int, place: int) -> dict[str, object]:
    """The name of a model above its branch, in front of lines that cross it."""
    at = {"x": 0, "xanchor": "left", "xshift": 4, "y": place, "yanchor": "bottom", "yshift": 2}
    label, whole = (f"{name}{tag(found, leaf)}" for name in (cut(found.models[leaf], 28), found.models[leaf]))
    drawn = {"showarrow": False, "bgcolor": "paper", "borderpad": 0, "hovertext": hover(whole)}
    return {"text": plain(cut(label, 48)), **drawn, **at}


def labels_of(found: Likeness) -> list[tuple[str, str]]:
    """The families with their factors, of those factors that tell any two models apart."""
    telling = [one for one in found.families if len(set(filter(None, one.labels))) > 1]
    return [(one.factor, label) for one in telling for label in dict.fromkeys(filter(None, one.labels))]


def families(found: Likeness, labels: list[tuple[str, str]], widest: float) -> Iterator[Trace]:
    """A column of marks a factor, one colour and shape a family."""
    columns = {factor: -(i + 1) * STEP * widest for i, factor in enumerate(dict.fromkeys(f for f, _ in labels))}
    members: Mapping[str, tuple[str, ...]] = {one.factor: one.labels for one in found.families}
    for i, (factor, label) in enumerate(labels):
        there = [(leaf, place) for place, leaf in enumerate(found.order) if members[factor][leaf] == label]
        look = {"color": FAMILIES[i % len(FAMILIES)], "symbol": SHAPES[i % len(SHAPES)], "size": 10}
        drawn = {
            "x": [rounded(columns[factor])] * len(there),
            "y": [place for _, place in there],
            "hovertext": [hover(found.models[leaf], f"{factor}: {label}") for leaf, _ in there],
        }
        yield {**key(f"{factor}: {label}", marker=look), "hoverinfo": "text", **drawn}


def distances_chart(found: Likeness) -> Chart:
    """The distances of all pairs, in the order of the tree."""
    order = found.order[::-1]
    names, values = [found.models[i] for i in order], found.distances[np.ix_(order, order)]
    told = [[hover(a, b, f"{number(values[i, j], 3)} apart") for j, b in enumerate(names)] for i, a in enumerate(names)]
    few = len(names) <= MOST_TOLD
    trace: Trace = {
        "type": "heatmap",
        "z": all_rounded(np.where(np.eye(len(names), dtype=bool), np.nan, values)),
        "hovertext": told,
        "hoverinfo": "text",
        "colorscale": "Cividis",
        "reversescale": True,
        "showscale": not few,
        "colorbar": {"thickness": 10, "title": title("distance")},
        "xgap": 1,
        "ygap": 1,
        **({"texttemplate": "%{z:.2f}"} if few else {}),
    }
    ticks = {"tickvals": list(range(len(names))), "showgrid": False, "ticks": ""}
    short = [f"{plain(cut(name, 20))} {i + 1}" for i, name in enumerate(names)]
    layout = {
        "height": 64 + 34 * len(names),
        "margin": {"l": 60, "r": 14, "t": 6, "b": 54},
        "xaxis": {**ticks, "ticktext": [f"{i + 1}" for i in range(len(names))], "title": title("the same models")},
        "yaxis": {**ticks, "ticktext": short, "autorange": "reversed"},
    }
    rows = ((a, b, exact(values[i, j])) for i, a in enumerate(names) for j, b in enumerate(names) if i < j)
    data = table(("model", "other model", "distance"), rows, words=2)
    return Chart("comparison_distances", "All distances of profiles", MATRIX, (trace,), layout, data)

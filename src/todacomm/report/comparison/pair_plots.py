"""The figures of pairs of profiles, and the tree of all of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from todacomm.comparison.clustering import Likeness
from todacomm.comparison.compare import Comparison
from todacomm.comparison.diagram_tests import Apart
from todacomm.comparison.differences import Pair
from todacomm.report.document import style
from todacomm.report.document.figure_parts import explain, plain_number, save, where
from todacomm.report.document.pieces import Picture
from todacomm.report.words.pairs import HEADLINES, significant

BAND, LINE, MARK = style.PALETTE[0], style.PALETTE[0], style.PALETTE[1]
MOST_FIGURES = 8  # pairs that are drawn
MOST_TICKS = 9
HEADROOM = 1.3  # for the legend
FAR = 300  # per cent, from where the axis is a log axis beyond 10 %
DIFFERENCES = (
    "The second model less the first, as a share of the first, along the layers, with the interval as a band; the grey line is no "
    "difference. Filled orange marks are layers that differ once p-values are adjusted over the layers, hollow ones do not. Doubtful layers are "
    "crossed, undefined ones not drawn. Last panel: distance of the diagrams over the median distance (Wasserstein, degree 2), and 1 - CKA."
)
TREE = (
    "Average linkage of the root mean square differences of scale-free numbers (H0 and H1 totals and longest H1 bar over the median "
    "distance, entropies) on a grid of relative depth, each in its own standard deviation over models and depths. Where two branches join is how far "
    "apart their models are on average."
)


def write_pair_figures(comparison: Comparison, directory: Path) -> dict[str, list[Picture]]:
    """The figures of the pairs and the tree, as PNG: ``pairs`` and ``likeness`` with their titles and captions."""
    with style.styled():
        drawn = [
            Picture(
                save(differences(pair, apart), directory / f"comparison_differences_{i}.png"),
                f"{pair.labels[1]} less {pair.labels[0]}",
                "The same of this pair." if i else DIFFERENCES,
            )
            for i, pair, apart in chosen(comparison)
        ]
        trees = (
            [
                Picture(
                    save(tree(comparison.likeness), directory / "comparison_tree.png"), "Which models are alike", TREE
                )
            ]
            if comparison.likeness
            else []
        )
    return {"pairs": drawn, "likeness": trees}


def chosen(comparison: Comparison) -> Iterator[tuple[int, Pair, Apart]]:
    """The pairs that have something to draw: numbers on two layers or more."""
    found = [
        (pair, apart)
        for pair, apart in zip(comparison.pairs, comparison.apart, strict=True)
        if panels_of(pair) and len(pair.layers) > 1
    ]
    yield from ((i, pair, apart) for i, (pair, apart) in enumerate(found[:MOST_FIGURES]))


def panels_of(pair: Pair) -> dict[str, str]:
    """The numbers that are drawn, with their labels."""
    return {
        name: label
        for name, label in HEADLINES.items()
        if name in pair.differences and np.isfinite(pair.along(name, "relative")[:, 0]).any()
    }


def wheres(pair: Pair) -> str:
    """On which data and with which pooling both were measured, the second's first where they differ."""
    return " less ".join(dict.fromkeys(where(profile) for profile in (pair.second, pair.first)))


def differences(pair: Pair, apart: Apart) -> Figure:
    """One panel a number along the layers, and one of the distances."""
    wanted = panels_of(pair)
    rows = -(-(len(wanted) + 1) // 2)
    drawn = Figure(figsize=(style.WIDTH, 1.9 * rows + 0.75))
    drawn.suptitle(
        f"{style.elided(pair.labels[1], 40)} less {style.elided(pair.labels[0], 40)} · {wheres(pair)} · {pair.how}",
        fontsize=9,
    )
    grid: Any = drawn.subplots(rows, 2, squeeze=False)
    spare = list(grid.flat)
    for axes, (name, label) in zip(spare, wanted.items(), strict=False):
        draw_difference(axes, pair, name)
        axes.set_title(label)
        axes.set_ylabel("difference, %")
    draw_distances(spare[len(wanted)], apart)
    for axes in spare[: len(wanted) + 1]:
        ticks(axes, pair)
    for axes in spare[len(wanted) + 1 :]:
        axes.set_axis_off()
    explain(drawn, [legend_of(pair)])
    return drawn


def legend_of(pair: Pair) -> str:
    """What the marks mean, for the small print."""
    crossed = "; ×: doubtful in either model" if doubtful(pair).any() else ""
    return f"Band: {100 * level(pair):g} % interval. Orange: differs after adjustment over the layers; hollow: does not{crossed}."


def level(pair: Pair) -> float:
    """The confidence of the bands."""
    return pair.first.claims.asked.confidence if pair.first.claims else 0.95


def doubtful(pair: Pair) -> Bool[np.ndarray, " L"]:
    """Which layers are doubtful in either model."""
    return np.array(
        [
            bool(pair.first.at(one.first).facts.doubtful or pair.second.at(one.second).facts.doubtful)
            for one in pair.layers
        ]
    )


def undefined(pair: Pair) -> Bool[np.ndarray, " L"]:
    """Which layers are undefined in either model; they are not drawn."""
    return np.array(
        [
            bool(pair.first.at(one.first).facts.undefined or pair.second.at(one.second).facts.undefined)
            for one in pair.layers
        ]
    )


def draw_difference(axes: Axes, pair: Pair, name: str) -> None:
    """One number: zero line, band, and a mark a layer."""
    found = np.where(undefined(pair)[:, None], np.nan, 100 * pair.along(name, "relative"))
    x, y = np.arange(len(found)), found[:, 0]
    marked = np.array([significant(d.adjusted) for d in pair.differences[name]])
    crossed = doubtful(pair)
    axes.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
    axes.fill_between(x, found[:, 1], found[:, 2], color=BAND, alpha=0.18, linewidth=0, zorder=1)
    axes.plot(x, y, color=LINE, linewidth=1.1, zorder=2)
    for which, marker, face, edge in (
        (marked & ~crossed, "o", MARK, MARK),
        (~marked & ~crossed, "o", "white", LINE),
        (crossed, "x", style.GREY, style.GREY),
    ):
        shown = which & np.isfinite(y)
        if shown.any():
            axes.plot(x[shown], y[shown], marker, color=edge, markerfacecolor=face, markersize=3.6, zorder=3)
    if np.nanmax(np.abs(y), initial=0) > FAR:
        axes.set_yscale("symlog", linthresh=10)
        axes.yaxis.set_major_formatter(FuncFormatter(plain_number))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))


def draw_distances(axes: Axes, apart: Apart) -> None:
    """Wasserstein distances on the left axis, 1 - CKA on the right one."""
    for k, (name, row) in enumerate(apart.diagrams.items()):
        y = np.array([np.nan if d.wasserstein is None else d.wasserstein for d in row])
        axes.plot(np.arange(len(y)), y, color=style.HOMOLOGY[k], marker="o", markersize=2.8, label=f"{name} diagrams")
    axes.set_ylim(0, HEADROOM * axes.get_ylim()[1])
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_title("distance of the diagrams")
    axes.set_ylabel("Wasserstein")
    if any(value is not None for value in apart.cka):
        right = axes.twinx()
        y = 1 - np.array([np.nan if value is None else value for value in apart.cka])
        right.plot(np.arange(len(y)), y, color="#000000", linestyle=":", linewidth=1.1)
        right.set_ylim(0, HEADROOM * max(float(np.nanmax(y)), 1e-6))
        right.set_ylabel("1 - CKA (dotted)")
        right.grid(visible=False)
        right.spines["right"].set_visible(True)
        right.yaxis.set_major_locator(MaxNLocator(4))
    axes.legend(loc="upper left", handlelength=1.4, ncols=3)


def ticks(axes: Axes, pair: Pair) -> None:
    """The layers of the first model along the axis."""
    places, labels = style.layer_ticks([one.first for one in pair.layers], most=MOST_TICKS)
    long = max(map(len, labels), default=0) > 5
    axes.set_xticks(places, labels, rotation=35 if long else 0, ha="right" if long else "center")
    axes.set_xlim(-0.4, len(pair.layers) - 0.6)
    axes.set_xlabel(
        "layer"
        if all(one.first == one.second for one in pair.layers)
        else f"layer of {style.elided(pair.first.model, 24)}"
    )


def tree(found: Likeness) -> Figure:
    """The dendrogram, models down the side, distance along the bottom."""
    from scipy.cluster.hierarchy import dendrogram

    drawn = Figure(figsize=(style.WIDTH, 0.9 + 0.24 * len(found.models)))
    axes = drawn.subplots()
    labels = [style.elided(f"{model}{tag(found, i)}", 56) for i, model in enumerate(found.models)]
    shape = dendrogram(found.tree, no_plot=True, labels=labels)
    for x, y in zip(shape["dcoord"], shape["icoord"], strict=True):
        axes.plot(x, y, color=LINE, linewidth=1.2)
    axes.set_yticks([5 + 10 * i for i in range(len(labels))], shape["ivl"])
    axes.set_ylim(0, 10 * len(labels))
    axes.set_xlim(0, 1.05 * float(found.tree[:, 2].max()) or 1.0)
    axes.set_xlabel("distance of profiles (root mean square, in standard deviations)")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return drawn


def tag(found: Likeness, i: int) -> str:
    """The labels of a model, in brackets."""
    told = ", ".join(dict.fromkeys(one.labels[i] for one in found.families if one.labels[i]))
    return f" ({told})" if told else ""

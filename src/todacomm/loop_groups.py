"""Hold each bar of H1 that stands out of its layer against the group of points that it lies in.

A bar of a Vietoris–Rips filtration lives in one connected component: the one that holds its birth edge at the distance at which
it dies. Up to that distance the component knows nothing of other points, so that the bar is a bar of the component alone, and
is held against Gaussian clouds of as many points with the mean and covariance of the component. Points that coincide count once in
the geometry, and each by itself in what is told.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.distance import squareform

from todacomm.claims import ALPHA, LoopBar
from todacomm.cloud import PreparedCloud
from todacomm.distances import Condensed, pairwise, rows_and_columns
from todacomm.engines import persistence
from todacomm.loops import PROMINENCE, RATIO, LayerTest, bar_p_values
from todacomm.nulls import JointLayers, gaussian_null, in_common
from todacomm.recipe import Recipe
from todacomm.types import Address, Bars, Distances, Points

Indices = Int[np.ndarray, " k"]
PValues = Float[np.ndarray, " b"]
Cycle = tuple[int, ...]

FIRST_DRAWS, HOPELESS = 49, 0.2  # after so many, a group whose best bar has a larger p-value gets no more
MOST_DRAWS = 1999
APART = 1_000_000  # the numbers of the draws of groups begin here, and those of the layers end long before
ROUNDING = 1e-5  # relative: a bar found again among distances that were taken again


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One connected component that some bars of a layer die in.

    ``points`` (g, k) are its distinct points as measured, ``members`` the rows of the cloud as it came that are in it, copies too. ``which`` are
    the places of the bars in the diagram of the layer, ``bars`` (b, 2) these, ``cycles`` the points around each.
    """

    address: Address
    points: Points
    members: tuple[int, ...]
    which: tuple[int, ...]
    bars: Bars
    cycles: tuple[Cycle, ...]
    median: float
    whole: bool


def loop_bars(
    clouds: Sequence[PreparedCloud],
    bars: Sequence[Bars],
    layers: Sequence[LayerTest | None],
    recipe: Recipe,
    draws: int,
    *,
    spread: Callable[..., Iterable[tuple[PValues, int]]] = map,
) -> list[tuple[LoopBar, ...]]:
    """The bars of each layer that stand out of its draws, each held against its group; the longest-lived first.

    ``clouds`` may have let go of their distances. A group has as many draws as let one of all groups pass, adjusted: ``draws`` at least,
    `MOST_DRAWS` at most.
    """
    groups = [
        groups_of(cloud, recipe, own, [] if layer is None else layer.standing_out())
        for cloud, own, layer in zip(clouds, bars, layers, strict=True)
    ]
    tested = [group for row in groups for group in row if not group.whole]
    enough = min(MOST_DRAWS, max(draws, math.ceil(len(tested) / ALPHA) - 1))
    found = iter(spread(partial(against_itself, recipe=recipe, draws=enough), tested))
    made = []
    for layer, row in zip(layers, groups, strict=True):
        told: list[LoopBar] = []
        for group in row:
            p, drawn = (np.zeros(len(group.which)), 0) if group.whole else next(found)
            told += bars_of(group, layer, np.minimum(1.0, p * len(tested)), drawn, len(tested))
        made.append(tuple(sorted(told, key=lambda bar: (bar.p, bar.birth / bar.death))))
    return made


def bars_of(group: Group, layer: LayerTest | None, p: PValues, draws: int, groups: int) -> list[LoopBar]:
    """What is told of the bars of one group."""
    over_layers = np.zeros(0) if layer is None else layer.family_wise[1:]
    return [
        LoopBar(
            birth=float(birth),
            death=float(death),
            median=group.median,
            cycle=cycle,
            group=group.members,
            p_layer=float(over_layers[place]),
            p_group=float(of_group),
            draws=draws,
            groups=groups,
        )
        for place, (birth, death), cycle, of_group in zip(group.which, group.bars, group.cycles, p, strict=True)
    ]


# Where a bar lives


def groups_of(cloud: PreparedCloud, recipe: Recipe, bars: Bars, which: Sequence[int]) -> list[Group]:
    """The groups that those bars of a layer lie in that stand at the places ``which`` of its diagram of H1."""
    if not which:
        return []
    distinct = cloud.first_of_each_kind()
    condensed = pairwise(cloud.points[distinct], recipe.distance)
    tree, matrix = linkage(condensed, "single"), squareform(condensed)
    held: dict[tuple[int, ...], list[tuple[int, Cycle]]] = {}
    for place in which:
        birth, death = bars[place].tolist()
        edge = birth_edge(condensed, matrix, birth)
        label = fcluster(tree, death * (1 + ROUNDING), "distance")
        inside = np.flatnonzero(label == label[edge[0]])
        around = shortest_cycle(matrix[np.ix_(inside, inside)], np.searchsorted(inside, edge), birth)
        cycle = cloud.rows[distinct[inside[around]]]
        held.setdefault(tuple(inside.tolist()), []).append((place, tuple(cycle.tolist())))
    return [group_of(cloud, distinct[list(inside)], bars, told) for inside, told in held.items()]


def group_of(cloud: PreparedCloud, firsts: Indices, bars: Bars, told: Sequence[tuple[int, Cycle]]) -> Group:
    """The group of some distinct points, the first of each kind, with the places and cycles of its bars."""
    members = np.flatnonzero(np.isin(cloud.kinds, cloud.kinds[firsts]))
    which, cycles = zip(*told, strict=True)
    return Group(
        address=cloud.address,
        points=cloud.points[firsts],
        members=tuple(cloud.rows[members].tolist()),
        which=which,
        bars=bars[list(which)],
        cycles=cycles,
        median=cloud.facts.scale / cloud.unit,
        whole=len(members) == len(cloud.points),
    )


def birth_edge(condensed: Condensed, matrix: Distances, birth: float) -> Int[np.ndarray, " 2"]:
    """The edge that bears a bar: of those of its length, one whose ends have no nearer neighbour in common.

    Such are the edges of the relative neighbourhood graph; a class of H1 is born at no other.
    """
    near = np.flatnonzero(np.abs(condensed - birth) <= ROUNDING * birth)
    near = near[np.argsort(np.abs(condensed[near] - birth), kind="stable")]
    edges = np.column_stack(rows_and_columns(near, len(matrix)))
    bearing = (i for i, (u, v) in enumerate(edges) if np.maximum(matrix[u], matrix[v]).min() >= matrix[u, v])
    return edges[next(bearing, 0)]


def shortest_cycle(matrix: Float[np.ndarray, "g g"], edge: Int[np.ndarray, " 2"], birth: float) -> Indices:
    """The points of the shortest way from one end of the edge that bears a bar to the other, by edges no longer than it."""
    i, j = np.nonzero(np.triu(matrix <= birth * (1 + ROUNDING), 1))
    others = (i != edge.min()) | (j != edge.max())
    lengths = matrix[i[others], j[others]]
    graph = csr_array((lengths, (i[others], j[others])), shape=matrix.shape)
    _, before = dijkstra(graph, directed=False, indices=edge[0], return_predecessors=True)
    way = [int(edge[1])]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return np.array(way)


# Against the group


def against_itself(group: Group, *, recipe: Recipe, draws: int) -> tuple[PValues, int]:
    """The p-value of each bar of a group against rotations of the group alone, and how many there were.

    Where the first draws say that it is nothing, no more are made.
    """
    alone = replace(recipe, scale="none", subsample=None, landmarks=None, threshold=None, maxdim=1)
    own = persistence(pairwise(group.points, recipe.distance), engine=recipe.engine, maxdim=1).finite[1]
    places = [int(np.abs(own - bar).max(axis=1).argmin()) for bar in group.bars]
    one = JointLayers((group.address,), len(group.points), in_common([group.points]), (group.points.shape[1],), ("",))
    values, p = np.empty((0, 2)), np.ones(len(places))
    for stop in sorted({min(FIRST_DRAWS, draws), draws}):
        numbers = range(APART + len(values), APART + stop)
        values = np.concatenate([values, gaussian_null(one, alone, numbers, names=(PROMINENCE, RATIO))[:, 0]])
        p = bar_p_values(own, *values.T)[places]
        if p.min() > HOPELESS:
            break
    return p, len(values)

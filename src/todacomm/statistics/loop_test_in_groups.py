"""Test each candidate H1 bar of a layer within its group of points.

A bar of a Vietoris–Rips filtration lives in one connected component: the one with its birth edge at the distance at
which it dies. Up to there the component is unaffected by other points, so the bar is tested against Gaussian clouds of
as many points with the component's mean and covariance. A component lacks the outskirts of its group, so the bar is
also tested against the component at twice that distance. Nor are points always Gaussian: each group, the whole layer
included, is rotated again and filled evenly (`todacomm.statistics.evenly_filled_null`), as a disc has larger gaps than
a Gaussian cloud of its covariance, without a loop. Coincident points count once in the geometry, and singly in reports.
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

from todacomm.clouds.distances import Condensed, pairwise, rows_and_columns
from todacomm.clouds.prepare import PreparedCloud
from todacomm.core.inference_types import ALPHA, LoopBar, at_most_alpha
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, Bars, Distances, Points
from todacomm.statistics.evenly_filled_null import ball_of
from todacomm.statistics.gaussian_null import Change, JointLayers, as_drawn, gaussian_null, in_common
from todacomm.statistics.loop_test import PROMINENCE, RATIO, LayerTest, bar_p_values
from todacomm.statistics.vertices import OBSERVED, Vertices, all_points, bars_among

Indices = Int[np.ndarray, " k"]
PValues = Float[np.ndarray, " b"]
Members = tuple[int, ...]

FIRST_DRAWS = 49  # after so many, and after each doubling, a group none of whose bars can pass any more gets no more
MOST_DRAWS = 1999
LATER = 2.0  # times the death of a bar: where its group has its outskirts
FILLED = 2  # keeps the random numbers of filled clouds apart from others of the same seed
ROUNDING = 1e-5  # relative: a bar found again among distances that were taken again


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One connected component: its unique points (u, k) as measured, and the ``bars`` (b, 2) of its vertices to test.

    ``drawn`` turns its points, and those of a draw, into as many vertices as it has. ``whole``: it is the layer, whose
    bars were tested against its rotations before.
    """

    address: Address
    points: Points
    drawn: Change
    bars: Bars
    whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a bar lives: the vertices of its component when it dies, and at twice that distance.

    ``cycle`` are the points around it.
    """

    bar: int
    inside: Members
    later: Members
    cycle: Indices


def loop_bars(
    clouds: Sequence[PreparedCloud],
    bars: Sequence[Bars],
    layers: Sequence[LayerTest | None],
    recipe: Recipe,
    draws: int,
    *,
    spread: Callable[..., Iterable[tuple[PValues, int]]] = map,
    vertices: Sequence[Vertices] = (),
) -> list[tuple[LoopBar, ...]]:
    """Test the candidate bars of each layer within their groups; most significant first.

    The bars are those of the ``vertices`` of each layer, by default of all its points. ``clouds`` may lack their
    distances. The number of draws lets one of all groups pass after adjustment: at least
    ``draws``, at most `MOST_DRAWS`.
    """
    which = [[] if layer is None else layer.standing_out() for layer in layers]
    seen = vertices or [all_points(cloud) for cloud in clouds]
    found = [places_of(one.points, recipe, own, rows) for one, own, rows in zip(seen, bars, which, strict=True)]
    number = len({(i, place.inside) for i, row in enumerate(found) for place in row})
    enough = min(MOST_DRAWS, max(draws, math.ceil(number / ALPHA) - 1))
    test = partial(against_itself, recipe=recipe, draws=enough, groups=number)
    p = [
        largest_p(cloud, one, own, row, test, groups=number, spread=spread)
        for cloud, one, own, row in zip(clouds, seen, bars, found, strict=True)
    ]
    return [
        tuple(
            sorted(
                (told(cloud, one, own, place, layer=layer, against=of[place.bar], groups=number) for place in row),
                key=by_p,
            )
        )
        for cloud, one, own, layer, row, of in zip(clouds, seen, bars, layers, found, p, strict=True)
    ]


def largest_p(
    cloud: PreparedCloud,
    vertices: Vertices,
    bars: Bars,
    places: Sequence[Place],
    test: Callable[[Group], tuple[PValues, int]],
    *,
    groups: int,
    spread: Callable[..., Iterable[tuple[PValues, int]]],
) -> dict[int, tuple[float, int]]:
    """Bar → its largest p-value over its groups, and the draws; a bar that fails at its death is not tested further."""
    found = {place.bar: (0.0, 0) for place in places}
    for later in (False, True):
        left = [place for place in places if at_most_alpha(found[place.bar][0] * groups)]
        held = bars_by_group(left, later=later)
        tested = [group_of(cloud, vertices, members, bars[rows]) for members, rows in held.items()]
        for rows, (values, drawn) in zip(held.values(), spread(test, tested), strict=True):
            found |= {bar: max(found[bar], (p, drawn)) for bar, p in zip(rows, values.tolist(), strict=True)}
    return found


def told(
    cloud: PreparedCloud,
    vertices: Vertices,
    bars: Bars,
    place: Place,
    *,
    layer: LayerTest | None,
    against: tuple[float, int],
    groups: int,
) -> LoopBar:
    """Describe one bar; ``against`` has p-value and draws."""
    distinct = cloud.first_of_each_kind()
    birth, death = bars[place.bar].tolist()
    inside = distinct[vertices.points_at(np.array(place.inside))]
    members = np.flatnonzero(np.isin(cloud.kinds, cloud.kinds[inside]))
    p, drawn = against
    return LoopBar(
        birth=birth,
        death=death,
        median=cloud.facts.scale / cloud.unit,
        cycle=tuple(cloud.rows[distinct[vertices.nearest[place.cycle]]].tolist()),
        group=tuple(cloud.rows[members].tolist()),
        p_layer=1.0 if layer is None else float(layer.family_wise[1:][place.bar]),
        p_group=min(1.0, p * groups),
        draws=drawn,
        groups=groups,
        centroids=vertices.centroids,
    )


def by_p(bar: LoopBar) -> tuple[float, float]:
    """The order of bars: by p-value, then by death / birth."""
    return bar.p, bar.birth / bar.death


# Where a bar lives


def places_of(vertices: Points, recipe: Recipe, bars: Bars, which: Sequence[int]) -> list[Place]:
    """Locate the bars ``which`` of the H1 diagram of some vertices."""
    if not which:
        return []
    condensed = pairwise(vertices, recipe.distance)
    tree, matrix = linkage(condensed, "single"), squareform(condensed)
    return [place_of(bar, *bars[bar].tolist(), tree=tree, matrix=matrix, condensed=condensed) for bar in which]


def place_of(
    bar: int, birth: float, death: float, *, tree: Float[np.ndarray, "m 4"], matrix: Distances, condensed: Condensed
) -> Place:
    """Locate one bar."""
    edge = birth_edge(condensed, matrix, birth)
    inside, later = (component(tree, int(edge[0]), at * death * (1 + ROUNDING)) for at in (1, LATER))
    cycle = inside[shortest_cycle(matrix[np.ix_(inside, inside)], np.searchsorted(inside, edge), birth)]
    return Place(bar, tuple(inside.tolist()), tuple(later.tolist()), cycle)


def component(tree: Float[np.ndarray, "m 4"], point: int, distance: float) -> Indices:
    """The points connected to one by steps no longer than a distance."""
    label = fcluster(tree, distance, "distance")
    return np.flatnonzero(label == label[point])


def bars_by_group(places: Sequence[Place], *, later: bool) -> dict[Members, list[int]]:
    """The groups at the death of bars, or later where these differ, and the bars tested in each."""
    found: dict[Members, list[int]] = {}
    for place in places:
        if not later or place.later != place.inside:
            found.setdefault(place.later if later else place.inside, []).append(place.bar)
    return found


def group_of(cloud: PreparedCloud, vertices: Vertices, members: Members, bars: Bars) -> Group:
    """Build a group from the indices of its vertices."""
    rows = np.array(members)
    points = cloud.points[cloud.first_of_each_kind()[vertices.points_at(rows)]]
    whole = len(rows) == len(vertices.points)
    return Group(cloud.address, points, vertices.drawn(len(rows)), bars, whole=whole)


def birth_edge(condensed: Condensed, matrix: Distances, birth: float) -> Int[np.ndarray, " 2"]:
    """Find the birth edge of a bar: of that length, with ends that have no nearer common neighbour.

    Such are the edges of the relative neighbourhood graph; no other bears a class of H1.
    """
    near = np.flatnonzero(np.abs(condensed - birth) <= ROUNDING * birth)
    near = near[np.argsort(np.abs(condensed[near] - birth), kind="stable")]
    edges = np.column_stack(rows_and_columns(near, len(matrix)))
    bearing = (i for i, (u, v) in enumerate(edges) if np.maximum(matrix[u], matrix[v]).min() >= matrix[u, v])
    return edges[next(bearing, 0)]


def shortest_cycle(matrix: Float[np.ndarray, "g g"], edge: Int[np.ndarray, " 2"], birth: float) -> Indices:
    """The shortest path between the ends of a bar's birth edge, by edges no longer than it."""
    i, j = (side.astype(np.int32) for side in np.nonzero(np.triu(matrix <= birth * (1 + ROUNDING), 1)))
    others = (i != edge.min()) | (j != edge.max())
    lengths = matrix[i[others], j[others]]
    graph = csr_array((lengths, (i[others], j[others])), shape=matrix.shape)
    _, before = dijkstra(graph, directed=False, indices=edge[0], return_predecessors=True)
    way = [int(edge[1])]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return np.array(way)


# Against the group


def against_itself(group: Group, *, recipe: Recipe, draws: int, groups: int) -> tuple[PValues, int]:
    """The largest p-value of each bar against rotations and evenly filled rotations of its group, and the draws.

    Drawing stops once no bar can pass, after the factor ``groups``: a sequential test (Besag and Clifford 1991,
    https://doi.org/10.1093/biomet/78.2.301).
    """
    again = group.drawn(group.points, OBSERVED)
    own = bars_among(again, recipe)
    if not len(own):
        return np.ones(len(group.bars)), draws
    places = [found_again(own, bar) for bar in group.bars]
    p, made = np.zeros(len(places)), 0
    alone = replace(recipe, scale="none", subsample=None, landmarks=None, threshold=None, maxdim=1)
    one = JointLayers((group.address,), len(group.points), in_common([group.points]), (group.points.shape[1],), ("",))
    draw = partial(gaussian_null, one, alone, names=(PROMINENCE, RATIO), vertices=group.drawn)
    fill = filled(group.points, recipe.seed)
    for change in [fill] if group.whole else [as_drawn, fill]:
        values, found, least = np.empty((0, 2)), p, p
        while len(values) < draws and at_most_alpha(float((least * groups).min())):
            stop = min(draws, max(FIRST_DRAWS, 2 * len(values) + 1))
            values = np.concatenate([values, draw(range(len(values), stop), change=change)[:, 0]])
            of_own = bar_p_values(own, *values.T)
            found = np.array([of_own[place].min() for place in places])
            least = np.maximum(p, found * (1 + len(values)) / (1 + draws))
        p, made = np.maximum(p, found), max(made, len(values))
    return p, made


def found_again(own: Bars, bar: Float[np.ndarray, " 2"]) -> Indices:
    """Where a bar is among the bars of its group; all of them where its vertices were chosen anew."""
    same = np.flatnonzero(np.abs(own - bar).max(axis=1) <= ROUNDING * bar[1])
    return same if len(same) else np.arange(len(own))


def filled(points: Points, seed: int) -> Change:
    """Return the function that fills a rotated cloud evenly; decided by seed and number of the draw."""
    ball = ball_of(points)
    return lambda turned, number: ball.filled(turned, np.random.default_rng([seed, FILLED, number]))

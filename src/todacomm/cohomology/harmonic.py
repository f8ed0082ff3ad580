"""Give each integer class at one scale its harmonic form, the angle of every point, its birth and its shortest cycle.

The harmonic form of a class is its cocycle z less the coboundary of the function f that makes it smallest: ω = z − δf
with the least Σ w ω², w = 1 / (deg i · deg j), so that crowded places do not count for more. The angle of a point is
−2πf, which changes by 2πω along an edge, up to whole turns. de Silva, Morozov and Vejdemo-Johansson 2011,
https://doi.org/10.1007/s00454-011-9344-x.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from todacomm.cohomology.curve import within_a_turn
from todacomm.cohomology.integer_cohomology import Cohomology
from todacomm.cohomology.integer_matrices import reduced

HALF_A_TURN = 0.5
STILL = 1e-9  # turns along an edge: rounding

Indices = Int[np.ndarray, " k"]


@dataclass(frozen=True, slots=True, eq=False)
class HarmonicClass:
    """One class of H¹ with the angle that it gives.

    ``angle`` (n,) in radians, 0 at the first point of ``cycle`` and growing along it; NaN in components that the
    class does not go around. ``cycle`` are the points of the shortest cycle through the edge at which the class is
    born, by edges that are no longer; ``winding`` says how often the class goes around along it. ``step`` is the
    largest part of a turn along one edge.
    """

    angle: Float[np.ndarray, " n"]
    cocycle: Int[np.ndarray, " m"]
    cycle: Indices
    birth: float
    winding: int
    step: float

    @property
    def fault(self) -> str:
        """Why the class gives no coordinate; empty where it gives one."""
        if self.step >= HALF_A_TURN:
            return (
                f"its harmonic form has a step of {self.step:.2f} turns on an edge; "
                "an angle needs less than half a turn"
            )
        if self.winding != 1:
            return (
                f"its shortest cycle goes around it {self.winding} times; "
                "a coordinate needs a cycle that goes around once"
            )
        return ""


def harmonic_classes(found: Cohomology) -> list[HarmonicClass]:
    """The classes of a reduced basis of H¹, each with its angle, those of the least energy first."""
    if not found.betti:
        return []
    weights = weights_of(found)
    forms, potentials = harmonic(found, weights)
    changed = reduced(forms.T @ (weights[:, None] * forms))
    forms, potentials, cocycles = (array @ changed.T for array in (forms, potentials, found.cocycles))
    return [class_of(found, *columns) for columns in zip(cocycles.T, forms.T, potentials.T, strict=True)]


def weights_of(found: Cohomology) -> Float[np.ndarray, " m"]:
    """One over the product of the degrees of the ends of each edge."""
    degrees = np.bincount(found.edges.ravel(), minlength=found.points).astype(np.float64)
    return 1 / degrees[found.edges].prod(axis=1)


def harmonic(
    found: Cohomology, weights: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, "m b"], Float[np.ndarray, "n b"]]:
    """The harmonic form of each cocycle, and the function whose coboundary was taken off, of least squares."""
    u, v = found.edges.T
    laplacian = np.zeros((found.points, found.points))
    for i, j, sign in ((u, u, 1), (v, v, 1), (u, v, -1), (v, u, -1)):
        np.add.at(laplacian, (i, j), sign * weights)
    flow = weights[:, None] * found.cocycles
    divergence = np.zeros((found.points, found.betti))
    np.add.at(divergence, v, flow)
    np.subtract.at(divergence, u, flow)
    potential = np.linalg.lstsq(laplacian, divergence, rcond=None)[0]
    return found.cocycles - (potential[v] - potential[u]), potential


def class_of(
    found: Cohomology,
    cocycle: Int[np.ndarray, " m"],
    form: Float[np.ndarray, " m"],
    potential: Float[np.ndarray, " n"],
) -> HarmonicClass:
    """One class, turned so that its cycle, which begins at its lowest point, goes around it forwards."""
    born, winding = birth_of(found, cocycle)
    cycle, birth = shortest_cycle(found, born), float(found.lengths[born])
    if abs(winding) != 1 and (once := goes_around_once(found, cocycle)) is not None:
        cycle, birth, winding = once
    cycle = np.roll(cycle, -int(cycle.argmin()))
    sign = 1 if winding > 0 else -1
    if cycle[1] > cycle[-1]:
        cycle, sign = np.roll(cycle[::-1], 1), -sign
    angle = -2 * np.pi * sign * (potential - potential[cycle[0]])
    return HarmonicClass(
        angle=np.where(goes_around(found, form), within_a_turn(angle), np.nan),
        cocycle=sign * cocycle,
        cycle=cycle,
        birth=birth,
        winding=abs(winding),
        step=float(np.abs(form).max()),
    )


def birth_of(found: Cohomology, cocycle: Int[np.ndarray, " m"]) -> tuple[int, int]:
    """The first edge, by length, that closes a cycle along which the class goes around, and how often it does from
    its lower end on.

    Up to there the cocycle is the difference of whole numbers at the points, which are kept as components join.
    """
    component, height = np.arange(found.points), np.zeros(found.points, dtype=np.int64)
    for number, ((u, v), value) in enumerate(zip(found.edges.tolist(), cocycle.tolist(), strict=True)):
        if component[u] != component[v]:
            joining = component == component[v]
            height[joining] += height[u] + value - height[v]
            component[joining] = component[u]
        elif turns := int(height[v] - height[u] - value):
            return number, turns
    raise ValueError("a coboundary is born at no edge")


def shortest_cycle(found: Cohomology, edge: int) -> Indices:
    """The points of the shortest way by earlier edges from the lower end of an edge to the higher one."""
    u, v = found.edges[:edge].T.astype(np.int32)
    lengths = np.maximum(found.lengths[:edge], np.finfo(float).tiny)  # a stored 0 is an edge
    graph = csr_array((lengths, (u, v)), shape=(found.points, found.points))
    start, end = found.edges[edge].tolist()
    _, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    return np.array(way(before, start, end))


def goes_around_once(found: Cohomology, cocycle: Int[np.ndarray, " m"]) -> tuple[Indices, float, int] | None:
    """Find the shortest cycle that goes around once: two shortest ways from a point and an edge between their ends.

    With the length of its longest edge and its direction; None where no such cycle goes around once.
    """
    u, v = found.edges.T
    lengths = np.maximum(found.lengths, np.finfo(float).tiny)
    square = (found.points, found.points)
    graph = csr_array((lengths, (u.astype(np.int32), v.astype(np.int32))), shape=square)
    value, side = np.zeros(square, dtype=np.int64), np.zeros(square)
    value[u, v], value[v, u], side[u, v], side[v, u] = cocycle, -cocycle, lengths, lengths
    far, before = dijkstra(graph, directed=False, return_predecessors=True)
    best: tuple[float, int, int, int] | None = None
    for root in range(found.points):
        height = heights(before[root], far[root], value, root)
        turns = height[u] + cocycle - height[v]
        total = np.where(np.abs(turns) == 1, far[root, u] + lengths + far[root, v], np.inf)
        edge = int(total.argmin())
        if np.isfinite(total[edge]) and (best is None or total[edge] < best[0]):
            best = (float(total[edge]), root, edge, int(turns[edge]))
    if best is None:
        return None
    _, root, edge, direction = best
    cycle = np.array([*way(before[root], root, int(u[edge])), *way(before[root], root, int(v[edge]))[:0:-1]])
    return cycle, float(side[cycle, np.roll(cycle, -1)].max()), direction


def heights(
    before: Int[np.ndarray, " n"], far: Float[np.ndarray, " n"], value: Int[np.ndarray, "n n"], root: int
) -> Int[np.ndarray, " n"]:
    """The sum of a cocycle along the shortest way from a point to every other; 0 where there is none."""
    found = np.zeros(len(far), dtype=np.int64)
    for point in np.argsort(far, kind="stable").tolist():
        if point != root and before[point] >= 0:
            found[point] = found[before[point]] + value[before[point], point]
    return found


def way(before: Int[np.ndarray, " n"], start: int, end: int) -> list[int]:
    """The points of the shortest way from a point to another, both among them."""
    found = [end]
    while found[-1] != start:
        found.append(int(before[found[-1]]))
    return found[::-1]


def goes_around(found: Cohomology, form: Float[np.ndarray, " m"]) -> Bool[np.ndarray, " n"]:
    """The points in components on which the class is not zero."""
    u, v = found.edges.T.astype(np.int32)
    graph = csr_array((np.ones(len(u)), (u, v)), shape=(found.points, found.points))
    _, label = connected_components(graph, directed=False)
    return np.isin(label, np.unique(label[u[np.abs(form) > STILL]]))

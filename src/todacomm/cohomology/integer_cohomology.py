"""Integer homology of a Vietoris–Rips complex in dimension 1, edge by edge, and the integer cocycles at one scale.

Edges come by length. One that joins two components has class 0 (a spanning forest); one that closes no triangle is a
new generator; any other has the class of the two sides of a triangle, and each further triangle is a relation between
generators. A relation in which a generator has coefficient 1 or -1 removes it; of others the Smith normal form is
taken, whose diagonal entries above 1 are the torsion. The coordinates of an edge along the generators that are left
are integer cocycles, a basis of H¹ of the complex.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from todacomm.cohomology.integer_matrices import smith
from todacomm.core.errors import InvalidInput

LARGEST = 2**31  # a coefficient beyond it: products of two may leave 64 bits
WIDTH = 16  # generators that there is room for at first

Edges = Int[np.ndarray, "m 2"]
Cocycles = Int[np.ndarray, "m b"]
Relations = Int[np.ndarray, "q k"]
Indices = Int[np.ndarray, " k"]
Distances = Float[np.ndarray, "n n"]


@dataclass(frozen=True, slots=True, eq=False)
class Cohomology:
    """H¹ with integer coefficients of a Rips complex.

    ``edges`` (m, 2) with the lower index first, by length; ``lengths`` (m,). ``cocycles`` (m, b) are a basis: column
    j holds the value of class j on each edge from its lower to its higher index, and every triangle sums to 0.
    ``torsion`` are the orders of the cyclic parts of H₁, each dividing the next.
    """

    points: int
    scale: float
    edges: Edges
    lengths: Float[np.ndarray, " m"]
    cocycles: Cocycles
    torsion: tuple[int, ...]

    @property
    def betti(self) -> int:
        """The rank of H₁."""
        return self.cocycles.shape[1]


def cohomology(distances: Distances, scale: float) -> Cohomology:
    """Integer cohomology of the Rips complex of all edges no longer than ``scale``."""
    edges, lengths = edges_by_length(distances, scale)
    built = Homology.of(len(distances), edges)
    return Cohomology(len(distances), scale, edges, lengths, built.free(), built.torsion)


def deaths(distances: Distances, at: Cohomology, cycles: Sequence[Indices]) -> list[float]:
    """At which scale each cycle of edges of a complex becomes a boundary, over the rationals; infinity where it never
    does.
    """
    edges, lengths = edges_by_length(distances, np.inf)
    have = len(at.edges)
    built = Homology.of(len(distances), edges[:have], room=len(edges))
    built.follow(cycles)
    found = [np.inf] * len(cycles)
    for (u, v), length in zip(edges[have:].tolist(), lengths[have:].tolist(), strict=True):
        if built.add(u, v):
            open_ = [bool(row.any()) for row in built.followed[:, built.torsion_free]]
            found = [death if still else min(death, length) for death, still in zip(found, open_, strict=True)]
            if not any(open_):
                break
    return found


def edges_by_length(distances: Distances, scale: float) -> tuple[Edges, Float[np.ndarray, " m"]]:
    """The edges up to a scale, by length and then by index; none beyond the distance at which all is one cone."""
    i, j = np.triu_indices(len(distances), 1)
    lengths = distances[i, j]
    order = np.argsort(lengths, kind="stable")
    limit = min(scale, float(distances.max(axis=1).min()))
    order = order[: np.searchsorted(lengths[order], limit, side="right")]
    return np.column_stack([i[order], j[order]]), lengths[order]


class Homology:
    """H₁ of a complex that grows by an edge with all its triangles at a time: ``rows`` holds the class of each edge.

    The first ``len(torsion)`` of the ``generators`` have these finite orders.
    """

    def __init__(self, points: int, room: int) -> None:
        self.place = np.full((points, points), -1, dtype=np.int64)
        self.joined = np.zeros((points, points), dtype=bool)
        self.component = np.arange(points)
        self.rows = np.zeros((room, WIDTH), dtype=np.int64)
        self.followed = np.zeros((0, WIDTH), dtype=np.int64)
        self.edges = self.generators = 0
        self.torsion: tuple[int, ...] = ()

    @classmethod
    def of(cls, points: int, edges: Edges, *, room: int = 0) -> "Homology":
        """The homology of these edges and all triangles that they bound."""
        found = cls(points, max(room, len(edges)))
        for u, v in edges.tolist():
            found.add(u, v)
        return found

    def free(self) -> Cocycles:
        """The classes of all edges along the generators of infinite order."""
        return self.rows[: self.edges, self.torsion_free].copy()

    @property
    def torsion_free(self) -> slice:
        return slice(len(self.torsion), self.generators)

    def follow(self, cycles: Sequence[Indices]) -> None:
        """From now on keep the classes of these cycles, as rows of ``followed``."""
        self.followed = np.zeros((len(cycles), self.rows.shape[1]), dtype=np.int64)
        for row, cycle in zip(self.followed, cycles, strict=True):
            row[: self.generators] = self.classes(cycle, np.roll(cycle, -1)).sum(axis=0)

    def add(self, u: int, v: int) -> bool:
        """Add the edge from u to v, u < v, after all that are shorter; True where homology loses something."""
        common = np.flatnonzero(self.joined[u] & self.joined[v])
        number, lost = self.edges, False
        self.edges += 1
        if common.size:
            ways = self.classes(u, common) + self.classes(common, v)
            self.rows[number, : self.generators] = ways[0]
            relations = ways[1:] - ways[0]
            relations = relations[relations.any(axis=1)]
            if lost := bool(len(relations)):
                self.relate(relations)
        elif self.component[u] != self.component[v]:
            self.component[self.component == self.component[v]] = self.component[u]
        else:
            self.generate(number)
        self.place[u, v] = self.place[v, u] = number
        self.joined[u, v] = self.joined[v, u] = True
        return lost

    def classes(self, start: np.ndarray | int, end: np.ndarray | int) -> Relations:
        """The classes of edges in the direction from ``start`` to ``end``."""
        signs = np.where(np.less(start, end), 1, -1)
        return self.rows[self.place[start, end], : self.generators] * signs[:, None]

    def generate(self, number: int) -> None:
        """The edge is a generator of its own."""
        if self.generators == self.rows.shape[1]:
            self.rows, self.followed = (np.pad(a, ((0, 0), (0, a.shape[1]))) for a in (self.rows, self.followed))
        self.rows[number, self.generators] = 1
        self.generators += 1

    def relate(self, relations: Relations) -> None:
        """Let some combinations of generators be zero."""
        while len(relations) and not self.torsion:
            units = np.abs(relations) == 1
            with_unit = np.flatnonzero(units.any(axis=1))
            if not with_unit.size:
                break
            row = with_unit[0]
            relations = self.without(relations, relations[row], int(np.flatnonzero(units[row])[-1]))
        if len(relations):
            self.diagonalise(relations)

    def without(self, relations: Relations, relation: Int[np.ndarray, " k"], generator: int) -> Relations:
        """Replace a generator by the others, as a relation with coefficient 1 or -1 of it says; the relations that
        are left.
        """
        k = self.generators
        solved = relation * relation[generator]
        for array in (self.rows[: self.edges, :k], self.followed[:, :k], relations):
            holding = np.flatnonzero(array[:, generator])
            array[holding] -= np.outer(array[holding, generator], solved)
            refuse_large(array[holding])
        for array in (self.rows, self.followed, relations):
            array[:, generator] = array[:, k - 1]
            array[:, k - 1] = 0
        self.generators -= 1
        relations = relations[:, : k - 1]
        return relations[relations.any(axis=1)]

    def diagonalise(self, relations: Relations) -> None:
        """Take the Smith normal form of all relations: generators of order 1 go, others of finite order come first."""
        k, orders = self.generators, len(self.torsion)
        known = np.zeros((orders, k), dtype=np.int64)
        np.fill_diagonal(known, self.torsion)
        diagonal, columns = smith(np.vstack([known, relations]))
        gone = sum(order == 1 for order in diagonal)
        for array in (self.rows, self.followed):
            array[:, : k - gone] = array[:, :k] @ columns[:, gone:]
            array[:, k - gone : k] = 0
            refuse_large(array)
        self.generators, self.torsion = k - gone, diagonal[gone:]


def refuse_large(coefficients: np.ndarray) -> None:
    """InvalidInput where a coefficient has become so large that arithmetic may go wrong."""
    if coefficients.size and np.abs(coefficients).max() > LARGEST:
        raise InvalidInput(f"the integer cocycles have coefficients beyond {LARGEST}; choose a smaller scale")

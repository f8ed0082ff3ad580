"""Choose maxmin (farthest point) landmarks, with their covering radius.

Each landmark is the point farthest from those chosen before (Gonzalez 1985,
https://doi.org/10.1016/0304-3975(85)90224-5). With every point within r of a landmark, moving points to landmarks
changes no distance by more than 2r, and so no persistence diagram of the Rips filtration by more than 2r in bottleneck
distance, in the diameter convention: Chazal, de Silva, Oudot 2014, https://doi.org/10.1007/s10711-013-9937-z,
theorem 5.2.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from todacomm.clouds.distance_matrices import points_among
from todacomm.clouds.distances import squared_differences, start_of

Points = Float[np.ndarray, "n d"]
Indices = Int[np.ndarray, " m"]

POOL = 1024  # the farthest points: landmarks are sought among them until one outside could be as far
CHUNK = 2**18  # products in memory at a time


def maxmin_among(condensed: Float[np.ndarray, " pairs"], k: int, first: int) -> tuple[Indices, float]:
    """Compute `maxmin` from condensed distances."""
    nearest, chosen = np.full(points_among(len(condensed)), np.inf), [first]
    while True:
        nearest = np.minimum(nearest, distances_of(condensed, chosen[-1], len(nearest)))
        nearest[chosen[-1]] = -np.inf
        far = int(nearest.argmax())
        if len(chosen) >= min(k, len(nearest)):
            return np.array(chosen), max(0.0, float(nearest[far]))
        chosen.append(far)


def distances_of(condensed: Float[np.ndarray, " pairs"], point: int, n: int) -> Float[np.ndarray, " n"]:
    """The distances of one point from all, 0 from itself."""
    others = np.arange(n)
    low, high = np.minimum(others, point), np.maximum(others, point)
    found = condensed[(start_of(low, n) + high - low - 1) % max(1, len(condensed))] if n > 1 else np.zeros(1)
    return np.where(others == point, 0.0, found)


def maxmin(points: Points, k: int, first: int) -> tuple[Indices, float]:
    """Choose min(k, n) landmarks; return their indices in order of choice, and the covering radius.

    ``points`` are (n, d), distances Euclidean. The first landmark is given; ties go to the lowest index. Time is that
    of n·k products of d terms, memory O(n) beside one float64 copy of the points.
    """
    cover = Cover.of(points, first)
    chosen = [first]
    while len(chosen) < min(k, len(points)):
        chosen += cover.extended(min(k, len(points)) - len(chosen))
    return np.array(chosen), cover.radius()


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """The nearest landmark of each point, and its squared distance: minus infinity for a landmark itself.

    Squares up to ``rounding`` count as 0, so that copies of a landmark are alike.
    """

    points: Points
    norms: Float[np.ndarray, " n"]
    rounding: float
    squares: Float[np.ndarray, " n"]
    nearest: Indices

    @classmethod
    def of(cls, points: Points, first: int) -> "Cover":
        """Cover the points by one landmark."""
        moved = near_origin(points)
        norms = np.einsum("ij,ij->i", moved, moved)
        rounding = 6 * (points.shape[1] + 2) * 2.0**-53 * float(norms.max())  # as in distances.cancelled
        cover = cls(moved, norms, rounding, np.full(len(points), np.inf), np.full(len(points), first))
        cover.squares[first] = -np.inf
        cover.refresh(np.array([first]))
        return cover

    def extended(self, most: int) -> list[int]:
        """Choose the next landmarks, one to ``most``, and update the cover.

        They are sought among the farthest points. Distances to landmarks only shrink, so as long as one of these is as
        far as the nearest of them was at the start, no other point can be farther.
        """
        size = min(POOL, len(self.squares))
        bar = np.partition(self.squares, -size)[-size]
        pool = np.flatnonzero(self.squares >= bar)
        points, norms, squares, nearest = (a[pool] for a in (self.points, self.norms, self.squares, self.nearest))
        chosen: list[int] = []
        while len(chosen) < most and squares[far := int(squares.argmax())] >= bar:
            chosen.append(int(pool[far]))
            found = self.shown(norms + norms[far] - 2 * (points @ points[far]))
            closer = found < squares
            squares[closer], nearest[closer] = found[closer], pool[far]
            squares[far] = -np.inf
        self.squares[pool], self.nearest[pool] = squares, nearest
        self.refresh(np.array(chosen))
        return chosen

    def refresh(self, chosen: Indices) -> None:
        """Update every point's nearest landmark with new ones."""
        to_landmarks = -2 * self.points[chosen].T
        step = max(1, CHUNK // len(chosen))
        for start in range(0, len(self.points), step):
            here = slice(start, start + step)
            found = self.points[here] @ to_landmarks
            found += self.norms[chosen]
            best = found.argmin(axis=1)
            least = self.shown(found[np.arange(len(best)), best] + self.norms[here])
            closer = least < self.squares[here]
            self.squares[here][closer], self.nearest[here][closer] = least[closer], chosen[best[closer]]

    def shown(self, squares: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        """Set squares within rounding to 0, in place."""
        squares[squares <= self.rounding] = 0
        return squares

    def radius(self) -> float:
        """The largest distance of a point from its landmark, by differences."""
        return float(np.sqrt(squared_differences(self.points, np.arange(len(self.points)), self.nearest).max()))


def near_origin(points: Points) -> Points:
    """A float64 copy shifted so that the mean is near the origin.

    The shift is a multiple of a power of two, which keeps whole numbers exact and ties equal.
    """
    mean = points.mean(axis=0, dtype=np.float64)
    moved = np.subtract(points, mean, dtype=np.float64)
    spread = float(np.sqrt(np.einsum("ij,ij->", moved, moved) / moved.size))
    step = 2.0 ** np.floor(np.log2(spread)) if spread else 1.0
    return np.subtract(points, np.round(mean / step) * step, out=moved)

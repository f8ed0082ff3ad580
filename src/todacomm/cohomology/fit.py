"""Find the angles of any point of a layer: blended from the centres, then sharpened along the curves they lie on."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from todacomm.cohomology.centres import blended
from todacomm.cohomology.curve import Curves, sharpened, winding, within_a_turn
from todacomm.cohomology.frame import Frame
from todacomm.cohomology.harmonic import HarmonicClass
from todacomm.core.types import Points

FEWEST = 12  # points of a curve
AGREEING = 0.9  # the mean resultant length of the difference of angles along a curve and harmonic ones
FASTER = 6.0  # times the harmonic angles: as fast as those along a curve may change
STAYS = 0.8  # the mean resultant length, along a cycle, of an angle that does not go around it
CELLS, FILLED = 8, 0.7  # of a grid over two angles, to a side; the share of them that a torus fills

Angles = Float[np.ndarray, "n c"]
Columns = Int[np.ndarray, " b"]
Cycle = Int[np.ndarray, " _"]
Edges = Int[np.ndarray, "m 2"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The curves of some angles, and where they hold: for points whose first angle is further from ``stay[i, 0]``
    than angle i from ``stay[i, 1]``.

    ``stay`` has a row for each other angle of a circle that touches this one: where this angle stays while that one
    goes around, and where that one does while this one goes around.
    """

    columns: Columns
    stay: dict[int, tuple[float, float]]
    curves: Curves

    def holding(self, angles: Angles) -> Bool[np.ndarray, " n"]:
        """The points that are on these curves, by the angles that are blended from the centres."""
        return holding(angles, self.columns, self.stay)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What gives a point its angles: the centres (k, d') with theirs (k, c), and the curves of those angles that were
    sharpened.

    ``zeros`` (c,) is what is taken off, so that each angle is 0 where its cycle begins.
    """

    frame: Frame
    centres: Points
    of_centres: Angles
    parts: tuple[Part, ...]
    zeros: Float[np.ndarray, " c"]

    def angles(self, points: np.ndarray) -> Angles:
        """The angles (n, c) in radians, 0 to 2π, of points (n, d) as they come; NaN for a point in no part that an
        angle goes around.
        """
        placed = self.frame.place(points)
        found = along_curves(placed, blended(placed, self.centres, self.of_centres), self.parts)
        return within_a_turn(found - self.zeros)


def plane_of(placed: Points, angles: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
    """Where the cosine and the sine of an angle would be for each point, by the plane of least squares."""
    there = ~np.isnan(angles)
    design = np.column_stack([np.ones(there.sum()), np.cos(angles[there]), np.sin(angles[there])])
    centre, *axes = np.linalg.lstsq(design, placed[there], rcond=None)[0]
    return (placed - centre) @ np.linalg.pinv(np.array(axes))


def fit_of(frame: Frame, points: Points, centres: Points, classes: list[HarmonicClass], edges: Edges) -> Fit:
    """Fit some classes of the centres of a cloud of ``points``, both as measured; ``edges`` join near centres."""
    own = np.column_stack([one.angle for one in classes])
    cycles = [one.cycle for one in classes]
    parts = parts_of(points, blended(points, centres, own), centres, own, cycles)
    alike = AGREEING if centres is points else 0.0
    parts = tuple(part for part in parts if smooth(part, centres, own, edges, alike=alike))
    zeros = along_curves(centres, own, parts)[[cycle[0] for cycle in cycles], range(len(cycles))]
    return Fit(frame, centres, own, parts, zeros)


def smooth(part: Part, centres: Points, own: Angles, edges: Edges, *, alike: float) -> bool:
    """Whether angles along curves agree with the harmonic ones, and change not much faster between near centres.

    Where they do not, the points lie on no curves of few harmonics. Centres that are means of points need not agree:
    where they are rare, a harmonic angle runs too far.
    """
    found, before = along_curves(centres, own, (part,))[:, part.columns], own[:, part.columns]
    agreement = np.abs(np.nanmean(np.exp(1j * (found - before)), axis=0))
    faster = root_mean_square_step(found, edges) > FASTER * root_mean_square_step(before, edges)
    return bool((agreement >= alike).all() and not faster.any())


def root_mean_square_step(angles: Angles, edges: Edges) -> Float[np.ndarray, " c"]:
    """The root mean square of the change of each angle along edges."""
    steps = np.angle(np.exp(1j * (angles[edges[:, 1]] - angles[edges[:, 0]])))
    return np.sqrt(np.nanmean(steps**2, axis=0))


def along_curves(points: Points, angles: Angles, parts: tuple[Part, ...]) -> Angles:
    """The angles at which the curves come nearest to points; those of points on no curve as they are."""
    found = angles.copy()
    for part in parts:
        rows, columns = np.flatnonzero(part.holding(angles)), part.columns
        found[np.ix_(rows, columns)] = part.curves.nearest(points[rows], angles[np.ix_(rows, columns)])
    return found


def holding(angles: Angles, columns: Columns, stay: dict[int, tuple[float, float]]) -> Bool[np.ndarray, " n"]:
    """The points that have all of some angles, the first of which has gone further than those of the circles that
    touch it.
    """
    found = ~np.isnan(angles[:, columns]).any(axis=1)
    for other, (here, there) in stay.items():
        found &= apart(angles[:, columns[0]], here) > np.nan_to_num(apart(angles[:, other], there))
    return found


def apart(angles: Float[np.ndarray, " n"], place: float) -> Float[np.ndarray, " n"]:
    """The distance of angles from one, 0 to π."""
    return np.abs(np.angle(np.exp(1j * (angles - place))))


def parts_of(points: Points, angles: Angles, centres: Points, own: Angles, cycles: list[Cycle]) -> tuple[Part, ...]:
    """The curves of angles, together of those that make a torus; only where along each its own angle goes around
    once, and no other.

    No curve is sought of few points, nor where circles touch in more than a place.
    """
    found = []
    for columns in together(angles):
        stay = touching(own, columns, cycles)
        rows = holding(angles, columns, stay)
        in_a_place = not np.isnan(list(stay.values())).any() and (len(columns) == 1 or not stay)
        if in_a_place and rows.sum() >= FEWEST * len(columns):
            starts = [int(cycles[column][0]) for column in columns]
            candidates = sharpened(points[rows], angles[np.ix_(rows, columns)])
            turns = (turns_along(curves, centres, own[:, columns], starts) for curves in candidates)
            good = (
                curves
                for curves, around in zip(candidates, turns, strict=True)
                if np.array_equal(around, np.eye(len(columns)))
            )
            found += [Part(columns, stay, curves) for curves in [next(good, None)] if curves is not None]
    return tuple(found)


def touching(own: Angles, columns: Columns, cycles: list[Cycle]) -> dict[int, tuple[float, float]]:
    """The other angles that some centres have as well: where the first angle stays along the cycle of each, and each
    along that of the first.
    """
    first = int(columns[0])
    shared = ~np.isnan(own) & ~np.isnan(own[:, [first]])
    others = [i for i in np.flatnonzero(shared.any(axis=0)).tolist() if i not in columns]
    return {i: (staying(own[:, first], cycles[i]), staying(own[:, i], cycles[first])) for i in others}


def staying(angle: Float[np.ndarray, " k"], cycle: Cycle) -> float:
    """The mean of an angle along the cycle of another, NaN where it does not stay there."""
    mean = np.exp(1j * angle[cycle]).mean()
    return float(np.angle(mean)) if np.abs(mean) >= STAYS else np.nan


def together(angles: Angles) -> list[Columns]:
    """The angles in groups: two are in one where points have them in nearly all combinations, as on a torus.

    On circles that touch, and on parts of a cloud, one of the angles stays where the other goes around.
    """
    c = angles.shape[1]
    joined = np.array([[i == j or all_combinations(angles[:, [i, j]]) for j in range(c)] for i in range(c)])
    _, label = connected_components(csr_array(joined), directed=False)
    return [np.flatnonzero(label == group) for group in range(label.max() + 1)]


def all_combinations(pair: Float[np.ndarray, "n 2"]) -> bool:
    """Whether most cells of a grid over two angles hold at least a quarter of their share of the points."""
    there = pair[~np.isnan(pair).any(axis=1)]
    cells = (within_a_turn(there) / (2 * np.pi) * CELLS).astype(np.int64)
    counts = np.bincount(CELLS * cells[:, 0] + cells[:, 1], minlength=CELLS**2)
    return bool((counts > len(there) / CELLS**2 / 4).mean() > FILLED)


def turns_along(curves: Curves, centres: Points, own: Angles, starts: list[int]) -> Int[np.ndarray, "c c"]:
    """How often each angle of the centres goes around along each curve, which is moved to where the other angles are
    at the start of its cycle.
    """
    found = []
    for j, start in enumerate(starts):
        at = curves.nearest(centres[[start]], own[[start]])
        others = sum(curves.along(i, at[:, i]) for i in range(curves.number) if i != j)
        along = blended(curves.coefficients[0] + others + curves.places[j, :-1], centres, own)
        found.append([0 if np.isnan(column).any() else winding(column) for column in along.T])
    return np.array(found)

"""Angles of noisy points, sharpened by the closed curves that they say the points lie on.

A curve of few harmonics for each angle, c + Σ_j Σ_m (a_jm cos mθ_j + b_jm sin mθ_j), is fitted to the points by least
squares; each angle is then counted by the length of its curve, so that it runs no slower where points are rare; and
each point takes the angles at which the curves come nearest to it, until the angles stay. An average over neighbours
cannot tell a place from the noise in all other directions; a curve is an average over all points, and leaves only the
noise along itself.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from todacomm.core.types import Points

MOST_HARMONICS = 5
POINTS_A_NUMBER = 3  # of a curve, at least
BENDING = (
    0.01,
    0.001,
)  # of the penalty on squares of m a_jm and m b_jm, over the number of points: at first, in the end
STEPS, SWEEPS = 10, 3  # of each penalty at most; over the angles
PLACES = 512  # along a curve
STEADY = 1e-3  # radians, in the mean of the points
CROWD = 0.9  # of the points with an angle, whose shortest arc is told
ENOUGH = 0.8  # of what the curves with the most harmonics explain

Angles = Float[np.ndarray, "n c"]
AROUND = np.linspace(0, 2 * np.pi, PLACES + 1)


@dataclass(frozen=True, eq=False)
class Curves:
    """A closed curve for each of ``number`` angles, about a common centre.

    ``coefficients`` (1 + 2 M number, k): the centre, then by harmonic, angle, cosine and sine.
    """

    coefficients: Float[np.ndarray, "w k"]
    number: int

    @property
    def harmonics(self) -> int:
        return (len(self.coefficients) - 1) // (2 * self.number)

    def of_angle(self, j: int) -> Float[np.ndarray, "u k"]:
        """The coefficients of one curve."""
        rows = self.coefficients[1:].reshape(self.harmonics, self.number, 2, -1)[:, j]
        return rows.reshape(2 * self.harmonics, -1)

    def along(self, j: int, angle: Float[np.ndarray, " p"]) -> Points:
        """Curve j without the centre, at some angles."""
        return waves(angle[:, None], self.harmonics) @ self.of_angle(j)

    @cached_property
    def places(self) -> Float[np.ndarray, "c p k"]:
        """The curves without their centre, at `PLACES` equal steps of their angles and at the first once more."""
        return np.stack([self.along(j, AROUND) for j in range(self.number)])

    def nearest(self, points: Points, angles: Angles) -> Angles:
        """The angles at which the curves come nearest to the points, from some angles on, one angle after the other."""
        found = angles.copy()
        parts = [self.along(j, found[:, j]) for j in range(self.number)]
        squares = np.einsum("cpk,cpk->cp", self.places[:, :-1], self.places[:, :-1])
        around = waves(AROUND[:-1, None], self.harmonics).T
        for _ in range(SWEEPS if self.number > 1 else 1):
            for j in range(self.number):
                rest = points - self.coefficients[0] - sum(part for i, part in enumerate(parts) if i != j)
                found[:, j] = lowest(squares[j] - 2 * (rest @ self.of_angle(j).T) @ around)
                parts[j] = self.along(j, found[:, j])
        return found

    def by_length(self, angles: Angles) -> Angles:
        """The angles counted by the length of their curves: a full turn is the whole curve."""
        steps = np.linalg.norm(np.diff(self.places, axis=1), axis=2)
        lengths = np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0)))
        shares = 2 * np.pi * lengths / np.maximum(lengths[:, -1:], np.finfo(float).tiny)
        return np.stack([np.interp(a % (2 * np.pi), AROUND, s) for a, s in zip(angles.T, shares, strict=True)], axis=1)


def lowest(heights: Float[np.ndarray, "n p"]) -> Float[np.ndarray, " n"]:
    """The angle at which each row of equal steps is lowest, by the parabola through the lowest three."""
    best, rows = heights.argmin(axis=1), np.arange(len(heights))
    before, after = (heights[rows, (best + step) % PLACES] - heights[rows, best] for step in (-1, 1))
    bent = before + after
    return AROUND[best] + AROUND[1] * np.divide(before - after, 2 * bent, out=np.zeros_like(bent), where=bent > 0)


def waves(angles: Angles, harmonics: int) -> Float[np.ndarray, "n w"]:
    """Cosine and sine of multiples of angles, by harmonic and then by angle."""
    return np.column_stack([f(m * a) for m in range(1, harmonics + 1) for a in angles.T for f in (np.cos, np.sin)])


def sharpened(points: Points, angles: Angles) -> list[Curves]:
    """The curves that these angles lead to, of each number of harmonics that so many points allow, the best first.

    That is the fewest harmonics that explain four fifths of what any number does: more of them follow the noise, and
    around the tube of a torus.
    """
    most = max(1, min(MOST_HARMONICS, len(points) // (2 * POINTS_A_NUMBER * angles.shape[1])))
    found = [settled(points, angles, harmonics) for harmonics in range(1, most + 1)]
    enough = ENOUGH * max(explained for explained, _ in found)
    return [curves for explained, curves in sorted(found, key=lambda pair: (pair[0] < enough, pair[1].harmonics))]


def settled(points: Points, angles: Angles, harmonics: int) -> tuple[float, Curves]:
    """Curves and angles fitted in turn until they stay: the squares that they explain, and the curves."""
    for bending in BENDING:
        for _ in range(STEPS):
            counted = fitted(points, angles, harmonics, bending).by_length(angles)
            found = fitted(points, counted, harmonics, bending).nearest(points, counted)
            moved = np.abs(np.angle(np.exp(1j * (found - angles)))).mean()
            angles = found
            if moved < STEADY:
                break
    curves = fitted(points, angles, harmonics, BENDING[-1])
    left = points - curves.coefficients[0] - sum(curves.along(j, angles[:, j]) for j in range(curves.number))
    return float(((points - points.mean(axis=0)) ** 2).sum() - (left**2).sum()), curves


def fitted(points: Points, angles: Angles, harmonics: int, bending: float) -> Curves:
    """The curves of least squares, bent no more than the points ask for."""
    n, number = angles.shape
    design = np.column_stack([np.ones(n), waves(angles, harmonics)])
    orders = np.append(0, np.repeat(np.arange(1, harmonics + 1), 2 * number))
    squares = design.T @ design + np.diag(bending * n * orders**2.0)
    return Curves(np.linalg.solve(squares, design.T @ points), number)


# Turns of angles


def winding(angles: Float[np.ndarray, " k"]) -> int:
    """The turns of the angles (radians) along a chain that ends where it began; each step is taken the short way."""
    return int(np.rint(short_steps(angles).sum() / (2 * np.pi)))


def short_steps(angles: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """The steps of angles along a closed chain, from -π to π."""
    return np.angle(np.exp(1j * np.diff(np.append(angles, angles[:1]))))


def within_a_turn(angles: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Angles from 0 to below 2π, whatever turns they had made."""
    found = angles % (2 * np.pi)
    return np.where(found >= 2 * np.pi, 0.0, found)  # what rounding leaves below 0 is 2π after %


def arc_of(angles: Float[np.ndarray, " n"], share: float = CROWD) -> float:
    """The shortest arc in radians that holds a share of the points with an angle; of evenly spread ones 2π times it.

    NaN where no point has an angle.
    """
    known = np.sort(angles[~np.isnan(angles)])
    if not len(known):
        return np.nan
    held = int(np.ceil(share * len(known)))
    ends = np.concatenate([known, known + 2 * np.pi])[held - 1 :][: len(known)]
    return float((ends - known).min())

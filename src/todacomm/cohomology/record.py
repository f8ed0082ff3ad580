"""What is found of the loops of a cloud."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from todacomm.cohomology.fit import Fit, plane_of
from todacomm.core.types import Address
from todacomm.core.value_types import read_only


@dataclass(frozen=True, slots=True, eq=False)
class LoopCoordinate:
    """One loop of a cloud and the angle that runs around it.

    ``angles`` (n,) of the points as they came, in radians from 0 to 2π, NaN for a point in a part of the cloud that
    the loop is not in. ``scale`` is the distance at which the class was taken, where H₁ has rank ``betti`` and the
    torsion ``torsion``; ``birth`` is the longest edge of ``cycle``, the shortest cycle that goes around the loop
    once, and ``death`` the distance at which that cycle is filled. ``cycle`` are rows of the cloud in cyclic order
    (of centres, the points nearest to them), ``texts`` what stands there. ``points`` is how many points the loop lies
    among. ``step`` is the largest part of a turn along an edge, ``p`` the p-value against Gaussian clouds, None where
    no null was drawn.
    """

    angles: Float[np.ndarray, " n"]
    scale: float
    birth: float
    death: float
    betti: int
    torsion: tuple[int, ...]
    cycle: tuple[int, ...]
    texts: tuple[str, ...]
    points: int
    step: float
    p: float | None
    fit: Fit = field(repr=False)
    column: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "angles", read_only(self.angles))

    def __repr__(self) -> str:
        around = f"through {len(self.cycle)} of {self.points} points"
        return f"LoopCoordinate(birth {self.birth:.3g}, death {self.death:.3g}, {around})"

    def angle(self, points: np.ndarray) -> Float[np.ndarray, " m"]:
        """The angle of points (m, d) of the same layer, new ones too, in radians from 0 to 2π; NaN where the loop is
        not.
        """
        return self.fit.angles(points)[:, self.column]

    def plane(self, points: np.ndarray) -> Float[np.ndarray, "n 2"]:
        """Place the points (n, d) of the cloud on the plane of this angle: its cosine and sine, by least squares."""
        return plane_of(self.fit.frame.place(points), self.angles)

    @property
    def ratio(self) -> float:
        """Death over birth."""
        return self.death / self.birth


@dataclass(frozen=True, slots=True, eq=False)
class Loops:
    """The loops of one cloud: an angle for each, or why there is none.

    Truth value and length are those of ``coordinates``.

    Attributes
    ----------
    address : Address
        Where the cloud comes from.
    coordinates : tuple of LoopCoordinate
        One for each loop, the most significant first: ``angles`` of the points, ``angle(points)`` of new ones,
        ``scale``, ``birth``, ``death``, ``cycle`` (rows of the cloud in cyclic order) and the ``texts`` on it.
    reasons : tuple of str
        Why there is no coordinate, or why a class has none.
    staircase : (s, 2) array
        Scales at which β₁ changes and what it is from there on, over Z/2.
    median : float
        Median distance of the cloud, the unit in which scales are worth telling.
    centres : int
        How many points stand for the cloud: all up to 300, then 150 centres at most.
    p_plateau : float, optional
        p-value of the widest plateau of β₁ against Gaussian clouds; None where no null was drawn.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> angle = 2 * np.pi * np.arange(24) / 24
    >>> found = td.loops(np.c_[np.cos(angle), np.sin(angle)], null_draws=39)
    >>> len(found), found.torus.shape
    (1, (24, 1))

    """

    address: Address
    coordinates: tuple[LoopCoordinate, ...]
    reasons: tuple[str, ...]
    staircase: Float[np.ndarray, "s 2"]
    median: float
    centres: int
    p_plateau: float | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "staircase", read_only(self.staircase))

    def __len__(self) -> int:
        return len(self.coordinates)

    def __repr__(self) -> str:
        told = f"{len(self)} coordinates" if len(self) != 1 else "1 coordinate"
        return f"Loops({self.address}: {told}{'' if len(self) else '; ' + '; '.join(self.reasons)})"

    @property
    def torus(self) -> Float[np.ndarray, "n c"]:
        """The angles of the points, one column a coordinate of the scale that has the most of them."""
        scales = [one.scale for one in self.coordinates]
        scale = max(scales, key=scales.count, default=0.0)
        columns = [one.angles for one in self.coordinates if one.scale == scale]
        return np.column_stack(columns) if columns else np.empty((0, 0))

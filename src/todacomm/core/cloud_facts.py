"""What must be known of a cloud before its numbers are believed: how much of it is there, and whether one thing drowns the rest."""

import math
from dataclasses import dataclass

from todacomm.core.recipe import FEWEST_POINTS, MANY_POINTS

FEW_DIMENSIONS = 5  # up to so many, one with most of the variance is the shape of the cloud
RULING = 1.4  # times the variance of the next: those of the two coordinates that a circle lies in are about equal


@dataclass(frozen=True, slots=True)
class CloudFacts:
    """What must be known of a cloud before its numbers are believed.

    ``scale`` is the median and ``rms_distance`` the root mean square of the pairwise distances after projection, before
    any rescaling; ``variance_kept`` and ``largest_variance_share`` are shares from 0 to 1, the latter that of the one
    coordinate with the most variance before projection (``second_variance_share``: of the next); ``norm`` is the median norm of the points as they came.
    ``points`` may be landmarks, of ``landmarks_of`` points: each is within ``covering_radius`` of one, and no end of a bar is
    further than ``bar_error`` from that of all points (of a bar up to twice as long there may be none), in the unit of ``scale``.
    """

    points: int
    dimension: int
    components: int
    variance_kept: float
    distinct_points: int
    scale: float
    rms_distance: float
    largest_variance_share: float
    norm: float
    landmarks_of: int | None = None
    covering_radius: float | None = None
    bar_error: float | None = None
    second_variance_share: float = 0.0

    @property
    def one_dimension_rules(self) -> bool:
        """Whether one of many coordinates holds most of the variance, and far more than the next: a circle may lie in two."""
        first, second = self.largest_variance_share, self.second_variance_share
        return self.dimension > FEW_DIMENSIONS and first > 0.5 and first > RULING * min(second, 1 - first)

    @property
    def undefined(self) -> str:
        """Why no ratio can stand on this cloud; empty when one can."""
        if self.distinct_points < FEWEST_POINTS:
            return f"{self.distinct_points} distinct point{'s' if self.distinct_points != 1 else ''} of {self.points}"
        return "" if self.scale > 0 else "more than half of the pairwise distances are zero"

    @property
    def doubtful(self) -> str:
        """Why a number of this cloud is marked and never the basis of a sentence; empty when it is sound."""
        reasons = [self.undefined] if self.undefined else []
        if not self.undefined and 2 * self.distinct_points < self.points:
            reasons.append(f"{self.distinct_points} distinct points of {self.points}")
        if self.one_dimension_rules:
            reasons.append(f"one dimension holds {self.largest_variance_share:.0%} of the variance")
        if not self.undefined and (open_below := 2 * (self.bar_error or 0) / self.scale) >= 1:
            below = math.ceil(100 * open_below)
            reasons.append(f"{self.points} landmarks leave bars below {below}% of the median distance open")
        return "; ".join(reasons)

    @property
    def note(self) -> str:
        """What is worth knowing without being a doubt."""
        notes = []
        if self.points <= self.components:
            notes.append("no more points than components: the projection is an isometry")
        if self.variance_kept < 0.5:
            notes.append(f"the projection kept {self.variance_kept:.0%} of the variance")
        if self.landmarks_of is not None and self.scale > 0:
            error = f"{math.ceil(100 * (self.bar_error or 0) / self.scale)}% of the median distance"
            which = f"{self.points} landmarks of {self.landmarks_of} points"
            notes.append(f"{which}: every bar end is within {error} of that of the whole cloud")
        if self.points > MANY_POINTS:
            notes.append(f"{self.points} points are many: fewer landmarks stand for them, with a bound")
        return "; ".join(notes)

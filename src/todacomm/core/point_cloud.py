"""A point cloud, its address and its diagnostics."""

import math
import re
from dataclasses import dataclass
from functools import total_ordering

import numpy as np
from jaxtyping import Float

from todacomm.core.array_input import NUMBERS, array_of
from todacomm.core.errors import InvalidCloud, InvalidInput
from todacomm.core.recipe import FEWEST_POINTS, MANY_POINTS
from todacomm.core.value_types import by_value, read_only

Points = Float[np.ndarray, "n d"]


LARGEST = 1e302  # of a coordinate: float64 holds sums of a million distances
FEW_DIMENSIONS = 5  # up to so many, one with most of the variance is the shape of the cloud
RULING = 1.4  # times the variance of the next: those of the two coordinates that a circle lies in are about equal


def layer_key(layer: str) -> tuple[int, int, str]:
    """The sort key along the depth of a model: embedding, layer_0 … layer_{L-1}, final, then anything else."""
    if number := re.fullmatch(r"layer_(\d+)", layer):
        return (1, int(number[1]), layer)
    return ({"embedding": 0, "final": 2}.get(layer, 3), 0, layer)


def is_block(layer: str) -> bool:
    """Whether the layer is the output of a block (``layer_i``), not the embedding and not the final norm."""
    return layer_key(layer)[0] == 1


@total_ordering
@dataclass(frozen=True, slots=True)
class Address:
    """Where a point cloud comes from: model, data, layer and, in a training run, step.

    It prints as a path and sorts by model, data, step and depth: ``embedding``, ``layer_0``, ``layer_1`` …, ``final``.

    Attributes
    ----------
    model, data, layer : str
        Names of the model, the dataset and the layer.
    step : int, optional
        Training step; None for a model that is not in training.

    Examples
    --------
    >>> import todacomm as td
    >>> str(td.Address("gpt2", "wikitext2", "layer_3"))
    'gpt2/wikitext2/layer_3'
    >>> sorted([td.Address("m", "t", "layer_10"), td.Address("m", "t", "layer_9")])[0].layer
    'layer_9'

    """

    model: str
    data: str
    layer: str
    step: int | None = None

    def __str__(self) -> str:
        parts = [self.model, self.data, self.layer]
        return "/".join(parts if self.step is None else [*parts, f"step_{self.step}"])

    def __lt__(self, other: "Address") -> bool:
        return self._key() < other._key()

    def _key(self) -> tuple[str, str, int, tuple[int, int, str]]:
        return (self.model, self.data, -1 if self.step is None else self.step, layer_key(self.layer))


@dataclass(frozen=True, slots=True)
class CloudFacts:
    """Diagnostics of a cloud: what must be known before its numbers are believed.

    Distances are measured after projection and before any rescaling.
    """

    points: int
    dimension: int
    components: int
    variance_kept: float  # by the projection, from 0 to 1
    distinct_points: int
    scale: float  # median distance
    rms_distance: float
    largest_variance_share: float  # of the coordinate with the most variance, before projection
    norm: float  # median norm of the raw points
    landmarks_of: int | None = None  # how many points the landmarks stand for
    covering_radius: float | None = None  # every point is within it of a landmark
    bar_error: float | None = None  # bound on the error of bar ends; bars up to twice as long may be lost
    second_variance_share: float = 0.0  # of the next coordinate
    participation_ratio: float | None = None  # (Σ λ)² / Σ λ² of the variances λ along the measured components

    @property
    def one_dimension_rules(self) -> bool:
        """Whether one of many coordinates holds most of the variance, and far more than the next."""
        first, second = self.largest_variance_share, self.second_variance_share
        return self.dimension > FEW_DIMENSIONS and first > 0.5 and first > RULING * min(second, 1 - first)

    @property
    def undefined(self) -> str:
        """Why the cloud is degenerate, so that no ratio exists; empty when it is not."""
        if self.distinct_points < FEWEST_POINTS:
            return f"{self.distinct_points} distinct point{'s' if self.distinct_points != 1 else ''} of {self.points}"
        return "" if self.scale > 0 else "more than half of the pairwise distances are zero"

    @property
    def doubtful(self) -> str:
        """Why the layer is flagged, so that no conclusion rests on it; empty when it is reliable."""
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
        """Remarks that cast no doubt on the numbers."""
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


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class PointCloud:
    """A point cloud with an address: n points in d dimensions, checked when it is made.

    The array is kept as a read-only view, and the caller's own array stays writable. float32 is kept, narrower floats
    become float32, and all other numbers become float64.

    Attributes
    ----------
    points : (n, d) array
        At least three points in at least one dimension, all finite. Lists, tables and tensors are accepted.
    address : Address
        Where the cloud comes from; it prints in messages and figures.

    Raises
    ------
    InvalidCloud
        For an array of another shape, for fewer than three points, for NaN or infinity (with the number of rows), and
        for coordinates beyond 1e302, whose distances have no sum in float64.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> td.PointCloud(np.eye(4), td.Address("mine", "made", "layer_0"))
    PointCloud(mine/made/layer_0: 4 points in 4 dimensions)

    """

    points: Points
    address: Address

    def __post_init__(self) -> None:
        try:
            array = array_of(self.points)
        except InvalidInput as problem:
            raise InvalidCloud(f"{self.address}: {problem}") from problem
        if array.ndim != 2 or array.dtype.kind not in NUMBERS:
            raise InvalidCloud(
                f"{self.address}: expected numbers of shape (n points, d features), "
                f"found shape {array.shape} of type {array.dtype}"
            )
        if len(array) < FEWEST_POINTS or array.shape[1] < 1:
            raise InvalidCloud(
                f"{self.address}: {array.shape[0]} points in {array.shape[1]} dimensions; "
                f"a point cloud needs at least {FEWEST_POINTS} points and 1 dimension"
            )
        broken = int((~np.isfinite(array)).any(axis=1).sum())
        if broken:
            raise InvalidCloud(
                f"{self.address}: {broken} of {len(array)} points hold NaN or infinity; "
                "remove these rows, or find where they come from: a model in half precision overflows"
            )
        if (largest := float(np.abs(array).max())) > LARGEST:
            raise InvalidCloud(
                f"{self.address}: coordinates up to {largest:.3g}; sums of distances beyond {LARGEST:g} leave float64. "
                "Divide the points by a constant"
            )
        object.__setattr__(self, "points", read_only(array))

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        return f"PointCloud({self.address}: {len(self.points)} points in {self.points.shape[1]} dimensions)"

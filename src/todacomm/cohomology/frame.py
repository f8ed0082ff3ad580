"""The way from a point as it came into the space in which its cloud is measured, for new points too."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from todacomm.clouds.distances import checked_points, unit_rows
from todacomm.clouds.pca import axes
from todacomm.clouds.prepare import PreparedCloud
from todacomm.core.errors import InvalidInput
from todacomm.core.recipe import Recipe
from todacomm.core.types import PointCloud, Points


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Subtract ``centre`` (d,), go to the unit sphere, take coordinates along ``directions`` (k, d), divide by
    ``unit``, go to the sphere of angles.

    Each step but the first is there where the recipe has it: what `todacomm.clouds.prepare` does to the points of a
    cloud.
    """

    centre: Float[np.ndarray, " d"]
    on_sphere: bool
    directions: Float[np.ndarray, "k d"] | None
    unit: float
    by_angle: bool

    def place(self, points: np.ndarray) -> Points:
        """The points (n, d) where the cloud is measured. Raises InvalidInput for another number of dimensions."""
        array = checked_points(points)
        if array.shape[1] != len(self.centre):
            raise InvalidInput(
                f"points in {array.shape[1]} dimensions; the loops were found in a cloud of {len(self.centre)} "
                "dimensions, so that new points must be of the same layer"
            )
        found = array - self.centre
        if self.on_sphere:
            found = unit_rows(found)
        if self.directions is not None:
            found = found @ self.directions.T
        return unit_rows(found) if self.by_angle else found / self.unit


def frame_of(cloud: PointCloud, ready: PreparedCloud, recipe: Recipe) -> Frame:
    """The frame in which ``ready``, the cloud prepared by this recipe, is measured."""
    points = checked_points(cloud.points)[ready.rows[ready.first_of_each_kind()]]
    centre = points.mean(axis=0) if recipe.centre else np.zeros(points.shape[1])
    points, on_sphere = points - centre, recipe.scale == "sphere"
    found = axes(unit_rows(points) if on_sphere else points, recipe.components, centred=recipe.centre and not on_sphere)
    return Frame(centre, on_sphere, found[0] if found else None, ready.unit, recipe.distance == "cosine")

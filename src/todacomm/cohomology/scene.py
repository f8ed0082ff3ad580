"""A cloud as its loops are looked for: measured points, the centres that stand for them, and draws of the null."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

from todacomm.clouds.distances import pairwise
from todacomm.clouds.prepare import prepare
from todacomm.cohomology.centres import centres_of
from todacomm.cohomology.evidence import Draw, generator
from todacomm.cohomology.frame import Frame, frame_of
from todacomm.core.recipe import Recipe
from todacomm.core.types import Distances, PointCloud, Points
from todacomm.statistics.gaussian_null import joint, rotated


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A cloud as it is measured: ``points`` (m, k), distinct, which are ``rows`` of the cloud, each nearest to
    the centre ``label``.

    ``distances`` are those between the centres, ``median`` the median one between the points.
    """

    cloud: PointCloud
    frame: Frame
    points: Points
    rows: Int[np.ndarray, " m"]
    centres: Points
    label: Int[np.ndarray, " m"]
    distances: Distances
    median: float
    draw: Draw

    def row_of(self, centre: int) -> int:
        """The row of the point that is nearest to a centre, of those to which no other centre is nearer, if there are
        any.
        """
        own = np.flatnonzero(self.label == centre)
        own = own if own.size else np.arange(len(self.points))
        return int(self.rows[own[((self.points[own] - self.centres[centre]) ** 2).sum(axis=1).argmin()]])

    def near(self, scale: float) -> Int[np.ndarray, "m 2"]:
        """The pairs of centres no further apart than a scale."""
        return np.argwhere(np.triu(self.distances <= scale, 1))

    def around(self, centre: int, scale: float) -> Int[np.ndarray, " g"]:
        """The places of the points whose centres are connected to one by edges no longer than a scale."""
        _, part = connected_components(csr_array(self.distances <= scale), directed=False)
        return np.flatnonzero(part[self.label] == part[centre])


def scene_of(cloud: PointCloud, recipe: Recipe) -> Scene:
    """The scene of a cloud under a recipe; centres are drawn by its seed."""
    ready = prepare(cloud, recipe)
    frame, firsts = frame_of(cloud, ready, recipe), ready.first_of_each_kind()
    rows = ready.rows[firsts]
    points = frame.place(cloud.points[rows])
    centres, label = centres_of(points, generator(recipe.seed, 0))
    distances = squareform(pairwise(centres).astype(np.float64)) if len(centres) > 1 else np.zeros((len(centres),) * 2)
    distinct = PointCloud(cloud.points[rows], cloud.address) if len(rows) > 2 else cloud
    draw = draw_of(distinct, replace(recipe, subsample=None), frame)
    return Scene(cloud, frame, points, rows, centres, label, distances, ready.facts.scale / ready.unit, draw)


def draw_of(cloud: PointCloud, recipe: Recipe, frame: Frame) -> Draw:
    """The rotations of a cloud, measured as it is: those of the projected points, or where a sphere bends them, of
    the cloud as it came.
    """
    bent = recipe.scale == "sphere" or recipe.distance == "cosine"
    flat = replace(recipe, scale="none", distance="euclidean", components=None if bent else recipe.components)
    layers = joint([prepare(cloud, flat)], flat)

    def draw(number: int) -> Points:
        points = rotated(layers, number, seed=recipe.seed)[0]
        if points is None:
            return np.empty((0, layers.widths[0]))
        if not bent:
            return points / frame.unit
        turned = PointCloud(points, cloud.address)
        return frame_of(turned, prepare(turned, recipe), recipe).place(points)

    return draw

"""The classes of H¹ at every wide plateau of β₁, with the angle of each: for clouds whose loops are judged by use."""

from collections.abc import Iterator
from dataclasses import dataclass

from todacomm.clouds.prepare import prepare
from todacomm.cohomology.harmonic import HALF_A_TURN, HarmonicClass, harmonic_classes
from todacomm.cohomology.integer_cohomology import cohomology
from todacomm.cohomology.scales import MOST_CLASSES, Plateau, staircase
from todacomm.core.recipe import Recipe
from todacomm.core.types import Bars, PointCloud
from todacomm.homology.engines import persistence

LEAST_WIDTH = 0.03  # of the logarithm of scale; networks that only memorised have 0.01 at most


@dataclass(frozen=True, slots=True, eq=False)
class PlateauClass:
    """A class that gives an angle, and the plateau in whose middle it was taken."""

    plateau: Plateau
    of: HarmonicClass


def classes_at_plateaus(cloud: PointCloud, recipe: Recipe, *, least: float = LEAST_WIDTH) -> list[PlateauClass]:
    """Every class with steps below half a turn, at every plateau that is wide enough, the widest first.

    No null is drawn. An angle that two plateaus have is listed twice.
    """
    ready = prepare(cloud, recipe)
    distances = ready.distances
    bars = persistence(ready.condensed, engine=recipe.engine, maxdim=1).finite[1]
    wide = sorted(wide_plateaus(bars, least), key=lambda plateau: -plateau.width)
    return [
        PlateauClass(plateau, one)
        for plateau in wide
        for one in harmonic_classes(cohomology(distances, plateau.middle))
        if one.step < HALF_A_TURN
    ]


def wide_plateaus(bars: Bars, least: float) -> Iterator[Plateau]:
    """The plateaus of few classes that are at least so wide."""
    scales, betti = staircase(bars)
    for start, end, rank in zip(scales[:-1].tolist(), scales[1:].tolist(), betti[:-1].tolist(), strict=True):
        plateau = Plateau(start, end, rank)
        if start > 0 and 1 <= rank <= MOST_CLASSES and plateau.width >= least:
            yield plateau

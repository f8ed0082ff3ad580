"""Choose the scales to look at by what stands out of noise, and the classes at each that give an angle."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from todacomm.clouds.prepare import prepare
from todacomm.cohomology.evidence import Evidence
from todacomm.cohomology.harmonic import HALF_A_TURN, HarmonicClass, harmonic_classes
from todacomm.cohomology.integer_cohomology import cohomology, deaths
from todacomm.cohomology.scales import Plateau, plateaus, widest
from todacomm.core.errors import InvalidInput
from todacomm.core.inference_types import at_most_alpha
from todacomm.core.recipe import Recipe
from todacomm.core.types import Distances, PointCloud
from todacomm.homology.engines import persistence

SAME = 1e-6  # relative: ends of one bar
LEAST_WIDTH = 0.03  # of the logarithm of scale; networks that only memorised have 0.01 at most


class Loop(NamedTuple):
    """A class that gives an angle, the scale at which its cycle is filled, and its p-value."""

    of: HarmonicClass
    death: float
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """The loops of one scale that stand out of noise, and H₁ there."""

    plateau: Plateau
    betti: int
    torsion: tuple[int, ...]
    loops: list[Loop]

    def of(self, loops: list[Loop]) -> "Offer":
        """The offer with these loops."""
        return replace(self, loops=loops)


def offers_of(distances: Distances, found: Evidence) -> tuple[list[Offer], list[str]]:
    """The offers at all plateaus that are worth a look, each loop at the scale that has the most of them, and why
    others are none.
    """
    offers, reasons = [], []
    for plateau in plateaus_of(found):
        try:
            offer, refused = offer_at(plateau, distances, found)
        except InvalidInput as problem:
            reasons.append(str(problem))
            continue
        offers.append(offer)
        reasons += refused
    offers.sort(key=lambda offer: (-len(offer.loops), -offer.plateau.width))
    return first_of_each(offers), list(dict.fromkeys(reasons))


def plateaus_of(found: Evidence) -> list[Plateau]:
    """The plateaus that stand out, and the widest within each bar that does; without a test, the widest of all and the
    widest within the most prominent bar.
    """
    bars, tested = found.bars, found.draws > 0
    worth = [i for i, p in enumerate(found.of_bars.tolist()) if at_most_alpha(p)] if tested else []
    wanted = [one for one in plateaus(bars) if at_most_alpha(found.of_width(one.width))] if tested else [widest(bars)]
    if not tested and len(bars):
        worth = [int((bars[:, 1] / bars[:, 0]).argmax())]
    wanted += [widest(bars, *bars[i].tolist()) for i in worth]
    return list(dict.fromkeys(one for one in wanted if one is not None))


def offer_at(plateau: Plateau, distances: Distances, found: Evidence) -> tuple[Offer, list[str]]:
    """What there is at the middle of a plateau: every class of one that stands out itself, else those whose own bars
    do.
    """
    complex_ = cohomology(distances, plateau.middle)
    classes = harmonic_classes(complex_)
    ends = deaths(distances, complex_, [one.cycle for one in classes])
    of_all = found.of_width(plateau.width) if plateau in plateaus(found.bars) else 1.0
    loops = [Loop(one, end, min(of_all, found.of(one.birth, end))) for one, end in zip(classes, ends, strict=True)]
    worth = [loop for loop in loops if not found.draws or at_most_alpha(loop.p)]
    reasons = [f"the loop from {one.of.birth:.4g} to {one.death:.4g}: {one.of.fault}" for one in worth if one.of.fault]
    return Offer(plateau, complex_.betti, complex_.torsion, [one for one in worth if not one.of.fault]), reasons


def first_of_each(offers: list[Offer]) -> list[Offer]:
    """The offers without the loops that an earlier one has: those born at the same scale."""
    known: list[float] = []
    found = []
    for offer in offers:
        new = [one for one in offer.loops if not np.isclose(known, one.of.birth, rtol=SAME, atol=0).any()]
        known += [one.of.birth for one in new]
        if new:
            found.append(replace(offer, loops=new))
    return found


# Without a null


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
    wide = sorted((one for one in plateaus(bars) if one.width >= least), key=lambda plateau: -plateau.width)
    return [
        PlateauClass(plateau, one)
        for plateau in wide
        for one in harmonic_classes(cohomology(distances, plateau.middle))
        if one.step < HALF_A_TURN
    ]

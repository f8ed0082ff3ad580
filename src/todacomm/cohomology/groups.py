"""Hold each loop against the group of points that it lies in, where that is not the whole cloud.

A group that is tighter and of fewer dimensions than its cloud has longer bars than the whole cloud would have, and no
loop. So a loop that stands out of Gaussian clouds of all points must also stand out of those of the points that are
connected to it when it is filled, and at twice that distance, where the group has its outskirts.
"""

import math
from functools import partial

import numpy as np

from todacomm.cohomology.centres import centres_of
from todacomm.cohomology.evidence import TESTS, bars_among, evidence, generator
from todacomm.cohomology.offers import Loop, Offer
from todacomm.cohomology.scene import Scene
from todacomm.core.inference_types import ALPHA, at_most_alpha
from todacomm.core.types import Points
from todacomm.statistics.gaussian_null import JointLayers, in_common, rotated

LATER = 2.0  # times the death of a loop: where its group has its outskirts
FEWEST = 6  # points of a group that a loop can be told from noise in
MOST_DRAWS = 1999

Members = tuple[int, ...]


def held_against_groups(scene: Scene, offers: list[Offer], *, seed: int, draws: int) -> tuple[list[Offer], list[str]]:
    """Keep the loops that stand out of their groups too, with the larger p-value; say why others are none."""
    groups = {loop: groups_of(scene, loop) for offer in offers for loop in offer.loops}
    distinct = list(dict.fromkeys(group for of_loop in groups.values() for group in of_loop))
    enough = min(MOST_DRAWS, max(draws, math.ceil(TESTS * len(distinct) / ALPHA) - 1))
    p = {group: min(1.0, len(distinct) * p_of(scene, group, seed, enough)) for group in distinct}
    of_loops = {loop: max([loop.p, *(p[group] for group in of_loop)]) for loop, of_loop in groups.items()}
    kept, reasons = [], []
    for offer in offers:
        loops = [loop._replace(p=of_loops[loop]) for loop in offer.loops if at_most_alpha(of_loops[loop])]
        kept += [offer.of(loops)] if loops else []
        reasons += [
            f"the loop from {loop.of.birth:.4g} to {loop.death:.4g} lies in a group of {len(groups[loop][0])} of "
            f"{len(scene.points)} points, and Gaussian clouds of such a group have loops as well, "
            f"p {of_loops[loop]:.2g}"
            for loop in offer.loops
            if not at_most_alpha(of_loops[loop])
        ]
    return kept, reasons


def groups_of(scene: Scene, loop: Loop) -> list[Members]:
    """The points connected to a loop when it is filled, and later; those that are not the whole cloud."""
    centre = int(loop.of.cycle[0])
    found = [tuple(scene.around(centre, at * loop.death).tolist()) for at in (1.0, LATER)]
    return list(dict.fromkeys(group for group in found if len(group) < len(scene.points)))


def p_of(scene: Scene, group: Members, seed: int, draws: int) -> float:
    """The p-value of the most prominent bar or the widest plateau of a group against rotations of it."""
    points = scene.points[list(group)]
    if len(points) < FEWEST:
        return 1.0
    centres, _ = centres_of(points, generator(seed, 0))
    found = evidence(bars_among(centres), partial(turned, joint_of(scene, points), seed), seed=seed, draws=draws)
    return min(found.of_plateau, float(found.of_bars.min(initial=1.0)))


def joint_of(scene: Scene, points: Points) -> JointLayers:
    """The points of a group, ready to be rotated."""
    return JointLayers((scene.cloud.address,), len(points), in_common([points]), (points.shape[1],), ("",))


def turned(layers: JointLayers, seed: int, number: int) -> Points:
    """One rotation of a group."""
    points = rotated(layers, number, seed=seed)[0]
    return np.empty((0, 1)) if points is None else points

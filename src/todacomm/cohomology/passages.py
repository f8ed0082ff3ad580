"""Follow loops from layer to layer: how often the cycles of one go around the coordinates of the next.

The points of all layers are the same texts, so that a cycle of one layer is a closed chain of points in every other,
and its winding number there is a whole number. A chain at random goes around as well, by leaps: what tells a loop
from chance is the share of its way that leads around. That share is held against chains through other texts, the same
permutation for every pair of loops, and the largest of each permutation makes the p-value hold for all pairs at once
(Westfall and Young 1993, single step).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from todacomm.cohomology.curve import short_steps
from todacomm.cohomology.record import LoopCoordinate, Loops
from todacomm.core.errors import InvalidInput
from todacomm.core.inference_types import at_most_alpha
from todacomm.statistics.pvalues import against_all

DRAWS = 999
STREAM = 6  # keeps these random numbers apart from others of the same seed
FEWEST = 3  # points of a chain

Shares = Float[np.ndarray, " d"]


@dataclass(frozen=True, slots=True)
class Passage:
    """A loop of one layer in the coordinate of a loop of the next: row and column among the loops of the two layers.

    ``turns`` is the winding number of its cycle there, ``share`` how much of its way leads around, ``p`` the p-value
    of that share against chains through other texts, over all pairs of loops. NaN and 1 where the chain leaves the
    part that the coordinate is of.
    """

    layer: int
    source: int
    target: int
    turns: int
    share: float
    p: float

    @property
    def winding(self) -> int:
        """The winding number; 0 where other texts would do as well."""
        return self.turns if at_most_alpha(self.p) else 0


def passages(layers: Sequence[Loops], *, draws: int = DRAWS, seed: int = 42) -> list[Passage]:
    """The passage of every loop of each layer through every coordinate of the next.

    Raises InvalidInput where layers are not of the same number of texts.
    """
    checked_layers(layers)
    rng = np.random.default_rng([seed, STREAM])
    pairs = [
        (i, j, k, one, other)
        for i, (first, second) in enumerate(pairwise(layers))
        for j, one in enumerate(first.coordinates)
        for k, other in enumerate(second.coordinates)
    ]
    if not pairs:
        return []
    n = len(pairs[0][3].angles)
    orders = [np.arange(n), *(rng.permutation(n) for _ in range(draws))]
    turns, shares = zip(*(along(one, other, orders) for *_, one, other in pairs), strict=True)
    drawn = np.abs(np.column_stack(shares))
    p = against_all(drawn[0], drawn[1:])
    return [
        Passage(i, j, k, int(turn[0]), float(share[0]), float(value))
        for (i, j, k, *_), turn, share, value in zip(pairs, turns, shares, p, strict=True)
    ]


def checked_layers(layers: Sequence[Loops]) -> None:
    """Raise InvalidInput unless all coordinates are of the same number of points."""
    sizes = {len(one.angles) for found in layers for one in found.coordinates}
    if len(sizes) > 1:
        raise InvalidInput(
            f"layers of {', '.join(map(str, sorted(sizes)))} points; "
            "loops are followed through the same texts in every layer"
        )


def along(
    one: LoopCoordinate, other: LoopCoordinate, orders: Sequence[Int[np.ndarray, " n"]]
) -> tuple[Int[np.ndarray, " d"], Shares]:
    """The winding number of the cycle of a loop in another coordinate, and the share of its way that leads around,
    for each order of the texts.
    """
    chains = other.angles[np.stack([order[list(one.cycle)] for order in orders])]
    chains = [chain[~np.isnan(chain)] for chain in chains]
    steps = [short_steps(chain) if len(chain) >= FEWEST else np.zeros(FEWEST) for chain in chains]
    turns = np.array([step.sum() / (2 * np.pi) for step in steps])
    ways = np.array([np.abs(step).sum() / (2 * np.pi) for step in steps])
    return np.rint(turns).astype(np.int64), np.divide(turns, ways, out=np.zeros_like(turns), where=ways > 0)

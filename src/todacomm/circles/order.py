"""Do words that have a cyclic order lie on a circle, on a line, or neither?

The distances between the words are correlated with those on a circle of the same order, and with those on a line that
is that circle cut open, at whichever place fits best. Circle minus line is judged against all cyclic orders of the
words, the largest layer of each, so that a line (numbers one to twelve) is no circle however well it bends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int

from todacomm.circles.probes import FEWEST_WORDS
from todacomm.core.errors import InvalidInput
from todacomm.core.inference_types import at_most_alpha
from todacomm.statistics.pvalues import against_all

Shape = Literal["circle", "line", "neither"]
Means = Float64[np.ndarray, "words d"]
Orders = Int[np.ndarray, "orders words"]


MOST_LISTED = 8  # words of which all orders are listed: 5,040 beginning with the first
OUTLYING = 20  # median spreads of a feature that is too massive to say anything of the words


@dataclass(frozen=True, slots=True)
class Order:
    """How the words of one layer lie.

    Attributes
    ----------
    circle, line : float
        Correlation of their distances with those on the circle, and on the line cut between the last word and the
        first.
    above_line : float
        The circle's correlation minus the largest of a line cut anywhere, between -2 and 2.
    p_circle, p_line : float
        Of ``above_line`` and of ``line`` against other orders of the words, for the largest of all layers.
    wrap : float or None
        How far the last word is from the first: 0 as neighbours, 1 as opposite words, more on a line; None where
        those are alike.

    """

    circle: float
    line: float
    above_line: float
    p_circle: float
    p_line: float
    wrap: float | None

    @property
    def shape(self) -> Shape:
        """*circle*, *line* or *neither*."""
        if at_most_alpha(self.p_circle) and self.above_line > 0:
            return "circle"
        return "line" if at_most_alpha(self.p_line) and self.line > self.circle else "neither"


def order_test(means: Mapping[str, Means], *, draws: int, rng: np.random.Generator) -> dict[str, Order]:
    """The order of the words at each layer: ``means`` has a row for each word, in their order.

    All orders are listed for up to 8 words, else ``draws`` are drawn. Raises InvalidInput for fewer than 6 words.
    """
    words = len(next(iter(means.values())))
    if words < FEWEST_WORDS:
        raise InvalidInput(f"{words} words have too few orders to decide anything; expected {FEWEST_WORDS} or more")
    own = np.arange(words)[None]
    others = orders_of(words, draws, rng)
    observed, null = (
        np.stack([contrasts(distances_of(found), orders) for found in means.values()]) for orders in (own, others)
    )  # layers × orders × contrasts
    p = [against_all(observed[:, 0, kind], null[:, :, kind].T) for kind in (0, 1)]
    return {
        layer: Order(
            circle=float(observed[i, 0, 2]),
            line=float(observed[i, 0, 1]),
            above_line=float(observed[i, 0, 0]),
            p_circle=float(p[0][i]),
            p_line=float(p[1][i]),
            wrap=wrap_index(distances_of(found)),
        )
        for i, (layer, found) in enumerate(means.items())
    }


def orders_of(words: int, draws: int, rng: np.random.Generator) -> Orders:
    """Other orders of the words: all that begin with the first word, or so many at random."""
    if words <= MOST_LISTED:
        listed = [(0, *rest) for rest in permutations(range(1, words))]
        return np.array(listed[1:])  # the first is the order that is tested
    if draws < 1:
        raise InvalidInput(
            f"{draws} draws of the {factorial(words - 1) // 2} cyclic orders; expected some, such as 9999"
        )
    return np.stack([rng.permutation(words) for _ in range(draws)])


def contrasts(distances: Float64[np.ndarray, "words words"], orders: Orders) -> Float64[np.ndarray, "orders 3"]:
    """For each order: circle minus best line, line, and circle."""
    rows, columns = np.triu_indices(len(distances), 1)
    found = distances[orders[:, rows], orders[:, columns]]
    correlations = unit(found) @ ideal(len(distances)).T
    circle, lines = correlations[:, 0], correlations[:, 1:]
    return np.stack([circle - lines.max(axis=1), lines[:, 0], circle], axis=1)


def ideal(words: int) -> Float64[np.ndarray, "kinds pairs"]:
    """Distances on the circle, then on a line that begins with each word in turn, as unit vectors."""
    rows, columns = np.triu_indices(words, 1)
    apart = columns - rows
    circle = np.minimum(apart, words - apart)
    lines = [np.abs((rows - first) % words - (columns - first) % words) for first in range(words)]
    return unit(np.stack([circle, *lines]).astype(np.float64))


def unit(rows: Float64[np.ndarray, "k pairs"]) -> Float64[np.ndarray, "k pairs"]:
    """Rows about their mean, of length 1; a constant row becomes 0."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)


def distances_of(means: Means) -> Float64[np.ndarray, "words words"]:
    """The distances between the words, features of massive spread left out."""
    spreads = means.std(axis=0)
    kept = means[:, spreads <= OUTLYING * np.median(spreads)] if np.median(spreads) > 0 else means
    return np.linalg.norm(kept[:, None] - kept[None], axis=-1)


def wrap_index(distances: Float64[np.ndarray, "words words"]) -> float | None:
    """Return (d²(first, last) − mean of neighbours) / (mean of opposite words − mean of neighbours); None for 0 / 0."""
    squares, words = distances**2, len(distances)
    each = np.arange(words)
    neighbours = float(squares[each[:-1], each[1:]].mean())
    opposite = float(squares[each, (each + words // 2) % words].mean())
    if opposite == neighbours:
        return None
    return (float(squares[0, -1]) - neighbours) / (opposite - neighbours)


def means_of_words(states: Float64[np.ndarray, "templates words d"]) -> Means:
    """The mean of each word over templates, each of which is first centred, since all its words share it."""
    return (states - states.mean(axis=1, keepdims=True)).mean(axis=0)

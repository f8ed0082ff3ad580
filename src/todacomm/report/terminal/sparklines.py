"""Sparklines: a number along layers or steps in one line of the terminal."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from todacomm.core.types import Number

MARKS, NOTHING = "▁▂▃▄▅▆▇█", "·"
LOG_FROM = 30  # times; from here on heights are logarithms, or all but the largest value would lie at the bottom


def sparkline(values: Iterable[Number], *, most: int = 40, limits: tuple[float, float] | None = None) -> str:
    """A mark for each value, a dot where undefined; medians of neighbours beyond ``most`` values.

    Heights are linear between ``limits``, by default the least and the largest value; values beyond are clipped.

    >>> sparkline([0, 1, 2, 3, 4, 5, 6, 7, None])
    '▁▂▃▄▅▆▇█·'
    """
    kept = thinned([np.nan if value is None else float(value) for value in values], most)
    known = kept[np.isfinite(kept)]
    low, high = limits or (float(known.min(initial=np.inf)), float(known.max(initial=-np.inf)))
    return "".join(mark(float(value), low, high) for value in kept)


def mark(value: float, low: float, high: float) -> str:
    """The mark of one value."""
    if not np.isfinite(value):
        return NOTHING
    share = (value - low) / (high - low) if high > low else 0.5
    return MARKS[min(max(int(share * len(MARKS)), 0), len(MARKS) - 1)]


def thinned(values: Sequence[float], most: int) -> Float[np.ndarray, " w"]:
    """At most ``most`` values: medians of neighbours, NaN where all of them are undefined."""
    found = np.asarray(values, dtype=np.float64)
    if len(found) <= most:
        return found
    groups = (part[np.isfinite(part)] for part in np.array_split(found, most))
    return np.array([np.median(part) if len(part) else np.nan for part in groups])


def heights(values: Iterable[Number]) -> tuple[list[Number], bool]:
    """The values to draw, and whether they are logarithms: where all exceed 0 and span more than a factor LOG_FROM."""
    given = list(values)
    known = [value for value in given if value is not None and np.isfinite(value)]
    if not known or min(known) <= 0 or max(known) < LOG_FROM * min(known):
        return given, False
    return [None if value is None else float(np.log(value)) for value in given], True

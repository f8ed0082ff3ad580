"""What charts of angles share: colours around a wheel, ticks at quarters of a turn, placebos as one line."""

import colorsys
from collections.abc import Iterable, Sequence
from math import pi

from todacomm.circles.causal_test import PLACEBO_TURNS, turns_of
from todacomm.core.types import Number
from todacomm.report.document import style
from todacomm.report.document.chart import Series

HUES = 24  # colours around a wheel
QUARTERS = tuple((i * pi / 2, f"{i * 90}°".replace("-", "−")) for i in range(-8, 9))


def colour_of(angle: float) -> str:
    """The colour of an angle, one of equal steps around the colour wheel."""
    hue = round(angle / (2 * pi) * HUES) % HUES / HUES
    return "#{:02x}{:02x}{:02x}".format(*(round(255 * part) for part in colorsys.hls_to_rgb(hue, 0.45, 0.8)))


def degrees(angle: float) -> str:
    """An angle in whole degrees.

    >>> degrees(-pi / 2), degrees(-1e-9)
    ('−90°', '0°')
    """
    return f"{round(angle * 180 / pi)}°".replace("-", "−")


def quarters(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """The ticks at quarters of a turn between two angles."""
    return tuple(tick for tick in QUARTERS if low <= tick[0] <= high)


def placebo_series(each: Iterable[Sequence[float]]) -> Series:
    """How far the answers turn under placebos, as one line with gaps."""
    few, all_of = turns_of(PLACEBO_TURNS), list(each)
    x: list[Number] = [v for _ in all_of for v in (*few, None)]
    y: list[Number] = [v for psi in all_of for v in (*psi, None)]
    return Series(tuple(x), tuple(y), "placebos", style.GREY, "", strength=0.35)

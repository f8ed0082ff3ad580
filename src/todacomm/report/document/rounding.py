"""Numbers as the JSON of a page has them: five significant digits, null where they are undefined."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

DIGITS = 5


def rounded(value: float | None) -> float | int | None:
    """A number with five significant digits, without a fraction where it has none; None for NaN, infinity and None.

    >>> rounded(0.1234567), rounded(2.0), rounded(float("nan"))
    (0.12346, 2, None)
    """
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() else short


def all_rounded(values: np.ndarray | Iterable[Any]) -> list[Any]:
    """Lists of numbers, however deep, `rounded`.

    >>> all_rounded(np.array([[1.0, np.inf], [0.5, 2 / 3]]))
    [[1, None], [0.5, 0.66667]]
    """
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return [rounded(x) if x is None or isinstance(x, float | int) else all_rounded(x) for x in listed]

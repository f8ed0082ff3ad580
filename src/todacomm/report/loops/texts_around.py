"""Choose the texts that are told around a loop: in each twelfth of a turn one, of the cycle where it passes there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from todacomm.records.loops import FoundLoop
from todacomm.report.document.style import cut

SECTORS = 12  # of a turn
TOLD = 120  # letters of a text that are told


@dataclass(frozen=True, slots=True)
class Place:
    """A point whose text is told: its ``number`` around the loop, its row, and whether it is on the cycle."""

    number: str
    row: int
    text: str
    on_cycle: bool


def text_of(row: int, texts: Sequence[str]) -> str:
    """The text of a point, or its row where texts are not known."""
    return cut(" ".join(texts[row].split()), TOLD) if texts else f"point {row}"


def places_around(one: FoundLoop, texts: Sequence[str]) -> list[Place]:
    """At most one point for each twelfth of a turn, by angle."""
    found = [row for sector in range(SECTORS) if (row := row_in(one, sector)) is not None]
    return [Place(str(i), row, text_of(row, texts), row in one.cycle) for i, row in enumerate(found, start=1)]


def row_in(one: FoundLoop, sector: int) -> int | None:
    """The point that stands for a twelfth of a turn: one of the cycle nearest to its middle, else any; or none."""
    middle = (sector + 0.5) * 2 * np.pi / SECTORS
    away = np.abs(np.angle(np.exp(1j * (one.angles - middle))))
    cycle = np.array(one.cycle)
    for rows in (cycle, np.arange(len(away))):
        inside = rows[away[rows] < np.pi / SECTORS]
        if inside.size:
            return int(inside[away[inside].argmin()])
    return None

"""The clock of a probe while its angle is turned: the words, each turned by φ, the answers, and how far they turn.

One description serves the figure, which has four turns side by side, and the page, which moves through all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import cos, sin
from typing import Any

from todacomm.circles.causal_test import Turned, turns_of
from todacomm.circles.probed import Asked, Probed
from todacomm.report.document.chart import INK, Around, Axis, Chart, Panel, Series, exact, table
from todacomm.report.document.page_renderer import page_of
from todacomm.report.document.turns import colour_of, degrees
from todacomm.report.probes.probe_charts import probe_drawings
from todacomm.report.words.phrases import number

SHOWN = 4  # turns in the figure
INNER, NAMES, FACE, HAND = 0.55, 1.1, 1.3, 0.42  # radii: turned words, names, half a panel, hands
CAPTION = (
    "Around the face the answers, each in its colour; within it the words of the question, turned by φ. A line leads "
    "from each word to its answer, where single answers were kept. The thick hand shows how far the answers turn in "
    "the mean (ψ), the dotted one how far the words were turned (φ): where the model uses the circle they go together."
)
TITLE = "The clock, with the answers turning"
CLOCK = "clock"


@probe_drawings.chart(CLOCK, title=TITLE, caption=CAPTION)
def clock(found: Probed) -> Chart | None:
    """Some turns of the clock, side by side."""
    if found.asked is None:
        return None
    turns = len(turned_of(found.asked).psi)
    shown = [i * turns // SHOWN for i in range(SHOWN)]
    return chart_of(found, found.asked, shown)


def chart_of(found: Probed, asked: Asked, turns: Sequence[int]) -> Chart:
    """The clock under some of the turns, a panel each."""
    panels = tuple(panel(found, asked, i) for i in turns)
    head = ("turn", "phi", "psi", "word", "answer", "x", "y", "answer_x", "answer_y")
    return Chart(CLOCK, TITLE, CAPTION, panels, table(head, rows_of(found, asked)), columns=2, tall=3.1)


def turned_of(asked: Asked) -> Turned:
    """The turns at the layer of the verdict."""
    return asked.turned[asked.layer]


def place(angle: float, radius: float = 1.0) -> tuple[float, float]:
    """A place on the face of a clock: from the top, with the hands of a clock."""
    return radius * sin(angle), radius * cos(angle)


def panel(found: Probed, asked: Asked, i: int) -> Panel:
    """The clock under one turn."""
    turned = turned_of(asked)
    phi, psi = turns_of(len(turned.psi))[i], turned.psi[i]
    axis = Axis("", limits=(-FACE, FACE), ticks=(), named=True)
    return Panel(
        (*lines(found, asked, i), options(found), words(found, i), hand(turned.direction * phi, ":"), hand(psi, "-")),
        axis,
        axis,
        title=said(phi, psi),
        height=420,
        equal=True,
        around=tuple(
            Around(*place(angle, NAMES), word, word[:3])
            for word, angle in zip(names(found), angles(found), strict=True)
        ),
    )


def said(phi: float, psi: float) -> str:
    """A turn in words."""
    return f"words turned by {degrees(phi)}, answers by {degrees(psi)}"


def names(found: Probed) -> Sequence[str]:
    """The words."""
    return found.probe.words


def angles(found: Probed) -> list[float]:
    """The place of each word on the face."""
    return turns_of(len(found.probe.words))


def options(found: Probed) -> Series:
    """The answers around the face."""
    xs, ys = zip(*(place(angle) for angle in angles(found)), strict=True)
    looks = tuple((colour_of(angle), "o") for angle in angles(found))
    told = tuple((f"answer: {word}",) for word in names(found))
    return Series(xs, ys, colour=INK, dashes="", looks=looks, told=told, size=1.3)


def words(found: Probed, i: int) -> Series:
    """The words of the question, turned."""
    by = turns_of(len(turns(found)))[i]
    xs, ys = zip(*(place(angle + by, INNER) for angle in angles(found)), strict=True)
    looks = tuple((colour_of(angle), "s") for angle in angles(found))
    told = tuple((f"{word}, turned by {degrees(by)}",) for word in names(found))
    return Series(xs, ys, colour=INK, dashes="", looks=looks, told=told, size=0.9)


def turns(found: Probed) -> Sequence[float]:
    """How far the answers turn under each turn; none where nothing was asked."""
    return turned_of(found.asked).psi if found.asked else ()


def lines(found: Probed, asked: Asked, i: int) -> Iterator[Series]:
    """A line from each word to its answer, where answers are known."""
    by = turns_of(len(turns(found)))[i]
    for word, answer in given(found, asked, i):
        angle = angles(found)[word]
        (x, y), (to_x, to_y) = place(angle + by, INNER), place(angles(found)[answer])
        told = (f"{names(found)[word]}: {names(found)[answer]}",)
        yield Series(
            (x, to_x), (y, to_y), colour=colour_of(angle), marker="", width=0.8, strength=0.6, told=(told,) * 2
        )


def given(found: Probed, asked: Asked, i: int) -> Iterator[tuple[int, int]]:
    """Each word and the answer to it, by their places; nothing of records that do not hold answers."""
    answers = turned_of(asked).answers
    n = len(found.probe.words)
    for right, answer in enumerate(answers[i]) if answers else ():
        yield (right - asked.question.step) % n, answer


def hand(angle: float, dashes: str) -> Series:
    """A hand of the clock."""
    (x, y), whole = place(angle, HAND), dashes == "-"
    return Series((0.0, x), (0.0, y), colour=INK, marker="", dashes=dashes, width=2.2 if whole else 1.2)


def rows_of(found: Probed, asked: Asked) -> Iterator[tuple[str, ...]]:
    """Every word under every turn: where it is, its answer, and where it stands as an answer; for download."""
    turned = turned_of(asked)
    for i, (phi, psi) in enumerate(zip(turns_of(len(turned.psi)), turned.psi, strict=True)):
        answers = {word: names(found)[answer] for word, answer in given(found, asked, i)}
        for word, angle in enumerate(angles(found)):
            places = (*place(angle + phi, INNER), *place(angle))
            yield (str(i), exact(phi), exact(psi), names(found)[word], answers.get(word, ""), *map(exact, places))


# The page


def clock_explorer(found: Probed) -> Mapping[str, Any] | None:
    """The clock in motion: the chart of each turn, one after the other; None where nothing was turned."""
    if found.asked is None:
        return None
    turned = turned_of(found.asked)
    charts = [page_of(chart_of(found, found.asked, [i])) for i in range(len(turned.psi))]
    each = zip(turns_of(len(turned.psi)), turned.psi, charts, strict=True)
    frames = [
        {"label": said(phi, psi), **{key: drawn[key] for key in ("traces", "layout", "around")}}
        for phi, psi, drawn in each
    ]
    return {
        "kind": "frames",
        "heading": TITLE,
        "name": CLOCK,
        "title": f"{found.asked.question.text}, {found.asked.layer}, R {number(turned.alignment, 2)}",
        "how": CAPTION,
        "slider": "How far the words are turned",
        "frames": frames,
        "header": charts[0]["header"],
        "rows": charts[0]["rows"],
        "shows": [CLOCK],
    }

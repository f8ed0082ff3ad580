"""A drawn example of a loop: points on a noisy circle, how their ring closes and is filled, and the bars of it all.

Everything is computed from the points, by the functions that measure the clouds of a study; the drawing is SVG.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import pdist, squareform

from todacomm.core.threads import one_thread
from todacomm.homology.rips import generators
from todacomm.report.document.style import HOMOLOGY

COUNT, NOISE, SEED = 22, 0.16, 8
WIDE, PANEL, TALL = 460, 150, 344  # units of the drawing: all of it, a picture of the points, its height
BARS_FROM, BARS_TO, LEFT, RIGHT = 200, 300, 12, 440  # where the bars are
INK, SOFT = "var(--ink, #1d1f23)", "var(--soft, #565c65)"
H0, H1 = HOMOLOGY[:2]
Points = Float[np.ndarray, "n 2"]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Points, the finite bars of H0 and of H1, and of the longest bar of H1 the triangle that fills its loop."""

    points: Points
    clusters: Float[np.ndarray, "m 2"]
    loops: Float[np.ndarray, "k 2"]
    triangle: tuple[int, int, int]

    @property
    def longest(self) -> tuple[float, float]:
        """Birth and death of the longest bar of H1."""
        birth, death = self.loops[int((self.loops[:, 1] - self.loops[:, 0]).argmax())]
        return float(birth), float(death)


@cache
def example() -> Example:
    """The points and what is measured of them."""
    rng = np.random.default_rng(SEED)
    angles = 2 * np.pi * (np.arange(COUNT) + rng.uniform(-0.25, 0.25, COUNT)) / COUNT
    points = np.c_[np.cos(angles), np.sin(angles)] + NOISE * rng.standard_normal((COUNT, 2))
    with one_thread:
        found = generators(points)
    clusters, loops = found.diagrams[:2]
    longest = int((loops[:, 1] - loops[:, 0]).argmax())
    a, b, c = (int(i) for i in found.death_triangles[longest])
    return Example(points, clusters[np.isfinite(clusters[:, 1])], loops, (a, b, c))


def told() -> str:
    """Describe the drawing in words and numbers."""
    birth, death = example().longest
    return (
        f"{COUNT} points near a circle. Balls grow around them, and points are joined when their balls touch. At the "
        f"distance {birth:.2f} the ring closes: a loop is born. At {death:.2f} a triangle of joined points reaches "
        "across and fills it: the loop dies. The thick bar reaches from its birth to its death. The short orange bars "
        "are small gaps between neighbours, as noise has them too; each blue bar is a point that has not met its "
        "neighbours yet."
    )


@cache
def drawing() -> str:
    """The example as SVG, in the colours of the page that it stands on."""
    found = example()
    birth, death = found.longest
    pictures = ((0.55 * birth, "points"), (birth, f"born at {birth:.2f}"), (death, f"filled at {death:.2f}"))
    parts = [
        *(line for i, (reach, name) in enumerate(pictures) for line in picture(found, reach, name, i)),
        *barcode(found),
    ]
    view = f'viewBox="0 0 {WIDE} {TALL}" role="img" font-family="system-ui, sans-serif"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {view}'
    return "\n".join(
        [f'{head} font-size="13">', "<title>A loop: its birth, its death, its bar</title>", *parts, "</svg>"]
    )


# Pictures of the points


def picture(found: Example, reach: float, name: str, place: int) -> Iterator[str]:
    """The points with balls that touch at the distance ``reach``, and what is joined then."""
    unit = PANEL / 4.0
    at = found.points * (unit, -unit) + (PANEL * (place + 0.5) + 5 * place, PANEL / 2 + 4)
    apart = squareform(pdist(found.points))
    joined = [(i, j) for i in range(COUNT) for j in range(i) if apart[i, j] <= reach * (1 + 1e-6)]
    filled = reach >= found.longest[1]
    yield from (ball(x, y, reach * unit / 2) for x, y in at)
    if filled:
        corners = path(at[list(found.triangle)])
        yield f'<polygon points="{corners}" fill="{H1}" fill-opacity="0.45" stroke="{H1}" stroke-width="1.5"/>'
    else:
        yield from (edge(at[i], at[j]) for i, j in joined)
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{INK}"/>' for x, y in at)
    yield text(PANEL * (place + 0.5) + 5 * place, PANEL + 22, name, anchor="middle")


def ball(x: float, y: float, radius: float) -> str:
    """One ball."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{H0}" fill-opacity="0.12"/>'


def edge(one: Sequence[float], other: Sequence[float]) -> str:
    """A line between two points that are joined."""
    ends = f'x1="{one[0]:.1f}" y1="{one[1]:.1f}" x2="{other[0]:.1f}" y2="{other[1]:.1f}"'
    return f'<line {ends} stroke="{H0}" stroke-width="1.5"/>'


def path(corners: Points) -> str:
    """Corners of a polygon."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def text(x: float, y: float, words: str, *, anchor: str = "start", colour: str = INK) -> str:
    """A few words."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


# Bars


def barcode(found: Example) -> Iterator[str]:
    """All bars, those of H0 above, with birth and death of the longest one of H1."""
    birth, death = found.longest
    scale = (RIGHT - LEFT) / (1.08 * death)
    by_length = sorted(found.loops, key=lambda bar: bar[1] - bar[0])
    rows = [*((bar, H0) for bar in found.clusters), *((bar, H1) for bar in by_length)]
    step = (BARS_TO - BARS_FROM) / max(len(rows) - 1, 1)
    for i, ((start, stop), colour) in enumerate(rows):
        wide = 5 if colour == H1 and (start, stop) == found.longest else 2
        y, ends = BARS_FROM + i * step, (LEFT + scale * start, LEFT + scale * stop)
        along = f'x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y:.1f}" y2="{y:.1f}"'
        yield f'<line {along} stroke="{colour}" stroke-width="{wide}"/>'
    for at, name in ((birth, "birth"), (death, "death")):
        x = LEFT + scale * at
        down = f'x1="{x:.1f}" x2="{x:.1f}" y1="{BARS_FROM - 10}" y2="{BARS_TO + 6}"'
        yield f'<line {down} stroke="{SOFT}" stroke-dasharray="2 3"/>'
        yield text(x, BARS_TO + 20, name, anchor="middle", colour=SOFT)
    yield text(LEFT + scale * (birth + death) / 2, BARS_TO - 8, "the loop", anchor="middle")
    yield text(LEFT, TALL - 4, "distance →", colour=SOFT)

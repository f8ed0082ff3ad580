"""Charts of the loops of a layer: β₁ over scale, and the points on the plane of the angle of each loop."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from todacomm.clouds.planes_and_clusters import evenly
from todacomm.cohomology.scales import Plateau
from todacomm.records.loops import FoundLoop, LoopsOfLayer, LoopsRecord
from todacomm.report.document import style
from todacomm.report.document.chart import (
    INK,
    Around,
    Axis,
    Chart,
    Charts,
    Panel,
    Series,
    Span,
    exact,
    log_axis,
    names_axis,
    table,
)
from todacomm.report.document.style import cut
from todacomm.report.document.turns import HUES, colour_of, degrees
from todacomm.report.loops.texts_around import Place, places_around, text_of
from todacomm.report.words.intervals_and_nulls import p_text
from todacomm.report.words.phrases import number, plural

LETTERS = 26  # of a text that is written beside the plane
PIXELS, ROW = 440, 26  # of a plane on the page, and of a row
RADIUS = 1.18  # of the texts around the plane, in radii of the points
ROOM, FEWEST = 30_000, 120  # points on all planes of a page, and on one plane whatever their number
NAMED, WIDE = 6, 0.03  # plateaus that are named, and how wide they are in the logarithm of scale
COLOURS = style.PALETTE[:6]

loop_charts: Charts["LayerLoops"] = Charts("loop chart")


@dataclass(frozen=True, slots=True, eq=False)
class LayerLoops:
    """The loops of one layer of a record, by its place."""

    record: LoopsRecord
    place: int

    @property
    def found(self) -> LoopsOfLayer:
        """What was found there."""
        return self.record.layers[self.place]

    @property
    def about(self) -> str:
        """Which model, data and layer it is."""
        return f"{self.record.model} · {self.record.data} · {self.found.layer}"

    @property
    def unit(self) -> float:
        """The median distance, in which scales are told."""
        return self.found.median or 1.0

    @property
    def most(self) -> int:
        """How many points of a loop are drawn, so that a page of many loops stays small."""
        return max(FEWEST, ROOM // max(1, sum(len(layer.loops) for layer in self.record.layers)))


@loop_charts.register("loops_staircase")
def staircase_chart(of: LayerLoops) -> Iterator[Chart]:
    """β₁ over scale as a staircase, each plateau and each loop of it named."""
    if not of.found.staircase:
        return
    scales, betti = np.array(of.found.staircase).T
    x, y = np.repeat(scales / of.unit, 2)[1:], np.repeat(betti, 2)[:-1]
    stairs = Series(tuple(x.tolist()), tuple(y.tolist()), colour=INK, marker="")
    across = log_axis("distance / median distance", (scales / of.unit).tolist(), limits=True)
    spans = tuple(Span(one.birth / of.unit, one.death / of.unit, strength=0.18) for one in of.found.loops)
    up = Axis("β₁, loops that are open", limits=(0, 1.25 * float(betti.max()) + 0.4), whole=True)
    first = Panel((stairs, names_of_plateaus(of)), across, up, spans=spans, height=200)
    yield Chart(
        f"loops_{of.found.layer}_staircase",
        f"Loops that are open at each scale, {of.found.layer}",
        "How many independent loops the Rips complex has (β₁, over Z/2) once points closer than a distance are joined; "
        "wide plateaus have their number. Grey, and a bar below: from birth to death of each loop that is offered; the "
        "mark is where its angle was taken.",
        (first, *bars_panel(of, across)),
        table(
            ("distance", "distance_over_median", "betti_1"),
            ((exact(a), exact(a / of.unit), exact(b)) for a, b in zip(scales.tolist(), betti.tolist(), strict=True)),
        ),
        heading=of.about,
        tall=1.7,
    )


def plateaus_of(found: LoopsOfLayer) -> list[Plateau]:
    """The widest plateaus of a staircase, by scale."""
    steps = zip(found.staircase[:-1], found.staircase[1:], strict=True)
    held = [Plateau(start, end, int(betti)) for (start, betti), (end, _) in steps if start > 0 and betti >= 1]
    wide = sorted((one for one in held if one.width >= WIDE), key=lambda one: -one.width)
    return sorted(wide[:NAMED])


def names_of_plateaus(of: LayerLoops) -> Series:
    """The number of loops at each wide plateau, above its middle."""
    found = plateaus_of(of.found)
    high = max(betti for _, betti in of.found.staircase)
    return Series(
        tuple(one.middle / of.unit for one in found),
        tuple(one.betti + 0.07 * high + 0.12 for one in found),
        colour=INK,
        marker="",
        dashes="",
        notes=tuple(f"{one.betti}" for one in found),
        told=tuple(told_of_plateau(one, of.unit) for one in found),
    )


def told_of_plateau(one: Plateau, unit: float) -> tuple[str, ...]:
    """What the page tells of a plateau."""
    ends = f"from {number(one.start / unit)} to {number(one.end / unit)} of the median distance"
    return (f"{plural(one.betti, 'loop')} open {ends}",)


def bars_panel(of: LayerLoops, across: Axis) -> tuple[Panel, ...]:
    """A bar for each loop that is offered, from its birth to its death; no panel without one."""
    loops = of.found.loops
    if not loops:
        return ()
    rows = tuple(
        Series(
            (one.birth / of.unit, one.scale / of.unit, one.death / of.unit),
            (float(i),) * 3,
            colour=COLOURS[i % len(COLOURS)],
            width=3.0,
            looks=tuple((COLOURS[i % len(COLOURS)], marker) for marker in ("|", "o", "|")),
            told=(told_of(one),) * 3,
        )
        for i, one in enumerate(loops)
    )
    names = [f"loop {i}" for i in range(1, len(loops) + 1)]
    return (Panel(rows, across, names_axis(names), title="From birth to death", height=ROW * len(loops) + 20),)


def told_of(one: FoundLoop) -> tuple[str, ...]:
    """What the page tells at the mark of a loop."""
    test = "untested" if one.p is None else f"p {p_text(one.p)}"
    return (
        f"born at {number(one.birth)}, filled at {number(one.death)}, {test}",
        f"through {plural(len(one.cycle), 'point')}, among {one.points}",
    )


@loop_charts.register("loops_cycle")
def cycle_charts(of: LayerLoops) -> Iterator[Chart]:
    """Every loop over the plane of its own angle: points in the colour of their angle, its cycle, the texts around."""
    for place, one in enumerate(of.found.loops, start=1):
        there, shown = np.flatnonzero(~np.isnan(one.angles)), rows_shown(one, of.most)
        reach = max(1.3, 1.05 * float(np.abs(one.plane[shown]).max()))
        across, up = (Axis(f"{wave} of the angle", limits=(-reach, reach)) for wave in ("cosine", "sine"))
        cycle = cycle_series(one, of.record.texts)
        left = f" {len(shown):,} of {len(there):,} points are drawn." if len(shown) < len(there) else ""
        yield Chart(
            f"loops_{of.found.layer}_cycle_{place}",
            f"Loop {place} of {of.found.layer} over the plane of its angle",
            "Each point where its cosine and sine would be, by least squares, in the colour of its angle; on a clean "
            "circle all lie at radius 1. The line is the shortest cycle that goes around the loop once. Around it, in "
            f"each twelfth of a turn, the text of a point there.{left}",
            (
                Panel(
                    (points_series(one, shown, of.record.texts), cycle),
                    across,
                    up,
                    height=PIXELS,
                    equal=True,
                    around=tuple(around(one, place) for place in places_around(one, of.record.texts)),
                ),
            ),
            table(("text", "angle", "across", "up", "on_cycle"), rows_of(one, there.tolist())),
            keys=(cycle,),
            heading=of.about,
            notes=(f"{'; '.join(told_of(one)).capitalize()}.",),
            tall=style.WIDTH * 0.6,
        )


def rows_shown(one: FoundLoop, most: int) -> np.ndarray:
    """The rows of the points that are drawn: those on the cycle, and others evenly by their angle."""
    there = np.flatnonzero(~np.isnan(one.angles))
    if len(there) <= most:
        return there
    by_angle = there[np.argsort(one.angles[there], kind="stable")]
    some = by_angle[evenly(len(there), most)]
    return np.union1d(some, np.array(one.cycle, dtype=some.dtype))


def points_series(one: FoundLoop, rows: np.ndarray, texts: Sequence[str]) -> Series:
    """The points in the colours of their angles."""
    return Series(
        tuple(one.plane[rows, 0].tolist()),
        tuple(one.plane[rows, 1].tolist()),
        colour=INK,
        dashes="",
        looks=tuple((colour_of(angle), "o") for angle in one.angles[rows].tolist()),
        told=tuple(lines_of(one, row, texts) for row in rows.tolist()),
        size=0.7,
    )


def cycle_series(one: FoundLoop, texts: Sequence[str]) -> Series:
    """The shortest cycle, closed."""
    around = [*one.cycle, one.cycle[0]]
    return Series(
        tuple(one.plane[around, 0].tolist()),
        tuple(one.plane[around, 1].tolist()),
        "shortest cycle",
        INK,
        marker="",
        width=1.2,
        told=tuple(
            (f"{i % len(one.cycle) + 1} of {len(one.cycle)} on the cycle", *lines_of(one, row, texts))
            for i, row in enumerate(around)
        ),
    )


def around(one: FoundLoop, place: Place) -> Around:
    """A text beside the plane, beyond all points at that angle."""
    angle = float(one.angles[place.row])
    near = np.abs(np.angle(np.exp(1j * (one.angles - angle)))) < np.pi / HUES
    beyond = max(RADIUS, 1.08 * float(np.hypot(*one.plane[near].T).max()))
    text = cut(place.text, LETTERS)
    return Around(beyond * float(np.cos(angle)), beyond * float(np.sin(angle)), text, place.number)


def rows_of(one: FoundLoop, rows: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """The points of a loop, for download."""
    for row in rows:
        yield (str(row), exact(one.angles[row]), *map(exact, one.plane[row].tolist()), str(int(row in one.cycle)))


def lines_of(one: FoundLoop, row: int, texts: Sequence[str]) -> tuple[str, ...]:
    """What the page tells of one point."""
    angle = f"angle {degrees(float(one.angles[row]))}"
    return (f"point {row}, {angle}", text_of(row, texts)) if texts else (f"point {row}, {angle}",)

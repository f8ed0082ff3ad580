"""Charts of the loops of a layer: β₁ over scale, and the points on the plane of the angle of each loop."""

import colorsys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from todacomm.cohomology.record import LoopCoordinate, Loops
from todacomm.report.document import style
from todacomm.report.document.chart import INK, Axis, Chart, Charts, Panel, Series, Span, exact, log_axis, table
from todacomm.report.document.style import cut
from todacomm.report.words.intervals_and_nulls import p_text
from todacomm.report.words.phrases import number, plural

HUES = 24  # colours around a loop
TOLD = 60  # letters of a text that are shown
PIXELS = 420  # of a plane on the page

loop_charts: Charts["LayerLoops"] = Charts("loop chart")


@dataclass(frozen=True, slots=True, eq=False)
class LayerLoops:
    """The loops of one layer, its points (n, d) and its texts, if they are known."""

    found: Loops
    points: Float[np.ndarray, "n d"]
    texts: Sequence[str] = ()

    @property
    def layer(self) -> str:
        return self.found.address.layer

    @property
    def about(self) -> str:
        """Which model, data and layer it is."""
        return str(self.found.address)


@loop_charts.register("loops_staircase")
def staircase_chart(of: LayerLoops) -> Iterator[Chart]:
    """β₁ over scale as a staircase, the scales of the coordinates marked."""
    if not len(of.found.staircase):
        return
    scales, betti = of.found.staircase.T
    unit = of.found.median or 1.0
    x, y = np.repeat(scales / unit, 2)[1:], np.repeat(betti, 2)[:-1]
    spans = tuple(Span(one.birth / unit, one.death / unit) for one in of.found.coordinates)
    marks = [one.scale / unit for one in of.found.coordinates]
    at = [float(betti[np.searchsorted(scales / unit, mark, side="right") - 1]) for mark in marks]
    told = tuple(told_of(one) for one in of.found.coordinates)
    series = [Series(tuple(x.tolist()), tuple(y.tolist()), "classes of H1", INK, marker="")]
    if marks:
        key = "scale of a coordinate"
        series.append(Series(tuple(marks), tuple(at), key, style.PALETTE[1], dashes="", told=told))
    yield Chart(
        f"loops_{of.layer}_staircase",
        f"Loops that are open at each scale, {of.layer}",
        "How many independent loops the Rips complex has (β₁, over Z/2) once points closer than a distance are joined. "
        "Grey: from birth to death of each loop that stands out of noise; the mark is where its angle was taken.",
        (
            Panel(
                tuple(series),
                log_axis("distance / median distance", (scales / unit).tolist()),
                Axis("β₁", from_zero=True, whole=True),
                spans=spans,
                height=220,
            ),
        ),
        table(
            ("distance", "distance_over_median", "betti_1"),
            ((exact(a), exact(a / unit), exact(b)) for a, b in zip(scales.tolist(), betti.tolist(), strict=True)),
        ),
        keys=tuple(series[1:]),
        heading=of.about,
        tall=2.6,
    )


def told_of(one: LoopCoordinate) -> tuple[str, ...]:
    """What the page tells at the mark of a loop."""
    test = "untested" if one.p is None else f"p {p_text(one.p)}"
    return (
        f"born at {number(one.birth)}, filled at {number(one.death)}, {test}",
        f"through {plural(len(one.cycle), 'point')}, among {one.points}",
    )


@loop_charts.register("loops_cycle")
def cycle_charts(of: LayerLoops) -> Iterator[Chart]:
    """Every loop over the plane of its own angle: points in the colour of their angle, and its shortest cycle."""
    for place, one in enumerate(of.found.coordinates, start=1):
        plane = one.plane(of.points)
        there = np.flatnonzero(~np.isnan(one.angles))
        shown = plane[there]
        around = [*one.cycle, one.cycle[0]]
        reach = 1.1 * float(np.abs(shown).max())
        across, up = (Axis(f"{wave} of the angle", limits=(-reach, reach)) for wave in ("cosine", "sine"))
        points = Series(
            tuple(shown[:, 0].tolist()),
            tuple(shown[:, 1].tolist()),
            colour=INK,
            dashes="",
            looks=tuple((colour_of(angle), "o") for angle in one.angles[there].tolist()),
            told=tuple(lines_of(of, one, row) for row in there.tolist()),
            size=0.7,
        )
        path = plane[around]
        cycle = Series(
            tuple(path[:, 0].tolist()),
            tuple(path[:, 1].tolist()),
            "shortest cycle",
            INK,
            marker="",
            width=1.2,
            told=tuple(lines_of(of, one, row) for row in around),
        )
        yield Chart(
            f"loops_{of.layer}_cycle_{place}",
            f"Loop {place} of {of.layer} over the plane of its angle",
            "Each point where its cosine and sine would be, by least squares, in the colour of its angle; on a clean "
            "circle all lie at radius 1. The line is the shortest cycle that goes around the loop once.",
            (Panel((points, cycle), across, up, height=PIXELS),),
            table(
                ("text", "angle", "across", "up", "on_cycle"),
                (
                    (
                        str(row),
                        exact(one.angles[row]),
                        exact(plane[row, 0]),
                        exact(plane[row, 1]),
                        str(int(row in one.cycle)),
                    )
                    for row in there.tolist()
                ),
            ),
            keys=(cycle,),
            heading=of.about,
            notes=told_of(one),
            tall=style.WIDTH * 0.6,
        )


def colour_of(angle: float) -> str:
    """The colour of an angle, one of equal steps around the colour wheel."""
    hue = round(angle / (2 * np.pi) * HUES) % HUES / HUES
    return "#{:02x}{:02x}{:02x}".format(*(round(255 * part) for part in colorsys.hls_to_rgb(hue, 0.45, 0.8)))


def lines_of(of: LayerLoops, one: LoopCoordinate, row: int) -> tuple[str, ...]:
    """What the page tells of one point."""
    text = (cut(of.texts[row], TOLD),) if of.texts else ()
    return (f"point {row}, angle {number(float(one.angles[row]), 3)}", *text)

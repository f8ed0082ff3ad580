"""A chart, described once: what its panels hold, in which units, how it is read, and its numbers.

`matplotlib_renderer` draws it as a figure, `page_renderer` for the page. Texts are plain: each renderer shields what
its library would read in them. Colours are those of the palette; black is the ink of a page. Loads no matplotlib, so
that pages need none.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from todacomm.core.registry import Registry
from todacomm.core.types import Number
from todacomm.report.document import style

Numbers = tuple[Number, ...]
Lines = tuple[str, ...]
LOG_RANGE = 50  # values that span more than this factor are drawn on a log axis
INK = "#000000"
NEARLY_ABOVE = 0.2  # the sine of the angle about the vertical within which a text stands above or below the middle
LETTERS = 110  # of a legend under a figure, in one line


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: what it holds, with its unit; its ticks, or about how many round numbers the renderer chooses.

    A ``bent`` axis is linear up to ``bend`` either side of zero and logarithmic beyond. Where the first of the
    ``limits`` is the larger, the axis is turned round. A ``named`` axis has a name for each row, and no grid; without
    any name it is not drawn.
    """

    label: str = ""
    kind: Literal["linear", "log", "bent"] = "linear"
    limits: tuple[float, float] | None = None
    ticks: tuple[tuple[float, str], ...] | None = None
    from_zero: bool = False
    most: int = 5
    whole: bool = False
    named: bool = False
    bend: float = 10.0

    @property
    def hidden(self) -> bool:
        """Whether nothing of it is drawn."""
        return self.named and not self.ticks


@dataclass(frozen=True, slots=True)
class Series:
    """Marks, the line through them, and their intervals, as a band or as whiskers along ``reach``.

    ``hollow`` says which marks are doubtful or show nothing, ``looks`` the colour and the marker of each where they
    differ, ``told`` what the page tells at each, ``notes`` the words beside each. Without a ``marker`` there is a line
    alone, without ``dashes`` marks alone. A gap is None. ``shade`` is how dense a band is. ``loose`` ends on a dotted
    line: the last mark is no part of the way. A grey series with a band is a null.
    """

    x: Numbers = ()
    y: Numbers = ()
    label: str = ""
    colour: str = style.PALETTE[0]
    marker: str = "o"
    dashes: str = "-"
    hollow: tuple[bool, ...] = ()
    looks: tuple[tuple[str, str], ...] = ()
    low: Numbers = ()
    high: Numbers = ()
    reach: Literal["band", "x", "y"] = "band"
    told: tuple[Lines, ...] = ()
    notes: Lines = ()
    size: float = 1.0
    width: float = 1.0
    strength: float = 1.0
    shade: float = 0.18
    every: int = 1
    loose: bool = False

    def look(self, i: int) -> tuple[str, str, bool]:
        """Colour, marker and hollowness of a mark."""
        return *(self.looks[i] if self.looks else (self.colour, self.marker)), bool(self.hollow and self.hollow[i])

    @property
    def ends(self) -> tuple[tuple[Number, Number], ...]:
        """The ends of the intervals; of none, None."""
        return tuple(zip(self.low, self.high, strict=True)) if self.low else ((None, None),) * len(self.y)


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line through a panel, at a number of one axis."""

    at: float
    along: Literal["x", "y"] = "x"
    colour: str = style.GREY
    dashes: str = "-"


@dataclass(frozen=True, slots=True)
class Span:
    """A shaded part of a panel: between two numbers along x, over all rows or over one."""

    low: float
    high: float
    row: float | None = None
    colour: str = style.GREY
    strength: float = 0.3


@dataclass(frozen=True, slots=True)
class Cells:
    """A table of numbers as colours, dark where they are large; the first row on top. ``told`` as of `Series`."""

    values: tuple[Numbers, ...]
    label: str
    told: tuple[tuple[Lines, ...], ...]
    written: bool = False


@dataclass(frozen=True, slots=True)
class Around:
    """A text beside a place on a plane, written away from its middle; its ``number`` where there is no room for it."""

    x: float
    y: float
    text: str
    number: str

    @property
    def side(self) -> Literal["left", "center", "right"]:
        """Where the place lies: at the left, at the right, or above or below the middle."""
        if abs(self.x) < NEARLY_ABOVE * math.hypot(self.x, self.y):
            return "center"
        return "right" if self.x > 0 else "left"


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes and what is drawn between them; ``height`` is in pixels of the page.

    ``title_is_words`` marks a title that a caption would say: a bare figure leaves it out. On an ``equal`` one a unit
    is as long across as it is up; ``around`` are texts around its middle.
    """

    series: tuple[Series, ...]
    x: Axis
    y: Axis
    title: str = ""
    rules: tuple[Rule, ...] = ()
    spans: tuple[Span, ...] = ()
    cells: Cells | None = None
    empty: str = ""
    height: int = 130
    title_is_words: bool = False
    equal: bool = False
    around: tuple[Around, ...] = ()


@dataclass(frozen=True, slots=True)
class Data:
    """The numbers of a chart for download; exact, empty where undefined."""

    header: Lines
    rows: tuple[Lines, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure and its twin on the page: ``keys`` make the legend, ``notes`` the small print, ``heading`` the top line.

    A figure has ``columns`` panels side by side, each ``tall`` inches; a page has them one under the other. ``picture``
    is where the figure lies, once it is written.
    """

    kind: ClassVar[str] = "chart"
    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    data: Data
    keys: tuple[Series, ...] = ()
    heading: str = ""
    notes: Lines = ()
    columns: int = 1
    tall: float = 2.0
    picture: Path | None = None

    @property
    def shares_x(self) -> bool:
        """Whether all panels have one axis along x, which is then named once."""
        return all(panel.x == self.panels[0].x for panel in self.panels)

    @property
    def shares_y(self) -> bool:
        """Whether all panels have the same rows, which are then named once."""
        return len(self.panels) > 1 and all(panel.y == self.panels[0].y and panel.y.named for panel in self.panels)


# Registered charts

T = TypeVar("T")
Describe = Callable[[T], Iterable[Chart]]


class Charts(Registry[Describe[T]]):
    """The charts of one kind of record: prefix of names → function that describes the charts, if any."""

    def of(self, record: T, *names: str) -> Iterator[Chart]:
        """The charts of these names, or of all."""
        for name in names or self:
            yield from self[name](record)


def pictured(charts: Iterable[Chart], figures: Sequence[Path]) -> Iterator[Chart]:
    """The charts, with the figures that were written of them."""
    known = {path.stem: path for path in figures}
    return (replace(chart, picture=known.get(chart.name)) for chart in charts)


# Axes


def value_axis(label: str, values: Iterable[Number], *, more: Iterable[Number] = (), whole: bool = False) -> Axis:
    """The axis of these values and of ``more`` around them: from zero, or logarithmic over several orders."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if known and min(known) > 0 and max(known) / min(known) > LOG_RANGE:
        around = [v for v in more if v is not None and v > 0 and math.isfinite(v)]
        return log_axis(label, [*known, *around])
    return Axis(label, from_zero=True, whole=whole and max(known, default=0) > 4)


def log_axis(label: str, values: Sequence[float], *, room: float = 0.08, limits: bool = False, most: int = 7) -> Axis:
    """A log axis that holds these values; ``limits`` fixes its ends, a share of ``room`` beyond them."""
    low, high = min(values), max(values)
    beyond = (high / low) ** room if high > low else 1.2
    ends = low / beyond, high * beyond
    return Axis(label, "log", ends if limits else None, ticked(style.log_ticks(*ends, most=most)))


def ticked(places: Iterable[float]) -> tuple[tuple[float, str], ...]:
    """Ticks at these numbers, without powers of ten where they are short."""
    return tuple((at, f"{at:,.10g}" if 1e-4 <= abs(at) < 1e6 or not at else f"{at:g}") for at in places)


def names_axis(names: Sequence[str], *, above: float = 0.5, label: str = "") -> Axis:
    """A row for each name, the first on top."""
    return Axis(label, limits=(len(names) - 0.5, -above), ticks=tuple(enumerate(names)), named=True)


def depth_axis(layers: Sequence[str], *, most: int) -> Axis:
    """The layers side by side, their names thinned to about ``most``."""
    ticks, labels = style.layer_ticks(layers, most=most)
    room = max(0.4, 0.025 * len(layers))
    return Axis("layer", limits=(-room, len(layers) - 1 + room), ticks=tuple(zip(ticks, labels, strict=True)))


def cut_at(panel: Panel, end: Number, along: Literal["x", "y"] = "y") -> Number:
    """The end of an interval as the panel shows it: no lower than its axis reaches."""
    axis = panel.x if along == "x" else panel.y
    if end is None or not math.isfinite(end):
        return None
    if axis.kind != "log":
        return max(end, 0.0) if axis.from_zero else end
    known = [v for one in panel.series for v in getattr(one, along) if v is not None and v > 0]
    return max(end, axis.limits[0] if axis.limits else min(known, default=1.0) / 1.2)


def runs_of(one: Series) -> Iterator[list[int]]:
    """The marks whose intervals join to one band: those side by side that have one; what hangs loose stands alone."""
    known = [low is not None and high is not None for low, high in one.ends]
    last = len(known) - 1
    run: list[int] = []
    for i, has in enumerate(known):
        if run and (not has or (one.loose and i == last)):
            yield run
            run = []
        run = [*run, i] if has else []
    if run:
        yield run


# Numbers


def finite(values: Iterable[Any]) -> Numbers:
    """Plain numbers, None where there is none."""
    return tuple(None if v is None or not math.isfinite(v) else float(v) for v in values)


def exact(value: Number | int) -> str:
    """A number for a table that is downloaded: ten digits, no separators; empty where it is undefined."""
    return "" if value is None or not math.isfinite(value) else f"{value:.10g}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Data:
    """The numbers of a chart, for download."""
    return Data(tuple(header), tuple(tuple(row) for row in rows))


def legend_columns(labels: Sequence[str]) -> int:
    """The number of legend columns under a figure."""
    longest = max(map(len, labels), default=0)
    return max(1, min(len(labels), LETTERS // (longest + 8)))

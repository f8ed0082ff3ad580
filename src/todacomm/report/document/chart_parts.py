"""What charts share: marks and hover texts for plotly, panels one under the other, the numbers drawn as a table.

What comes from outside, such as a name of a model, goes through `plain` on its way into a trace or a layout.
"""

import html
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from todacomm.core.inference_types import Interval
from todacomm.core.types import Number
from todacomm.report.document import style
from todacomm.report.document.pieces import Table
from todacomm.report.document.rounding import rounded

Trace = dict[str, Any]

SYMBOLS = dict(
    zip(
        style.MARKERS,
        ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star"),
        strict=True,
    )
)
DASHES = dict(zip(style.LINE_STYLES, ("solid", "dash", "dot", "dashdot"), strict=True))
BREAK, WIDE = "<br>", 44  # letters in a line of hover text
# pixels: a panel's title, a second line of it, ticks, the title of the last axis, a line of the legend; a margin, a mark, letters
CAPTION, SECOND, GAP, FOOT, ENTRY = 34, 16, 30, 54, 19
LEFT, MARK, SMALL = 56, 7, 12.5


def plain(text: str) -> str:
    """A text that plotly shows as it stands: in labels and hover text it reads tags and entities."""
    return html.escape(text, quote=False)


def cut(text: str, most: int) -> str:
    """A text that fits, cut in the middle."""
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most // 2) :]}"


def unshielded(text: str) -> str:
    """A label without the backslashes that keep matplotlib from typesetting its dollars."""
    return text.replace(r"\$", "$")


def hover(*lines: str) -> str:
    """What is shown at a mark: lines of text, empty ones left out, long ones wrapped."""
    return BREAK.join(plain(part) for one in lines if one for part in textwrap.wrap(one, WIDE))


def exact(value: Number | int) -> str:
    """A number for a table that is downloaded: ten digits, no separators; empty where it is undefined."""
    return "" if value is None or not math.isfinite(value) else f"{value:.10g}"


def faint(of: str, share: float = 0.22) -> str:
    """A colour of the palette, mostly transparent, for a band."""
    red, green, blue = (int(of[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


def line(
    x: Sequence[Number | int], y: Sequence[Number | int], *, text: Sequence[str], name: str = "", **more: Any
) -> Trace:
    """A line with marks, a `hover` text for each, and its name in the legend, if it has one; further keys are plotly's."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [rounded(v) for v in x],
        "y": [rounded(v) for v in y],
        "hovertext": list(text),
        "hoverinfo": "text",
        **({"name": plain(name)} if name else {}),
        **more,
    }


def title(*lines: str) -> dict[str, Any]:
    """The title of an axis, line by line."""
    return {"text": BREAK.join(map(plain, lines)), "font": {"size": SMALL}, "standoff": 6}


def marks(
    colours: Sequence[str], symbols: Sequence[str], hollow: Sequence[bool], *, size: int = MARK
) -> dict[str, Any]:
    """Marks, one colour and one symbol each; what is hollow has the colour of the page inside."""
    inside = ["paper" if empty else of for of, empty in zip(colours, hollow, strict=True)]
    return {"color": inside, "symbol": list(symbols), "size": size, "line": {"color": list(colours), "width": 1.6}}


def whiskers(interval: Interval | None, colour: str, *, least: float = -math.inf) -> dict[str, Any]:
    """The interval of one mark, cut off at ``least``; not to be seen where there is none."""
    if interval is None or interval.estimate is None or interval.low is None or interval.high is None:
        return {"visible": False}
    ends = interval.high - interval.estimate, interval.estimate - max(interval.low, least)
    reach = {"array": [rounded(ends[0])], "arrayminus": [rounded(ends[1])]}
    return {"type": "data", "symmetric": False, "thickness": 2, "width": 4, "color": colour, **reach}


def key(name: str, **more: Any) -> Trace:
    """An entry of the legend alone."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [None],
        "y": [None],
        "name": plain(name),
        "hoverinfo": "skip",
        **more,
    }


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel of a chart: its title of a line or two, what it holds, its axes as plotly's, its height in pixels."""

    title: str
    traces: tuple[Trace, ...]
    x: Mapping[str, Any]
    y: Mapping[str, Any]
    height: int = 130


def stacked(panels: Sequence[Panel], *, shift: int = LEFT - 6) -> tuple[tuple[Trace, ...], dict[str, Any]]:
    """Panels one under the other, as wide as the page, whatever its width: traces and layout, with the legend below.

    Titles of panels begin ``shift`` pixels left of their axis.
    """
    heads = [CAPTION + SECOND * panel.title.count("\n") for panel in panels]
    whole = sum(heads) + sum(panel.height + GAP for panel in panels) - GAP
    entries = sum(1 for panel in panels for trace in panel.traces if trace.get("showlegend", "name" in trace))
    layout: dict[str, Any] = {
        "height": whole + FOOT + ENTRY * entries,
        "margin": {"l": LEFT, "r": 14, "t": 4, "b": FOOT},
        "hovermode": "closest",
        "showlegend": entries > 0,
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": -(FOOT - 4) / whole, "yanchor": "top"},
        "annotations": [],
    }
    traces: list[Trace] = []
    top = float(whole)
    for i, (panel, head) in enumerate(zip(panels, heads, strict=True), 1):
        n, high = "" if i == 1 else str(i), top - head
        layout[f"xaxis{n}"] = {"anchor": f"y{n}", "automargin": True, "zeroline": False, **panel.x}
        layout[f"yaxis{n}"] = {
            "anchor": f"x{n}",
            "automargin": True,
            "zeroline": False,
            "domain": [round((high - panel.height) / whole, 5), round(high / whole, 5)],
            **panel.y,
        }
        layout["annotations"].append(caption(panel.title, high / whole, shift))
        traces += [{**trace, "xaxis": f"x{n}", "yaxis": f"y{n}"} for trace in panel.traces]
        top = high - panel.height - GAP
    return tuple(traces), layout


def caption(title: str, y: float, shift: int) -> dict[str, Any]:
    """The title of a panel, above its left end."""
    return {
        "text": BREAK.join(map(plain, title.split("\n"))),
        "xref": "paper",
        "x": 0,
        "xanchor": "left",
        "yref": "paper",
        "y": round(y, 5),
        "yanchor": "bottom",
        "xshift": -shift,
        "yshift": 4,
        "showarrow": False,
        "align": "left",
        "font": {"size": SMALL, "weight": "bold"},
    }


def value_axis(values: Iterable[float | int], widest: int) -> dict[str, Any]:
    """From zero, or a log axis where the values span more than a factor of ``widest``."""
    known = list(values)
    if known and min(known) > 0 and max(known) / min(known) > widest:
        return {"type": "log", "dtick": 1}
    return {"rangemode": "tozero", "nticks": 5}


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, words: int) -> Table:
    """The numbers of a chart, for download."""
    return Table(tuple(header), tuple(tuple(row) for row in rows), words)

"""A chart as traces and a layout of plotly, which the page draws and lets be read off.

What comes from outside, such as a name of a model, goes through `plain` on its way into a trace or a layout.
"""

import html
import math
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from todacomm.core.types import Number
from todacomm.report.document import style
from todacomm.report.document.chart import Axis, Cells, Chart, Panel, Rule, Series, Span, cut_at, runs_of
from todacomm.report.document.rounding import all_rounded, rounded

Trace = dict[str, Any]

SYMBOLS = dict(
    zip(
        style.MARKERS,
        ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star"),
        strict=True,
    )
) | {
    "x": "x-thin",
    "p": "pentagon",
    "d": "diamond-tall",
    ">": "triangle-right",
    "h": "hexagon",
    "|": "line-ns-open",
    "_": "line-ew-open",
}
DASHES = dict(zip(style.LINE_STYLES, ("solid", "dash", "dot", "dashdot"), strict=True))
BREAK, WIDE = "<br>", 44  # letters in a line of hover text
# pixels: the title of a panel, a line more of it, ticks, the name of an axis, of the last one, a line of the legend
CAPTION, SECOND, GAP, AXIS, FOOT, ENTRY = 34, 16, 30, 20, 54, 19
LEFT, MARK, SMALL = 56, 7, 12.5  # pixels: a margin, a mark, letters
PRESS = "A press on a name under the panels hides what is drawn of it, or shows it again."


def page_of(chart: Chart) -> dict[str, Any]:
    """Describe a chart for the script of the page, ready for JSON."""
    traces, layout = drawn(chart)
    pressed = any(key.label == one.label for key in chart.keys for panel in chart.panels for one in panel.series)
    how = " ".join([chart.caption, *chart.notes, *([PRESS] if pressed else [])])
    return {
        "title": chart.title,
        "how": how,
        "traces": traces,
        "layout": layout,
        "around": [note for i, panel in enumerate(chart.panels) for note in around_of(panel, str(i + 1) if i else "")],
        "header": list(chart.data.header),
        "rows": [list(row) for row in chart.data.rows],
    }


def drawn(chart: Chart) -> tuple[list[Trace], dict[str, Any]]:
    """Panels one under the other, as wide as the page, whatever its width: traces and layout, with the legend below."""
    panels = chart.panels
    heads = [head_of(panel) for panel in panels]
    feet = [GAP + AXIS * named_below(chart, i) for i in range(len(panels))]
    whole = sum(heads) + sum(panel.height for panel in panels) + sum(feet[:-1])
    layout: dict[str, Any] = {
        "height": whole + FOOT + ENTRY * len(chart.keys),
        "margin": {"l": LEFT, "r": 14, "t": 4, "b": FOOT},
        "hovermode": "closest",
        "showlegend": bool(chart.keys),
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": -(FOOT - 4) / whole, "yanchor": "top"},
        "annotations": [],
        "shapes": [],
    }
    traces: list[Trace] = []
    top = float(whole)
    for i, (panel, head, foot) in enumerate(zip(panels, heads, feet, strict=True)):
        n, high = str(i + 1) if i else "", top - head
        domain = [round((high - panel.height) / whole, 5), round(high / whole, 5)]
        matched = {"matches": "x"} if i and chart.shares_x else {}
        layout[f"xaxis{n}"] = axis_of(panel.x, y=f"y{n}", named=named_below(chart, i)) | matched
        equal = {"scaleanchor": f"x{n}"} if panel.equal else {}
        layout[f"yaxis{n}"] = axis_of(panel.y, y=f"x{n}", named=bool(panel.title)) | {"domain": domain} | equal
        layout["annotations"] += captions(panel, high / whole, sum(domain) / 2)
        layout["shapes"] += [shape_of(span, n) for span in panel.spans]
        traces += [{**trace, "xaxis": f"x{n}", "yaxis": f"y{n}"} for trace in traces_of(panel)]
        top = high - panel.height - foot
    first = {"xaxis": "x", "yaxis": "y"}
    return [*({**key_trace(key), **first} for key in chart.keys), *traces], layout


def named_below(chart: Chart, i: int) -> bool:
    """Whether the axis under a panel has its name: the last one, and those that differ from the next."""
    return i == len(chart.panels) - 1 or chart.panels[i].x.label != chart.panels[i + 1].x.label


def head_of(panel: Panel) -> int:
    """The pixels over a panel, for its title."""
    title = panel.title or panel.y.label
    return (CAPTION + SECOND * title.count("\n")) if title else 6


# Texts


def plain(text: str) -> str:
    """A text that plotly shows as it stands: in labels and hover text it reads tags and entities."""
    return html.escape(text, quote=False)


def hover(*lines: str) -> str:
    """Join the hover text of a mark: no empty lines, long ones wrapped."""
    return BREAK.join(plain(part) for one in lines if one for part in textwrap.wrap(one, WIDE))


def captions(panel: Panel, top: float, middle: float) -> Iterator[dict[str, Any]]:
    """The title of a panel above its left end, by default that of its axis; a word in an empty panel."""
    common = {"xref": "paper", "yref": "paper", "showarrow": False}
    if text := panel.title or panel.y.label:
        at = {"x": 0, "xanchor": "left", "y": round(top, 5), "yanchor": "bottom", "yshift": 4, "align": "left"}
        shift = 0 if panel.y.named else 6 - LEFT
        yield {**common, **at, "xshift": shift, "text": lined(text), "font": {"size": SMALL, "weight": "bold"}}
    if panel.empty:
        yield {**common, "x": 0.5, "y": middle, "text": plain(panel.empty)}


def around_of(panel: Panel, n: str) -> Iterator[dict[str, Any]]:
    """The texts around the middle of the panel of this number, each with the ``number`` for a narrow page."""
    for one in panel.around:
        across = {"left": "right", "right": "left", "center": "center"}[one.side]
        up = "middle" if one.side != "center" else "bottom" if one.y > 0 else "top"
        at = {"x": rounded(one.x), "y": rounded(one.y), "xref": f"x{n}", "yref": f"y{n}"}
        look = {"xanchor": across, "yanchor": up, "showarrow": False, "font": {"size": 11.5}}
        yield {**at, **look, "text": plain(one.text), "number": plain(one.number)}


def lined(text: str) -> str:
    """A text in its lines."""
    return BREAK.join(map(plain, text.split("\n")))


def coloured(colour: str) -> str:
    """A colour as the page knows it: greys are the soft colours of its theme; black is made its ink by the script."""
    return {style.GREY: "soft", style.PALE: "line"}.get(colour, colour)


def faint(of: str, share: float) -> str:
    """A colour of the palette, mostly transparent, for a band."""
    red, green, blue = (int(of[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


# Axes


def axis_of(axis: Axis, *, y: str, named: bool) -> dict[str, Any]:
    """An axis of plotly, anchored to the other of its panel, with its name where it is ``named``."""
    found: dict[str, Any] = {"anchor": y, "automargin": True, "zeroline": False}
    if named and axis.label:
        found["title"] = {"text": lined(axis.label), "font": {"size": SMALL}, "standoff": 6}
    if axis.kind == "log":
        found["type"] = "log"
    if axis.limits:
        found["range"] = [place_on(axis, end) for end in axis.limits]
    elif axis.from_zero:
        found["rangemode"] = "tozero"
    if axis.ticks is None and axis.whole and axis.limits:
        found["dtick"] = style.step_of(math.ceil(axis.limits[1] - axis.limits[0]), axis.most)
    elif axis.ticks is None:
        found["nticks"] = axis.most
    else:
        found |= {
            "tickvals": [rounded_on(axis, at) for at, _ in axis.ticks],
            "ticktext": [lined(t) for _, t in axis.ticks],
        }
    if axis.hidden:
        found["visible"] = False
    if axis.named:
        found |= {"showgrid": False, "ticks": ""}
    return found


def place_on(axis: Axis, value: float) -> float:
    """The end of an axis for plotly: a logarithm on a log axis."""
    return math.log10(value) if axis.kind == "log" else bent(value, axis.bend) if axis.kind == "bent" else value


def rounded_on(axis: Axis, value: Number) -> Number:
    """A number as plotly is told of it, which knows no axis that is linear about zero and logarithmic beyond."""
    return rounded(bent(value, axis.bend) if axis.kind == "bent" and value is not None else value)


def bent(value: float, bend: float) -> float:
    """A number where it stands on an axis that reaches far: linear up to ``bend``, in logarithms beyond."""
    size = abs(value) / bend
    return math.copysign(1 + math.log10(size) if size > 1 else size, value)


# A panel


def traces_of(panel: Panel) -> Iterator[Trace]:
    """All that is drawn in a panel, from the back."""
    if panel.cells:
        yield cells_trace(panel.cells)
    yield from (rule_trace(panel, rule) for rule in panel.rules)
    for one in panel.series:
        yield from bands(panel, one)
    for one in panel.series:
        yield from series_traces(panel, one)


def shape_of(span: Span, n: str) -> dict[str, Any]:
    """A shaded part of the panel of this number: through all of it, or along one row."""
    through = {"yref": f"y{n} domain", "y0": 0, "y1": 1}
    rows = through if span.row is None else {"yref": f"y{n}", "y0": span.row - 0.4, "y1": span.row + 0.4}
    ends = {"xref": f"x{n}", "x0": rounded(span.low), "x1": rounded(span.high)}
    look = {"layer": "below", "fillcolor": faint(span.colour, span.strength), "line": {"width": 0}}
    return {"type": "rect", **ends, **rows, **look}


def rule_trace(panel: Panel, rule: Rule) -> Trace:
    """A straight line from one end of a panel to the other; no shape, which would lie under the grid."""
    one, other, axis = ("x", "y", panel.y) if rule.along == "x" else ("y", "x", panel.x)
    known = [v for series in panel.series for v in getattr(series, other) if v is not None]
    ends = axis.limits or (min(known, default=0.0), max(known, default=1.0))
    at = rounded_on(panel.x if one == "x" else panel.y, rule.at)
    line = {"color": coloured(rule.colour), "width": 1, "dash": DASHES[rule.dashes]}
    drawn = {one: [at, at], other: [rounded_on(axis, end) for end in ends]}
    return {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False, "line": line, **drawn}


def series_traces(panel: Panel, one: Series) -> Iterator[Trace]:
    """The line with its marks and what is told at each; what hangs loose is reached by a line of dots."""
    if one.loose and one.dashes:
        dotted = {**base_of(one), "mode": "lines", "hoverinfo": "skip", "line": {**stroke(one), "dash": "dot"}}
        yield {**dotted, **numbers(panel, part_of(one, len(one.x) - 2, len(one.x)))}
        yield from series_traces(panel, part_of(one, 0, len(one.x) - 1))
        yield from series_traces(panel, replace(part_of(one, len(one.x) - 1, len(one.x)), dashes=""))
        return
    found: Trace = {**base_of(one), "mode": mode_of(one), **numbers(panel, one), "hoverinfo": "skip"}
    if one.told:
        found |= {"hovertext": [hover(*lines) for lines in one.told], "hoverinfo": "text"}
    if one.dashes:
        found["line"] = stroke(one)
    if one.marker:
        found["marker"] = marks(one)
    if any(one.notes):
        at = "top center" if one.marker else "middle center"
        found |= {"text": [plain(note) for note in one.notes], "textposition": at, "textfont": {"size": 11}}
    if one.low and one.reach != "band":
        found[f"error_{one.reach}"] = whiskers(panel, one)
    yield found


def part_of(one: Series, start: int, stop: int) -> Series:
    """Some of the marks of a series."""
    each = ("x", "y", "hollow", "looks", "low", "high", "told", "notes")
    return replace(one, loose=False, **{name: getattr(one, name)[start:stop] for name in each})


def base_of(one: Series) -> Trace:
    """The common keys of a series' traces: its name, by which the legend selects them."""
    named = {"name": plain(one.label), "legendgroup": plain(one.label)} if one.label else {}
    faded = {"opacity": one.strength} if one.strength < 1 and not one.marker else {}
    return {"type": "scatter", "showlegend": False, **named, **faded}


def mode_of(one: Series) -> str:
    """The mode of a series: line, marks, words."""
    parts = (("lines", one.dashes), ("markers", one.marker), ("text", any(one.notes)))
    return "+".join(word for word, has in parts if has) or "none"


def numbers(panel: Panel, one: Series) -> dict[str, Any]:
    """The positions of the marks."""
    return {
        which: [rounded_on(axis, v) for v in of] for which, axis, of in (("x", panel.x, one.x), ("y", panel.y, one.y))
    }


def stroke(one: Series) -> dict[str, Any]:
    """The line of a series."""
    return {"color": coloured(one.colour), "width": round(1.8 * one.width, 2), "dash": DASHES[one.dashes]}


def marks(one: Series) -> dict[str, Any]:
    """The marks of a series, one colour and one symbol each; what is hollow has the colour of the page inside."""
    looks = [one.look(i) for i in range(max(len(one.y), 1))]
    edges = [coloured(colour) for colour, _, _ in looks]
    inside = ["paper" if hollow else colour for colour, (_, _, hollow) in zip(edges, looks, strict=True)]
    size = round(MARK * one.size, 1)
    return {
        "color": inside,
        "symbol": [SYMBOLS[marker] for _, marker, _ in looks],
        "size": size,
        "line": {"color": edges, "width": 1.6},
        **({"opacity": one.strength} if one.strength < 1 else {}),
    }


def whiskers(panel: Panel, one: Series) -> dict[str, Any]:
    """The intervals of marks; of none, nothing."""
    values = one.x if one.reach == "x" else one.y
    up, down = [], []
    for value, (low, high) in zip(values, one.ends, strict=True):
        least = cut_at(panel, low, "x" if one.reach == "x" else "y")
        has = value is not None and least is not None and high is not None
        up.append(rounded(high - value) if has else 0)  # type: ignore[operator]  # none of them is None
        down.append(rounded(value - least) if has else 0)  # type: ignore[operator]
    reach = {"array": up, "arrayminus": down}
    return {"type": "data", "symmetric": False, "thickness": 2, "width": 4, "color": coloured(one.colour), **reach}


def bands(panel: Panel, one: Series) -> Iterator[Trace]:
    """The intervals as a band, one polygon for each run of marks that have them; a bar where a run is one mark."""
    if not one.low or one.reach != "band":
        return
    group = {"legendgroup": plain(one.label)} if one.label else {}
    fill = faint(one.colour, one.shade + 0.04)
    for run in runs_of(one):
        there, back = run, run[::-1]
        shape = [*(one.high[i] for i in there), *(cut_at(panel, one.low[i]) for i in back)]
        yield {
            "type": "scatter",
            "mode": "lines",
            "hoverinfo": "skip",
            "showlegend": False,
            **group,
            "x": [rounded_on(panel.x, one.x[i]) for i in (*there, *back)],
            "y": [rounded_on(panel.y, v) for v in shape],
            "fill": "toself",
            "fillcolor": fill,
            "line": {"color": fill, "width": 0 if len(run) > 1 else 8},
        }


def cells_trace(cells: Cells) -> Trace:
    """Numbers as colours, each written into its place where they are few."""
    return {
        "type": "heatmap",
        "z": [all_rounded(np.array(row, dtype=np.float64)) for row in cells.values],
        "hovertext": [[hover(*lines) for lines in row] for row in cells.told],
        "hoverinfo": "text",
        "colorscale": "Cividis",
        "reversescale": True,
        "showscale": not cells.written,
        "colorbar": {"thickness": 10, "title": {"text": plain(cells.label)}},
        "xgap": 1,
        "ygap": 1,
        **({"texttemplate": "%{z:.2f}"} if cells.written else {}),
    }


# Legend


def key_trace(key: Series) -> Trace:
    """An entry of the legend alone."""
    found: Trace = {
        "type": "scatter",
        "x": [None],
        "y": [None],
        "name": plain(key.label),
        "legendgroup": plain(key.label),
        "hoverinfo": "skip",
    }
    if key.marker:
        found["marker"] = marks(key)
    if key.dashes:
        found["line"] = stroke(key)
    return {**found, "mode": mode_of(key)}

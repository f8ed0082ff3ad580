"""The chart of two series beside each other: how far each layer is apart at every common step."""

from collections.abc import Iterator

import numpy as np

from todacomm.comparison.partings import Parted, Parting
from todacomm.report.document import style
from todacomm.report.document.chart import Axis, Chart, Charts, Panel, Rule, Series, exact, finite, table
from todacomm.report.tracking.numbers import called, step_axis
from todacomm.report.words.intervals_and_nulls import p_text
from todacomm.report.words.phrases import number

parting_charts: Charts[Parted] = Charts("chart of partings")


@parting_charts.register("track_parting")
def parting_chart(of: Parted) -> Iterator[Chart]:
    """One panel a layer: the second minus the first along the steps, filled where they differ."""
    if not of.partings:
        return
    how = "paired by text" if of.how == "paired" else "of independent samples"
    yield Chart(
        f"track_parting_{of.first}_{of.second}",
        f"Where {of.second} and {of.first} part",
        f"{called(of.number)} of {of.second} minus that of {of.first}, {how}, with 95 % intervals at each step. Filled "
        "marks: they differ (p at most 0.05, adjusted over all steps and layers); hollow ones: no difference is shown.",
        tuple(layer_panel(one) for one in of.partings),
        table(("layer", "step", "difference", "low", "high", "p_adjusted"), rows_of(of)),
        keys=(
            Series(label="they differ", dashes=""),
            Series(label="no difference is shown", dashes="", hollow=(True,)),
        ),
        heading=f"{of.second} − {of.first}",
        columns=3,
        tall=1.45,
    )


def layer_panel(one: Parting) -> Panel:
    """The difference of one layer along the steps."""
    y = finite(one.difference)
    series = Series(
        tuple(map(float, one.steps)),
        y,
        hollow=tuple(not apart for apart in one.apart),
        low=finite(one.low),
        high=finite(one.high),
        told=tuple(told_at(one, t) for t in range(len(y))),
        size=0.9,
    )
    known = [abs(v) for v in (*one.low, *one.high, *one.difference) if np.isfinite(v)]
    reach = 1.1 * max(known, default=1.0) or 1.0
    return Panel((series,), step_axis(one.steps), Axis("", limits=(-reach, reach)), title=layer_of(one),
                 rules=(Rule(0.0, "y", style.GREY),), height=110)  # fmt: skip


def layer_of(one: Parting) -> str:
    """The layer, or both where they are called differently."""
    return one.layer if one.layer == one.other else f"{one.layer} / {one.other}"


def told_at(one: Parting, t: int) -> tuple[str, ...]:
    """What the page tells at one step."""
    ends = f" [{number(one.low[t], 3)}, {number(one.high[t], 3)}]" if np.isfinite(one.low[t]) else ""
    p = f"p {p_text(one.p[t])}" if np.isfinite(one.p[t]) else "untested"
    return (f"{layer_of(one)}, step {one.steps[t]:,}", f"difference {number(one.difference[t], 3)}{ends}", p)


def rows_of(of: Parted) -> Iterator[tuple[str, ...]]:
    """Every difference, for download."""
    for one in of.partings:
        for t, step in enumerate(one.steps):
            yield (layer_of(one), str(step), *map(exact, (one.difference[t], one.low[t], one.high[t], one.p[t])))

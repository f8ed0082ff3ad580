"""The axes that a figure is drawn into: those of a user, or new ones of one column."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from todacomm.report.document import style
from todacomm.report.document.style import COLUMN


@contextmanager
def onto(ax: Axes | None, height: float = 2.5) -> Iterator[Axes]:
    """The axes that were given; else new ones of one column in our style, which they keep when that is left."""
    if ax is not None:
        yield ax
        return
    with style.styled():
        made = Figure(figsize=(COLUMN, height), dpi=style.DPI).add_subplot()
        _keep_look(made, rcParams)
        yield made


def _keep_look(axes: Axes, ours: Any) -> None:
    """Ticks that are made later, when the figure is written, look as those made now."""
    for axis in ("x", "y"):
        axes.tick_params(
            axis=axis,
            labelsize=ours[f"{axis}tick.labelsize"],
            color=ours[f"{axis}tick.color"],
            labelcolor=ours[f"{axis}tick.color"],
            width=ours[f"{axis}tick.major.width"],
            grid_color=ours["grid.color"],
            grid_linewidth=ours["grid.linewidth"],
        )

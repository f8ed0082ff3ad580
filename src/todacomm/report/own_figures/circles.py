"""The rows of an embedding on the plane of one frequency."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from todacomm.core.errors import InvalidCloud, InvalidInput
from todacomm.core.recipe import FEWEST_POINTS
from todacomm.report.document.style import COLUMN
from todacomm.report.own_figures.axes import onto
from todacomm.report.training.clock_plots import LABELS, Clock, draw_clock, in_order
from todacomm.report.words import phrases
from todacomm.training.fourier import Characters, additive_characters, coefficients, plane, shares


def clock(
    embedding: np.ndarray,
    frequency: int,
    ax: Axes | None = None,
    *,
    characters: Characters | None = None,
    labels: int = LABELS,
) -> Axes:
    """Draw the rows of an embedding on the plane of one frequency of a cyclic group.

    Row a is residue a. Colour is its hour, k·a mod c, and a thin line joins the residues in the order of the hours: a
    circle where they are in order, a tangle where they are not. Below the axes are the fraction of the variance in this
    plane, and the order |mean exp i(angle − hour)|, which is 1 for perfect hours. A plane is chosen for its frequency,
    so random rows have some order too.

    Parameters
    ----------
    embedding : (c, d) array
        One row a residue.
    frequency : int
        k, from 1 to half of the group's order.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes of one column by default.
    characters : Characters, optional
        Those of the group, where it is not addition mod c, as `todacomm.training.fourier.multiplicative_characters`.
    labels : int
        How many residues are named.

    Returns
    -------
    matplotlib.axes.Axes
        In units of the root mean square radius.

    Raises
    ------
    InvalidCloud
        For what is no (c, d) array of finite numbers.
    InvalidInput
        For a frequency that the group does not have.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> hours = 2 * np.pi * 3 * np.arange(12) / 12
    >>> td.plots.clock(np.c_[np.cos(hours), np.sin(hours)], 3).get_xlabel()
    'k = 3 · 100 % of the variance · order 1.00'

    References
    ----------
    Nanda et al. 2023, https://arxiv.org/abs/2301.05217

    """
    rows = _rows(embedding)
    group = additive_characters(len(rows)) if characters is None else characters
    if len(rows) <= group.members.max():
        raise InvalidInput(f"{len(rows)} rows; these characters speak of rows up to {group.members.max()}")
    last = group.order // 2
    if not 1 <= frequency <= last:
        raise InvalidInput(f"frequency {frequency}; a cyclic group of order {group.order} has those from 1 to {last}")
    table = coefficients(rows, group)
    points = plane(rows, group, frequency, table)
    found = Clock(frequency, points, float(shares(table)[frequency - 1]), in_order(points, frequency))
    with onto(ax, height=0.94 * COLUMN) as axes:
        draw_clock(axes, found, group, labels=labels)
        axes.set_xlabel(f"k = {frequency} · {phrases.share(found.share, 0)} of the variance · order {found.order:.2f}")
        return axes


def _rows(embedding: np.ndarray) -> Float[np.ndarray, "c d"]:
    rows = np.asarray(embedding)
    if rows.ndim != 2 or len(rows) < FEWEST_POINTS or rows.dtype.kind not in "fiu":
        raise InvalidCloud(
            f"an embedding of shape {rows.shape} of type {rows.dtype}; expected numbers of shape "
            f"(c residues, d features), c at least {FEWEST_POINTS}"
        )
    if not np.isfinite(rows).all():
        raise InvalidCloud(f"{int((~np.isfinite(rows)).any(axis=1).sum())} of {len(rows)} rows hold NaN or infinity")
    return rows

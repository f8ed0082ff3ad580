"""The bars of one layer: diagram, barcode, Betti curves."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.types import Measurement, Profile
from todacomm.report.document import style
from todacomm.report.document.style import COLUMN
from todacomm.report.layers import diagram_plots
from todacomm.report.layers.series import signal_bars
from todacomm.report.own_figures.axes import onto
from todacomm.report.words import phrases

At = str | int | None


def diagram(
    given: Profile | Measurement,
    at: At = None,
    ax: Axes | None = None,
    *,
    dimensions: Sequence[int] | None = None,
    limit: float | None = None,
    ring: bool = True,
) -> Axes:
    """Draw a persistence diagram: birth against death of every finite bar, in units of the median distance.

    Parameters
    ----------
    given : Profile or Measurement
        What holds the diagrams.
    at : str or int, optional
        The layer or step that is meant; not needed where there is one cloud.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes of one column by default.
    dimensions : sequence of int, optional
        Homology dimensions; all that were computed by default.
    limit : float, optional
        Where both axes end, in median distances; give several panels the same.
    ring : bool, default True
        Ring the loops: bars of H1 with a family-wise p-value of at most 0.05, against their layer and against the group
        of points that they lie in.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UnknownName
        For a layer or step that is not there.
    InvalidInput
        For a dimension that was not computed, and where a cloud has no median distance.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> cloud = np.random.default_rng(0).normal(size=(40, 3))
    >>> measured = td.measure(cloud, resamples=0, null_draws=0)
    >>> td.plots.diagram(measured).get_xlabel()
    'birth / median distance'

    """
    chosen = _one(given, at)
    shown = _dimensions(chosen, range(chosen.diagrams.maxdim + 1) if dimensions is None else dimensions)
    with onto(ax, height=0.94 * COLUMN) as axes:
        until = diagram_plots.diagram_limit([chosen], shown) if limit is None else limit
        diagram_plots.draw_diagram(axes, chosen, limit=until, dimensions=shown)
        if ring and isinstance(given, Profile) and 1 in shown:
            diagram_plots.draw_signal(axes, given, chosen)
        axes.set(xlabel="birth / median distance", ylabel="death / median distance")
        if len(shown) > 1:
            axes.legend(loc="lower right", handletextpad=0.1, borderaxespad=0.1, markerscale=1.8)
        return axes


def barcode(
    given: Profile | Measurement, at: At = None, ax: Axes | None = None, *, dimension: int = 1, most: int = 60
) -> Axes:
    """Draw the longest bars of one dimension from birth to death, in units of the median distance.

    The first born is at the bottom; classes that never die end in an arrow. Where the profile has its Gaussian null,
    loops are drawn whatever their length, and all other bars of H1 are pale.

    Parameters
    ----------
    given : Profile or Measurement
        What holds the diagrams.
    at : str or int, optional
        The layer or step that is meant; not needed where there is one cloud.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes of one column by default.
    dimension : int, default 1
        Homology dimension.
    most : int, default 60
        How many bars.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UnknownName
        For a layer or step that is not there.
    InvalidInput
        For a dimension that was not computed, and where a cloud has no median distance.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> cloud = np.random.default_rng(0).normal(size=(40, 3))
    >>> measured = td.measure(cloud, resamples=0, null_draws=0)
    >>> td.plots.barcode(measured, dimension=0, most=10).get_xlabel()
    'filtration value / median distance'

    """
    chosen = _one(given, at)
    _dimensions(chosen, [dimension])
    if most < 1:
        raise InvalidInput(f"most={most}: expected the number of bars to draw, 1 or more")
    strong = signal_bars(given, chosen) if isinstance(given, Profile) and dimension == 1 else None
    with onto(ax) as axes:
        diagram_plots.draw_barcode(axes, chosen, dimension, most=most, strong=strong)
        return axes


def betti(
    given: Profile | Measurement, at: At = None, ax: Axes | None = None, *, dimension: int = 1, bar: bool = True
) -> Axes:
    """Draw Betti curves: how many clusters, loops or voids there are when points closer than a distance are joined.

    The distance is in units of the median distance. Dashed curves are of flagged layers; undefined layers are left out.

    Parameters
    ----------
    given : Profile or Measurement
        What holds the diagrams.
    at : str or int, optional
        The layer or step that is meant; without it, one curve for every layer or step, coloured by its place.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes of one column by default.
    dimension : int, default 1
        Homology dimension: 0 clusters, 1 loops, 2 voids.
    bar : bool, default True
        Draw the colour bar beside, where there are several curves.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UnknownName
        For a layer or step that is not there.
    InvalidInput
        For a dimension that was not computed, and where a cloud has no median distance.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> cloud = np.random.default_rng(0).normal(size=(40, 3))
    >>> measured = td.measure(cloud, resamples=0, null_draws=0)
    >>> td.plots.betti(measured).get_ylabel()
    'Betti number β1'

    """
    of_all = isinstance(given, Profile) and at is None and len(given.measurements) > 1
    chosen = None if of_all else _one(given, at)
    _dimensions(chosen or given.measurements[0], [dimension])  # type: ignore[union-attr]  # a profile where none is chosen
    with onto(ax) as axes:
        if chosen is None and isinstance(given, Profile):
            diagram_plots.draw_betti(axes, given, dimension)
        elif chosen is not None:
            grid = diagram_plots.betti_grid([chosen], dimension)
            diagram_plots.draw_betti_curve(axes, chosen, dimension, grid, color=style.HOMOLOGY[dimension])
            diagram_plots.label_betti(axes, dimension, grid)
        diagram_plots.frame_betti(axes, dimension)
        if of_all and bar:
            diagram_plots.depth_bar(axes.figure, given, [axes], most=9)  # type: ignore[arg-type]  # a profile
        return axes


def _one(given: Profile | Measurement, at: At) -> Measurement:
    """The measurement that is meant, which has a median distance."""
    chosen = given if isinstance(given, Measurement) else _at(given, at)
    if isinstance(given, Measurement) and at is not None:
        raise InvalidInput(f"at={at!r} says which measurement of a profile is meant; one measurement needs none")
    if chosen.facts.undefined:
        raise InvalidInput(
            f"{chosen.address}: {chosen.facts.undefined}, so that there is no median distance to draw its bars in "
            "units of"
        )
    return chosen


def _at(found: Profile, at: At) -> Measurement:
    if at is None and len(found.measurements) == 1:
        return found.measurements[0]
    names = phrases.positions(found)
    if at is None:
        raise InvalidInput(f"{len(names)} {found.along}s; say with at= which one is meant: {', '.join(names)}")
    if str(at) not in names:
        raise UnknownName(found.along, str(at), names)
    return found.measurements[names.index(str(at))]


def _dimensions(chosen: Measurement, wanted: Sequence[int]) -> Sequence[int]:
    """The homology dimensions, all of which were computed."""
    most = chosen.diagrams.maxdim
    for dimension in wanted:
        if not 0 <= dimension <= most:
            raise InvalidInput(f"dimension {dimension}; H0 to H{most} were computed, maxdim={dimension} computes it")
    if not wanted:
        raise InvalidInput(f"no dimension is wanted; expected some of 0 to {most}")
    return wanted

"""Figures as files."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from todacomm.core.errors import InvalidInput
from todacomm.core.types import Profile
from todacomm.report.document import figure_parts, style
from todacomm.report.document.figure_formats import FORMATS, Figures
from todacomm.report.layers import all_figures


def save(drawn: Figure | Axes, path: str | Path) -> Path:
    """Write a figure to a .png, .pdf or .svg file; the same figure gives the same bytes.

    Neither date nor version is written. Text in a PDF stays text, in TrueType fonts; letters of an SVG are outlines.

    Parameters
    ----------
    drawn : matplotlib.figure.Figure or matplotlib.axes.Axes
        What to write.
    path : str or Path
        Its suffix decides the format; missing directories are made.

    Returns
    -------
    Path

    Raises
    ------
    InvalidInput
        For another suffix.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import todacomm as td
    >>> axes = td.plots.diagram(td.measure(np.random.default_rng(0).normal(size=(20, 3)), resamples=0, null_draws=0))
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     td.plots.save(axes, f"{directory}/figure.svg").name
    'figure.svg'

    """
    place = Path(path)
    if place.suffix.removeprefix(".") not in FORMATS:
        raise InvalidInput(f"{place.name}: expected a name that ends in {', '.join(f'.{form}' for form in FORMATS)}")
    place.parent.mkdir(parents=True, exist_ok=True)
    with style.for_files():
        figure_parts.write_figure(drawn.figure.figure if isinstance(drawn, Axes) else drawn, place)
    return place


def write_figures(
    profile: Profile, directory: str | Path, *, formats: str | Sequence[str] = "png", bare: bool = False
) -> list[Path]:
    """Write every figure of a report on a profile into a directory.

    Parameters
    ----------
    profile : Profile
        What `run` or `measure` returns.
    directory : str or Path
        Where the figures go; it is made if it is missing.
    formats : str or sequence of str, default "png"
        Of ``png``, ``pdf`` and ``svg``; the others lie beside the PNG.
    bare : bool, default False
        Leave out headings and small print, which go into text files beside, and fit the width to columns of a journal.

    Returns
    -------
    list of Path
        The PNG files.

    Raises
    ------
    UnknownName
        For another format.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import todacomm as td
    >>> profile = td.measure(np.random.default_rng(0).normal(size=(20, 3)), resamples=0, null_draws=0)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     all(path.suffix == ".png" for path in td.plots.write_figures(profile, directory))
    True

    """
    names = formats.split(",") if isinstance(formats, str) else formats
    with style.drawn_as(Figures(tuple(name.strip() for name in names), bare)):
        return all_figures.write_figures(profile, Path(directory))

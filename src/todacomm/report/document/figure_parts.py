"""What all figures share: small print, and how they are written.

Every figure is a `matplotlib.figure.Figure`: no pyplot, no state that outlives the call.
"""

import io
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from todacomm.records.files.io import write_atomically
from todacomm.report.document import style

SMALL = 4.5  # inches, below which a bare figure is fitted to one column
WORDS = "words"  # the mark of a title that a caption would say
UNDATED: Mapping[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
    "svg": dict.fromkeys(("Date", "Creator")),
}


def save(drawn: Figure, path: Path) -> Path:
    """Write the PNG ``path``, and beside it the other formats that are asked for; of a bare figure its words as text.

    The files depend on nothing but what is drawn: no date, no version of the writer. Returns the path of the PNG.
    """
    figures = style.asked()
    if figures.bare:
        fit_column(drawn)
        said = words_taken_off(drawn)
        if said:
            write_atomically(path.with_suffix(".txt"), "\n\n".join(said) + "\n")
    with style.styled():
        for form in figures.formats:
            write_figure(drawn, path.with_suffix(f".{form}"))
    return path


def write_figure(drawn: Figure, path: Path) -> None:
    """One file of a figure, in the format of its suffix."""
    content, form = io.BytesIO(), path.suffix.removeprefix(".")
    drawn.savefig(content, format=form, dpi=style.DPI, metadata=UNDATED[form])
    write_atomically(path, content.getvalue())


def fit_column(drawn: Figure) -> None:
    """Make a small figure as wide as one column."""
    if drawn.get_figwidth() < SMALL:
        drawn.set_figwidth(style.COLUMN)


def words_taken_off(drawn: Figure) -> list[str]:
    """Remove heading, small print and titles that belong in a caption from a figure; return their texts."""
    titles = [axes.title for axes in drawn.axes if axes.title.get_gid() == WORDS]
    said = [drawn.get_suptitle(), *(title.get_text() for title in titles), drawn.get_supxlabel()]
    for text in (drawn.suptitle(""), drawn.supxlabel(""), *titles):
        text.set_text("")
        text.set_in_layout(False)
    return [words.replace(r"\$", "$") for words in said if words]


def explain(drawn: Figure, lines: Iterable[str], *, width: int = 132) -> None:
    """Small print under the panels."""
    text = "\n".join(textwrap.fill(line.replace("$", r"\$"), width) for line in lines if line)
    if text:
        drawn.supxlabel(text, x=0.01, ha="left", fontsize=6.5, color="#3A3A3A", linespacing=1.35)


def inches_wide(axes: Axes) -> float:
    """About how wide axes are, before the figure is laid out."""
    return float(axes.figure.figure.get_figwidth() * axes.get_position().width)

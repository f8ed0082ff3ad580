"""Choose and place the figures of a training experiment, and its animation."""

import re
from pathlib import Path

from todacomm.report.training import curve_charts  # isort: skip  # importing them registers their figures, in this order
from todacomm.report.training import curve_plots  # isort: skip
from todacomm.report.training import clock_plots  # isort: skip
from todacomm.report.training import turning_chart  # isort: skip
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.records.training import WEIGHTS
from todacomm.report.document.matplotlib_renderer import write_charts
from todacomm.report.training.animation import write_animation
from todacomm.report.training.copies_sections import write_copies_figures
from todacomm.report.training.read_experiment import Exhibit, Findings
from todacomm.report.training.signature_charts import grok_charts
from todacomm.report.training.training_figure_parts import write_drawings

__all__ = [
    "absent",
    "cell_directory",
    "clock_plots",
    "curve_charts",
    "curve_plots",
    "turning_chart",
    "write_grok_figures",
]

MOST_OTHER_CELLS = 12  # whose curves are drawn beside those of the cell that is shown in full
ANIMATION = (
    "The embedding as it turns into circles",
    (
        "The rows of the embedding on the planes of the final strongest frequencies, step by step, each plane in units "
        "of its root mean square radius; coloured and joined as on the clock. Below, accuracy and H1 max with a mark "
        "that moves. The planes are chosen for their frequencies at each step, so that some order is there from the "
        "start. More frames are given to the steps up to generalisation; the last one is held."
    ),
)


def write_grok_figures(findings: Findings, directory: Path, attempt: Attempt = strictly) -> list[Path]:
    """All figures of the shown cell, those of a sweep, and the curves of its other cells; ``attempt`` may skip any."""
    shown = findings.shown
    animated = attempt("figure embedding", lambda: write_animation(shown, directory / "embedding.gif"))
    others = [exhibit for exhibit in findings.exhibits if exhibit is not shown][:MOST_OTHER_CELLS]
    return [
        *write_charts(grok_charts.of(findings, "sweep"), directory, attempt),
        *write_drawings(shown, directory, attempt=attempt),
        *write_charts(grok_charts.of(findings, "signature"), directory, attempt),
        *([animated] if animated else []),
        *(attempt("figures of copies", lambda: write_copies_figures(findings, directory)) or ()),
        *(path for e in others for path in write_drawings(e, cell_directory(directory, e.cell), ["training_curves"])),
    ]


def cell_directory(directory: Path, cell: str) -> Path:
    """The directory of the figures of another cell of a sweep."""
    return directory / re.sub(r"[^\w.=,-]+", "_", cell) if cell else directory


def absent(exhibit: Exhibit) -> list[str]:
    """Why figures are left out."""
    if not exhibit.shown:
        return ["No run left a checkpoint: there is nothing to draw."]
    said = []
    if exhibit.without_fourier:
        said.append(f"No clock, no spectrum, no Lissajous figures, no animation: {exhibit.without_fourier}.")
    elif exhibit.chosen and not (exhibit.chosen.directory / WEIGHTS).exists():
        said.append(
            "No Lissajous figure of neurons: the run that is shown did not come to its end, and left no weights."
        )
    if exhibit.signature is None:
        said.append("No figure of the signature: there is no null band.")
    return said

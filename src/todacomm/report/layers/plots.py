"""Every figure of one profile, drawn and written.

A figure is one decorated function in along_plots.py or diagram_plots.py; its decorator carries file name, title, caption.
"""

from pathlib import Path

from todacomm.core.types import Profile
from todacomm.report.document.figure_parts import Drawing, drawings, save
from todacomm.report.layers import (  # importing them registers their figures, in this order
    along_plots,
    diagram_plots,
    null_plots,
)

__all__ = ["Drawing", "along_plots", "diagram_plots", "drawings", "null_plots", "write_figures"]


def write_figures(profile: Profile, directory: Path) -> list[Path]:
    """Every figure of a profile as PNG; of a single cloud only those that need no second one, of a null only where one was drawn."""
    single, null = len(profile.measurements) == 1, profile.claims is not None and "gaussian" in profile.claims.tests
    wanted = [d for d in drawings.values() if (d.of_one_cloud or not single) and (null or not d.of_a_null)]
    return [save(d.draw(profile), Path(directory) / f"{d.name}.png") for d in wanted]

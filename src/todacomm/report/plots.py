"""Every figure of one profile, drawn and written.

A figure is one decorated function in along_plots.py or diagram_plots.py; its decorator carries file name, title, caption.
"""

from pathlib import Path

from todacomm.report import along_plots, diagram_plots  # importing them registers their figures, in this order
from todacomm.report.panels import Drawing, drawings, save
from todacomm.types import Profile

__all__ = ["Drawing", "along_plots", "diagram_plots", "drawings", "write_figures"]


def write_figures(profile: Profile, directory: Path) -> list[Path]:
    """Every figure of a profile as PNG; of a single cloud only those that need no second one."""
    single = len(profile.measurements) == 1
    wanted = [d for d in drawings.values() if d.of_one_cloud or not single]
    return [save(d.draw(profile), Path(directory) / f"{d.name}.png") for d in wanted]

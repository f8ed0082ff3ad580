"""Write every figure of one profile.

A figure is one decorated function in along_charts.py or diagram_plots.py; its decorator has file name, title, caption.
"""

from pathlib import Path

from todacomm.core.types import Profile
from todacomm.report.document.drawings import Drawn
from todacomm.report.layers import along_charts, diagram_plots  # importing them registers their figures, in this order
from todacomm.report.layers.along_charts import drawings

__all__ = ["Drawn", "along_charts", "diagram_plots", "drawings", "write_figures"]


def write_figures(profile: Profile, directory: Path) -> list[Path]:
    """Write every figure of a profile as PNG; without those that need a second cloud, or a null, where it has none."""
    single, null = len(profile.measurements) == 1, profile.claims is not None and "gaussian" in profile.claims.tests
    wanted = [d.name for d in drawings.values() if (d.of_one_cloud or not single) and (null or not d.of_a_null)]
    return drawings.write(profile, directory, wanted)

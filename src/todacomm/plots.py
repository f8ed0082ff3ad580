"""Draw figures of your own: each function draws into the Axes given, or new ones of one column, and returns them.

    import matplotlib.pyplot as plt
    import todacomm as td

    plt.style.use("todacomm.paper")
    figure, (left, right) = plt.subplots(1, 2, figsize=(td.plots.WIDTH, 2.6))
    td.plots.profile(measured, "H1_max_lifetime", left)
    td.plots.diagram(measured, "layer_3", right)
    td.plots.save(figure, "figure_1.pdf")

Axes carry their units; titles are left to you. Profiles along layers and along training steps are drawn by the same
functions. Your axes keep their style; new ones have ours. `write_figures` draws the figures of the reports.
"""

from todacomm.report.document.style import COLUMN, WIDTH
from todacomm.report.own_figures.along import comparison, expansion, profile
from todacomm.report.own_figures.bars import barcode, betti, diagram
from todacomm.report.own_figures.circles import clock
from todacomm.report.own_figures.files import save, write_figures

__all__ = [
    "COLUMN",
    "WIDTH",
    "barcode",
    "betti",
    "clock",
    "comparison",
    "diagram",
    "expansion",
    "profile",
    "save",
    "write_figures",
]

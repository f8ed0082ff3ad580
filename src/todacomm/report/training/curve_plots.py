"""The figures along the steps of training that draw themselves: diagrams at four moments, and the spectrum."""

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from todacomm.core.types import Measurement
from todacomm.records.training import frequencies, read_checkpoint, read_profile
from todacomm.report.document import style
from todacomm.report.document.matplotlib_renderer import plain_number, shielded
from todacomm.report.layers.diagram_plots import diagram_limit, draw_diagram
from todacomm.report.training.read_experiment import Exhibit, Trained, moments
from todacomm.report.training.training_figure_parts import grok_figure, heading

LEAST_SHARE = 1e-3  # of the variance; darker is not told apart
MOST_SPECTRA = 3


# Diagrams


@grok_figure(
    "persistence_moments",
    title="Persistence diagrams at four moments",
    caption="Each dot is one bar of the followed cloud, centred and on the unit sphere: born at the distance (chord) "
    "on the horizontal axis, dead at the one on the vertical axis; far above the diagonal means long-lived. Below, the "
    "bars of H1 alone, by their lifetime, the longest ringed. One run is shown: the first that grokked, else the "
    "first.",
)
def persistence_moments(exhibit: Exhibit) -> Figure | None:
    """The diagrams of one run at its start, on its plateau, when it generalised, at its end."""
    run = exhibit.chosen
    if run is None:
        return None
    measured = {m.address.step: m for m in read_profile(run.directory, exhibit.layer).measurements}
    found = [(step, word, measured[step]) for step, word in moments(run) if step in measured]
    if not found:
        return None
    drawn = Figure(figsize=(style.WIDTH, 4.5))
    drawn.suptitle(shielded(heading(exhibit, run)), fontsize=9)
    panels = drawn.subplots(2, len(found), squeeze=False, sharex="row", sharey="row", height_ratios=(1.35, 1))
    measurements = [m for *_, m in found]
    limit = diagram_limit(measurements, range(measurements[0].diagrams.maxdim + 1), scaled=False)
    for above, below, (step, word, m) in zip(*panels, found, strict=True):
        draw_diagram(above, m, limit=limit, scaled=False)
        draw_loops(below, m)
        above.set(title=f"step {step:,}\n{word}", xlabel="birth")
    panels[0][0].set_ylabel("death\n(distance on the sphere)")
    panels[1][0].set_ylabel("lifetime, H1\n(distance on the sphere)")
    panels[1][0].set_ylim(bottom=0)
    panels[0][0].legend(loc="lower right", handletextpad=0.1, borderaxespad=0.1, markerscale=1.5)
    return drawn


def draw_loops(axes: Axes, measurement: Measurement) -> None:
    """Birth against lifetime of the bars of H1, the longest ringed and told."""
    loops = measurement.diagrams.finite[1]
    lifetimes = loops[:, 1] - loops[:, 0]
    axes.scatter(loops[:, 0], lifetimes, s=8, c=style.HOMOLOGY[1], marker="s", alpha=0.55, linewidths=0)
    if len(loops):
        i = int(lifetimes.argmax())
        axes.scatter(
            loops[i : i + 1, 0], lifetimes[i : i + 1], s=40, facecolors="none", edgecolors="black", linewidths=0.8
        )
        axes.set_title(f"H1 max {lifetimes[i]:.2f}", fontsize=7.5, color=style.HOMOLOGY[1])
    axes.set_xlabel("birth")
    axes.margins(0.12)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))


# Spectrum


@grok_figure(
    "spectrum_over_time",
    title="The Fourier spectrum of the embedding over time",
    caption="The share of the variance of the embedding at each frequency (bright: much, on a logarithmic scale), step "
    "by step. Marks on the right are the strongest frequencies of the last checkpoint. A network that learns by few "
    "frequencies turns an even field into few bright lines. For multiplication and division the frequencies are those "
    "of the discrete logarithm.",
)
def spectrum_over_time(exhibit: Exhibit) -> Figure | None:
    """Frequency by step, coloured by share, of the first runs."""
    drawable = ((run, spectra(run)) for run in exhibit.shown)
    found = [(run, *seen) for run, seen in drawable if seen is not None][:MOST_SPECTRA]
    if not found:
        return None
    drawn = Figure(figsize=(style.WIDTH, 1.75 * len(found) + 0.8))
    drawn.suptitle(shielded(heading(exhibit)), fontsize=9)
    panels = drawn.subplots(len(found), 1, squeeze=False, sharex=True)[:, 0]
    scale = LogNorm(LEAST_SHARE, 1.0)
    for axes, (run, steps, table) in zip(panels, found, strict=True):
        axes.pcolormesh(
            edges(steps),
            np.arange(len(table) + 1) + 0.5,
            np.maximum(table, LEAST_SHARE),
            norm=scale,
            cmap="magma",
            rasterized=True,  # as rectangles of a PDF the cells show seams
        )
        axes.set_ylabel("frequency k")
        axes.set_title(run.label, loc="left")
        axes.grid(visible=False)
        axes.xaxis.set_major_formatter(FuncFormatter(plain_number))
        _mark_final(axes, run, len(table))
        _mark_on_map(axes, run)
    panels[-1].set_xlabel("training step (dashed line: generalised)")
    bar = drawn.colorbar(
        ScalarMappable(scale, "magma"), ax=list(panels), pad=0.06, aspect=14 * len(found), extend="min"
    )
    bar.set_label("share of the variance")
    bar.outline.set_visible(False)
    return drawn


def spectra(run: Trained) -> tuple[list[int], np.ndarray] | None:
    """The steps of a run and its shares (f, T); None where it has no spectrum."""
    steps = list(run.course.steps) if run.course else []
    found = [(step, read_checkpoint(run.directory, step).spectrum) for step in steps]
    known = [(step, shares) for step, shares in found if shares is not None]
    if not known:
        return None
    return [step for step, _ in known], np.array([shares for _, shares in known]).T


def edges(steps: Iterable[int]) -> np.ndarray:
    """The borders of the columns of a heatmap, half-way between steps; one column for one step."""
    at = np.asarray(list(steps), dtype=np.float64)
    if len(at) == 1:
        return np.array([at[0] - 0.5, at[0] + 0.5])
    half = (at[1:] + at[:-1]) / 2
    return np.concatenate([[at[0]], half, [at[-1]]])


def _mark_final(axes: Axes, run: Trained, count: int) -> None:
    """The strongest frequencies of the last checkpoint beside the axes, with labels kept apart."""
    final = sorted(frequencies(run.directory).get(run.last_step, ()))
    apart, last = count / 11, -np.inf
    for k in final:
        last = max(float(k), last + apart)
        axes.annotate(
            str(k),
            xy=(1.0, k),
            xytext=(1.025, last),
            xycoords=axes.get_yaxis_transform(),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=6.5,
            arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": style.GREY, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )


def _mark_on_map(axes: Axes, run: Trained) -> None:
    step = run.told.milestones.generalised_at if run.told else None
    if step is not None:
        axes.axvline(step, color="white", linewidth=1, linestyle=(0, (5, 3)))

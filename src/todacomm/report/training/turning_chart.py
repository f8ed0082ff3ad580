"""The chart of turned loops: how far the answers of a network turn with each loop of its embedding."""

from todacomm.circles.causal_test import turns_of
from todacomm.report.document import style
from todacomm.report.document.chart import INK, Axis, Chart, Panel, Series, exact, table
from todacomm.report.document.turns import degrees, placebo_series, quarters
from todacomm.report.training.read_experiment import Exhibit, Trained
from todacomm.report.training.training_figure_parts import grok_chart, heading
from todacomm.report.words.phrases import number, share
from todacomm.training.turned_run import TurnedLoop

COLOURS = style.PALETTE[:6]


@grok_chart(
    "turning",
    title="How far the answers turn with each loop",
    caption="Each loop of the embedding is turned by φ, all else stays; ψ is how far the answers turn at its "
    "frequency. On the dotted line they follow exactly: the network uses the loop. A hollow mark is a loop that it "
    "does not use; grey lines are placebos, displacements of the same length that do not follow the loop.",
)
def turning_chart(exhibit: Exhibit) -> Chart | None:
    """ψ against φ of every loop of one run."""
    run = turned_run(exhibit)
    if run is None or run.turned is None:
        return None
    loops = run.turned.found.loops
    drawn = [series_of(loop, i) for i, loop in enumerate(loops)]
    across = turns_of(len(loops[0].turned.psi))
    line = Series(tuple(across), tuple(across), "as far as the loop", INK, "", dashes=":")
    placebos = placebo_series(psi for loop in loops for psi in loop.turned.placebo_psi)
    reach = (min(v for one in (*drawn, placebos, line) for v in one.y if v is not None), across[-1])
    low, high = reach[0] - 0.3, max(v for one in (*drawn, placebos, line) for v in one.y if v is not None) + 0.3
    panel = Panel(
        (placebos, line, *drawn),
        Axis("φ, turn of the loop", limits=(-0.2, reach[1] + 0.2), ticks=quarters(-0.2, reach[1] + 0.2)),
        Axis("ψ, turn of the answers", limits=(low, high), ticks=quarters(low, high)),
        height=360,
    )
    rows = (
        (str(loop.name.frequency), "topology" if loop.found else "spectrum", exact(phi), exact(psi))
        for loop in loops
        for phi, psi in zip(across, loop.turned.psi, strict=True)
    )
    return Chart(
        "", "", "", (panel,), table(("frequency", "found_by", "phi", "psi"), rows),
        keys=(*drawn, line, placebos), heading=heading(exhibit, run), tall=3.6,
    )  # fmt: skip


def turned_run(exhibit: Exhibit) -> Trained | None:
    """The run whose loops are drawn: the chosen one where it was turned, else the first."""
    runs = [run for run in (exhibit.chosen, *exhibit.shown) if run is not None and run.turned is not None]
    return next((run for run in runs if run.turned and run.turned.found.loops), None)


def series_of(loop: TurnedLoop, i: int) -> Series:
    """One loop, hollow where the network does not use it."""
    one, by = loop.turned, turns_of(len(loop.turned.psi))
    label = f"{loop.name.frequency}, {'topology' if loop.found else 'spectrum'}"
    said = (
        f"{loop.verdict}; slope {number(one.slope, 2)}, R {number(one.alignment, 2)}, {share(loop.share)} of variance"
    )
    told = tuple(
        (f"frequency {label}", f"φ {degrees(a)}, ψ {degrees(b)}", said) for a, b in zip(by, one.psi, strict=True)
    )
    marker = style.MARKERS[i % len(style.MARKERS)]
    hollow = (not loop.used,) * len(by)
    return Series(tuple(by), one.psi, label, COLOURS[i % len(COLOURS)], marker, hollow=hollow, told=told)

"""Report which loops of the embedding the networks use: sentences, the chart of output phase, a row for each loop."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from todacomm.records.training import TurnedRecord
from todacomm.report.document.chart import Chart
from todacomm.report.document.pieces import Bullets, Context, Paragraph, Piece, Table, section
from todacomm.report.training.read_experiment import Exhibit, Findings, Trained
from todacomm.report.training.tables import first_cell
from todacomm.report.words.intervals_and_nulls import p_text
from todacomm.report.words.phrases import listed, number, plural, share
from todacomm.training.turned_run import TurnedLoop, TurnedRun

TURNING = "turning"


@section("grok-turned", title="Which loops the networks use", record=Findings)
def turned(findings: Findings, context: Context) -> Iterator[Piece]:
    """The loops of every run that was turned."""
    known = [(exhibit, run, run.turned) for exhibit, run in runs_of(findings) if run.turned is not None]
    if not known:
        return
    yield Bullets(tuple(f"{run.label}: {told_of(record.found)}" for _, run, record in known))
    yield from charts(findings.shown, context)
    cell = ("Cell",) if findings.swept else ()
    rows = [
        (*first_cell(findings, exhibit), *row_of(run, loop))
        for exhibit, run, record in known
        for loop in record.found.loops
    ]
    yield Table((*cell, *HEAD), tuple(rows), words=3 + len(cell), sortable=True)
    yield Paragraph(
        "A loop that was found without labels follows the frequency in its row by |r|, and visits the residues by the "
        "step in brackets; other planes are the strongest of the spectrum. Each is turned by φ, all else stays; slope "
        "and R say how far and how closely the answers follow. The full swap is the most that any loop can do; "
        f"placebos ({known[0][2].placebos}) are displacements of the same length that do not follow the loop."
    )
    yield Paragraph(cost_of([(run, record) for _, run, record in known]))


HEAD = (
    "Run",
    "Frequency",
    "Found by",
    "|r|",
    "Variance",
    "Slope",
    "Largest placebo slope",
    "R",
    "Full swap",
    "p",
    "Verdict",
)


def runs_of(findings: Findings) -> Iterator[tuple[Exhibit, Trained]]:
    """Every run and control, with its cell."""
    for exhibit in findings.exhibits:
        for run in (*exhibit.runs, *exhibit.controls):
            yield exhibit, run


def charts(exhibit: Exhibit, context: Context) -> Iterator[Chart]:
    """The chart of output phase, with its figure."""
    from todacomm.report.training.turning_chart import turning_chart  # loads matplotlib

    found = turning_chart(exhibit)
    known = {path.stem: path for path in context.get("figures", ())}
    if found is not None:
        yield replace(found, picture=known.get(TURNING))


def told_of(found: TurnedRun) -> str:
    """What came of a run, in one sentence or two."""
    used = [loop for loop in found.loops if loop.used]
    if not used:
        return f"the answers turn with none of {plural(len(found.loops), 'loop')}."
    at = f"{'frequency' if len(used) == 1 else 'frequencies'} {listed([str(one.name.frequency) for one in used])}"
    alone = [str(loop.name.frequency) for loop in used if loop.found]
    topology = f" ({listed(alone)} found without labels)" if alone else ""
    said = (
        f"of {plural(len(found.loops), 'loop')} {len(used)} {'is' if len(used) == 1 else 'are'} used: {at}{topology}."
    )
    if idle := [name_of(loop) for loop in found.loops if loop.found and not loop.used]:
        said += f" Found and not used: {listed(idle)}."
    if found.moved:
        moved = ", ".join(f"{one.step} ({share(one.share, 0)})" for one in found.moved)
        said += f" All that are used, turned together by some steps, move the answers by as many: {moved}."
    return said


def name_of(loop: TurnedLoop) -> str:
    """The frequency of a loop, with the step by which it visits the residues where it was found without labels."""
    k = str(loop.name.frequency)
    return f"{k} (by steps of {loop.inverse})" if loop.found and loop.inverse is not None else k


def row_of(run: Trained, loop: TurnedLoop) -> tuple[str, ...]:
    """One loop as text."""
    one = loop.turned
    largest = max(map(abs, one.placebo_slopes), default=None)
    return (
        run.label,
        name_of(loop),
        "topology" if loop.found else "spectrum",
        f"{loop.name.correlation:.3f}" if loop.found else "–",
        share(loop.share),
        two_digits(one.slope),
        "–" if largest is None else f"{largest:.3f}",
        two_digits(one.alignment),
        two_digits(one.swap),
        p_text(loop.p),
        loop.verdict,
    )


def two_digits(value: float) -> str:
    """A number with two digits, without the sign of a zero."""
    return f"{round(value, 2) + 0.0:.2f}"


def cost_of(known: Sequence[tuple[Trained, TurnedRecord]]) -> str:
    """How long turning took, beside training."""
    turning = sum(record.seconds for _, record in known)
    training = sum(run.seconds for run, _ in known if run.seconds is not None)
    beside = f", {share(turning / training, 0)} of the time of training and measuring these runs" if training else ""
    return f"Finding and turning took {number(turning, 2)} s over {plural(len(known), 'run')}{beside}."

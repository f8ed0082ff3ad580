"""Report the numbers of a training experiment: verdict, runs beside controls, cells of a sweep, correlations."""

from collections.abc import Iterator, Sequence

import numpy as np

from todacomm.core.inference_types import Number
from todacomm.report.document.chart import Chart, pictured
from todacomm.report.document.pieces import Context, Paragraph, Piece, Table, section
from todacomm.report.training.read_experiment import Exhibit, Findings, Trained, named, ratio_of, spoken_step
from todacomm.report.words.fields import LONGEST, WHY, depends, some, two_fields
from todacomm.report.words.phrases import listed, number, plural, share
from todacomm.statistics.changepoints import Onset
from todacomm.training.milestones import GENERALISED, LAST
from todacomm.training.observe import OVER_Z3
from todacomm.training.signature import BASELINES, Signature
from todacomm.training.verdict import ONLY, RunSummary, is_null

MOST_COLUMNS = 5  # runs that have a column of their own among the correlations


# The answer


@section("grok", title="The answer", record=Findings)
def answer(findings: Findings, _: Context) -> Iterator[Piece]:
    """The verdict of each cell in sentences, and whatever speaks against relying on it."""
    if findings.swept:
        judged = [e for e in findings.exhibits if e.signature]
        yield Paragraph(f"Over {plural(len(judged), 'cell')}: {findings.verdict}.", "answer")
    for exhibit in findings.exhibits if not findings.swept else (findings.shown,):
        where = f"{exhibit.cell}: " if exhibit.cell else ""
        if exhibit.signature:
            yield Paragraph(where + " ".join(exhibit.signature.sentences), "plain" if findings.swept else "answer")
    for exhibit in findings.exhibits:
        if not exhibit.signature:
            where = f"{exhibit.cell}: " if exhibit.cell else ""
            yield Paragraph(f"{where}no verdict. {exhibit.problem or 'There was no signature to tell of.'}", "warning")
            told = "; ".join(f"{run.label}: {run.told.said}" for run in exhibit.runs if run.told)
            yield from [Paragraph(f"{where}What the runs show without a null band: {told}.")] if told else []
    for warning in warnings(findings):
        yield Paragraph(warning, "warning")


def warnings(findings: Findings) -> list[str]:
    """Warnings of the tasks, each once; runs that stopped or were lost; controls outside the band."""
    found = list(dict.fromkeys(str(w) for run in findings.trained for w in run.about.get("warnings", ())))
    found += [f"{run.name}: {run.complaint}." for run in findings.trained if run.complaint]
    for exhibit in findings.exhibits:
        if exhibit.signature is None:
            continue
        judged = list(zip(exhibit.signature.controls, exhibit.signature.within, strict=True))
        apart = [c.name for c, within in judged if not within and is_null(c)]
        without = [f"{c.name} ({c.no_rise})" for c, _ in judged if c.rise is None]
        other = [f"{c.name}: {c.said}" for c, _ in judged if c.verdict != ONLY]
        found += [
            f"{text}: {listed(names)}."
            for text, names in (
                ("Outside the band of the other controls, so that the null band is less sure", apart),
                ("No part of the null band, for want of a ratio", without),
                ("No part of the null band, which is of controls that memorised only", other),
            )
            if names
        ]
    return [text.replace("..", ".") for text in found]


# The sweep


@section("grok-sweep", title="Cells of the sweep", record=Findings)
def sweep(findings: Findings, context: Context) -> Iterator[Piece]:
    """A row for each cell, and the figure."""
    if not findings.swept:
        return
    head = ("Cell", "Verdict", "Grokked", "Generalised at", "H1 max, after / plateau", "Null band", "Lag (steps)")
    yield Table(head, tuple(sweep_row(exhibit) for exhibit in findings.exhibits), words=2)
    yield Paragraph("Steps, ratios and lags are medians over the runs that have them; – where none has.")
    yield from sweep_charts(findings, context)


def sweep_row(exhibit: Exhibit) -> tuple[str, ...]:
    """One cell as text."""
    told = [run.told for run in exhibit.runs if run.told]
    steps = [t.milestones.generalised_at for t in told if t.milestones.generalised_at is not None]
    ratios, lags = [t.rise.ratio for t in told if t.rise], [t.lag.steps for t in told if t.lag]
    return (
        exhibit.cell.replace(",", ", "),
        exhibit.verdict,
        f"{sum(t.milestones.grokked for t in told)} of {len(exhibit.runs)}",
        spoken_step(round(float(np.median(steps)))) if steps else "–",
        ratio_of(float(np.median(ratios))) if ratios else "–",
        band_text(exhibit.signature),
        spoken_step(round(float(np.median(lags)))) if lags else "–",
    )


def band_text(found: Signature | None) -> str:
    """The null band as text."""
    return f"{number(found.band.low, 3)} to {number(found.band.high, 3)}" if found else "–"


def sweep_charts(findings: Findings, context: Context) -> Iterator[Chart]:
    """Show the same as a figure."""
    from todacomm.report.training.signature_charts import grok_charts

    return pictured(grok_charts.of(findings, "sweep"), context.get("figures", ()))


# Runs and controls


@section("grok-runs", title="Runs and controls", record=Findings)
def runs(findings: Findings, _: Context) -> Iterator[Piece]:
    """A row a run: when it learned, how far the followed number and cheaper ones rose, and when that began."""
    cell = ("Cell",) if findings.swept else ()
    shown = [(exhibit, run) for exhibit in findings.exhibits for run in (*exhibit.runs, *exhibit.controls)]
    head = (
        "Run",
        "Verdict",
        "Memorised at",
        "Generalised at",
        "Dips",
        "Plateau",
        "After",
        "Ratio",
        "In the null band?",
        "Test accuracy at the end",
    )
    cheaper = tuple(f"Ratio, {named(name)}" for name in BASELINES)
    rows = tuple((*first_cell(findings, e), *run_row(run, e.signature)) for e, run in shown)
    yield Table((*cell, *head, *cheaper), rows, words=2 + len(cell))
    yield Paragraph(
        "Test accuracy at the end is that of the last checkpoint. Plateau, after and ratio are of "
        f"{named(findings.shown.followed)}. A dip is a later evaluation with test accuracy below "
        f"{share(GENERALISED, 0)}, with the lowest accuracy in brackets. A run is judged against the band of all "
        "controls, a control against that of the others."
    )
    if warned := over_fields(findings):
        yield Paragraph(warned, "warning")
    moved = tuple((*first_cell(findings, e), *timing_row(run)) for e, run in shown if has_timing(run))
    if moved:
        yield Table((*cell, "Run", *TIMING), moved, words=1 + len(cell))
        yield Paragraph(
            "Onsets and lags have 95 % intervals, from blocks of residuals; a positive lag is topology that comes "
            "after accuracy. Where changes of both correlate too little, there is none."
        )


def over_fields(findings: Findings) -> str:
    """Name the runs whose longest H1 bar depends on the field, after the plateau; empty where none does."""
    told = [
        f"{two_fields(*found)} in {exhibit.cell + ', ' if findings.swept else ''}{run.label}"
        for exhibit in findings.exhibits
        for run in exhibit.shown
        if depends(*(found := after_over_fields(run, exhibit.followed)))
    ]
    what = f"{named(findings.shown.followed)}, median of the last {LAST} checkpoints, depends on the field"
    return f"{what} of coefficients ({some(told)}): {WHY}." if told else ""


def after_over_fields(run: Trained, followed: str) -> tuple[Number, Number]:
    """The followed number over Z/2 and Z/3, medians of the last checkpoints; None where it is undefined."""
    name = f"{followed.rpartition('/')[0]}/{OVER_Z3}"
    if run.course is None or not followed.endswith(f"/{LONGEST}") or not (run.has(followed) and run.has(name)):
        return None, None
    two, three = (run.course[which][-LAST:] for which in (followed, name))
    known = np.isfinite(two) & np.isfinite(three)
    return (float(np.median(two[known])), float(np.median(three[known]))) if known.any() else (None, None)


TIMING = (
    "Onset of H1 max (step)",
    "Onset of test accuracy (step)",
    *(f"Onset, {named(name)} (step)" for name in BASELINES),
    "Lag of H1 max (steps)",
    "Correlation at the lag",
    "At lag 0",
)


def first_cell(findings: Findings, exhibit: Exhibit) -> tuple[str, ...]:
    """The cell of a sweep; nothing without one."""
    return (exhibit.cell.replace(",", ", "),) if findings.swept else ()


def run_row(run: Trained, found: Signature | None) -> tuple[str, ...]:
    """One run as text; dashes where it has nothing to tell."""
    told = run.told
    if told is None:
        return (run.label, run.complaint or "not measured", *["–"] * (8 + len(BASELINES)))
    passed, rise = told.milestones, told.rise
    dips = f"{passed.dips} ({passed.deepest_dip:.3f})" if passed.deepest_dip is not None else str(passed.dips)
    return (
        run.label,
        told.verdict or "not judged",
        spoken_step(passed.memorised_at),
        spoken_step(passed.generalised_at),
        dips if passed.generalised_at is not None else "–",
        number(rise.plateau, 3) if rise else "–",
        number(rise.after, 3) if rise else "–",
        ratio_of(rise.ratio if rise else None),
        inside(told, found),
        number(told.ending.last_test, 3),
        *(ratio_of(told.baselines[name].ratio) if name in told.baselines else "–" for name in BASELINES),
    )


def has_timing(run: Trained) -> bool:
    """Whether anything is known of when the followed number rose."""
    return run.told is not None and any((run.told.onset, run.told.onset_of_accuracy, run.told.lag))


def timing_row(run: Trained) -> tuple[str, ...]:
    """When the followed number and accuracy began to rise, and which came first."""
    told = run.told
    if told is None:
        return (run.label, *["–"] * len(TIMING))
    lag = (
        (
            f"{told.lag.steps:,} ({told.lag.low:,} to {told.lag.high:,})",
            f"{told.lag.correlation:+.2f}",
            f"{told.lag.at_zero:+.2f}",
        )
        if told.lag
        else ("–", "–", "–")
    )
    cheaper = (onset_text(told.baseline_onsets.get(name)) for name in BASELINES)
    return (run.label, onset_text(told.onset), onset_text(told.onset_of_accuracy), *cheaper, *lag)


def inside(told: RunSummary, found: Signature | None) -> str:
    """Whether a ratio lies in the null band: of all controls for a run, of the others for a control."""
    if found is None or told.rise is None:
        return "–"
    if told in found.controls:
        return "yes" if found.within[found.controls.index(told)] else "no"
    if told.rise.ratio in found.band:
        return "yes"
    return "above" if told.rise.ratio > found.band.high else "below"


def onset_text(onset: Onset | None) -> str:
    """A step and its interval."""
    return "–" if onset is None else f"{onset.step:,} ({onset.low:,} to {onset.high:,})"


# Correlations


@section("grok-ranks", title="What moves with test accuracy", record=Findings)
def ranks(findings: Findings, _: Context) -> Iterator[Piece]:
    """Spearman's correlations of topology and of cheaper numbers with test accuracy."""
    exhibit = findings.shown
    told = [run for run in exhibit.runs if run.told and run.told.ranks]
    if not told:
        yield Paragraph(
            "No correlations: they take eight checkpoints at which neither number nor accuracy stands still."
        )
        return
    if findings.swept:
        yield Paragraph(f"Of the cell {exhibit.cell}.")
    yield rank_table(told, [run for run in exhibit.controls if run.told])
    yield Paragraph(
        "Spearman's ρ over all checkpoints of a run, with 95 % intervals from resampled blocks of checkpoints. The "
        "upper rows are topology, on the unit sphere and raw; the lower ones are what can be had without it. A "
        "correlation along one course says that two numbers change in the same stretch of training, not that one of "
        "them causes or announces the other."
    )
    if sentence := sign_sentence(exhibit):
        yield Paragraph(sentence)


def rank_table(told: Sequence[Trained], controls: Sequence[Trained]) -> Table:
    """A row for each number; a column for each run, or their median, least and most; and the controls."""
    names = list(dict.fromkeys(name for run in told if run.told for name in run.told.ranks))
    control = ("Controls (median)",) if controls else ()
    if len(told) > MOST_COLUMNS:
        rows = tuple((named(n), *summary_of_ranks(told, n), *controls_text(controls, n)) for n in names)
        return Table(("Number", "Median over runs", "Least", "Most", *control), rows)
    rows = tuple((named(n), *(rank_text(run, n) for run in told), *controls_text(controls, n)) for n in names)
    return Table(("Number", *(run.label for run in told), *control), rows)


def rhos(runs: Sequence[Trained], name: str) -> list[float]:
    """The correlations of a number in these runs, where they are defined."""
    return [run.told.ranks[name].rho for run in runs if run.told and name in run.told.ranks]


def rank_text(run: Trained, name: str) -> str:
    """A correlation with its interval."""
    found = run.told.ranks.get(name) if run.told else None
    return f"{found.rho:+.2f} ({found.low:+.2f} to {found.high:+.2f})" if found else "–"


def summary_of_ranks(told: Sequence[Trained], name: str) -> tuple[str, str, str]:
    """The median, the least and the most of a correlation over runs."""
    found = rhos(told, name)
    return (f"{np.median(found):+.2f}", f"{min(found):+.2f}", f"{max(found):+.2f}")


def controls_text(controls: Sequence[Trained], name: str) -> tuple[str, ...]:
    """The median correlation over the controls, in a column of its own; no column without controls."""
    if not controls:
        return ()
    found = rhos(controls, name)
    return (f"{np.median(found):+.2f}" if found else "–",)


def sign_sentence(exhibit: Exhibit) -> str:
    """Report whether the correlation of H1 max changes sign without the unit sphere."""
    sphere, raw = (
        rhos(
            [run for run in exhibit.runs if run.told and run.told.milestones.grokked],
            f"{exhibit.layer}/{view}/H1_max_lifetime",
        )
        for view in ("sphere", "raw")
    )
    if not sphere or not raw:
        return ""
    a, b = float(np.median(sphere)), float(np.median(raw))
    numbers = f"H1 max has ρ {a:+.2f} on the unit sphere and {b:+.2f} raw (medians over the runs that grokked)"
    if a * b < 0:
        return (
            f"The sign turns without the sphere: {numbers}. Raw lengths follow the norm of the rows as well as their "
            "shape."
        )
    return (
        f"{numbers}: here the sign stays without the sphere. Raw lengths follow the norm of the rows, so that it can "
        "turn in other recipes."
    )

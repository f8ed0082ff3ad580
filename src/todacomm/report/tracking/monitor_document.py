"""The report on what a monitor saw of a training: alerts, heat maps, onsets, curves, and what is missing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from todacomm.profiles.onsets import onsets
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.records.monitoring import Monitored, read_monitored, trajectory_of
from todacomm.report.document.chart import Chart, Charts, pictured, table
from todacomm.report.document.matplotlib_renderer import write_charts
from todacomm.report.document.pieces import (
    Bullets,
    Context,
    Document,
    Paragraph,
    Piece,
    Table,
    Terms,
    parts_of,
    section,
    with_losses,
)
from todacomm.report.tracking.read_track import TrackedSeries
from todacomm.report.tracking.track_charts import language_panel, language_rows, track_charts
from todacomm.report.tracking.track_document import TERMS, layer_document, onset_rows
from todacomm.report.tracking.track_explorer import track_explorer
from todacomm.report.tracking.track_sentences import of_series
from todacomm.report.words.phrases import plural

__all__ = ["layer_document", "read_monitor", "sentences_of", "write_monitor_report"]

SHOWN = 50  # rows of a table
ALONG = ("track_heat", "track_onsets", "track_curves")
OF_LOOP = {"loss": "loss in the loop"}  # what numbers of the whole model are called

monitor_charts: Charts[TrackedSeries] = Charts("chart of a monitor")


@dataclass(frozen=True, slots=True, eq=False)
class MonitorFindings:
    """The record of a monitor, and its steps as a series of which onsets are sought."""

    monitored: Monitored
    series: TrackedSeries

    @property
    def name(self) -> str:
        """How the training is called."""
        return self.monitored.about.name


def read_monitor(directory: Path, attempt: Attempt = strictly) -> MonitorFindings:
    """Read the record of a monitor; ``attempt`` may skip a line. Raises InvalidRecord where no step was measured."""
    monitored = read_monitored(directory, attempt)
    trajectory = trajectory_of(monitored)
    return MonitorFindings(monitored, TrackedSeries(trajectory, {}, onsets(trajectory)))


def write_monitor_report(directory: Path, found: MonitorFindings, *, attempt: Attempt = strictly) -> list[Path]:
    """``monitor.md``, ``report.html`` and ``visualizations/``."""
    from todacomm.report.render import write_document

    charts = (*track_charts.of(found.series, *ALONG), *monitor_charts.of(found.series))
    figures = write_charts(charts, directory / "visualizations", attempt)
    document = with_losses(monitor_document(found, context_of(found, figures)), attempt.losses)
    return [*write_document(document, directory, "monitor.md", track_explorer([found.series])), *figures]


def context_of(found: MonitorFindings, figures: list[Path]) -> Context:
    """What the closing sections need."""
    about = found.monitored.about
    provenance = {
        "inputs": about.inputs,
        "inputs (SHA-256)": about.inputs_sha256,
        "measured every": plural(about.every, "step"),
        "budget": f"{about.budget:.1%} of the training time",
        **{name.replace("_", " "): str(value) for name, value in about.summary.items()},
    }
    versions = {name: str(version) for name, version in about.versions.items() if version}
    told = {name: value for name, value in provenance.items() if value}
    return {"figures": figures, "command": "", "provenance": told, "versions": versions}


def monitor_document(found: MonitorFindings, context: Context) -> Document:
    """The whole of it."""
    about, trajectory = found.monitored.about, found.series.trajectory
    pooled = f" · pooling {about.pooling}" if about.inputs else ""
    counted = f"{plural(len(trajectory), 'step')}, {plural(len(trajectory.layers), 'layer')}"
    subtitle = f"{about.inputs or 'arrays'}{pooled} · {counted}"
    return Document(f"Inside the training of {found.name}", subtitle, parts_of(found, context))


@monitor_charts.register("monitor_numbers")
def numbers_chart(of: TrackedSeries) -> Iterator[Chart]:
    """The loss, and what else the training loop gave beside each measurement."""
    names = list(of.trajectory.of_model)
    if not names or len(of.trajectory) < 2:
        return
    steps = tuple(map(float, of.trajectory.steps))
    yield Chart(
        f"monitor_{of.name}_numbers",
        "What the training loop said at each measurement",
        "The numbers that were given to the monitor, such as the loss of the batch at hand: set beside the curves they "
        "say whether a layer changes while the network still learns, or after.",
        tuple(language_panel(of, name, OF_LOOP.get(name, name), steps) for name in names),
        table(("series", "step", *names), language_rows(of, names)),
        heading=of.name,
        tall=1.6,
    )


@section("monitor-answer", title="The answer", record=MonitorFindings)
def answer(found: MonitorFindings, _: Context) -> Iterator[Piece]:
    """Which rules fired, which layer changes first and when, what is missing."""
    fired = found.monitored.alerts
    first, *rest = sentences_of(found)
    yield Paragraph(first, "answer")
    if rest:
        yield Bullets(tuple(rest))
    if fired:
        yield Paragraph(f"{plural(len(fired), 'alert')} in all: see Alerts.", "warning")
    if missing := [row for row in found.monitored.steps if row.missing]:
        yield Paragraph(f"{plural(len(missing), 'step')} could not be measured: see What is missing.", "warning")


def sentences_of(found: MonitorFindings) -> list[str]:
    """What is said of a monitor: its first alert, and what changes; its loss is of other batches at each step."""
    told = [told_of_alerts(found)] if found.monitored.about.alerts else []
    topology = replace(found.series, trajectory=replace(found.series.trajectory, of_model={}))
    return [*told, *of_series(topology, named=False)]


def told_of_alerts(found: MonitorFindings) -> str:
    """Which rule fired first, and when."""
    rules = plural(len(found.monitored.about.alerts), "rule")
    first = next(iter(found.monitored.alerts), None)
    return f"{rules}; first alert: {first}." if first else f"{rules}, none of which fired."


@section("monitor-alerts", title="Alerts", record=MonitorFindings)
def alerts(found: MonitorFindings, _: Context) -> Iterator[Piece]:
    """The rules, and each step at which one fired."""
    if found.monitored.about.alerts:
        yield Bullets(found.monitored.about.alerts)
    rows = [(f"{row.step:,}", alert) for row in found.monitored.steps for alert in row.alerts]
    if rows:
        yield Table(("Step", "Alert"), tuple(rows[:SHOWN]), 2)
    if len(rows) > SHOWN:
        yield Paragraph(f"The first {SHOWN} of {len(rows)}; all are in measurements.jsonl.")


@section("monitor-heat", title="Every layer at every step", record=MonitorFindings, brief=False)
def heat(found: MonitorFindings, context: Context) -> Iterator[Piece]:
    """The heat maps."""
    yield from pictured(track_charts.of(found.series, "track_heat"), context.get("figures", ()))


@section("monitor-onsets", title="When each layer begins to change", record=MonitorFindings)
def onsets_section(found: MonitorFindings, context: Context) -> Iterator[Piece]:
    """The onsets as a chart and as a table."""
    yield from pictured(track_charts.of(found.series, "track_onsets"), context.get("figures", ()))
    head = ("Series", "Number", "Layer", "Begins at step", "95 % interval", "Before", "After", "Adjusted p")
    if rows := tuple(onset_rows(found.series)):
        yield Table(head, rows, 3, sortable=True)


@section("monitor-curves", title="Each layer along the training", record=MonitorFindings, brief=False)
def curves(found: MonitorFindings, context: Context) -> Iterator[Piece]:
    """What the loop said, and the curves."""
    yield from pictured(monitor_charts.of(found.series), context.get("figures", ()))
    yield from pictured(track_charts.of(found.series, "track_curves"), context.get("figures", ()))


@section("monitor-missing", title="What is missing", record=MonitorFindings)
def missing(found: MonitorFindings, _: Context) -> Iterator[Piece]:
    """Steps that were not measured, and what went wrong in those that were."""
    told = [(row.step, why) for row in found.monitored.steps for why in (row.missing, *row.complaints) if why]
    if told:
        yield Table(("Step", "What"), tuple((f"{step:,}", why) for step, why in told[:SHOWN]), 2)
    if len(told) > SHOWN:
        yield Paragraph(f"The first {SHOWN} of {len(told)}; all are in measurements.jsonl.")


@section("monitor-terms", title="How to read it", record=MonitorFindings, brief=False)
def terms(_: MonitorFindings, __: Context) -> Iterator[Piece]:
    """Each word in one line."""
    own = {"Onset": TERMS["Onset"], "Level, before and after": TERMS["Level, before and after"]}
    alert = "a rule that held; a reason to look, not a result. No interval and no test is made while a network trains."
    yield Terms((*own.items(), ("Alert", alert)))

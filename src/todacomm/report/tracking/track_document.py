"""The report on a track: the answer, heat maps, onsets, curves, partings, loops along the steps, all checkpoints."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from todacomm.records.files.damaged import Attempt, strictly
from todacomm.report.document.chart import Chart, pictured
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
from todacomm.report.layers import layer_document  # registered first: its closing sections serve every record
from todacomm.report.loops.ribbon_chart import ribbon_charts
from todacomm.report.tracking.numbers import called
from todacomm.report.tracking.parting_charts import parting_charts
from todacomm.report.tracking.read_track import TrackedSeries, TrackFindings
from todacomm.report.tracking.track_charts import LOOP_TEST, track_charts
from todacomm.report.tracking.track_explorer import track_explorer
from todacomm.report.tracking.track_sentences import repeats_of, sentences, warnings_of
from todacomm.report.words.intervals_and_nulls import p_text
from todacomm.report.words.phrases import number, plural

__all__ = ["layer_document", "track_document", "write_track_report"]

TERMS = {
    "Checkpoint": "the weights of a model at one step of its training; each is measured as a model of its own.",
    "Onset": (
        "the step at which a number leaves its first level. A level, a way to a second level and that level are fitted "
        "by least squares; the interval holds every onset that fits nearly as well, and ends at checkpoints."
    ),
    "Level, before and after": "what was fitted at both ends of the change, in the unit of the number.",
    "Parting": (
        "the first step from which on two trainings differ at every common checkpoint: differences are paired by text, "
        "p-values adjusted over steps and layers."
    ),
    "Band": "the interval over fresh texts of the same kind; two trainings with other seeds may differ by more.",
    "Same weights": "checkpoints whose weights, configuration and tokenizer have one digest; measured once.",
}


def write_track_report(directory: Path, found: TrackFindings, *, attempt: Attempt = strictly) -> list[Path]:
    """``track.md``, ``report.html`` and ``visualizations/``."""
    from todacomm.report.render import write_document

    figures = write_charts(charts_of(found), directory / "visualizations", attempt)
    document = with_losses(track_document(found, context_of(found, figures)), attempt.losses)
    return [*write_document(document, directory, "track.md", track_explorer(found.series)), *figures]


def context_of(found: TrackFindings, figures: list[Path]) -> Context:
    """What the closing sections need."""
    first = next(iter(found.series[0].profiles.values()))
    provenance = {
        "texts": f"{first.measurements[0].facts.points} of {first.data}",
        "texts (SHA-256)": first.texts_sha256,
        "checkpoints": plural(len(found.record.checkpoints), "checkpoint"),
        "digest of the track": found.record.digest,
    }
    versions = {name: str(version) for name, version in found.record.versions.items() if version}
    return {"figures": figures, "command": found.record.command, "provenance": provenance, "versions": versions}


def charts_of(found: TrackFindings) -> Iterator[Chart]:
    """Every chart: of each series, of two beside each other, of loops."""
    for one in found.series:
        yield from track_charts.of(one)
    for parted in found.parted:
        yield from parting_charts.of(parted)
    yield from loop_charts(found)


def loop_charts(found: TrackFindings) -> Iterator[Chart]:
    """The ribbons of the loops of each series, under names of their own."""
    for one in found.series:
        if one.loops is not None:
            yield from (replace(chart, name=f"{chart.name}_{one.name}") for chart in ribbon_charts.of(one.loops))


def track_document(found: TrackFindings, context: Context) -> Document:
    """The whole of it."""
    first = next(iter(found.series[0].profiles.values()))
    counts = ", ".join(
        f"{one.name}: {plural(len(one.trajectory), 'checkpoint' if one.ordered else 'model')}" for one in found.series
    )
    return Document(f"Along the training of {found.title}", f"{first.data}; {counts}", parts_of(found, context))


# Sections


@section("track-answer", title="The answer", record=TrackFindings)
def answer(found: TrackFindings, _: Context) -> Iterator[Piece]:
    """Which layer changes first and when, which series part, what failed."""
    first, *rest = sentences(found)
    yield Paragraph(first, "answer")
    if rest:
        yield Bullets(tuple(rest))
    for warning in warnings_of(found):
        yield Paragraph(warning, "warning")
    for repeated in repeats_of(found):
        yield Paragraph(repeated)


@section("track-heat", title="Every layer at every step", record=TrackFindings, brief=False)
def heat(found: TrackFindings, context: Context) -> Iterator[Piece]:
    """The heat maps."""
    for one in found.series:
        yield from pictured(track_charts.of(one, "track_heat"), context.get("figures", ()))


@section("track-onsets", title="When each layer begins to change", record=TrackFindings)
def onsets_section(found: TrackFindings, context: Context) -> Iterator[Piece]:
    """The onsets as a chart and as a table."""
    for one in found.series:
        yield from pictured(track_charts.of(one, "track_onsets"), context.get("figures", ()))
    rows = tuple(row for one in found.series for row in onset_rows(one))
    if rows:
        head = ("Series", "Number", "Layer", "Begins at step", "95 % interval", "Before", "After", "Adjusted p")
        yield Table(head, rows, 3, sortable=True)
    elif any(one.ordered for one in found.series):
        yield Paragraph("No change is shown at any layer after adjustment over the layers.")


def onset_rows(one: TrackedSeries) -> Iterator[tuple[str, ...]]:
    """The onsets that are shown, as text."""
    for found in one.onsets:
        if found.found and found.change is not None:
            change = found.change
            yield (
                one.name,
                called(found.number),
                found.layer,
                f"{change.step:,}",
                f"{change.low:,} to {change.high:,}",
                number(change.before, 3),
                number(change.after, 3),
                p_text(found.adjusted or 0.0),
            )


@section("track-curves", title="Each layer along the training", record=TrackFindings, brief=False)
def curves(found: TrackFindings, context: Context) -> Iterator[Piece]:
    """The curves with their bands, and language beside them."""
    for one in found.series:
        yield from pictured(track_charts.of(one, "track_language", "track_curves"), context.get("figures", ()))


@section("track-partings", title="Where two trainings part", record=TrackFindings, brief=False)
def partings_section(found: TrackFindings, context: Context) -> Iterator[Piece]:
    """The differences of two series at every common step."""
    for parted in found.parted:
        if parted.refused:
            yield Paragraph(f"{parted.first} and {parted.second}: {parted.refused}.")
        yield from pictured(parting_charts.of(parted), context.get("figures", ()))


@section("track-loops", title="Loops from step to step", record=TrackFindings, brief=False)
def loops_section(found: TrackFindings, context: Context) -> Iterator[Piece]:
    """The ribbons of loops that go on, by winding numbers."""
    yield from pictured(loop_charts(found), context.get("figures", ()))


@section("track-checkpoints", title="All checkpoints", record=TrackFindings)
def checkpoints(found: TrackFindings, _: Context) -> Iterator[Piece]:
    """A row a checkpoint: its language metric, loops, doubtful layers, and where its run is."""
    known = {name for one in found.series for name in one.trajectory.of_model}
    language = next((name for name in ("bits_per_byte", "masked_loss", "loss") if name in known), "")
    named = language.replace("_", " ").capitalize() or "Loss"
    head = ("Series", "Checkpoint", "Run", "Step", named, "Layers with a loop", "Doubtful layers")
    rows = tuple(row for one in found.series for row in checkpoint_rows(found, one, language))
    yield Table(head, rows, 3, sortable=True)


def checkpoint_rows(found: TrackFindings, one: TrackedSeries, language: str) -> Iterator[tuple[str, ...]]:
    """The checkpoints of one series as text."""
    trajectory = one.trajectory
    runs = {of.step: of for of in found.record.of(one.name)}
    p = trajectory.p_values.get(LOOP_TEST)
    for t, step in enumerate(trajectory.steps):
        value = trajectory.of_model[language][t] if language in trajectory.of_model else np.nan
        loops = "untested" if p is None else str(int((p[t] <= 0.05).sum()))
        run = runs[step].run + (f" (of {runs[step].same_as})" if runs[step].same_as else "")
        doubtful = str(int(np.nansum(trajectory["doubtful"][t])))
        yield (one.name, trajectory.labels[t], run, f"{step:,}", number(float(value), 4), loops, doubtful)


@section("track-terms", title="How to read a track", record=TrackFindings, brief=False)
def terms(_: TrackFindings, __: Context) -> Iterator[Piece]:
    """Each word in one line."""
    yield Terms(tuple(TERMS.items()))

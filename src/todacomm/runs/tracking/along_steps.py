"""What moves along the steps of a track, from its records: loops, onsets, partings; then the report. Loads no torch."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from todacomm.core.progress import Say, Track, silent, unsaid
from todacomm.records.files.codec import plain
from todacomm.records.tracks import TRACK_RECORD, TrackRecord
from todacomm.report.tracking.read_track import TrackFindings, read_track, with_loops
from todacomm.report.tracking.track_document import write_track_report
from todacomm.runs.tracking.loops_of_track import AUTO, layer_of_loops, write_loops_of


def concluded(directory: Path, *, loops: str = AUTO, track: Track = silent, say: Say = unsaid) -> TrackFindings:
    """Find loops, onsets and partings of the measured checkpoints of a track, and write record and report."""
    found = read_track(directory)
    for name, layer in layers_of(found, loops):
        say(f"{name}: loops of {layer} from step to step")
        write_loops_of(directory, name, layer, track=track)
    found = with_loops(directory, found)
    found = replace(found, record=with_findings(found))
    say("figures and reports")
    write_track_report(directory, found)
    TRACK_RECORD.write(directory, found.record)
    return found


def layers_of(found: TrackFindings, loops: str) -> Iterator[tuple[str, str]]:
    """The series whose loops are followed, each with its layer; those that are there already are left out."""
    for one in found.series:
        if one.ordered and one.loops is None and len(set(one.profiles) - one.repeated) > 1:
            layer = layer_of_loops(one.trajectory, loops)
            if layer is not None:
                yield one.name, layer


def with_findings(found: TrackFindings) -> TrackRecord:
    """The record of a track with what was found along its steps."""
    return replace(
        found.record,
        finished=True,
        onsets=tuple({"series": one.name, **row} for one in found.series for row in plain(one.onsets, nulls=True)),
        partings=tuple(plain(found.parted, nulls=True)),
        loops=tuple(row for one in found.series for row in loops_of(one.name, one.loops)),
    )


def loops_of(series: str, record: Any) -> Sequence[dict[str, Any]]:
    """The passages of the loops of a series, with the names of their steps."""
    if record is None:
        return ()
    names = [layer.layer for layer in record.layers]
    return [
        {"series": series, "of": record.data, "from": names[one.layer], "to": names[one.layer + 1], **plain(one)}
        for one in record.passages
        if one.winding
    ]

"""Check comparisons, ablations, trainings, tracks, studies of stability, loops: what follows from what."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from todacomm.comparison.expressions import RULES
from todacomm.comparison.gate import judge
from todacomm.core.types import Address
from todacomm.records.ablations import ABLATION, ABLATION_RECORD, record_of
from todacomm.records.comparisons import COMPARISON, COMPARISON_RECORD, gate_record, group_of
from todacomm.records.files.codec import plain
from todacomm.records.files.damaged import Salvage
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.io import read_json
from todacomm.records.loops import ANGLES, ARRAYS, LOOPS, angles_of, read_loops_record
from todacomm.records.runs import LAYER_RECORD, measurement_from
from todacomm.records.stability import STABILITY_SUMMARY
from todacomm.records.stability import SUMMARY as STABILITY_FILE
from todacomm.records.tracks import TRACK, TRACK_RECORD
from todacomm.records.training import (
    AGAIN,
    DONE,
    PLAN,
    RECORDS,
    SIGNATURE,
    PlannedRun,
    checkpoint_arrays,
    has_begun,
    planned_runs,
    read_run,
    read_turned,
    rows,
)
from todacomm.report.tracking.read_track import read_track, with_loops
from todacomm.report.words.pairs import verdicts
from todacomm.runs.ablation import csv_of
from todacomm.runs.rebuild_reports import Runs, compared_again
from todacomm.runs.stability.stability_results import read_findings, summary_of
from todacomm.runs.tracking.along_steps import with_findings
from todacomm.runs.training_results import SIGNATURE_RECORD, record_again
from todacomm.runs.verification.faults import Fault, changed_files, guarded, lost, unlike
from todacomm.runs.verification.of_runs import DRAWN, factors, off_bars
from todacomm.training.observe import VIEWS

RUNS = "the runs that it names"
LINES = f"the clouds of {RECORDS}"


def faults_of_comparison(directory: Path) -> Iterator[Fault]:
    """Compare the runs again, and judge the rules again."""
    salvage, stored = Salvage(), COMPARISON_RECORD.read(directory)
    again = compared_again(directory, Runs(salvage), salvage)
    yield from lost(salvage, COMPARISON)
    found = read_json(directory / COMPARISON)
    groups = {name: group_of(comparison, verdicts(comparison)) for name, comparison in again.items()}
    yield from unlike(COMPARISON, found["groups"], as_json(groups), RUNS, field="groups", close=DRAWN)
    if "gate" in stored.beside:
        rules = [RULES.read(row["rule"]) for row in found["gate"]["rules"]]
        judged = as_json(gate_record(judge(rules, again)))
        yield from unlike(COMPARISON, found["gate"], judged, "its rules and runs", field="gate", close=DRAWN)


def as_json(value: Any) -> Any:
    """The value as JSON gives it back: texts as keys, lists for tuples."""
    return json.loads(json.dumps(plain(value)))


def faults_of_ablation(directory: Path) -> Iterator[Fault]:
    """Counts of verdicts, the table beside, and growths that are scale × shape."""
    stored = ABLATION_RECORD.read(directory)
    again = record_of(stored.ablation, stored.failures, stored.command, stored.versions)
    yield from unlike(ABLATION, plain(stored.claims), plain(again.claims), "its verdicts", field="claims")
    text = (directory / "ablation.csv").read_text(encoding="utf-8")
    if text != csv_of(stored.ablation):
        yield Fault("ablation.csv", f"is not the table of the rows of {ABLATION}")
    for i, row in enumerate(stored.rows):
        of = row.numbers
        growth = {"ratio": of.expansion, "scale": of.scale_growth, "shape": of.shape_growth}
        yield from factors(ABLATION, growth, f"rows.{i}.expansion")


def faults_of_training(directory: Path) -> Iterator[Fault]:
    """Every checkpoint of every run from its bars, every digest, and the signature from the runs."""
    for plan in (plan for plans in planned_runs(directory).values() for plan in plans):
        if has_begun(directory / "runs" / plan.name):
            yield from guarded(f"runs/{plan.name}", partial(faults_of_training_run, directory, plan))
    if (directory / SIGNATURE).exists():
        stored = SIGNATURE_RECORD.read(directory)
        again = record_again(directory, stored)
        yield from unlike(SIGNATURE, as_json(stored), as_json(again), "the runs", close=DRAWN)


def faults_of_training_run(directory: Path, plan: PlannedRun) -> Iterator[Fault]:
    """One run: its plan, its files, and each line of its checkpoints."""
    place, name = directory / "runs" / plan.name, f"runs/{plan.name}"
    file = f"{name}/{RECORDS}"
    run = read_run(place)
    about = {"name": plan.name, "kind": plan.kind, "seed": plan.seed, "settings": dict(plan.settings)}
    found = {key: getattr(run.about, key) for key in about}
    yield from unlike(f"{name}/run.json", as_json(found), as_json(about), PLAN)
    for fault in changed_files(place, run.done.files, DONE):
        yield Fault(f"{name}/{fault.file}", fault.what)
    read_turned(place)
    for line in rows(place):
        arrays = checkpoint_arrays(place, line.step, run.done)
        for view, layers in line.clouds.items():
            for layer, content in layers.items():
                field = f"step {line.step}: {view}.{layer}"
                row = LAYER_RECORD.parsed(content, Spot(f"{place / RECORDS}, {field}", AGAIN))
                address = Address(run.about.model, run.about.data, layer, line.step)
                m = measurement_from(address, VIEWS[view], row, arrays, f"{layer}/{view}/")
                yield from off_bars(file, m, field)
        again = of_clouds(line.clouds, line.numbers)
        yield from unlike(file, line.numbers, again, LINES, field=f"step {line.step}", more=True)


def of_clouds(clouds: Mapping[str, Mapping[str, Mapping[str, Any]]], known: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers ``<layer>/<view>/<metric>`` of a line that its clouds hold too."""
    return {
        name: value
        for view, layers in clouds.items()
        for layer, row in layers.items()
        for metric, value in row.items()
        if (name := f"{layer}/{view}/{metric}") in known
    }


def faults_of_track(directory: Path) -> Iterator[Fault]:
    """Onsets, partings and loops of a track from its runs."""
    stored, salvage = TRACK_RECORD.read(directory), Salvage()
    if not stored.finished:
        return
    found = with_loops(directory, read_track(directory, salvage))
    yield from lost(salvage, TRACK)
    names = ("onsets", "partings", "loops")
    kept, again = ({name: getattr(one, name) for name in names} for one in (stored, with_findings(found)))
    yield from unlike(TRACK, as_json(kept), as_json(again), RUNS, close=DRAWN)


def faults_of_stability(directory: Path) -> Iterator[Fault]:
    """The summary of a study from its runs."""
    if not (directory / STABILITY_FILE).exists():
        return
    stored = STABILITY_SUMMARY.read(directory)
    again = summary_of(read_findings(directory, stored.failures))
    yield from unlike(STABILITY_FILE, as_json(stored), as_json(again), "the runs", close=DRAWN)


def faults_of_loops(directory: Path) -> Iterator[Fault]:
    """The table of angles, and places of loops and texts that are there."""
    record = read_loops_record(directory)
    text = (directory / ANGLES).read_text(encoding="utf-8")
    if text != angles_of(record):
        yield Fault(ANGLES, f"is not the table of the angles of {ARRAYS}")
    for layer in record.layers:
        for i, loop in enumerate(layer.loops):
            field = f"layers.{layer.layer}.loops.{i}"
            if not loop.birth <= loop.scale < loop.death:
                yield Fault(LOOPS, f"{field}.scale is {loop.scale:g}; expected it between birth and death")
            if not set(loop.cycle) <= set(range(len(loop.angles))):
                yield Fault(LOOPS, f"{field}.cycle names points that are not there")
    counts = [len(layer.loops) for layer in record.layers]
    for i, one in enumerate(record.passages):
        if one.layer + 1 >= len(counts) or not (one.source < counts[one.layer] and one.target < counts[one.layer + 1]):
            yield Fault(LOOPS, f"passages.{i} is between loops that are not there")

"""The findings of a track without a model: clouds of two trainings, one of which collapses at a layer."""

import numpy as np

import todacomm as td
from todacomm.comparison.partings import partings
from todacomm.profiles.onsets import onsets
from todacomm.profiles.trajectory import Trajectory
from todacomm.records.tracks import TrackedCheckpoint, TrackRecord
from todacomm.report.tracking.read_track import TrackedSeries, TrackFindings

STEPS, COLLAPSE = (0, 10, 20, 30, 40, 50, 60, 70), 45


def profiles(name, *, collapse=None, null_draws=19):
    """The profile of each step: three layers of 40 points, the second pulled together from a step on."""
    found = {}
    for step in STEPS:
        rng = np.random.default_rng(step + len(name))
        base = np.random.default_rng(1).normal(size=(40, 6)) + 0.05 * rng.normal(size=(40, 6))
        after = collapse is not None and step >= collapse
        layers = {"embedding": base, "layer_0": 3 * base[:, ::-1] * (0.02 if after else 1.0), "final": base**3}
        found[step] = td.measure(layers, name=name, resamples=20, null_draws=null_draws)
    return found


def series(name, found, same=None):
    labels = {step: f"checkpoint-{step}" for step in found}
    trajectory = Trajectory.from_profiles(name, found, labels)
    return TrackedSeries(trajectory, found, onsets(trajectory), same or {})


def findings(names=("first", "second")):
    """Two series: the first collapses, of the second one checkpoint is repeated and one failed."""
    made = [profiles(names[0], collapse=COLLAPSE), profiles(names[1])]
    both = tuple(
        series(name, found, {"checkpoint-20": "checkpoint-10"} if i else None)
        for i, (name, found) in enumerate(zip(names, made, strict=True))
    )
    checkpoints = tuple(
        TrackedCheckpoint(name, step, f"{name}@{step}", f"checkpoint-{step}", f"runs/{name}", run=f"runs/run_{i}")
        for name in names
        for i, step in enumerate(STEPS)
    )
    lost = TrackedCheckpoint(names[1], 80, "lost", "checkpoint-80", "runs", failure="lost: config.json is missing")
    record = TrackRecord(command="todacomm track", digest="0" * 64, study={}, checkpoints=(*checkpoints, lost))
    return TrackFindings(record, both, (partings(names, (made[0], made[1])),))

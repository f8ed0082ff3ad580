"""Follow the loops of one layer from checkpoint to checkpoint: the clouds of the steps are of the same texts."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from todacomm.clouds.planes_and_clusters import evenly
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.inference_types import at_most_alpha
from todacomm.core.progress import Track, silent
from todacomm.core.types import Address, PointCloud
from todacomm.core.value_types import Missing
from todacomm.profiles.trajectory import Trajectory
from todacomm.records.clouds import clouds_of
from todacomm.records.files.io import RUN_AGAIN
from todacomm.records.files.result_directories import in_part
from todacomm.records.loops import write_angles, write_loops_record
from todacomm.records.runs import read_record
from todacomm.records.texts import read_texts
from todacomm.records.tracks import TRACK_RECORD, TrackedCheckpoint
from todacomm.report.tracking.read_track import OF_LOOPS
from todacomm.runs.loops.find_loops import Source, find_loops, record_of

AUTO, NONE = "auto", "none"
STEPS, TOP, DRAWS = 12, 3, 99  # checkpoints that loops are followed through, loops of each, rotations of the null
TESTED = "gaussian/H1_loop"


def layer_of_loops(trajectory: Trajectory, asked: str) -> str | None:
    """The layer whose loops are followed: the one asked for, else the one that has the most steps with a loop.

    None without a loop at two steps. Raises UnknownName for a layer that is not there.
    """
    if asked == NONE:
        return None
    if asked != AUTO:
        if asked not in trajectory.layers:
            raise UnknownName("layer", asked, (*trajectory.layers, AUTO, NONE))
        return asked
    if TESTED not in trajectory.p_values:
        return None
    p = trajectory.p_values[TESTED]
    steps = np.array([[at_most_alpha(value) for value in row] for row in p.tolist()]).sum(axis=0)
    best = int(np.lexsort((np.nanmean(np.where(np.isnan(p), 1.0, p), axis=0), -steps))[0])
    return trajectory.layers[best] if steps[best] > 1 else None


def source_of_track(directory: Path, layer: str, *, series: str = "", number: int = STEPS) -> Source:
    """The clouds of one layer at so many checkpoints of a series, evenly from first to last; identical ones once.

    Raises InvalidInput for a track of several series without a name of one, and where a run keeps no activations.
    """
    record = TRACK_RECORD.read(directory)
    if not series and len(record.series) > 1:
        raise InvalidInput(f"{directory} holds the series {', '.join(record.series)}; give one of them")
    name = series or record.series[0]
    there = [one for one in record.of(name) if one.run and not one.same_as]
    if len(there) < 2:
        raise InvalidInput(f"{name} has {len(there)} checkpoints to follow loops through; expected at least 2")
    chosen = [there[i] for i in evenly(len(there), min(number, len(there)))]
    clouds = {f"step_{one.step}": cloud_of(directory, one, layer) for one in chosen}
    run = directory / chosen[0].run
    profile = read_record(run).profile
    texts = read_texts(run)
    known = () if isinstance(texts, Missing) or profile.recipe.pooling == "tokens" else texts.items or ()
    return Source(name, f"{profile.data}, {layer}", clouds, replace(profile.recipe, landmarks=None), known)


def cloud_of(directory: Path, one: TrackedCheckpoint, layer: str) -> PointCloud:
    """The cloud of a layer at one checkpoint. Raises InvalidInput where it is not kept."""
    run = directory / one.run
    profile = read_record(run).profile
    clouds = clouds_of(run, profile)
    if isinstance(clouds, Missing):
        raise InvalidInput(f"{clouds.reason}; loops are found in the clouds themselves. {RUN_AGAIN}")
    return PointCloud(clouds(layer).points, Address(one.series, profile.data, f"step_{one.step}", one.step))


def write_loops_of(directory: Path, series: str, layer: str, *, track: Track = silent) -> Path:
    """Find the loops of a layer at the steps of a series, which goes on as which, and write their record."""
    place = directory / OF_LOOPS / series
    source = source_of_track(directory, layer, series=series)
    found = find_loops(source, draws=DRAWS, top=TOP, track=track)
    record = record_of(found, "")
    with in_part(place) as part:
        write_loops_record(part, record)
        write_angles(part, record)
    return place

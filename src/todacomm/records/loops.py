"""Write and read the loops of the layers of a model: ``loops.json``, with the angle of each text in ``angles.csv``."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.cohomology.association import Association
from todacomm.cohomology.passages import Passage
from todacomm.cohomology.record import LoopCoordinate, Loops
from todacomm.core.recipe import Recipe
from todacomm.records.codec import Format
from todacomm.records.io import write_atomically

LOOPS, ANGLES = "loops.json", "angles.csv"


@dataclass(frozen=True, slots=True)
class FoundLoop:
    """One loop of a layer, as `LoopCoordinate` without its angles, and what runs around it."""

    scale: float
    birth: float
    death: float
    betti: int
    torsion: tuple[int, ...]
    p: float | None
    step: float
    points: int
    cycle: tuple[int, ...]
    texts: tuple[str, ...]
    properties: tuple[Association, ...]


@dataclass(frozen=True, slots=True)
class LoopsOfLayer:
    """The loops of one layer, or the ``reasons`` why there are none; ``staircase`` holds β₁ from each scale on."""

    layer: str
    median: float
    centres: int
    p_plateau: float | None
    reasons: tuple[str, ...]
    staircase: tuple[tuple[float, float], ...]
    loops: tuple[FoundLoop, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LoopsRecord:
    """All of ``loops.json``."""

    model: str
    data: str
    command: str
    recipe: Recipe
    layers: tuple[LoopsOfLayer, ...]
    passages: tuple[Passage, ...]
    versions: Mapping[str, Any] = field(default_factory=dict)


LOOPS_RECORD = Format(LoopsRecord, 1, "find the loops again: todacomm loops …", LOOPS, sealed=True)


def loops_of_layer(found: Loops, properties: Sequence[Sequence[Association]]) -> LoopsOfLayer:
    """Build the record of one layer; ``properties`` are those that run around each of its loops."""
    return LoopsOfLayer(
        layer=found.address.layer,
        median=found.median,
        centres=found.centres,
        p_plateau=found.p_plateau,
        reasons=found.reasons,
        staircase=tuple((float(scale), float(betti)) for scale, betti in found.staircase),
        loops=tuple(found_loop(one, of) for one, of in zip(found.coordinates, properties, strict=True)),
    )


def found_loop(one: LoopCoordinate, properties: Sequence[Association]) -> FoundLoop:
    """Build the record of one loop."""
    return FoundLoop(
        scale=one.scale,
        birth=one.birth,
        death=one.death,
        betti=one.betti,
        torsion=one.torsion,
        p=one.p,
        step=one.step,
        points=one.points,
        cycle=one.cycle,
        texts=one.texts,
        properties=tuple(properties),
    )


def write_angles(directory: Path, layers: Sequence[Loops]) -> Path:
    """Write one row a text and one column a loop, in radians; a text that the loop is not around is an empty cell."""
    columns = {
        f"{found.address.layer}/{number}": one.angles
        for found in layers
        for number, one in enumerate(found.coordinates, start=1)
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["text", *columns])
    for row, values in enumerate(np.column_stack(list(columns.values())) if columns else []):
        writer.writerow([row, *("" if np.isnan(value) else f"{value:.6f}" for value in values)])
    return write_atomically(directory / ANGLES, text.getvalue())

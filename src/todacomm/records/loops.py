"""Write and read the loops of the layers of a model: ``loops.json``, its arrays, and the angles in ``angles.csv``."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from todacomm.cohomology.association import Association
from todacomm.cohomology.passages import Passage
from todacomm.cohomology.record import LoopCoordinate, Loops
from todacomm.core.recipe import Recipe
from todacomm.core.types import Points
from todacomm.records.files.codec import Arrays, Format, arrays_of
from todacomm.records.files.io import write_arrays, write_atomically

SCHEMA = 1
LOOPS, ARRAYS, ANGLES = "loops.json", "loops.safetensors", "angles.csv"
AGAIN = "find the loops again: todacomm loops …"


@dataclass(frozen=True, slots=True, eq=False)
class FoundLoop:
    """One loop of a layer, as `LoopCoordinate`, what runs around it, and its points on the ``plane`` of its angle.

    ``angles`` (n,) are NaN for a point that the loop is not around.
    """

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
    angles: Float[np.ndarray, " n"]
    plane: Float[np.ndarray, "n 2"]


@dataclass(frozen=True, slots=True, eq=False)
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
    """All of ``loops.json`` and of the arrays beside it; ``texts`` are those of the points, cut, where known."""

    model: str
    data: str
    command: str
    recipe: Recipe
    layers: tuple[LoopsOfLayer, ...]
    passages: tuple[Passage, ...]
    texts: tuple[str, ...] = ()
    versions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def along(self) -> str:
        """Along what loops are followed: layers, or steps of a training."""
        return along([layer.layer for layer in self.layers])


def along(names: Sequence[str]) -> str:
    """What clouds of these names are: layers, or steps of a training."""
    return "step" if all(name.startswith("step_") for name in names) else "layer"


LOOPS_RECORD = Format(LoopsRecord, SCHEMA, AGAIN, LOOPS, sealed=True)


def write_loops_record(directory: Path, record: LoopsRecord) -> None:
    """Write the record and its arrays."""
    write_arrays(directory / ARRAYS, arrays_of(record), {"schema": SCHEMA})
    LOOPS_RECORD.write(directory, record)


def read_loops_record(directory: Path) -> LoopsRecord:
    """Read the record of a directory with its arrays. Raises InvalidRecord."""
    return LOOPS_RECORD.read(directory, Arrays.read(directory / ARRAYS, SCHEMA, AGAIN))


def loops_of_layer(found: Loops, properties: Sequence[Sequence[Association]], points: Points) -> LoopsOfLayer:
    """Build the record of one layer of these points; ``properties`` are those that run around each of its loops."""
    return LoopsOfLayer(
        layer=found.address.layer,
        median=found.median,
        centres=found.centres,
        p_plateau=found.p_plateau,
        reasons=found.reasons,
        staircase=tuple((float(scale), float(betti)) for scale, betti in found.staircase),
        loops=tuple(found_loop(one, of, points) for one, of in zip(found.coordinates, properties, strict=True)),
    )


def found_loop(one: LoopCoordinate, properties: Sequence[Association], points: Points) -> FoundLoop:
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
        angles=one.angles,
        plane=one.plane(points),
    )


def write_angles(directory: Path, record: LoopsRecord) -> Path:
    """Write the table of the angles beside the record."""
    return write_atomically(directory / ANGLES, angles_of(record))


def angles_of(record: LoopsRecord) -> str:
    """One row a text and one column a loop, in radians; a text that the loop is not around is an empty cell."""
    columns = {
        f"{layer.layer}/{number}": one.angles
        for layer in record.layers
        for number, one in enumerate(layer.loops, start=1)
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["text", *columns])
    for row, values in enumerate(np.column_stack(list(columns.values())) if columns else []):
        writer.writerow([row, *("" if np.isnan(value) else f"{value:.6f}" for value in values)])
    return text.getvalue()

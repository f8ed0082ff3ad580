"""Follow the loops of an embedding through the checkpoints of a training run: each is a cloud, as a layer is."""

from pathlib import Path

from todacomm.clouds.planes_and_clusters import evenly
from todacomm.core.errors import InvalidInput
from todacomm.core.types import Address, PointCloud
from todacomm.records.training import ABOUT_RECORD, read_checkpoint, rows
from todacomm.runs.loops.find_loops import Source
from todacomm.runs.loops.turn_run import SPHERE

FEWEST = 2


def source_of_steps(directory: Path, number: int) -> Source:
    """The embedding, on the unit sphere, at so many checkpoints of a training run, evenly spaced from first to last.

    Its points are the inputs of the task in the order of their characters. Raises InvalidInput for fewer than two
    checkpoints, and for a network of pixels, which has no embedding.
    """
    if number < FEWEST:
        raise InvalidInput(
            f"--steps {number}; expected at least {FEWEST} checkpoints, to follow loops from one to another"
        )
    known = [line.step for line in rows(directory)]
    about = ABOUT_RECORD.read(directory)
    clouds = {}
    for step in (known[i] for i in evenly(len(known), number)):
        points = read_checkpoint(directory, step).embedding_rows
        if points is None:
            raise InvalidInput(f"{directory} keeps no embedding of its checkpoints: a network of pixels has none")
        clouds[f"step_{step}"] = PointCloud(points, Address(about.name, "embedding", f"step_{step}", step))
    return Source(about.name, "embedding", clouds, SPHERE)

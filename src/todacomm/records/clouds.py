"""Read the clouds of a finished run from the activations beside its records."""

from functools import partial
from pathlib import Path

from todacomm.clouds.array_files import read_layers
from todacomm.comparison.diagram_tests import Clouds
from todacomm.core.types import PointCloud, Profile
from todacomm.core.value_types import Missing
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.io import RUN_AGAIN, names_of
from todacomm.records.runs import check_file

SCHEMA = 1
GONE = "no activations lie beside the run of {} (--no-cache)"


def clouds_of(run: Path, profile: Profile) -> Clouds | Missing:
    """Return the function from layers to clouds, read one at a time, or why there is none.

    Raises InvalidRecord where the file is damaged, of a newer schema, or lacks a layer.
    """
    files = sorted((run / "activations").glob("*.safetensors"))
    if not files:
        return Missing(GONE.format(profile.model))
    there = names_of(files[0], schema=SCHEMA)
    if missing := [layer for layer in profile.layers if layer not in there]:
        raise Spot(files[0], RUN_AGAIN).lacks(missing, profile.layers)
    check_file(run, files[0])
    return partial(cloud_of, files[0], profile)


def cloud_of(path: Path, profile: Profile, layer: str) -> PointCloud:
    """Read the raw cloud of one layer."""
    return PointCloud(read_layers(path, only=layer)[layer], profile.at(layer).address)

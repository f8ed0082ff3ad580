"""The clouds of a finished run, from the activations that lie beside its records."""

from functools import partial
from pathlib import Path

from todacomm.arrays import read_layers
from todacomm.blocks import Clouds
from todacomm.errors import InvalidRecord
from todacomm.types import PointCloud, Profile

GONE = "no activations lie beside the run of {} (--no-cache)"


def clouds_of(run: Path, profile: Profile) -> Clouds | str:
    """The function from the layers of a run to their clouds, each read when it is asked for; or why there is none."""
    files = sorted((run / "activations").glob("*.safetensors"))
    return partial(cloud_of, files[0], profile) if files else GONE.format(profile.model)


def cloud_of(path: Path, profile: Profile, layer: str) -> PointCloud:
    """The cloud of one layer as it came. Raises InvalidRecord where the file does not hold it."""
    found = read_layers(path, only=layer)
    if layer not in found:
        raise InvalidRecord(f"{path} holds no activations of {layer}; run the model again")
    return PointCloud(found[layer], profile.at(layer).address)

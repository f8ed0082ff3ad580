"""Place the weights of a model on one device, or spread them over devices, main memory and disk by accelerate.

Spread, a block has its weights on a device only while it runs: one pass over a model takes as long as reading it.
"""

import importlib.util
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from todacomm.core.errors import InvalidInput, MissingExtra
from todacomm.models.names import DEVICES


def device_of(asked: str) -> str:
    """The device of an option; raises `InvalidInput` where it is missing."""
    if asked not in DEVICES:
        raise InvalidInput(f"device '{asked}'; expected one of {', '.join(DEVICES)}")
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked == "auto":
        return next(device for device, there in present.items() if there)
    if not present[asked]:
        there = ", ".join(device for device, found in present.items() if found)
        raise InvalidInput(f"device '{asked}' is not there: torch {torch.__version__} finds {there}; use --device auto")
    return asked


def spread(*, device: str, gguf_file: str | None, max_memory: Mapping[str | int, str] | None) -> dict[str, Any]:
    """The options of transformers to spread a model; ``max_memory`` limits a place: ``{"cpu": "8GB", 0: "20GB"}``.

    Raises `MissingExtra` without accelerate, `InvalidInput` for a GGUF file and for a device as well.
    """
    if importlib.util.find_spec("accelerate") is None:
        raise MissingExtra("accelerate", "large", "--device-map auto")
    if gguf_file:
        raise InvalidInput(f"--device-map auto: {gguf_file} is read whole; only safetensors are read shard by shard")
    if device != "auto":
        raise InvalidInput(f"--device-map auto and --device {device} both say where the model goes; give one of them")
    return {
        "device_map": "auto",
        "max_memory": dict(max_memory) if max_memory else None,
        "offload_folder": tempfile.mkdtemp(prefix="todacomm_offload_"),
        "offload_buffers": True,
    }


def forget_with(network: nn.Module, options: Mapping[str, Any]) -> None:
    """Remove the folder of weights on disk with the network."""
    if "offload_folder" in options:
        weakref.finalize(network, shutil.rmtree, options["offload_folder"], ignore_errors=True)


def input_device(module: nn.Module) -> torch.device:
    """The device of a module's inputs: that of its first parameter, or main memory where all are on disk."""
    places = (parameter.device for parameter in module.parameters())
    return next((place for place in places if place.type != "meta"), torch.device("cpu"))

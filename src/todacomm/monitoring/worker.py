"""The process that measures: clouds come in, numbers go out. It loads no torch, and runs no code of the user's.

``python -m todacomm.monitoring.worker`` reads frames from its standard input and answers each with one line of JSON. A
frame is a line of JSON, ``{"step": …, "layers": […], "size": …}``, and so many bytes of a safetensors file.
"""

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np

from todacomm.core.errors import FOREIGN, TodacommError
from todacomm.core.parallel import end_with
from todacomm.core.recipe import Recipe
from todacomm.core.threads import one_thread
from todacomm.core.types import Address, Number, PointCloud
from todacomm.monitoring.numbers import numbers_of

LESS_URGENT = 10  # the training goes first


def frame(step: int, clouds: Mapping[str, np.ndarray]) -> bytes:
    """Encode the clouds of one step."""
    from safetensors.numpy import save

    content = save({name: np.ascontiguousarray(points) for name, points in clouds.items()})
    header = {"step": step, "layers": list(clouds), "size": len(content)}
    return json.dumps(header).encode() + b"\n" + content


def received(source: BinaryIO) -> tuple[int, dict[str, np.ndarray]] | None:
    """Read the next frame; None where there are no more."""
    from safetensors.numpy import load

    line = source.readline()
    if not line.endswith(b"\n"):
        return None
    header = json.loads(line)
    content = source.read(header["size"])
    if len(content) < header["size"]:
        return None
    found = load(content)
    return header["step"], {layer: found[layer] for layer in header["layers"]}


def answer(step: int, clouds: Mapping[str, np.ndarray], recipe: Recipe) -> dict[str, Any]:
    """Measure the clouds of one step; what cannot be measured is told, and the others are."""
    begun, layers, complaints = time.perf_counter(), {}, []
    for layer, points in clouds.items():
        try:
            cloud = PointCloud(points, Address("model", "probe", layer, step))
            layers[layer] = {name: finite(value) for name, value in numbers_of(cloud, recipe).items()}
        except (TodacommError, *FOREIGN) as problem:
            complaints.append(f"{layer}: {type(problem).__name__}: {problem}")
    seconds = round(time.perf_counter() - begun, 4)
    return {"step": step, "layers": layers, "complaints": complaints, "seconds": seconds}


def finite(value: Number) -> Number:
    """A number as JSON has it: None for NaN and infinity."""
    return float(value) if value is not None and math.isfinite(value) else None


def main() -> None:
    """Answer until no more frames come, or the process that asks is gone."""
    recipe = Recipe(**json.loads(sys.argv[1]))
    end_with(int(sys.argv[2]))
    with suppress(OSError, AttributeError):  # where the system knows no such thing
        os.nice(LESS_URGENT)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no reply
    with one_thread:
        while (found := received(sys.stdin.buffer)) is not None:
            replies.write(json.dumps(answer(*found, recipe), allow_nan=False) + "\n")
            replies.flush()


if __name__ == "__main__":
    main()

"""Write the diagrams of two engines that differ, so that the cloud can be looked at and reported."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from todacomm.core.errors import CannotWrite, EngineDisagreement
from todacomm.core.versions import versions
from todacomm.records.files.io import write_arrays

SCHEMA = 1
FILE_NAME = "engines_differ_{}.safetensors"


def kept_disagreement(problem: EngineDisagreement, directory: Path) -> EngineDisagreement:
    """Write both diagrams and the distances into a directory; return the error with the name of the file.

    One cloud has one file, however often it is measured.
    """
    if not problem.arrays:
        return problem
    told = str(problem).rstrip(".")
    cloud = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in problem.arrays.values()))
    path = directory / FILE_NAME.format(cloud.hexdigest()[:12])
    try:
        write_arrays(path, problem.arrays, {"schema": SCHEMA, "message": str(problem), "versions": versions()})
    except CannotWrite as refused:
        return EngineDisagreement(f"{told}. Its diagrams are lost: {refused}")
    return EngineDisagreement(f"{told}: its distances and both diagrams are in {path}")


@contextmanager
def disagreements_kept(directory: Path) -> Iterator[None]:
    """Write what two engines found into a directory, where they differ; the error names the file."""
    try:
        yield
    except EngineDisagreement as problem:
        raise kept_disagreement(problem, directory) from problem

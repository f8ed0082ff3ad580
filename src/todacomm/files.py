"""Files that no reader ever sees half of: JSON and safetensors, written beside and renamed."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.errors import CannotWrite, InvalidRecord


def write_atomically(path: Path, content: bytes | str) -> Path:
    """Write beside ``path``, then rename, so that no reader ever sees half a file. Raises CannotWrite."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    except OSError as problem:
        with suppress(OSError):  # there may be no directory to look in
            part.unlink()
        raise CannotWrite(f"cannot write {path}: {problem.strerror}. Choose another place") from problem
    return path


def to_json(content: object) -> str:
    """JSON with a stable layout; NaN and infinity, which JSON does not have, are refused."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """The content of a JSON file, or an InvalidRecord that says what is wrong with it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidRecord(f"{path} is missing: is {path.parent} the directory of a finished run?") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise InvalidRecord(f"{path} cannot be read: {problem}. Run the model again to replace it") from problem


def check_schema(where: object, found: Any, *expected: int) -> None:
    """Raise InvalidRecord unless ``found``, the JSON of a record that lies at ``where``, is an object of an ``expected`` schema."""
    schema = found.get("schema") if isinstance(found, Mapping) else None
    if schema not in expected:
        newer = isinstance(schema, int) and schema > max(expected)
        hint = ". A newer one wrote it: update todacomm" if newer else ""
        known = " and ".join(map(str, expected))
        raise InvalidRecord(f"{where} has schema {schema}; this todacomm reads schema {known}{hint}")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> Path:
    """A safetensors file; the metadata is one JSON string under ``todacomm``, so that equal content is equal bytes."""
    from safetensors.numpy import save

    packed = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return write_atomically(path, save(packed, metadata={"todacomm": json.dumps(metadata, sort_keys=True)}))


def read_arrays(path: Path, *, schema: int | None = None) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file by name, or an InvalidRecord; with ``schema``, only of a file that has that one."""
    with opened(path, schema) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


def names_of(path: Path, *, schema: int | None = None) -> list[str]:
    """The names of the arrays of a safetensors file that is whole, without reading them, or an InvalidRecord."""
    with opened(path, schema) as file:
        return list(file.keys())


@contextmanager
def opened(path: Path, schema: int | None) -> Iterator[Any]:
    """A safetensors file; whatever is wrong with it is an InvalidRecord."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            if schema is not None:
                check_schema(path, metadata_of(path, file.metadata()), schema)
            yield file
    except FileNotFoundError:
        raise InvalidRecord(f"{path} is missing") from None
    except (OSError, SafetensorError) as problem:
        raise InvalidRecord(f"{path} cannot be read as safetensors: {problem}") from problem


def metadata_of(path: Path, metadata: Mapping[str, str] | None) -> Any:
    """What stands under ``todacomm`` in the metadata of a safetensors file; an empty object where nothing does."""
    try:
        return json.loads((metadata or {}).get("todacomm", "{}"))
    except json.JSONDecodeError as problem:
        raise InvalidRecord(f"{path} has metadata that cannot be read: {problem}") from problem

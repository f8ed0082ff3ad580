"""Files that no reader ever sees half of: JSON and safetensors, written beside and renamed."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.core.errors import CannotWrite, InvalidRecord
from todacomm.records.unfinished import hold, unfinished

SEAL = "seal"  # the key of the digest of a record


def write_atomically(path: Path, content: bytes | str) -> Path:
    """Write beside ``path``, then rename, so that no reader ever sees half a file. Raises CannotWrite."""
    part = unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            hold(file.fileno())
            file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, ValueError) as problem:  # ValueError: a name with U+0000
        raise CannotWrite(
            f"cannot write {path}: {getattr(problem, 'strerror', problem)}. Choose another place"
        ) from problem
    finally:
        with suppress(OSError, ValueError):  # it is there where something went wrong
            part.unlink()
    return path


def to_json(content: object) -> str:
    """JSON with a stable layout; NaN and infinity, which JSON does not have, are refused."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """The content of a JSON file, or an InvalidRecord that says what is wrong with it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=no_number)
    except FileNotFoundError:
        raise InvalidRecord(f"{path} is missing: is {path.parent} the directory of a finished run?") from None
    except (OSError, ValueError, RecursionError) as problem:  # ValueError: neither UTF-8 nor JSON, or a number too long
        raise InvalidRecord(f"{path} cannot be read: {problem}. Run the model again to replace it") from problem


def no_number(name: str) -> None:
    """Refuse NaN and infinity, which are no JSON."""
    raise ValueError(f"{name} is no number of JSON")


def check_schema(where: object, found: Any, *expected: int) -> None:
    """Raise InvalidRecord unless ``found``, the JSON of a record that lies at ``where``, is an object of an ``expected`` schema
    that is as it was written, where it has a seal.
    """
    schema = found.get("schema") if isinstance(found, Mapping) else None
    if schema not in expected:
        newer = isinstance(schema, int) and schema > max(expected)
        hint = ". A newer one wrote it: update todacomm" if newer else ""
        known = " and ".join(map(str, expected))
        raise InvalidRecord(f"{where} has schema {schema}; this todacomm reads schema {known}{hint}")
    if SEAL in found and found[SEAL] != seal_of(found):
        raise InvalidRecord(
            f"{where} is not as it was written: its content does not fit its {SEAL}. Run it again to replace it"
        )


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the digest of its content, by which a change is noticed."""
    return {**content, SEAL: seal_of(content)}


def seal_of(content: Mapping[str, Any]) -> str:
    """The SHA-256 of a record as JSON with sorted keys, its seal left out."""
    plain = json.loads(json.dumps({key: value for key, value in content.items() if key != SEAL}))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def digests_of(directory: Path, files: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of files by their names within a directory."""
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check_digest(directory: Path, path: Path, digests: Any) -> None:
    """Raise InvalidRecord where a file of a directory is not the one whose digest was written; one without a digest passes."""
    name = path.relative_to(directory).as_posix()
    expected = digests.get(name) if isinstance(digests, Mapping) else None
    if expected is not None and path.exists() and digests_of(directory, [path])[name] != expected:
        raise InvalidRecord(f"{path} is not as it was written: its SHA-256 is another. Run it again to replace it")


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

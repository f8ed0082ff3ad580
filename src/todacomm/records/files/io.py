"""Write JSON and safetensors files atomically, and read them."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.core.errors import CannotWrite
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.unfinished import hold, unfinished

SEAL = "seal"  # the key of a record's digest
RUN_AGAIN = "run the model again"


def write_atomically(path: Path, content: bytes | str) -> Path:
    """Write beside ``path``, then rename, so that no reader sees half a file. Raises CannotWrite."""
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
    """Encode JSON with a stable layout; refuse NaN and infinity, which JSON lacks."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path, remedy: str = RUN_AGAIN) -> Any:
    """Read a JSON file. Raises InvalidRecord; ``remedy`` says what makes the file again."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=no_number)
    except FileNotFoundError:
        raise Spot(path, remedy).missing() from None
    except (OSError, ValueError, RecursionError) as problem:  # ValueError: neither UTF-8 nor JSON, or a number too long
        raise Spot(path, remedy).unreadable(problem) from problem


def no_number(name: str) -> None:
    """Refuse NaN and infinity, which are not JSON."""
    raise ValueError(f"{name} is no number of JSON")


def check_schema(spot: Spot, found: Any, *expected: int) -> int:
    """Return the schema of a record.

    Raises InvalidRecord unless it is an object of an ``expected`` schema, unchanged where it has a seal.
    """
    if not isinstance(found, Mapping):
        raise spot.wrong(found, "an object")
    schema = found.get("schema")
    if not isinstance(schema, int) or schema not in expected:
        raise spot.of_schema(schema, expected)
    if SEAL in found and found[SEAL] != seal_of(found):
        raise spot.changed(SEAL)
    return schema


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Add the digest of its content to a record."""
    return {**content, SEAL: seal_of(content)}


def seal_of(content: Mapping[str, Any]) -> str:
    """The SHA-256 of a record without its seal, as JSON with sorted keys."""
    plain = json.loads(json.dumps({key: value for key, value in content.items() if key != SEAL}))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def digests_of(directory: Path, files: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of files by their names in a directory."""
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check_digest(directory: Path, path: Path, digests: Any, remedy: str = RUN_AGAIN) -> None:
    """Raise InvalidRecord where a file does not have the digest that was written; one without a digest passes."""
    name = path.relative_to(directory).as_posix()
    expected = digests.get(name) if isinstance(digests, Mapping) else None
    if expected is not None and path.exists() and digests_of(directory, [path])[name] != expected:
        raise Spot(path, remedy).changed("SHA-256")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> Path:
    """Write a safetensors file; its metadata is one JSON string, so that equal content is equal bytes."""
    from safetensors.numpy import save

    packed = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return write_atomically(path, save(packed, metadata={"todacomm": json.dumps(metadata, sort_keys=True)}))


def read_arrays(path: Path, *, schema: int | None = None, remedy: str = RUN_AGAIN) -> dict[str, np.ndarray]:
    """Read the arrays of a safetensors file by name, of ``schema`` if given. Raises InvalidRecord."""
    with opened(Spot(path, remedy), schema) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


def names_of(path: Path, *, schema: int | None = None, remedy: str = RUN_AGAIN) -> list[str]:
    """List the arrays of a safetensors file without reading them. Raises InvalidRecord."""
    with opened(Spot(path, remedy), schema) as file:
        return list(file.keys())


@contextmanager
def opened(spot: Spot, schema: int | None) -> Iterator[Any]:
    """Open a safetensors file. Raises InvalidRecord."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(spot.file, framework="numpy") as file:
            if schema is not None:
                check_schema(spot, json.loads((file.metadata() or {}).get("todacomm", "{}")), schema)
            yield file
    except FileNotFoundError:
        raise spot.missing() from None
    except (OSError, SafetensorError, json.JSONDecodeError) as problem:
        raise spot.unreadable(problem, "safetensors") from problem

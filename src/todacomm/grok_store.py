"""What a training run leaves on disk: one line a checkpoint, arrays beside it, and the state from which it goes on.

``records.jsonl`` is written line by line and cut back to the last state where a run was stopped: a resumed run has the same bytes as one
that was not. docs/format.md has the contract.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.errors import CannotWrite, InvalidRecord
from todacomm.files import read_arrays, read_json, to_json, write_arrays, write_atomically
from todacomm.fourier import Characters, additive_characters, multiplicative_characters
from todacomm.store import bars_of, layer_record, measurement_from
from todacomm.types import Address, Profile
from todacomm.watching import VIEWS, Course, Observation, course_of

SCHEMA = 1
RECORDS, STATE, ABOUT, DONE = "records.jsonl", "state.safetensors", "run.json", "finished.json"
WEIGHTS = "weights.safetensors"  # of the last step
PLAN = "experiment.json"  # of all runs, beside them


def write_observation(directory: Path, seen: Observation) -> None:
    """The arrays of one checkpoint, then its line."""
    arrays = {
        f"{m.address.layer}/{view}/{name}": bars
        for view, found in seen.measurements.items()
        for m in found
        for name, bars in bars_of(m.diagrams).items()
    }
    extra = {"embedding_rows": seen.embedding, "spectrum": seen.spectrum}
    arrays |= {name: array for name, array in extra.items() if array is not None}
    write_arrays(arrays_path(directory, seen.step), arrays, {"schema": SCHEMA, "step": seen.step})
    line = json.dumps(row_of(seen), ensure_ascii=False, allow_nan=False)
    try:
        with (directory / RECORDS).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as problem:
        raise CannotWrite(f"cannot write {directory / RECORDS}: {problem.strerror}. Choose another place") from problem


def arrays_path(directory: Path, step: int) -> Path:
    """Where the arrays of one checkpoint are."""
    return directory / "checkpoints" / f"step_{step:08d}.safetensors"


def row_of(seen: Observation) -> dict[str, Any]:
    """One checkpoint as JSON."""
    return {
        "schema": SCHEMA,
        "step": seen.step,
        "numbers": {name: finite(value) for name, value in seen.numbers.items()},
        "frequencies": list(seen.frequencies),
        "complaints": list(seen.complaints),
        "clouds": {
            view: {m.address.layer: layer_record(m) for m in found} for view, found in seen.measurements.items()
        },
    }


def finite(value: float | None) -> float | None:
    """A number as JSON has it."""
    return value if value is not None and np.isfinite(value) else None


def rows(directory: Path) -> Iterator[dict[str, Any]]:
    """The checkpoints of a run, in order; a last line that was cut off is left out. Raises InvalidRecord."""
    path = directory / RECORDS
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        raise InvalidRecord(f"{path} is missing: is {directory} a run of `todacomm grok`?") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidRecord(f"{path} cannot be read: {problem}") from problem
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            return
        try:
            row = json.loads(line)
        except json.JSONDecodeError as problem:
            raise InvalidRecord(f"{path}, line {number} cannot be read: {problem}") from problem
        if not isinstance(row, dict) or row.get("schema") != SCHEMA:
            found = row.get("schema") if isinstance(row, dict) else None
            raise InvalidRecord(f"{path}, line {number} has schema {found}; this todacomm reads schema {SCHEMA}")
        yield row


def cut_back(directory: Path, step: int) -> None:
    """Leave out the checkpoints after ``step``, and a line that was not finished."""
    path = directory / RECORDS
    if path.exists():
        kept = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows(directory) if row["step"] <= step]
        write_atomically(path, "".join(kept))


def write_state(directory: Path, step: int, tensors: Mapping[str, np.ndarray]) -> None:
    """All that the rest of the run depends on, beside and renamed."""
    write_arrays(directory / STATE, {"step": np.array([step], dtype=np.int64), **tensors}, {"schema": SCHEMA})


def read_state(directory: Path) -> tuple[int, dict[str, np.ndarray]] | None:
    """The step and the tensors of the last state; None where there is none. Numbers come back from files as arrays of one."""
    if not (directory / STATE).exists():
        return None
    arrays = read_arrays(directory / STATE)
    step = int(arrays.pop("step")[0])
    return step, {name: array.reshape(()) if name.endswith("/step") else array for name, array in arrays.items()}


def write_about(directory: Path, about: Mapping[str, Any]) -> None:
    """What the run is: name, kind, seed, settings."""
    write_atomically(directory / ABOUT, to_json({"schema": SCHEMA, **about}))


def write_done(directory: Path, about: Mapping[str, Any]) -> None:
    """That nothing is left to do, and what there is to say of it."""
    write_atomically(directory / DONE, to_json({"schema": SCHEMA, **about}))


def is_done(directory: Path) -> bool:
    """Whether a run was finished."""
    return (directory / DONE).exists()


def has_records(directory: Path) -> bool:
    """Whether a run has measured anything."""
    path = directory / RECORDS
    return path.exists() and path.stat().st_size > 0


def read_course(directory: Path) -> Course:
    """The numbers of a run along its steps."""
    about = read_json(directory / ABOUT)
    done = read_json(directory / DONE) if is_done(directory) else {}
    return course_of(
        ((row["step"], row["numbers"]) for row in rows(directory)),
        name=about["name"],
        kind=about["kind"],
        seed=about["seed"],
        settings=about["settings"],
        complaint=done.get("complaint", ""),
    )


def characters_of(directory: Path) -> tuple[Characters | None, str]:
    """The characters of the task of a run, or None and why there are none."""
    about = read_json(directory / ABOUT)
    given = about["characters"]
    if given is None:
        return None, about["without_fourier"]
    make = additive_characters if given["of"] == "residue" else multiplicative_characters
    return make(given["prime"]), ""


def frequencies(directory: Path) -> dict[int, tuple[int, ...]]:
    """The dominant frequencies of the embedding at each step, the strongest first."""
    return {row["step"]: tuple(row["frequencies"]) for row in rows(directory)}


def read_weights(directory: Path) -> dict[str, np.ndarray]:
    """The weights of the last step by their names in the network (``embed.weight``, ``layers.0.weight`` …)."""
    return {name.removeprefix("weight/"): array for name, array in read_arrays(directory / WEIGHTS).items()}


def read_profile(directory: Path, layer: str = "embedding", view: str = "sphere") -> Profile:
    """One layer of a run along its steps, with every diagram."""
    about, recipe = read_json(directory / ABOUT), VIEWS[view]
    found = []
    for row in rows(directory):
        if layer in row["clouds"][view]:
            address = Address(about["model"], about["data"], layer, row["step"])
            arrays = read_arrays(arrays_path(directory, row["step"]))
            measured = row["clouds"][view][layer]
            found.append(measurement_from(address, recipe, measured, arrays, prefix=f"{layer}/{view}/"))
    return Profile(tuple(found), along="step")


def read_embedding(directory: Path, step: int) -> np.ndarray | None:
    """The rows of the embedding at one step, (c, d) float32; None where the run has none."""
    return read_arrays(arrays_path(directory, step)).get("embedding_rows")


def read_spectrum(directory: Path, step: int) -> np.ndarray | None:
    """The shares of the frequencies of the embedding at one step, (f,); None where the task has no Fourier basis."""
    return read_arrays(arrays_path(directory, step)).get("spectrum")

"""What a training run leaves on disk: one line a checkpoint, arrays beside it, and the state from which it goes on.

``records.jsonl`` is written line by line and cut back to the last state where a run was stopped: a resumed run has the same bytes as one
that was not. docs/format.md has the contract.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.core.errors import CannotWrite, InvalidRecord
from todacomm.core.types import Address, Profile
from todacomm.records.damaged import Attempt, strictly
from todacomm.records.io import (
    check_digest,
    check_schema,
    digests_of,
    names_of,
    read_arrays,
    read_json,
    sealed,
    to_json,
    write_arrays,
    write_atomically,
)
from todacomm.records.runs import bars_of, layer_record, measurement_from
from todacomm.records.typed_json import made, mapping, numbers
from todacomm.training.fourier import Characters, additive_characters, multiplicative_characters
from todacomm.training.observe import VIEWS, Course, Observation, course_of

SCHEMA = 1
RECORDS, STATE, ABOUT, DONE = "records.jsonl", "state.safetensors", "run.json", "finished.json"
WEIGHTS = "weights.safetensors"  # of the last step
OF_A_RUN = ("name", "kind", "seed", "settings", "model", "data", "followed")  # what run.json must say
THE_PLAN = "plan, settings and versions"
PLAN, SIGNATURE = "experiment.json", "signature.json"  # of all runs, beside them


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
    """The checkpoints of a run, in order; a last line that was cut off is left out. Raises InvalidRecord, also for a step that does not rise."""
    path = directory / RECORDS
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        raise InvalidRecord(f"{path} is missing: is {directory} a run of `todacomm grok`?") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidRecord(f"{path} cannot be read: {problem}") from problem
    last = -1
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            return
        try:
            row = json.loads(line)
        except json.JSONDecodeError as problem:
            raise InvalidRecord(f"{path}, line {number} cannot be read: {problem}. {again(last)}") from problem
        check_schema(f"{path}, line {number}", row, SCHEMA)
        if (step := row.get("step")).__class__ is not int or step <= last:
            raise InvalidRecord(
                f"{path}, line {number} has step {step!r}{f' after step {last}' if number > 1 else ''}; steps are whole numbers that rise. "
                f"{again(last)}"
            )
        last = step
        yield row


def again(last: int) -> str:
    """What to do about records that are sound up to step ``last``."""
    where = f"The checkpoints to step {last} are sound. To make the rest" if last >= 0 else "To make the run"
    return f"{where} again, give the same `todacomm grok` (where there is a {SIGNATURE}, remove it first)"


def sound_rows(directory: Path) -> list[dict[str, Any]]:
    """The checkpoints before the first line that is damaged, doubled or out of order."""
    found = []
    with suppress(InvalidRecord):
        for row in rows(directory):
            found.append(row)  # noqa: PERF402 - what was read before an error is kept
    return found


def cut_back(directory: Path, step: int) -> None:
    """Leave out the checkpoints after ``step``, what follows a line that is not sound, and a line that was not finished."""
    path = directory / RECORDS
    if path.exists():
        kept = [json.dumps(row, ensure_ascii=False) + "\n" for row in sound_rows(directory) if row["step"] <= step]
        write_atomically(path, "".join(kept))


def write_state(directory: Path, step: int, tensors: Mapping[str, np.ndarray]) -> None:
    """All that the rest of the run depends on, beside and renamed."""
    write_arrays(directory / STATE, {"step": np.array([step], dtype=np.int64), **tensors}, {"schema": SCHEMA})


def read_state(directory: Path) -> tuple[int, dict[str, np.ndarray]] | None:
    """The step and the tensors of the last state; None where there is none that can be read. Numbers come back as arrays of one."""
    try:
        arrays = read_arrays(directory / STATE)
        step = int(arrays.pop("step")[0])
    except (InvalidRecord, KeyError):
        return None
    return step, {name: array.reshape(()) if name.endswith("/step") else array for name, array in arrays.items()}


def write_about(directory: Path, about: Mapping[str, Any]) -> None:
    """What the run is: name, kind, seed, settings."""
    write_atomically(directory / ABOUT, to_json({"schema": SCHEMA, **about}))


@dataclass(frozen=True, slots=True)
class Planned:
    """One run as the plan of its experiment has it; ``cell`` is that of a sweep, empty without one."""

    cell: str
    name: str
    kind: str
    seed: int
    settings: Mapping[str, Any]


def read_plan(directory: Path) -> Mapping[str, Any]:
    """``experiment.json``. Raises InvalidRecord."""
    found = read_json(directory / PLAN)
    check_schema(directory / PLAN, found, SCHEMA)
    return found


def planned(directory: Path, attempt: Attempt = strictly) -> dict[str, list[Planned]]:
    """Cell → every run that was planned of it; where ``attempt`` does without the plan, those that lie there."""
    plans = attempt(THE_PLAN, lambda: plans_of(directory))
    if plans is None:
        there = sorted((directory / "runs").glob(f"**/{ABOUT}"))
        found = (attempt(path.parent.name, partial(plan_of, path)) for path in there)
        plans = sorted((plan for plan in found if plan is not None), key=lambda plan: plan.kind != "run")
    cells: dict[str, list[Planned]] = {}
    for plan in plans:
        cells.setdefault(plan.cell, []).append(plan)
    return cells


def plans_of(directory: Path) -> list[Planned]:
    """Every run that was planned. Raises InvalidRecord."""
    try:
        rows_ = [{f.name: row[f.name] for f in fields(Planned)} for row in read_plan(directory)["runs"]]
    except (KeyError, TypeError) as problem:
        raise InvalidRecord(f"{directory / PLAN} lacks what a plan has ({problem!r})") from problem
    return [made(Planned, row, f"{directory / PLAN}: a run") for row in rows_]


def plan_of(path: Path) -> Planned:
    """What ``run.json`` says of the plan of its run; the cell stands in its name. Raises InvalidRecord."""
    about = read_json(path)
    check_schema(path, about, SCHEMA)
    try:
        return Planned(about["name"].rpartition("/")[0], *(about[key] for key in ("name", "kind", "seed", "settings")))
    except (KeyError, AttributeError) as problem:
        raise InvalidRecord(f"{path} lacks what it must say of its run ({problem!r})") from problem


def write_done(directory: Path, about: Mapping[str, Any]) -> None:
    """That nothing is left to do, what there is to say of it, and the digests of the records, by which a change is noticed."""
    digests = digests_of(directory, written_files(directory))
    write_atomically(directory / DONE, to_json(sealed({"schema": SCHEMA, **about, "files": digests})))


def written_files(directory: Path) -> list[Path]:
    """The records of a run that came to its end."""
    named = (directory / name for name in (ABOUT, RECORDS, WEIGHTS))
    return [*(path for path in named if path.exists()), *sorted(directory.glob("checkpoints/*.safetensors"))]


def check_files(directory: Path, done: Mapping[str, Any]) -> None:
    """Raise InvalidRecord where a file of a run is not as it was when the run came to its end, which ``done`` is of."""
    for path in written_files(directory):
        check_digest(directory, path, done.get("files"))


def read_done(directory: Path) -> Mapping[str, Any]:
    """``finished.json``; empty for a run that has not come to its end. Raises InvalidRecord."""
    if not is_done(directory):
        return {}
    found = read_json(directory / DONE)
    check_schema(directory / DONE, found, SCHEMA)
    return mapping(found, directory / DONE)


def has_begun(directory: Path) -> bool:
    """Whether a run has left anything."""
    return (directory / ABOUT).exists() or (directory / RECORDS).exists()


def is_done(directory: Path) -> bool:
    """Whether a run was finished."""
    return (directory / DONE).exists()


def has_records(directory: Path) -> bool:
    """Whether a run has measured anything."""
    path = directory / RECORDS
    return path.exists() and path.stat().st_size > 0


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """What a run has left: what it is, its numbers along the steps (None without a checkpoint), and what it ended with (empty: it did not)."""

    about: Mapping[str, Any]
    course: Course | None
    done: Mapping[str, Any]


def read_run(directory: Path) -> Ran:
    """The run in ``directory``. InvalidRecord names the file that is missing, damaged, cut off or of a newer schema."""
    about = mapping(read_json(directory / ABOUT), directory / ABOUT)
    check_schema(directory / ABOUT, about, SCHEMA)
    done = read_done(directory)
    check_digest(directory, directory / ABOUT, done.get("files"))
    try:
        _ = [about[key] for key in OF_A_RUN]
        course = course_from(directory, about, done)
    except (KeyError, TypeError, AttributeError) as problem:
        raise InvalidRecord(f"{directory}: {ABOUT} and {RECORDS} do not fit together ({problem!r})") from problem
    return Ran(about, course, done)


def course_from(directory: Path, about: Mapping[str, Any], done: Mapping[str, Any]) -> Course | None:
    """The numbers of a run along its steps; None where it left none and says why."""
    complaint = done.get("complaint", "")
    if not has_records(directory):
        if done and not complaint:
            raise InvalidRecord(f"{directory / RECORDS} is missing or empty, though the run came to its end")
        return None
    seen = [
        (row["step"], numbers(row["numbers"], f"{directory / RECORDS}, step {row['step']}")) for row in rows(directory)
    ]
    last = seen[-1][0] if seen else None
    steps = about["settings"]["steps"]
    if done and not complaint and (last is None or last < steps):
        where = "before the first checkpoint" if last is None else f"after step {last}"
        raise InvalidRecord(
            f"{directory / RECORDS} is cut off {where} of {steps} steps, though the run came to its end"
        )
    check_digest(directory, directory / RECORDS, done.get("files"))
    return course_of(
        seen,
        name=about["name"],
        kind=about["kind"],
        seed=about["seed"],
        settings=about["settings"],
        complaint=complaint,
    )


def read_course(directory: Path) -> Course:
    """The numbers of a run along its steps. Raises InvalidRecord, also where there are none."""
    course = read_run(directory).course
    if course is None:
        raise InvalidRecord(f"{directory / RECORDS} holds no checkpoint")
    return course


def has_arrays(directory: Path, course: Course) -> bool:
    """That the arrays of every checkpoint are there. Raises InvalidRecord where one is missing or damaged; headers are read, no more."""
    return all(names_of(arrays_path(directory, step), schema=SCHEMA) for step in course.steps)


def check_weights(directory: Path, course: Course) -> None:
    """The same of the weights that a run leaves which comes to its end."""
    if is_done(directory) and not course.complaint:
        names_of(directory / WEIGHTS)


def characters_of(directory: Path) -> tuple[Characters | None, str]:
    """The characters of the task of a run, or None and why there are none. Raises InvalidRecord."""
    about = read_json(directory / ABOUT)
    try:
        if (given := about["characters"]) is None:
            return None, str(about["without_fourier"])
        make = additive_characters if given["of"] == "residue" else multiplicative_characters
        return make(given["prime"]), ""
    except (KeyError, TypeError) as problem:
        raise InvalidRecord(
            f"{directory / ABOUT} does not say what the characters of its task are ({problem!r})"
        ) from problem


def frequencies(directory: Path) -> dict[int, tuple[int, ...]]:
    """The dominant frequencies of the embedding at each step, the strongest first."""
    return {row["step"]: tuple(row["frequencies"]) for row in rows(directory)}


def read_weights(directory: Path) -> dict[str, np.ndarray]:
    """The weights of the last step by their names in the network (``embed.weight``, ``layers.0.weight`` …)."""
    check_digest(directory, directory / WEIGHTS, read_done(directory).get("files"))
    return {name.removeprefix("weight/"): array for name, array in read_arrays(directory / WEIGHTS).items()}


def read_profile(directory: Path, layer: str = "embedding", view: str = "sphere") -> Profile:
    """One layer of a run along its steps, with every diagram."""
    about, recipe, done = read_json(directory / ABOUT), VIEWS[view], read_done(directory)
    found = []
    for row in rows(directory):
        if layer in row["clouds"][view]:
            address = Address(about["model"], about["data"], layer, row["step"])
            arrays = arrays_of(directory, row["step"], done)
            measured = row["clouds"][view][layer]
            found.append(measurement_from(address, recipe, measured, arrays, prefix=f"{layer}/{view}/"))
    return Profile(tuple(found), along="step")


def read_embedding(directory: Path, step: int) -> np.ndarray | None:
    """The rows of the embedding at one step, (c, d) float32; None where the run has none."""
    return arrays_of(directory, step, read_done(directory)).get("embedding_rows")


def read_spectrum(directory: Path, step: int) -> np.ndarray | None:
    """The shares of the frequencies of the embedding at one step, (f,); None where the task has no Fourier basis."""
    return arrays_of(directory, step, read_done(directory)).get("spectrum")


def arrays_of(directory: Path, step: int, done: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of one checkpoint of a run that ended with ``done``. Raises InvalidRecord."""
    path = arrays_path(directory, step)
    check_digest(directory, path, done.get("files"))
    return read_arrays(path)

"""Claims on disk: ``tda_claims.json`` for whoever reads, ``claims.safetensors`` for later comparisons without the clouds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.core.errors import InvalidRecord
from todacomm.core.inference_types import Asked, Claims, Grown, Halves, Interval, LoopBar, NullTest
from todacomm.records.io import check_schema, read_arrays, read_json, to_json, write_arrays, write_atomically
from todacomm.records.typed_json import fits, made, numbers, texts
from todacomm.statistics.loop_test import LOOP

SCHEMA, FIRST, OF_ARRAYS = 2, 1, 1
CLAIMS, HALVES = "tda_claims.json", "claims.safetensors"
ARRAYS = ("whole", "values", "quarters")  # of Halves


def write_claims(directory: Path, claims: Claims) -> None:
    """Write both files."""
    write_arrays(directory / HALVES, packed(claims), {"schema": OF_ARRAYS})
    write_atomically(directory / CLAIMS, to_json(claims_record(claims)))


def claims_record(claims: Claims) -> dict[str, Any]:
    """Everything but the arrays, ready for JSON: by layer, then by number."""
    layers = {
        layer: {
            "intervals": {name: brief(one) for name, one in claims.intervals.get(layer, {}).items()},
            "one_by_one": {name: brief(one) for name, one in claims.one_by_one.get(layer, {}).items()},
            "tests": {
                null: {name: brief(one) for name, one in found.get(layer, {}).items()}
                for null, found in claims.tests.items()
            },
            "loops": [{**asdict(bar), "group": len(bar.group), "p": bar.p} for bar in claims.loops.get(layer, ())],
            "missing": claims.missing.get(layer, ""),
        }
        for layer in layers_of(claims)
    }
    growths = {base: {part: brief(one) for part, one in found.items()} for base, found in claims.growths.items()}
    return {
        "schema": SCHEMA,
        **asdict(claims.asked),
        "growths": growths,
        "peaks": dict(claims.peaks),
        "ungrouped": claims.ungrouped,
        "null_growths": {null: dict(found) for null, found in claims.null_growths.items()},
        "labels": list(claims.labels),
        "halves": {layer: apart(found) for layer, found in claims.halves.items()},
        "layers": layers,
    }


def layers_of(claims: Claims) -> list[str]:
    """Every layer that something is claimed of."""
    tested = [layer for found in claims.tests.values() for layer in found]
    return list(dict.fromkeys([*claims.intervals, *claims.missing, *tested]))


def brief(one: Interval | NullTest) -> dict[str, Any]:
    """A claim as JSON, without what is empty."""
    return {key: value for key, value in asdict(one).items() if value != ""}


def apart(halves: Halves) -> dict[str, Any]:
    """What is no array of halves."""
    return {f.name: getattr(halves, f.name) for f in fields(Halves) if f.name not in ARRAYS}


def packed(claims: Claims) -> dict[str, np.ndarray]:
    """``layer/values`` and the like of halves, and ``layer/loop_groups``, the members of all groups, one group after the other."""
    found = {f"{layer}/{name}": getattr(h, name) for layer, h in claims.halves.items() for name in ARRAYS}
    groups = {layer: np.concatenate([bar.group for bar in bars]) for layer, bars in claims.loops.items() if bars}
    return found | {f"{layer}/loop_groups": members for layer, members in groups.items()}


def read_claims(directory: Path) -> Claims | None:
    """The claims of a run; None where it has none. InvalidRecord for a file that is damaged, of a newer schema or without the other."""
    if not any((directory / name).exists() for name in (CLAIMS, HALVES)):
        return None
    found = read_json(directory / CLAIMS)
    check_schema(directory / CLAIMS, found, SCHEMA, FIRST)
    first = found["schema"] == FIRST
    arrays = read_arrays(directory / HALVES, schema=OF_ARRAYS)
    try:
        return claims_from(second_schema(found) if first else found, arrays)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise InvalidRecord(
            f"{directory}: {CLAIMS} and {HALVES} do not fit together ({problem}); run the model again"
        ) from problem


def second_schema(found: Mapping[str, Any]) -> dict[str, Any]:
    """A record of the first schema as one of the second; its halves, and what was made of them, remain those of points one by one."""
    return {**found, "layers": {layer: with_groups_first(row) for layer, row in found["layers"].items()}}


def with_groups_first(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a layer: the intervals of whole groups, where it has them, are the intervals; its loop test is left out, for it held bars
    against their layer alone.
    """
    grouped = row["by_group"]
    tests = {
        null: {name: old_test(one) for name, one in of.items() if name != LOOP} for null, of in row["tests"].items()
    }
    intervals = {"intervals": grouped or row["intervals"], "one_by_one": row["intervals"] if grouped else {}}
    return {**row, **intervals, "tests": tests, "loops": []}


def old_test(row: Mapping[str, Any]) -> dict[str, Any]:
    """A test without what the first schema said beside it."""
    return {key: value for key, value in row.items() if key != "decidable"}


def claims_from(found: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Claims:
    """The claims that `write_claims` wrote."""
    layers = found["layers"]
    nulls = dict.fromkeys(null for row in layers.values() for null in row["tests"])
    return Claims(
        asked=asked_from(found),
        intervals=rows_of(layers, "intervals"),
        one_by_one=rows_of(layers, "one_by_one"),
        growths={
            base: {part: interval_from(row, f"{base}: {part}") for part, row in rows.items()}
            for base, rows in found["growths"].items()
        },
        peaks={block: share or 0.0 for block, share in numbers(found["peaks"], "peaks").items()},
        tests={
            null: {
                layer: {name: made(NullTest, one, f"{layer}: {name}") for name, one in row["tests"][null].items()}
                for layer, row in layers.items()
                if row["tests"].get(null)
            }
            for null in nulls
        },
        loops={layer: loops_from(layer, row["loops"], arrays) for layer, row in layers.items() if row["loops"]},
        halves={layer: halves_from(layer, row, arrays) for layer, row in found["halves"].items()},
        missing={layer: row["missing"] for layer, row in layers.items() if row["missing"]},
        ungrouped=found["ungrouped"],
        null_growths={null: grown_from(row) for null, row in found.get("null_growths", {}).items()},
        labels=tuple(found.get("labels", ())),
    )


def loops_from(layer: str, rows: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]) -> tuple[LoopBar, ...]:
    """The bars of one layer that stand out, each with its cycle and its group; p follows from the other fields."""
    ends = np.cumsum([row["group"] for row in rows])
    members = np.split(arrays[f"{layer}/loop_groups"], ends[:-1])
    return tuple(loop_from(layer, row, own.tolist()) for row, own in zip(rows, members, strict=True))


def loop_from(layer: str, row: Mapping[str, Any], group: list[int]) -> LoopBar:
    """One bar."""
    given = {key: row[key] for key in row if key != "p"} | {"cycle": tuple(row["cycle"]), "group": tuple(group)}
    return made(LoopBar, given, f"{layer}: a loop")


def asked_from(found: Mapping[str, Any]) -> Asked:
    """What was asked."""
    asked = made(Asked, {f.name: found[f.name] for f in fields(Asked)}, "what was asked")
    return replace(asked, nulls=tuple(asked.nulls))


def interval_from(row: Any, where: str) -> Interval:
    """An interval whose ends are in order."""
    found = made(Interval, row, where)
    if found.low is not None and found.high is not None and found.low > found.high:
        raise InvalidRecord(f"{where}: an interval from {found.low} to {found.high}")
    return found


def grown_from(found: Mapping[str, Any]) -> dict[str, tuple[Grown | None, ...]]:
    """Baseline → the growths of the passes of a null."""
    if not fits(found, Mapping[str, tuple[tuple[float, ...] | None, ...]]):
        raise InvalidRecord("null_growths hold something else than three finite numbers a pass")
    return {base: tuple((one[0], one[1], one[2]) if one else None for one in row) for base, row in found.items()}


def halves_from(layer: str, row: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Halves:
    """The halves of one layer."""
    given: dict[str, Any] = {name: arrays[f"{layer}/{name}"] for name in ARRAYS}
    if given["quarters"].shape[2:] != given["values"].shape[2:]:
        raise InvalidRecord(
            f"{layer}/quarters has shape {given['quarters'].shape}; expected as many numbers as {layer}/values, whose shape is "
            f"{given['values'].shape}. An earlier todacomm wrote it: run the model again"
        )
    names = texts(row["names"], f"{layer}: names")
    if any(array.shape[-1] != len(names) or array.dtype.kind != "f" for array in given.values()):
        raise InvalidRecord(f"{layer}: its halves do not hold {len(names)} numbers each")
    return Halves(**{**row, "names": names}, **given)


def rows_of(layers: Mapping[str, Any], key: str) -> dict[str, dict[str, Interval]]:
    """Layer → number → interval."""
    return {
        layer: {name: interval_from(one, f"{layer}: {name}") for name, one in row[key].items()}
        for layer, row in layers.items()
        if row[key]
    }

"""Write and read inference: ``tda_claims.json`` for readers, ``claims.safetensors`` for later comparisons."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from todacomm.core.inference_types import Claims, GrowthFactors, Halves, InferenceSettings, Interval, LoopBar, NullTest
from todacomm.records.files.codec import CHECKS, Arrays, Brief, Flat, Format, Whole, arrays_of, plain
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.io import RUN_AGAIN, write_arrays
from todacomm.statistics.loop_test import LOOP

SCHEMA_OF_ARRAYS = 1
ALIKE = ("asked", "growths", "peaks", "ungrouped", "null_growths", "labels", "halves")  # the same in Claims and record
OF_A_LAYER = ("intervals", "one_by_one", "missing")  # by layer; in the record each layer has them
CLAIMS, HALVES = "tda_claims.json", "claims.safetensors"


@dataclass(frozen=True, slots=True)
class LoopRow:
    """A LoopBar as JSON: the size of its ``group``, whose rows are in ``loop_groups``; ``p`` follows from the rest."""

    birth: float
    death: float
    median: float
    cycle: tuple[int, ...]
    group: int
    p_layer: float
    p_group: float
    draws: int
    groups: int
    p: float
    centroids: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class LayerRow:
    """Inference of one layer; ``loop_groups`` concatenates the members of the groups of its loops."""

    intervals: Brief[Mapping[str, Interval]]
    one_by_one: Brief[Mapping[str, Interval]]
    tests: Brief[Mapping[str, Mapping[str, NullTest]]]
    loops: tuple[LoopRow, ...]
    missing: str
    loop_groups: Int[np.ndarray, " members"] | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClaimsRecord:
    """Claims in the order in which they are written: settings, results of all layers, then layer by layer."""

    asked: Flat[Whole[InferenceSettings]]
    growths: Brief[Mapping[str, Mapping[str, Interval]]]
    peaks: Mapping[str, float]
    ungrouped: str
    null_growths: Mapping[str, Mapping[str, tuple[GrowthFactors | None, ...]]] = field(default_factory=dict)
    labels: tuple[int, ...] = ()
    halves: Mapping[str, Halves]
    layers: Mapping[str, LayerRow]


def second_schema(found: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a record of the first schema to the second; its half-samples remain those of single points.

    Intervals of whole groups, where it has any, become the intervals; its loop test, against the layer alone, is
    dropped.
    """
    layers = {}
    for layer, row in found["layers"].items():
        grouped, tests = row["by_group"], {}
        for null, of_null in row["tests"].items():
            told = {name: one for name, one in of_null.items() if name != LOOP}
            tests[null] = {name: {key: one[key] for key in one if key != "decidable"} for name, one in told.items()}
        intervals = {"intervals": grouped or row["intervals"], "one_by_one": row["intervals"] if grouped else {}}
        layers[layer] = {**intervals, "tests": tests, "loops": [], "missing": row["missing"]}
    return {**found, "layers": layers}


CLAIMS_RECORD = Format(ClaimsRecord, 2, RUN_AGAIN, CLAIMS, older={1: second_schema})


def write_claims(directory: Path, claims: Claims) -> None:
    """Write both files."""
    record = record_of(claims)
    write_arrays(directory / HALVES, arrays_of(record), {"schema": SCHEMA_OF_ARRAYS})
    CLAIMS_RECORD.write(directory, record)


def record_of(claims: Claims) -> ClaimsRecord:
    """Sort claims by layer, then by metric."""
    tested = [layer for found in claims.tests.values() for layer in found]
    layers = dict.fromkeys([*claims.intervals, *claims.missing, *tested])
    alike = {name: getattr(claims, name) for name in ALIKE}
    return ClaimsRecord(layers={layer: row_of(claims, layer) for layer in layers}, **alike)


def row_of(claims: Claims, layer: str) -> LayerRow:
    """Build the record of one layer."""
    bars = claims.loops.get(layer, ())
    return LayerRow(
        intervals=claims.intervals.get(layer, {}),
        one_by_one=claims.one_by_one.get(layer, {}),
        tests={null: found.get(layer, {}) for null, found in claims.tests.items()},
        loops=tuple(LoopRow(**{**plain(bar), "group": len(bar.group)}, p=bar.p) for bar in bars),
        missing=claims.missing.get(layer, ""),
        loop_groups=np.concatenate([bar.group for bar in bars]) if bars else None,
    )


def read_claims(directory: Path) -> Claims | None:
    """Read the claims of a run, if it has any. Raises InvalidRecord, also where one of the two files is missing."""
    if not any((directory / name).exists() for name in (CLAIMS, HALVES)):
        return None
    arrays = Arrays.read(directory / HALVES, SCHEMA_OF_ARRAYS, RUN_AGAIN)
    return claims_from(CLAIMS_RECORD.read(directory, arrays), arrays.spot)


def claims_from(found: ClaimsRecord, spot: Spot) -> Claims:
    """Build the claims from a record, whose arrays lie at ``spot``."""
    alike = {name: getattr(found, name) for name in ALIKE}
    rows = found.layers.items()
    own: dict[str, Any] = {
        name: {layer: one for layer, row in rows if (one := getattr(row, name))} for name in OF_A_LAYER
    }
    nulls = dict.fromkeys(null for _, row in rows for null in row.tests)
    tests = {null: {layer: row.tests[null] for layer, row in rows if row.tests.get(null)} for null in nulls}
    loops = {layer: loops_from(row, spot.at(f"{layer}/loop_groups")) for layer, row in rows if row.loops}
    return Claims(tests=tests, loops=loops, **own, **alike)


def loops_from(row: LayerRow, spot: Spot) -> tuple[LoopBar, ...]:
    """Build the loop bars of one layer, each with its cycle and its group."""
    ends = np.cumsum([bar.group for bar in row.loops])
    if row.loop_groups is None or len(row.loop_groups) != ends[-1]:
        raise spot.wrong(row.loop_groups, f"{ends[-1]} rows of texts, those of {len(ends)} groups")
    groups = [tuple(group.tolist()) for group in np.split(row.loop_groups, ends[:-1])]
    given = [{f.name: getattr(bar, f.name) for f in fields(LoopBar)} for bar in row.loops]
    return tuple(LoopBar(**{**one, "group": group}) for one, group in zip(given, groups, strict=True))


def in_order(found: Interval, spot: Spot) -> None:
    """Raise InvalidRecord for an interval whose ends are not in order."""
    if found.low is not None and found.high is not None and found.low > found.high:
        raise spot.fault(f"is an interval from {found.low} to {found.high}; expected its ends in order")


def of_all_names(found: Halves, spot: Spot) -> None:
    """Raise InvalidRecord for halves that do not hold one value a metric."""
    if len(found.names) != len(found.whole):
        raise spot.fault(f"holds {len(found.whole)} numbers of each half; expected {len(found.names)}, one a name")


CHECKS[Interval], CHECKS[Halves] = in_order, of_all_names

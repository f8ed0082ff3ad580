"""Records on disk: JSON and safetensors, written beside and renamed; docs/format.md is their contract."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.claims_store import read_claims, write_claims
from todacomm.errors import InvalidInput, InvalidRecord
from todacomm.files import check_schema, read_arrays, read_json, to_json, write_arrays, write_atomically
from todacomm.recipe import Recipe
from todacomm.salvage import Attempt, strictly
from todacomm.types import (
    Activations,
    Address,
    CloudFacts,
    Diagrams,
    Expansion,
    Growth,
    Measurement,
    ModelCard,
    Profile,
)
from todacomm.values import by_value

SCHEMA = 1
SUMMARIES, METRICS, DIAGRAMS, MANIFEST = "tda_summaries.json", "metrics.json", "diagrams.safetensors", "manifest.json"


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What a run writes besides figures and texts: the profile, and the manifest of how it was made."""

    profile: Profile
    manifest: Mapping[str, Any]


def write_record(directory: Path, record: Record, activations: Activations | None) -> None:
    """Write a run: summaries, metrics, diagrams, activations where given, and the manifest last."""
    profile = record.profile
    write_atomically(directory / SUMMARIES, to_json(summaries(profile)))
    write_atomically(directory / METRICS, to_json(profile.language or {"reason": "not measured"}))
    write_arrays(directory / DIAGRAMS, packed_diagrams(profile), {"schema": SCHEMA})
    if profile.claims is not None:
        write_claims(directory, profile.claims)
    if activations is not None:
        write_activations(directory / "activations", activations)
    write_atomically(directory / MANIFEST, to_json(manifest_of(record)))


def write_activations(directory: Path, activations: Activations) -> Path:
    """``<digest>.safetensors``: layer → (n, d) float32; the digest is that of the arrays."""
    arrays = b"".join(np.ascontiguousarray(activations.layers[layer]).tobytes() for layer in sorted(activations.layers))
    name = hashlib.sha256(arrays).hexdigest()[:16]
    metadata = {"schema": SCHEMA, "model": activations.model, "pooling": activations.pooling}
    return write_arrays(directory / f"{name}.safetensors", activations.layers, metadata)


def summaries(profile: Profile) -> dict[str, dict[str, Any]]:
    """Layer → every metric and every fact of its cloud, in the order of depth."""
    return {m.address.layer: layer_record(m) for m in profile.measurements}


def layer_record(measurement: Measurement) -> dict[str, Any]:
    """One layer as JSON: schema, metrics, facts, and the marks that a reader must see."""
    marks = {"doubt": measurement.facts.doubtful, "note": measurement.facts.note}
    return {"schema": SCHEMA, **measurement.summary, **asdict(measurement.facts), **marks}


def packed_diagrams(profile: Profile) -> dict[str, np.ndarray]:
    """``layer/H1`` → (m, 2) bars and ``layer/H1_essential`` → (e,) births, float64."""
    return {
        f"{m.address.layer}/{name}": bars for m in profile.measurements for name, bars in bars_of(m.diagrams).items()
    }


def bars_of(diagrams: Diagrams) -> dict[str, np.ndarray]:
    """``H1`` → (m, 2) bars and ``H1_essential`` → (e,) births, float64."""
    packed = {}
    for k, (bars, births) in enumerate(zip(diagrams.finite, diagrams.essential, strict=True)):
        packed[f"H{k}"] = bars
        packed[f"H{k}_essential"] = births
    return packed


def manifest_of(record: Record) -> dict[str, Any]:
    """Everything of a profile that the other files do not hold, and how it was made."""
    profile = record.profile
    return {
        "schema": SCHEMA,
        "model": profile.model,
        "data": profile.data,
        "layers": list(profile.layers),
        "recipe": asdict(profile.recipe),
        "recipe_digest": profile.recipe.digest,
        "card": asdict(profile.card) if profile.card else None,
        "expansions": [asdict(e) for e in profile.expansions],
        "notes": list(profile.notes),
        "texts_sha256": profile.texts_sha256,
        **record.manifest,
    }


def read_record(directory: Path, attempt: Attempt = strictly) -> Record:
    """The run stored in ``directory``; InvalidRecord names the file that is missing, damaged or of a newer schema.

    ``attempt`` may do without the language metrics and the claims; manifest, summaries and diagrams are what a run is.
    """
    manifest = read_json(directory / MANIFEST)
    check_schema(directory / MANIFEST, manifest, SCHEMA)
    layers, arrays = read_summaries(directory / SUMMARIES), read_arrays(directory / DIAGRAMS, schema=SCHEMA)
    language = attempt(f"language metrics of {directory.name}", lambda: read_language(directory / METRICS))
    try:
        profile = profile_from(manifest, layers, language, arrays)
    except (KeyError, TypeError, InvalidInput) as problem:
        raise InvalidRecord(f"{directory}: its files do not fit together ({problem}); run the model again") from problem
    claims = attempt(f"intervals and nulls of {directory.name}", lambda: read_claims(directory))
    return Record(replace(profile, claims=claims), manifest)


def read_summaries(path: Path) -> Mapping[str, Any]:
    """Layer → its record, each of our schema."""
    layers = read_json(path)
    if not isinstance(layers, dict):
        raise InvalidRecord(f"{path} holds no object of layers; run the model again to replace it")
    for layer, row in layers.items():
        check_schema(f"{layer} in {path}", row, SCHEMA)
    return layers


def read_language(path: Path) -> Mapping[str, Any]:
    """The language metrics."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise InvalidRecord(f"{path} holds no object of numbers; run the model again to replace it")
    return found


def profile_from(
    manifest: Mapping[str, Any], layers: Mapping[str, Any], language: Any, arrays: Mapping[str, np.ndarray]
) -> Profile:
    """The profile that `write_record` wrote."""
    recipe = Recipe(**manifest["recipe"])
    measurements = tuple(
        measurement_from(Address(manifest["model"], manifest["data"], layer), recipe, row, arrays, prefix=f"{layer}/")
        for layer, row in layers.items()
    )
    return Profile(
        measurements,
        expansions=tuple(expansion_from(row) for row in manifest["expansions"]),
        language=language,
        notes=tuple(manifest["notes"]),
        card=ModelCard(**manifest["card"]) if manifest["card"] else None,
        texts_sha256=manifest["texts_sha256"],
    )


def measurement_from(
    address: Address, recipe: Recipe, row: Mapping[str, Any], arrays: Mapping[str, np.ndarray], *, prefix: str = ""
) -> Measurement:
    """A measurement out of what `layer_record` and `bars_of` made; ``prefix`` stands before the names of the arrays."""
    facts = CloudFacts.__dataclass_fields__
    outside = {*facts, "schema", "doubt", "note"}
    dimensions = range(recipe.maxdim + 1)
    finite = tuple(arrays[f"{prefix}H{k}"] for k in dimensions)
    essential = tuple(arrays[f"{prefix}H{k}_essential"] for k in dimensions)
    return Measurement(
        address,
        recipe,
        CloudFacts(**{name: row[name] for name in facts if name in row}),
        Diagrams(finite, essential),
        {name: value for name, value in row.items() if name not in outside},
    )


def expansion_from(row: Mapping[str, Any]) -> Expansion:
    """An Expansion out of its JSON."""
    growths = {key: Growth(**row[key]) if row[key] else None for key in ("growth", "largest_shape", "matched")}
    return Expansion(baseline=row["baseline"], reason=row["reason"], doubt=row["doubt"], **growths)


def safe(name: str) -> str:
    """A model name as part of a file name."""
    return name.replace("/", "--")


def stem_of(directory: Path) -> str:
    """The name of an experiment without its timestamp."""
    return "_".join(directory.name.split("_")[:-2])


def stamp_of(directory: Path) -> str:
    """The timestamp in the name of an experiment."""
    return directory.name.removeprefix(stem_of(directory))


def is_run(directory: Path) -> bool:
    """Whether a directory is that of a run, whole or damaged."""
    return any((directory / name).exists() for name in (MANIFEST, SUMMARIES, DIAGRAMS))


def runs_of(directory: Path) -> list[Path]:
    """The runs of an experiment in order, or the one run that ``directory`` is."""
    if is_run(directory):
        return [directory]
    whole = [p for p in (directory / "runs").glob("run_*") if re.fullmatch(r"run_\d+", p.name)]
    return sorted(whole, key=number_of)


def number_of(run: Path) -> int:
    """The number of a run of an experiment."""
    return int(run.name.removeprefix("run_"))


def gone(directory: Path) -> list[Path]:
    """The runs of an experiment that are missing between others: they are numbered from 0 on. None of one run."""
    there = set() if is_run(directory) else {number_of(run) for run in runs_of(directory)}
    return [directory / "runs" / f"run_{i}" for i in range(max(there, default=0)) if i not in there]


def read_runs(directory: Path, attempt: Attempt = strictly) -> dict[Path, Record]:
    """Every run of an experiment in order by its directory, or the one run that ``directory`` is.

    ``attempt`` may do without any of them. Raises InvalidRecord where there is none.
    """
    runs = runs_of(directory)
    if not runs:
        raise InvalidRecord(f"{directory} holds no runs: expected {directory / 'runs' / 'run_0'}")
    found = {run: attempt(run.name, partial(read_record, run, attempt)) for run in runs}
    return {run: record for run, record in found.items() if record is not None}


def read_experiment(directory: Path) -> list[Record]:
    """Every run of an experiment in order, or the one run that ``directory`` is."""
    return list(read_runs(directory).values())

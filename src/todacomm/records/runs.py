"""Records on disk: JSON and safetensors, written beside and renamed; docs/format.md is their contract."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.core.errors import InvalidInput, InvalidRecord
from todacomm.core.inference_types import Claims
from todacomm.core.recipe import Recipe
from todacomm.core.types import (
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
from todacomm.core.value_types import by_value
from todacomm.records.damaged import Attempt, strictly
from todacomm.records.inference import CLAIMS, HALVES, read_claims, write_claims
from todacomm.records.io import (
    check_digest,
    check_schema,
    digests_of,
    read_arrays,
    read_json,
    sealed,
    to_json,
    write_arrays,
    write_atomically,
)
from todacomm.records.typed_json import bars_from, brief, made, mapping, numbers, texts

SCHEMA = 1
SUMMARIES, METRICS, DIAGRAMS, MANIFEST = "tda_summaries.json", "metrics.json", "diagrams.safetensors", "manifest.json"
TEXTS = "texts.json"
LANGUAGE = ("loss", "masked_loss", "perplexity", "pseudo_perplexity", "bits_per_byte", "accuracy", "tokens", "bytes")
CLOSE = 1e-6  # of what bars of float32 give, whose sum depends on its order


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
    digests = digests_of(directory, written_files(directory))
    write_atomically(directory / MANIFEST, to_json(sealed({**manifest_of(record), "files": digests})))


def written_files(directory: Path) -> list[Path]:
    """The records of a run beside its manifest."""
    named = [directory / name for name in (SUMMARIES, METRICS, DIAGRAMS, CLAIMS, HALVES, TEXTS)]
    return [path for path in (*named, *sorted(directory.glob("activations/*.safetensors"))) if path.exists()]


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
    manifest = read_manifest(directory)
    layers, arrays = read_summaries(directory / SUMMARIES), read_arrays(directory / DIAGRAMS, schema=SCHEMA)
    language = attempt(f"language metrics of {directory.name}", lambda: read_language(directory, manifest))
    try:
        profile = profile_from(manifest, layers, language, arrays, directory)
    except (KeyError, InvalidInput) as problem:
        raise InvalidRecord(f"{directory}: its files do not fit together ({problem}); run the model again") from problem
    for name in (SUMMARIES, DIAGRAMS):
        check_file(directory, directory / name, manifest)
    claims = attempt(f"intervals and nulls of {directory.name}", lambda: claims_of(directory, manifest))
    return Record(replace(profile, claims=claims), manifest)


def read_manifest(directory: Path) -> Mapping[str, Any]:
    """``manifest.json`` of a run."""
    manifest = read_json(directory / MANIFEST)
    check_schema(directory / MANIFEST, manifest, SCHEMA)
    return mapping(manifest, directory / MANIFEST)


def check_file(directory: Path, path: Path, manifest: Mapping[str, Any] | None = None) -> None:
    """Raise InvalidRecord where a file of a run is not the one that its manifest was written with."""
    if manifest is None and (directory / MANIFEST).exists():
        manifest = read_manifest(directory)
    check_digest(directory, path, (manifest or {}).get("files"))


def read_summaries(path: Path) -> Mapping[str, Any]:
    """Layer → its record, each of our schema."""
    layers = read_json(path)
    if not isinstance(layers, dict):
        raise InvalidRecord(f"{path} holds no object of layers; run the model again to replace it")
    for layer, row in layers.items():
        check_schema(f"{layer} in {path}", row, SCHEMA)
    return layers


def read_language(directory: Path, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language metrics: numbers, or a reason why there are none."""
    path = directory / METRICS
    found = mapping(read_json(path), path)
    numbers({name: found[name] for name in LANGUAGE if name in found}, path)
    check_file(directory, path, manifest)
    return found


def claims_of(directory: Path, manifest: Mapping[str, Any]) -> Claims | None:
    """The claims of a run."""
    found = read_claims(directory)
    for name in (CLAIMS, HALVES):
        check_file(directory, directory / name, manifest)
    return found


def profile_from(
    manifest: Mapping[str, Any],
    layers: Mapping[str, Any],
    language: Any,
    arrays: Mapping[str, np.ndarray],
    where: object,
) -> Profile:
    """The profile that `write_record` wrote."""
    recipe = made(Recipe, manifest["recipe"], f"{where}: recipe")
    model, data, sha256 = texts(
        [manifest[key] for key in ("model", "data", "texts_sha256")], f"{where}: model, data, texts_sha256"
    )
    if list(layers) != list(texts(manifest["layers"], f"{where}: layers")):
        raise InvalidRecord(f"{where}: {SUMMARIES} and {MANIFEST} name different layers")
    measurements = tuple(
        measurement_from(Address(model, data, layer), recipe, row, arrays, prefix=f"{layer}/")
        for layer, row in layers.items()
    )
    if not isinstance(expansions := manifest["expansions"], list):
        raise InvalidRecord(f"{where}: expansions is {brief(expansions)}; expected a list")
    return Profile(
        measurements,
        expansions=tuple(expansion_from(row, f"{where}: expansions") for row in expansions),
        language=language,
        notes=texts(manifest["notes"], f"{where}: notes"),
        card=made(ModelCard, manifest["card"], f"{where}: card") if manifest["card"] else None,
        texts_sha256=sha256,
    )


def measurement_from(
    address: Address, recipe: Recipe, row: Mapping[str, Any], arrays: Mapping[str, np.ndarray], *, prefix: str = ""
) -> Measurement:
    """A measurement out of what `layer_record` and `bars_of` made; ``prefix`` stands before the names of the arrays."""
    facts = CloudFacts.__dataclass_fields__
    outside = {*facts, "schema", "doubt", "note"}
    dimensions = range(recipe.maxdim + 1)
    finite = tuple(bars_from(arrays[f"{prefix}H{k}"], f"{address}: H{k}") for k in dimensions)
    essential = tuple(
        bars_from(arrays[f"{prefix}H{k}_essential"], f"{address}: H{k}_essential", essential=True) for k in dimensions
    )
    summary = numbers({name: value for name, value in row.items() if name not in outside}, address)
    check_summary(summary, finite, address)
    given = {name: row[name] for name in facts if name in row}
    return Measurement(address, recipe, made(CloudFacts, given, address), Diagrams(finite, essential), summary)


def check_summary(summary: Mapping[str, float | None], finite: Sequence[np.ndarray], where: object) -> None:
    """Raise InvalidRecord where the numbers of a layer are not those of its bars."""
    for k, found in enumerate(finite):
        lengths = found[:, 1] - found[:, 0]
        expected = {"count": len(lengths), "total_persistence": lengths.sum(), "max_lifetime": lengths.max(initial=0)}
        for name, value in expected.items():
            stored = summary.get(f"H{k}_{name}", value)
            if stored is None or abs(stored - value) > CLOSE * max(abs(value), lengths.sum()):
                raise InvalidRecord(f"{where}: H{k}_{name} is {stored}, of its bars it is {value:g}")


def expansion_from(row: Any, where: object) -> Expansion:
    """An Expansion out of its JSON."""
    given = mapping(row, where)
    growths = {
        key: made(Growth, given[key], f"{where}: {key}") if given[key] is not None else None
        for key in ("growth", "largest_shape", "matched")
    }
    baseline, reason, doubt = texts([given[key] for key in ("baseline", "reason", "doubt")], where)
    return Expansion(baseline=baseline, reason=reason, doubt=doubt, **growths)


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

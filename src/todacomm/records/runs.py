"""Write and read runs: JSON and safetensors, as docs/format.md specifies."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from todacomm.core.errors import InvalidRecord
from todacomm.core.inference_types import Claims, Number
from todacomm.core.recipe import Recipe
from todacomm.core.types import Activations, Address, CloudFacts, Diagrams, Expansion, Measurement, ModelCard, Profile
from todacomm.core.value_types import by_value
from todacomm.records.files.codec import ROUNDING, Arrays, Flat, Format, Rest, Whole, decoded, mapping
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.io import (
    RUN_AGAIN,
    check_digest,
    digests_of,
    read_json,
    to_json,
    write_arrays,
    write_atomically,
)
from todacomm.records.inference import CLAIMS, HALVES, read_claims, write_claims

SCHEMA = 1
SUMMARIES, METRICS, DIAGRAMS, MANIFEST = "tda_summaries.json", "metrics.json", "diagrams.safetensors", "manifest.json"
TEXTS = "texts.json"
LANGUAGE = ("loss", "masked_loss", "perplexity", "pseudo_perplexity", "bits_per_byte", "accuracy", "tokens", "bytes")
NOT_MEASURED = {"reason": "not measured"}  # of arrays, and where no language metrics were asked for
CLOSE = 1e-6  # relative: sums of float32 bars depend on their order


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What a run stores besides figures and texts: the profile, and the manifest of how it was made."""

    profile: Profile
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class LayerRow:
    """One layer: its metrics, cloud diagnostics, and the flags that follow from these."""

    summary: Rest[Mapping[str, Number]]
    facts: Flat[CloudFacts]
    doubt: str = ""
    note: str = ""
    H1_max_lifetime_Z3: Number = None


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """All of a profile that is in no other file, and ``made``: how it was made."""

    model: str
    data: str
    layers: tuple[str, ...]
    recipe: Recipe
    recipe_digest: str
    card: ModelCard | None
    expansions: Whole[tuple[Expansion, ...]]
    notes: tuple[str, ...]
    texts_sha256: str
    made: Rest[Mapping[str, Any]]


LAYER_RECORD = Format(LayerRow, SCHEMA, RUN_AGAIN)
MANIFEST_RECORD = Format(Manifest, SCHEMA, RUN_AGAIN, MANIFEST, sealed=True)


def write_record(directory: Path, record: Record, activations: Activations | None) -> None:
    """Write a run: summaries, metrics, diagrams, activations if given, and the manifest last."""
    profile = record.profile
    write_atomically(directory / SUMMARIES, to_json(summaries(profile)))
    write_atomically(directory / METRICS, to_json(profile.language or NOT_MEASURED))
    bars = {f"{m.address.layer}/{k}": found for m in profile.measurements for k, found in m.diagrams.arrays().items()}
    write_arrays(directory / DIAGRAMS, bars, {"schema": SCHEMA})
    if profile.claims is not None:
        write_claims(directory, profile.claims)
    if activations is not None:
        write_activations(directory / "activations", activations)
    made = {**record.manifest, "files": digests_of(directory, written_files(directory))}
    MANIFEST_RECORD.write(directory, manifest_of(profile, made))


def manifest_of(profile: Profile, made: Mapping[str, Any]) -> Manifest:
    """Build the manifest of a profile."""
    what = (profile.model, profile.data, profile.layers, profile.recipe, profile.recipe.digest, profile.card)
    return Manifest(*what, profile.expansions, profile.notes, profile.texts_sha256, made)


def written_files(directory: Path) -> list[Path]:
    """The records of a run besides its manifest."""
    named = [directory / name for name in (SUMMARIES, METRICS, DIAGRAMS, CLAIMS, HALVES, TEXTS)]
    return [path for path in (*named, *sorted(directory.glob("activations/*.safetensors"))) if path.exists()]


def write_activations(directory: Path, activations: Activations) -> Path:
    """Write ``<digest>.safetensors``: layer → (n, d) float32, named by the digest of the arrays."""
    arrays = b"".join(np.ascontiguousarray(activations.layers[layer]).tobytes() for layer in sorted(activations.layers))
    name = hashlib.sha256(arrays).hexdigest()[:16]
    metadata = {"schema": SCHEMA, "model": activations.model, "pooling": activations.pooling}
    return write_arrays(directory / f"{name}.safetensors", activations.layers, metadata)


def summaries(profile: Profile) -> dict[str, dict[str, Any]]:
    """Layer → its metrics and cloud diagnostics, in order of depth."""
    return {m.address.layer: layer_record(m) for m in profile.measurements}


def layer_record(measurement: Measurement) -> dict[str, Any]:
    """Convert one layer to JSON."""
    facts = measurement.facts
    row = LayerRow(measurement.summary, facts, facts.doubtful, facts.note, measurement.H1_max_lifetime_Z3)
    return LAYER_RECORD.row(row)


def read_record(directory: Path, attempt: Attempt = strictly) -> Record:
    """Read the run in ``directory``. Raises InvalidRecord, which names the file.

    ``attempt`` may skip language metrics and claims, but neither manifest, summaries nor diagrams.
    """
    found = read_json(directory / MANIFEST)
    manifest = MANIFEST_RECORD.parsed(found, Spot(directory / MANIFEST, RUN_AGAIN))
    layers = read_summaries(directory / SUMMARIES)
    arrays = Arrays.read(directory / DIAGRAMS, SCHEMA, RUN_AGAIN)
    language = attempt(f"language metrics of {directory.name}", lambda: read_language(directory, manifest))
    profile = profile_from(manifest, layers, language, arrays, directory)
    for name in (SUMMARIES, DIAGRAMS):
        check_file(directory, directory / name, manifest)
    claims = attempt(f"intervals and nulls of {directory.name}", lambda: claims_of(directory, manifest))
    return Record(replace(profile, claims=claims), found)


def check_file(directory: Path, path: Path, manifest: Manifest | None = None) -> None:
    """Raise InvalidRecord where a file of a run does not match its manifest."""
    if manifest is None and (directory / MANIFEST).exists():
        manifest = MANIFEST_RECORD.read(directory)
    check_digest(directory, path, manifest and manifest.made.get("files"))


def read_summaries(path: Path) -> dict[str, LayerRow]:
    """Read layer → row."""
    layers = mapping(read_json(path), Spot(path, RUN_AGAIN))
    return {layer: LAYER_RECORD.parsed(row, Spot(f"{layer} in {path}", RUN_AGAIN)) for layer, row in layers.items()}


def read_language(directory: Path, manifest: Manifest) -> Mapping[str, Any] | None:
    """Read the language metrics: numbers, the reason why there are none, or None where none were wanted."""
    path = directory / METRICS
    spot = Spot(path, RUN_AGAIN)
    found = mapping(read_json(path), spot)
    decoded(Mapping[str, Number], {name: found[name] for name in LANGUAGE if name in found}, spot)
    check_file(directory, path, manifest)
    return None if found == NOT_MEASURED else found


def claims_of(directory: Path, manifest: Manifest) -> Claims | None:
    """Read the claims of a run."""
    found = read_claims(directory)
    for name in (CLAIMS, HALVES):
        check_file(directory, directory / name, manifest)
    return found


def profile_from(made: Manifest, layers: Mapping[str, LayerRow], language: Any, arrays: Arrays, where: Path) -> Profile:
    """Build the profile that `write_record` wrote."""
    if tuple(layers) != made.layers or not layers:
        what = f"has a {SUMMARIES} and a {MANIFEST} that name different layers or none; expected the same, one or more"
        raise Spot(where, RUN_AGAIN).fault(what)
    measurements = tuple(
        measurement_from(Address(made.model, made.data, layer), made.recipe, row, arrays, f"{layer}/")
        for layer, row in layers.items()
    )
    known = {"language": language, "notes": made.notes, "card": made.card, "texts_sha256": made.texts_sha256}
    return Profile(measurements, expansions=made.expansions, **known)


def measurement_from(address: Address, recipe: Recipe, row: LayerRow, arrays: Arrays, prefix: str = "") -> Measurement:
    """Build a measurement from `layer_record` and `Diagrams.arrays`; ``prefix`` starts the names of its arrays."""
    names = [f"{prefix}H{k}" for k in range(recipe.maxdim + 1)]
    finite = tuple(ends_of(arrays, name, Float[np.ndarray, "m 2"]) for name in names)
    births = tuple(ends_of(arrays, f"{name}_essential", Float[np.ndarray, " e"]) for name in names)
    check_summary(row.summary, finite, address)
    return Measurement(address, recipe, row.facts, Diagrams(finite, births), row.summary, row.H1_max_lifetime_Z3)


def ends_of(arrays: Arrays, name: str, kind: Any) -> np.ndarray:
    """Read bars (m, 2) or births (e,): finite, not negative, no death before its birth."""
    found, spot = arrays.take(name, kind), arrays.spot.at(name)
    if not np.isfinite(found).all() or (found < -ROUNDING * found.max(initial=0)).any():
        raise spot.fault("holds distances that are not finite or below 0; expected the ends of bars")
    if found.ndim == 2 and (found[:, 1] < found[:, 0]).any():
        raise spot.fault("holds bars that die before they are born; expected births, then deaths")
    return found


def check_summary(summary: Mapping[str, float | None], finite: Sequence[np.ndarray], where: object) -> None:
    """Raise InvalidRecord where the metrics of a layer do not follow from its bars."""
    for k, found in enumerate(finite):
        lengths = found[:, 1] - found[:, 0]
        expected = {"count": len(lengths), "total_persistence": lengths.sum(), "max_lifetime": lengths.max(initial=0)}
        for name, value in expected.items():
            stored = summary.get(f"H{k}_{name}", value)
            if stored is None or abs(stored - value) > CLOSE * max(abs(value), lengths.sum()):
                raise (
                    Spot(where, RUN_AGAIN)
                    .at(f"H{k}_{name}")
                    .fault(f"is {stored}; expected {value:g}, that of its bars")
                )


def safe(name: str) -> str:
    """Make a model name safe for file names."""
    return name.replace("/", "--")


def stem_of(directory: Path) -> str:
    """The name of an experiment without its timestamp."""
    return "_".join(directory.name.split("_")[:-2])


def stamp_of(directory: Path) -> str:
    """The timestamp in the name of an experiment."""
    return directory.name.removeprefix(stem_of(directory))


def is_run(directory: Path) -> bool:
    """Whether a directory is a run, intact or damaged."""
    return any((directory / name).exists() for name in (MANIFEST, SUMMARIES, DIAGRAMS))


def runs_of(directory: Path) -> list[Path]:
    """The runs of an experiment in order, or the one run in ``directory``."""
    if is_run(directory):
        return [directory]
    whole = [p for p in (directory / "runs").glob("run_*") if re.fullmatch(r"run_\d+", p.name)]
    return sorted(whole, key=number_of)


def number_of(run: Path) -> int:
    """The number of a run of an experiment."""
    return int(run.name.removeprefix("run_"))


def gone(directory: Path) -> list[Path]:
    """The runs of an experiment that are missing between others; they are numbered from 0."""
    there = set() if is_run(directory) else {number_of(run) for run in runs_of(directory)}
    return [directory / "runs" / f"run_{i}" for i in range(max(there, default=0)) if i not in there]


def read_runs(directory: Path, attempt: Attempt = strictly) -> dict[Path, Record]:
    """Read every run of an experiment in order, or the one run in ``directory``.

    ``attempt`` may skip any of them. Raises InvalidRecord where there is none.
    """
    runs = runs_of(directory)
    if not runs:
        raise InvalidRecord(f"{directory} holds no runs: expected {directory / 'runs' / 'run_0'}")
    found = {run: attempt(run.name, partial(read_record, run, attempt)) for run in runs}
    return {run: record for run, record in found.items() if record is not None}


def read_experiment(directory: Path) -> list[Record]:
    """Read every run of an experiment in order, or the one run in ``directory``."""
    return list(read_runs(directory).values())

"""Cache entries for activations, measurements and inference results."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.core.errors import InvalidRecord
from todacomm.core.inference_types import Claims
from todacomm.core.recipe import Recipe
from todacomm.core.types import Activations, Address, ModelCard, Points, Profile, Texts, TokenFacts, layer_key
from todacomm.models.checkpoints import checkpoint_files
from todacomm.profiles.measure import MeasuredCloud
from todacomm.records.files.codec import Arrays, arrays_of, decoded, plain
from todacomm.records.files.fault_messages import Spot
from todacomm.records.inference import CLAIMS_RECORD, claims_from, record_of
from todacomm.records.runs import LAYER_RECORD, layer_record, measurement_from
from todacomm.runs.cache.keys import checkpoint_of, measurement_key, model_key, reading_key
from todacomm.runs.cache.store import Cache, array_digest
from todacomm.runs.config import ALL, Study
from todacomm.runs.experiment import Job, Reading

BY_KIND = {"causal": "last", "masked": "cls"}  # extraction.DEFAULT_POOLING, without torch
OF_A_CARD = tuple(f.name for f in fields(ModelCard) if f.name not in ("name", "revision"))
BESIDE_CLAIMS = ("model", "data", "pooling", "recipe", "entry", "digests")


@dataclass(frozen=True, slots=True, eq=False)
class CachedLayers(Mapping[str, Points]):
    """Layers that stay in the cache until each is needed; cheap to pickle."""

    root: Path
    key: str
    names: tuple[str, ...]

    def __getitem__(self, name: str) -> Points:
        cache = Cache(self.root)
        found = cache.get("activations", self.key, (name,)) if name in self.names else None
        if found is None:
            told = "; ".join(cache.told()) or f"{self.key} is not in the cache at {self.root}"
            raise InvalidRecord(f"the activations of {name} are gone: {told}. Run again to compute them anew")
        return found[1][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


# Readings


def find_reading(job: Job, cache: Cache, *, lazily: bool = False) -> Reading | None:
    """Load cached activations without their model; None unless all requested layers are there.

    ``lazily`` leaves the layers in the cache, as `CachedLayers`.
    """
    checkpoint = checkpoint_of(job.source, cache, remote_code=job.study.trust_remote_code)
    model = checkpoint and cache.facts("models", model_key(checkpoint, job.study))
    if checkpoint is None or not model or job.study.num_layers not in (None, model["blocks"]):
        return None
    pooling = job.pooling or BY_KIND[model["kind"]]
    key = reading_key(checkpoint, job.texts, job.study, pooling, model["kind"])
    facts = cache.facts("activations", key)
    layers = facts and _asked(job.study, facts["known"])
    found = layers and cache.get("activations", key, () if lazily else layers)
    if not (facts and layers and found and set(layers) <= set(facts["digests"])):
        return None
    arrays = CachedLayers(cache.root, key, layers) if lazily else {layer: found[1][layer] for layer in layers}
    return _reading(job, facts, model, arrays, pooling=pooling, key=key)


def _asked(study: Study, known: list[str]) -> tuple[str, ...]:
    """The layers that a study requests, in order of depth."""
    return tuple(known if study.layers == ALL else sorted(study.layers, key=layer_key))


def _reading(
    job: Job,
    facts: Mapping[str, Any],
    model: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    *,
    pooling: str,
    key: str,
) -> Reading:
    name = job.source.name
    return Reading(
        Activations(arrays, name, job.texts.take(facts["places"]), pooling, facts["notes"], _tokens(facts)),
        facts["language"],
        ModelCard(name=name, revision=checkpoint_files.commit(job.source), **{key: model[key] for key in OF_A_CARD}),
        tuple(facts["known"]),
        facts["device"],
        facts["dtype"],
        key=key,
        digests={layer: facts["digests"][layer] for layer in arrays},
        loaded=False,
    )


def _tokens(facts: Mapping[str, Any]) -> TokenFacts | None:
    """What was read of the tokens of each text; None of activations that were gathered without it."""
    found = facts.get("tokens")
    return None if found is None else decoded(TokenFacts, found, Spot("the activations in the cache"))


def keep_reading(reading: Reading, job: Job, cache: Cache) -> Reading:
    """Cache activations, beside layers that are there already; return them with key and digests.

    Nothing is cached for a model whose files are not all on this machine.
    """
    checkpoint = checkpoint_of(job.source, cache, remote_code=job.study.trust_remote_code)
    if checkpoint is None:
        return reading
    activations = reading.activations
    key = reading_key(checkpoint, job.texts, job.study, activations.pooling, reading.card.kind)
    known = cache.get("activations", key)
    arrays = {**(known[1] if known else {}), **activations.layers}
    facts = {
        "model": activations.model,
        "data": activations.texts.name,
        "pooling": activations.pooling,
        "site": job.study.site,
        "known": list(reading.known),
        "places": _places(job.texts, activations.texts),
        "notes": dict(activations.notes),
        "tokens": plain(activations.tokens),
        "language": dict(reading.language),
        "device": reading.device,
        "dtype": reading.dtype,
    }
    # the model first: without it the activations are not found, and the passes would be made again
    cache.keep("models", model_key(checkpoint, job.study), asdict(reading.card), {})
    if not cache.keep("activations", key, facts, arrays):
        return reading
    digests = {layer: array_digest(array) for layer, array in activations.layers.items()}
    return replace(reading, key=key, digests=digests)


def _places(given: Texts, chosen: Texts) -> list[int]:
    """The indices of the chosen texts among the given ones; the first of equal texts."""
    ahead = enumerate(given.items)
    return [next(i for i, text in ahead if text == item) for item in chosen.items]


# Claims


def find_claims(key: str, cache: Cache) -> Claims | None:
    """Load the claims under a key, if any."""
    if not (found := cache.get("claims", key)):
        return None
    facts, arrays = found[0], Arrays(Spot(cache.path("claims", key)), found[1])
    own = {name: facts[name] for name in facts if name not in BESIDE_CLAIMS}
    return claims_from(CLAIMS_RECORD.parsed(own, arrays.spot, arrays), arrays.spot)


def keep_claims(claims: Claims, key: str, profile: Profile, cache: Cache) -> None:
    """Cache the claims on a profile."""
    recipe = profile.recipe
    facts = {"model": profile.model, "data": profile.data, "pooling": recipe.pooling, "recipe": recipe.digest}
    record = record_of(claims)
    cache.keep("claims", key, {**facts, **CLAIMS_RECORD.row(record)}, arrays_of(record))


# Measurements


def find_measured(cloud: str, address: Address, recipe: Recipe, cache: Cache, *, check: bool) -> MeasuredCloud | None:
    """Load the measurement of a cloud by its digest; None where it should be confirmed and was not."""
    found = cache.get("measurements", measurement_key(cloud, recipe))
    if found is None or (check and not found[0]["confirmed"]):
        return None
    facts, arrays = found[0], Arrays(Spot(f"{address} in the cache at {cache.root}"), found[1])
    row = LAYER_RECORD.parsed(facts["row"], arrays.spot)
    return MeasuredCloud(measurement_from(address, recipe, row, arrays), facts["confirmed"])


def keep_measured(found: MeasuredCloud, cloud: str, cache: Cache) -> None:
    """Cache the measurement of a cloud by its digest."""
    measurement = found.measurement
    facts = {
        "model": measurement.address.model,
        "data": measurement.address.data,
        "layer": measurement.address.layer,
        "pooling": measurement.recipe.pooling,
        "recipe": measurement.recipe.digest,
        "confirmed": found.confirmed,
        "row": layer_record(measurement),
    }
    cache.keep("measurements", measurement_key(cloud, measurement.recipe), facts, measurement.diagrams.arrays())

"""One model on one dataset, in memory: load, extract, measure. `run` is ``todacomm run`` as a function."""

import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from todacomm.clouds.prepare import Prepare, PreparedOnce, prepare
from todacomm.core.errors import InvalidInput
from todacomm.core.parallel import Number, in_threads, one_thread
from todacomm.core.progress import Track, shown, silent
from todacomm.core.recipe import FEWEST_POINTS, Recipe, with_keywords
from todacomm.core.types import Activations, ModelCard, PointCloud, Profile, Texts, strings_of
from todacomm.models import datasets
from todacomm.models.names import ModelSource, resolve
from todacomm.profiles.intervals_and_nulls import with_claims
from todacomm.profiles.measure import CrossCheck, measure_profile, measure_task
from todacomm.runs.config import RunSettings, Study, by_key, keys_of
from todacomm.runs.fields import LOADING, OUTPUT, STUDY
from todacomm.runs.model_nulls import of_passes, with_model_nulls

if TYPE_CHECKING:
    from todacomm.models.checkpoints.loading import LoadedModel


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A model, texts and a pooling (None: by the kind of the model) to be measured.

    ``dataset`` is how the texts were named, ``study`` the settings, narrowed to this model.
    """

    source: ModelSource
    dataset: str
    pooling: str | None
    texts: Texts
    study: Study

    def __str__(self) -> str:
        return f"{self.source.name}: {self.dataset}, pooling {self.pooling or 'by kind'}"


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Activations of a model on texts, its language metrics, and what the model is.

    ``known``: all layers of the model at this site. ``key``: of the cache entry, ``digests``: of its layers, empty
    where nothing is cached. ``loaded``: whether the model was loaded for it.
    """

    activations: Activations
    language: Mapping[str, Any]
    card: ModelCard
    known: tuple[str, ...]
    device: str
    dtype: str
    seconds: float = 0.0
    key: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    loaded: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A profile, its activations, confirmed layers, and the seconds of each stage.

    ``remembered``: layers from the cache. ``figures``: files by name, where they are drawn already.
    """

    profile: Profile
    reading: Reading
    checked: CrossCheck
    seconds: Mapping[str, float]
    remembered: tuple[str, ...] = ()
    figures: Mapping[str, bytes] | None = None

    @property
    def activations(self) -> Activations:
        return self.reading.activations


@with_keywords(RunSettings, dict(Study()))
def run(
    model: Any,
    *,
    texts: Texts | Iterable[str] | None = None,
    tokenizer: Any = None,
    track: Track = silent,
    progress: bool = False,
    **settings: Unpack[RunSettings],
) -> Profile:
    """Measure the layers of a model on texts; nothing is written to disk.

    Parameters
    ----------
    model : str, Path or network
        A name from ``todacomm list-models``, a hub id, a directory, or a network that you hold.
    texts : Texts, iterable of str, or str, optional
        What the model reads: all texts of a list, or a dataset by name; WikiText-2 by default.
    tokenizer : tokenizer or str, optional
        Of a network that you hold: the object, or where it is.
    track : callable, optional
        Wraps an iterable with a progress bar of your own.
    progress : bool, default False
        Show a progress bar.
    **settings
        Options of ``todacomm run``: ``run("tiny-preln-decoder", pooling="mean", components=20)``.

    Returns
    -------
    Profile
        Along the layers, with language metrics and ``claims``.

    Raises
    ------
    ModelUnavailable, UnsafeModel, ModelFailed
        For a model that cannot be had, would run code of others, or stops.
    InvalidTexts, InvalidStudy
        For texts or settings that cannot be used.

    Examples
    --------
    >>> import todacomm as td
    >>> texts = td.texts("wikitext2", samples=12)
    >>> options = {"layers": ["layer_0"], "resamples": 0, "null_draws": 0, "language": False}
    >>> profile = td.run("tiny-preln-decoder", texts=texts, **options)
    >>> profile.layers
    ('layer_0',)

    """
    own = texts if texts is None or isinstance(texts, Texts | str | Path) else Texts("texts", strings_of(texts, "text"))
    study = Study(**_study_settings(model, own, settings))
    pooling = study.pooling[0] if study.pooling else None
    given = own if isinstance(own, Texts) else load_texts(study, study.datasets[0])
    loaded = load(model, study, tokenizer=tokenizer)
    return profile_of(loaded, given, study, pooling=pooling, track=shown(track, progress=progress)).profile


OF_A_STUDY = frozenset(keys_of(STUDY, OUTPUT))
OF_LOADING = frozenset(keys_of(LOADING))


def _study_settings(model: Any, texts: Texts | str | Path | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Convert settings of `run` to those of a Study; refuse those without effect."""
    found = by_key(settings)
    _refuse(OF_A_STUDY & found.keys(), "run() measures one model on one dataset and writes nothing")
    if not isinstance(model, (str, Path)):
        _refuse(OF_LOADING & found.keys(), "the model is loaded already")
    found |= of_texts(texts, found)
    if isinstance(found.get("pooling"), (list, tuple)) and len(found["pooling"]) != 1:
        raise InvalidInput(f"run() takes one pooling, found {len(found['pooling'])}; call it once for each")
    return found


def of_texts(texts: Texts | str | Path | None, found: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that follow from texts beside those found: all of a list, and of one file unless it is said."""
    if texts is None:
        return {}
    if isinstance(texts, Texts):
        _refuse({"samples", "shuffle"} & found.keys(), "all of the texts given are measured")
        return {"samples": len(texts)}
    undecided = "samples" not in found and found.get("min_tokens", 1) == 1
    count = datasets.texts_of_own_file(str(texts)) if undecided else None
    return {"datasets": (str(texts),), **({"samples": max(count, FEWEST_POINTS)} if count else {})}


def _refuse(keys: AbstractSet[str], because: str) -> None:
    if keys:
        raise InvalidInput(f"{', '.join(sorted(keys))}: {because}, so this would change nothing; leave it out")


def load_texts(study: Study, dataset: str) -> Texts:
    """Load a dataset: ``study.samples`` texts, or all in order where some may be skipped as too short."""
    if study.min_tokens <= 1:
        return datasets.texts(dataset, study.samples, shuffle=study.shuffle, seed=study.seed)
    found = datasets.texts(dataset, shuffle=study.shuffle, seed=study.seed)
    datasets.check_enough(found, dataset, study.samples)
    return found


def load(model: Any, study: Study, *, tokenizer: Any = None, weights_sha256: str = "") -> "LoadedModel":
    """Load a model by name, or adopt one that the caller holds; a known digest is not computed again."""
    from todacomm.models.checkpoints.loading import adopt, load_model

    if not isinstance(model, (str, Path)):
        return adopt(model, tokenizer)
    named = isinstance(tokenizer, (str, Path))
    return load_model(
        resolve(str(model), revision=study.revision, tokenizer=str(tokenizer) if named else study.tokenizer),
        device=study.device,
        dtype=study.dtype,
        trust_remote_code=study.trust_remote_code,
        allow_pickle=study.allow_pickle,
        num_layers=study.num_layers,
        weights_sha256=weights_sha256,
        device_map=study.device_map,
        max_memory={"cpu": study.max_memory} if study.max_memory else None,
        tokenizer=None if named else tokenizer,
    )


def profile_of(
    model: "LoadedModel", texts: Texts, study: Study, *, pooling: str | None, track: Track = silent
) -> Result:
    """Extract the layers of a loaded model and measure them."""
    reading = read(model, texts, study, pooling=pooling, track=track)
    begun, prepared = time.perf_counter(), PreparedOnce()
    with one_thread:
        found = measure_profile(
            reading.activations.clouds(),
            recipe_of(study, reading.activations),
            track=track,
            each=partial(in_threads, measure_task, number=study.jobs),
            prepared=prepared,
        )
        result = result_of(reading, *found, seconds=time.perf_counter() - begun)
        return claimed(result, study, lambda: model, number=study.jobs, track=track, prepared=prepared)


def groups_of(activations: Activations) -> tuple[str, ...] | None:
    """The article of each point; None where unknown, and for tokens."""
    return activations.texts.groups if activations.pooling != "tokens" else None


def claimed(
    result: Result,
    study: Study,
    model: Callable[[], "LoadedModel"],
    *,
    number: Number = 1,
    track: Track = silent,
    prepared: Prepare = prepare,
) -> Result:
    """Add the claims that the study asks for, ``number`` of layers or draws at a time.

    Null models that take forward passes load the ``model``.
    """
    begun, activations = time.perf_counter(), result.activations

    def cloud(layer: str) -> PointCloud:
        return PointCloud(activations.layers[layer], result.profile.at(layer).address)

    profile = with_claims(
        result.profile,
        cloud,
        study.asked(),
        groups=groups_of(activations),
        track=track,
        spread=partial(in_threads, number=number),
        prepared=prepared,
    )
    if of_passes(study):
        profile = with_model_nulls(profile, model(), activations, study, track=track)
    seconds = {**result.seconds, "intervals and nulls": time.perf_counter() - begun}
    return replace(result, profile=profile, seconds=seconds)


def read(model: "LoadedModel", texts: Texts, study: Study, *, pooling: str | None, track: Track = silent) -> Reading:
    """Run a loaded model on the texts: one forward pass."""
    from todacomm.models.extraction import extract, select_layers

    begun = time.perf_counter()
    activations, language = extract(
        model,
        texts,
        samples=study.samples,
        pooling=pooling,
        layers=study.layers,
        min_tokens=study.min_tokens,
        language=study.language,
        track=track,
        **study.reading(),
    )
    return Reading(
        activations,
        language.as_dict() if language else {"reason": "not asked for"},
        card_of(model),
        tuple(select_layers(model.anatomy, "all", study.site)),
        model.device,
        model.dtype,
        time.perf_counter() - begun,
    )


def result_of(
    reading: Reading, profile: Profile, checked: CrossCheck, *, seconds: float, remembered: tuple[str, ...] = ()
) -> Result:
    """Complete a profile with what its activations know; ``seconds`` is the time of homology."""
    profile = replace(
        profile,
        language=reading.language,
        notes=(*profile.notes, *notes_of_card(reading.card), *notes_of(reading.activations)),
        card=reading.card,
        texts_sha256=reading.activations.texts.sha256,
    )
    return Result(profile, reading, checked, {"extraction": reading.seconds, "homology": seconds}, remembered)


def recipe_of(study: Study, activations: Activations) -> Recipe:
    """The recipe of a study for these activations; for tokens, with the number drawn before the forward pass."""
    recipe = study.recipe(activations.pooling)
    if activations.pooling != "tokens":
        return recipe
    return replace(recipe, subsample=len(next(iter(activations.layers.values()))))


def card_of(model: "LoadedModel") -> ModelCard:
    """Describe the model, as read from itself."""
    return ModelCard(
        name=model.name,
        kind=model.kind,
        norm_place=model.anatomy.norm_place,
        parameters=model.parameters,
        blocks=model.blocks,
        width=model.anatomy.width,
        revision=model.revision,
        weights_sha256=model.weights_sha256,
        adapter=model.adapter,
        tokenizer_from=model.tokenizer_from,
        probe=model.outcome,
    )


def notes_of_card(card: ModelCard) -> list[str]:
    """Notes on the model that a reader of the numbers must know."""
    adapter = f"The weights of {card.name} are those of its base with an adapter: {card.adapter}."
    words = f"The tokenizer of {card.name} is that at {card.tokenizer_from}."
    return [note for note, said in ((adapter, card.adapter), (words, card.tokenizer_from)) if said]


BATCHES = {
    "equal lengths": "Padding changes what this model makes of a text, so only texts of equal length shared a batch.",
    "none": "Other texts of a batch change what this model makes of a text, so each was read alone.",
}


def notes_of(activations: Activations) -> list[str]:
    """Notes on the texts that a reader of the numbers must know."""
    facts, notes = activations.notes, []
    if facts.get("truncated_texts"):
        share = facts["truncated_share"]
        notes.append(
            f"{facts['truncated_texts']} of {facts['texts']} texts ({share:.0%}) were cut at "
            f"{facts['max_length']} tokens."
        )
    if facts.get("skipped_texts"):
        notes.append(f"{facts['skipped_texts']} texts had too few tokens and were passed over.")
    notes += [BATCHES[facts["batches"]]] if facts.get("batches") in BATCHES else []
    if facts.get("reads"):
        notes.append(f"{activations.model} {facts['reads']}: the last token of a text changes what comes before it.")
    if facts.get("tokens"):
        notes.append(f"Each point is one token: {facts['tokens']}, the same ones in every layer.")
    if note := datasets.describe_sample(activations.texts):
        notes.append(note)
    return notes

"""Null models that take forward passes: the model on shuffled tokens, and its architecture with random weights.

Each pass gives one value a layer and metric, so p is at least 1 / (passes + 1); the size of the effect matters.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from todacomm.core.errors import InvalidInput
from todacomm.core.inference_types import GrowthFactors, InferenceSettings
from todacomm.core.progress import Track, silent
from todacomm.core.types import Activations, Measurement, Profile, is_block
from todacomm.profiles.expansion import expansion
from todacomm.profiles.measure import Task, measure_task
from todacomm.runs.config import Study
from todacomm.statistics.gaussian_null import null_tests, tested_names

if TYPE_CHECKING:
    from todacomm.models.checkpoints.loading import LoadedModel


def with_model_nulls(
    profile: Profile, model: "LoadedModel", texts: Activations, study: Study, *, track: Track = silent
) -> Profile:
    """Add a test against each null of the study that takes passes; ``texts`` are the measured activations."""
    claims, names = profile.claims, tested_names(profile.recipe)
    if claims is None:
        return profile
    summaries, tests = [m.summary for m in profile.measurements], dict(claims.tests)
    growths = dict(claims.null_growths)
    for null in of_passes(study):
        passes = track(PASSES[null](model, texts, study), f"null: {null}", study.null_runs)
        measured = [measured_layers(found, profile) for found in passes]
        values = np.array([[[m.summary[name] for name in names] for m in one] for one in measured], dtype=np.float64)
        tests[null] = dict(zip(profile.layers, null_tests(summaries, values, names, null=null), strict=True))
        bases = dict.fromkeys(e.baseline for e in profile.expansions if e.growth)
        growths[null] = {base: tuple(grown_from(base, one) for one in measured) for base in bases}
    return replace(profile, claims=replace(claims, tests=tests, null_growths=growths))


def of_passes(asked: Study | InferenceSettings) -> list[str]:
    """The null models asked for that take forward passes."""
    return [null for null in asked.nulls if null in PASSES]


def measured_layers(found: Activations, profile: Profile) -> list[Measurement]:
    """Every layer of one pass, in the order of the profile."""
    return [measure_task(Task(cloud, profile.recipe)).measurement for cloud in found.clouds()]


def grown_from(baseline: str, measured: Sequence[Measurement]) -> GrowthFactors | None:
    """The expansion of one pass from a layer to its own peak, and its factors; None where it is undefined."""
    blocks = [m for m in measured if is_block(m.address.layer)]
    start = next((m for m in measured if m.address.layer == baseline), None)
    growth = expansion(start, baseline, blocks, lambda _: None, missing="not read").growth
    return (growth.ratio, growth.scale, growth.shape) if growth else None


def on_shuffled_tokens(model: "LoadedModel", texts: Activations, study: Study) -> Iterator[Activations]:
    """The activations of texts whose tokens are in random order, one order a pass."""
    for run in range(study.null_runs):
        yield read_again(model, texts, study, shuffled=study.seed + run)


def untrained(model: "LoadedModel", texts: Activations, study: Study) -> Iterator[Activations]:
    """The activations of this architecture with random weights, initialised as by the library."""
    import torch
    from transformers import PreTrainedModel

    from todacomm.models.checkpoints.checkpoint_files import quietly
    from todacomm.models.checkpoints.loading import adopt

    network = model.network
    if not isinstance(network, PreTrainedModel):
        raise InvalidInput(
            f"{model.name}: an untrained network is made from a transformers configuration, and this network has none; "
            "leave --nulls untrained out"
        )
    for run in range(study.null_runs):
        with torch.random.fork_rng(), quietly():
            torch.manual_seed(study.seed + run)
            fresh: Any = type(network)(copy.deepcopy(network.config))
        yield read_again(
            adopt(fresh.to(device=network.device, dtype=network.dtype).eval(), model.tokenizer), texts, study
        )


PASSES: dict[str, Callable[["LoadedModel", Activations, Study], Iterator[Activations]]] = {
    "text": on_shuffled_tokens,
    "untrained": untrained,
}


def read_again(model: "LoadedModel", texts: Activations, study: Study, *, shuffled: int | None = None) -> Activations:
    """The layers of a model on the texts that were measured."""
    from todacomm.models.extraction import extract

    found, _ = extract(
        model,
        texts.texts,
        pooling=texts.pooling,
        layers=list(texts.layers),
        language=False,
        shuffled=shuffled,
        **study.reading(),
    )
    return found

"""Jobs → their plan. Counts are exact: texts are tokenised, networks are built without their weights. Seconds come from
`todacomm.runs.plan.machine_rates`, bytes from what is known of each stage; docs/decisions/012 has both beside what then happened.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from todacomm.core import memory
from todacomm.core.errors import MissingExtra
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.memory import limit_of
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address
from todacomm.models.checkpoints import checkpoint_files
from todacomm.models.checkpoints.base_and_adapter import parts_of
from todacomm.profiles.intervals_and_nulls import without_groups
from todacomm.profiles.measure import CHECKED_SHARE, drawn_for_check
from todacomm.runs.cache.entries import find_measured, find_reading
from todacomm.runs.cache.keys import claims_key
from todacomm.runs.cache.store import Cache
from todacomm.runs.config import ALL, Study
from todacomm.runs.experiment import Job, Reading, groups_of, recipe_of
from todacomm.runs.jobs import FAILURES, told
from todacomm.runs.plan import machine_rates, model_rates
from todacomm.runs.plan.machine_rates import Rates
from todacomm.runs.plan.plan import JobPlan, Plan, Stage
from todacomm.runs.plan.token_counts import Counted, count
from todacomm.statistics.random_halves import FEWEST

if TYPE_CHECKING:
    from todacomm.models.batching import Batch
    from todacomm.models.blockwise import Decoder
    from todacomm.models.size_and_flops import Skeleton

MEBI = 2**20
PASSES = {"causal": 0, "masked": 3}  # further passes over the texts for the language metrics
THREADED = 0.8  # of a further core that one more layer at a time gains
ENGINE = (0.5, 1.9, 10.0)  # bytes for n² of H0, of H1 (1.2 of a Gaussian cloud, 2.6 of a noisy circle), and of H2
WORKSPACE = 30 * MEBI  # of the kernels of a forward pass
TO_FETCH = "its files are not on this machine: they have to be fetched from the hub before anything can be told"
BEYOND = {"torch": 310, "transformers": 40, "numba": 100, "ripser": 85, "matplotlib.pyplot": 30}  # MiB of libraries
TRIALS = 64 * MEBI  # that the trials of a plan leave with the process
OF_ARRAYS = {"numba": 100, "ripser": 110}  # where torch has not loaded what ripser loads too


def plan_of(jobs: Sequence[Job], cache: Cache | None, rates: Rates) -> Plan:
    """The plan of these jobs of one study, done here one after the other; raises nothing for a job that cannot be planned."""
    study = jobs[0].study
    apart, held = study.backend == "loky", base() + TRIALS  # before the planning itself leaves anything behind
    planner = Planner(cache, rates, 1 if apart else threads(study.jobs))
    found = with_import(tuple(planner.job(job) for job in jobs), planner)
    workers = threads(study.jobs) if apart else 1
    return Plan(found, held, limit_of(study.max_memory), planner.at_once, workers)


def rates_of(cache: Cache | None, *, fresh: bool = False) -> Rates:
    """The rates of this machine, kept beside the cache; measured anew with ``fresh`` and where nothing is cached."""
    return Rates(cache.root / "calibration" if cache else None, fresh=fresh)


def threads(jobs: str | int) -> int:
    """How many layers are measured at a time."""
    from joblib import cpu_count

    return cpu_count() if jobs == "auto" else int(jobs)


def base(libraries: Mapping[str, int] = BEYOND) -> int:
    """What the process holds before a job: what it holds now, and the libraries that it will load."""
    missing = [size for name, size in libraries.items() if name not in sys.modules]
    return memory.resident() + MEBI * sum(missing)


@dataclass(slots=True, eq=False)
class Planner:
    """What the jobs of a study share: the skeleton of a model, which is loaded once for all of its jobs."""

    cache: Cache | None
    rates: Rates
    at_once: int
    yard: float = 0.0
    skeletons: dict[Any, "Skeleton"] = field(default_factory=dict)
    loaded: set[Any] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.yard = self.rates.yard

    def job(self, job: Job) -> JobPlan:
        """The plan of one job."""
        try:
            found = find_reading(job, self.cache, lazily=True) if self.cache else None
            if found:
                return self.known(job, found)
            if parts_of(job.source).directories is None:
                return JobPlan(job.source.name, job.dataset, problem=TO_FETCH)
            return self.unknown(job)
        except MissingExtra:  # nothing that a plan could say: the run needs it too
            raise
        except FAILURES as problem:
            return JobPlan(job.source.name, job.dataset, problem=str(told(problem)))

    def known(self, job: Job, reading: Reading) -> JobPlan:
        """A job whose model need not be loaded."""
        read, card = reading.activations, reading.card
        shape = next(iter(read.layers.values())).shape
        recipe = recipe_of(job.study, read)
        measured = sum(self.measured(job, layer, recipe, reading) for layer in read.layers)
        held = 4 * math.prod(shape) * len(read.layers)
        return JobPlan(
            job.source.name,
            job.dataset,
            pooling=read.pooling,
            texts=len(read.texts),
            content_tokens=read.notes["content_tokens"],
            points=measured_points(recipe, shape[0]),
            layers=len(read.layers),
            width=shape[1],
            blocks=card.blocks,
            parameters=card.parameters,
            stages=self.after(
                recipe,
                shape,
                len(read.layers),
                measured,
                held=held,
                asked=self.unclaimed(job, reading, recipe),
                halved=halved(job.study.asked(), groups_of(read)),
            ),
            read=True,
            measured=measured,
            notes=("the model has read these texts before",),
        )

    def measured(self, job: Job, layer: str, recipe: Recipe, reading: Reading) -> bool:
        """Whether the cache has what is measured of a layer."""
        address = Address(job.source.name, job.dataset, layer)
        check = layer in drawn_for_check(list(reading.activations.layers), recipe)
        cloud = reading.digests[layer]
        return self.cache is not None and find_measured(cloud, address, recipe, self.cache, check=check) is not None

    def unclaimed(self, job: Job, reading: Reading, recipe: Recipe) -> InferenceSettings:
        """What is asked of the numbers; nothing where the cache has it."""
        asked, groups = job.study.asked(), groups_of(reading.activations)
        key = claims_key(reading.digests, recipe, asked, groups)
        known = self.cache is not None and self.cache.facts("claims", key) is not None
        return replace(asked, resamples=0, null_draws=0) if known else asked

    def unknown(self, job: Job) -> JobPlan:
        """A job whose model is loaded and reads the texts."""
        study = job.study
        model = self.skeleton(job)
        counted = count(model, job, self.rates.wall)
        layers = [name for name in model.layers if study.layers == ALL or name in study.layers]
        recipe = study.recipe(counted.pooling)
        held = 4 * counted.points * model.width * len(layers)
        weights = weight_bytes(model)
        return JobPlan(
            job.source.name,
            job.dataset,
            pooling=counted.pooling,
            texts=counted.texts,
            content_tokens=counted.content,
            padded_tokens=counted.padded,
            points=measured_points(recipe, counted.points),
            layers=len(layers),
            width=model.width,
            blocks=model.depth,
            parameters=model.parameters,
            batch=max(b.ids.size for b in counted.batches) // counted.longest,
            stages=(
                *self.reading(job, model, counted, layers, held=held),
                *self.after(
                    recipe,
                    (counted.points, model.width),
                    len(layers),
                    0,
                    held=held + weights,
                    asked=study.asked(),
                    halved=halved(study.asked(), counted.groups),
                ),
            ),
            notes=counted.notes,
        )

    def skeleton(self, job: Job) -> "Skeleton":
        """The skeleton of the model of a job."""
        from todacomm.models.size_and_flops import skeleton

        study = job.study
        key = (job.source, study.site, study.device, study.dtype, study.trust_remote_code)
        if key not in self.skeletons:
            self.skeletons.clear()
            self.skeletons[key] = skeleton(
                job.source,
                site=study.site,
                device=study.device,
                dtype=study.dtype,
                trust_remote_code=study.trust_remote_code,
                clock=self.rates.wall,
            )
        return self.skeletons[key]

    def reading(
        self, job: Job, model: "Skeleton", counted: "Counted", layers: Sequence[str], *, held: int
    ) -> tuple[Stage, ...]:
        """Loading, tokenising, and the forward passes."""
        study, weights = job.study, weight_bytes(model)
        gguf = checkpoint_files.only_gguf(parts_of(job.source).base) is not None
        load = 0.0 if (study, job.source) in self.loaded else self.loading(job, model, gguf=gguf)
        self.loaded.add((study, job.source))
        loading = round(1.65 * weights) if gguf else weights
        decoder = model_rates.by_blocks(model, study, counted.batches)
        key = ["rates of a model", decoder is not None, *of_rate(job, model), counted.longest, counted.pooling]
        rate = model_rates.model_rate(
            model, counted.batches, study, tokenising=counted.tokenising / counted.padded, rates=self.rates, key=key
        )
        further = PASSES[model.cut.kind] if study.language and not model.cut.headless else 0
        tokens = [int(b.real.sum()) if decoder else b.ids.size for b in counted.batches]
        lengths = [rate.block_at(b.ids.shape[1]) for b in counted.batches]
        deepest = 1.0 if study.language and model.cut.predicts_next else rate.deepest
        blocks = (model.depth - 1 + deepest) * counted.scale * sum(t * s for t, s in zip(tokens, lengths, strict=True))
        blocks += (
            model.depth * rate.laying * math.ceil(counted.scale * sum(tokens) / model_rates.stretch())
            if decoder
            else 0.0
        )
        share = share_run(layers, model, study)
        forward = model.forward_flops
        flops = sum(counted.scale * forward(*b.ids.shape) for b in counted.batches)
        scored = counted.content if model.cut.kind == "causal" else 0.15 * counted.content + 2 * counted.texts
        head = model.head_flops(round(scored)) if study.language and not model.cut.headless else 0.0
        batch = batch_bytes(model, counted.batches, decoder, language=study.language)
        during = weights + held + WORKSPACE + batch
        return (
            Stage("load", load, loading),
            Stage("tokenise", counted.tokenising, weights),
            Stage("forward", share * blocks, during, share * flops),
            Stage(
                "language", blocks * further + rate.rest * counted.padded, during, further * flops + head, each=batch
            ),
            Stage("pooling", rate.pooling * counted.padded * len(layers), during),
        )

    def loading(self, job: Job, model: "Skeleton", *, gguf: bool) -> float:
        """Seconds of loading the weights."""
        rate = machine_rates.LOADING_RATE["gguf" if gguf else "safetensors"]
        network = self.yard * (machine_rates.LOADING + model.parameters * rate)
        # transformers reads the description of a GGUF file, its vocabulary above all, once more with the weights
        return network + (self.rates.of(["described", asdict(job.source)], lambda: model.described) if gguf else 0.0)

    def cloud(self, n: int, d: int, recipe: Recipe) -> machine_rates.CloudRate:
        """The rate of clouds of this size."""
        return machine_rates.cloud_rate(n, d, replace(recipe, subsample=None), self.rates)

    def after(
        self,
        recipe: Recipe,
        shape: tuple[int, int],
        layers: int,
        measured: int,
        *,
        held: int,
        asked: InferenceSettings,
        halved: int = 1,
    ) -> tuple[Stage, ...]:
        """Distances and homology of the layers, the cross-check, intervals and nulls, figures and records.

        Layers are ``halved`` once, or twice where whole groups are drawn too.
        """
        n = recipe.subsample or shape[0]
        left = layers - measured
        rate = self.cloud(n, shape[1], recipe) if left else machine_rates.CloudRate(0.0, 0.0, 0)
        checks = 0 if recipe.engine == "ripser" else max(1, math.ceil(CHECKED_SHARE * layers)) if left else 0
        each = cloud_bytes(n, shape[1], recipe)
        figures = machine_rates.FIGURES[0] + machine_rates.FIGURES[1] * math.log2(max(1, layers))
        speedup = 1 + THREADED * (max(1, min(self.at_once, left)) - 1)
        return (
            Stage("homology", left * rate.seconds / speedup, held + each * min(self.at_once, layers), each=each),
            Stage("cross-check", checks * rate.check / min(speedup, max(1, checks)), held + each),
            Stage(
                "intervals and nulls",
                self.claims(recipe, n, shape[1], layers, replace(asked, resamples=halved * asked.resamples)),
                held + 2 * each * self.at_once,
            ),
            Stage("figures and reports", self.yard * (figures + machine_rates.REPORTS), held + 30 * MEBI),
        )

    def claims(self, recipe: Recipe, n: int, d: int, layers: int, asked: InferenceSettings) -> float:
        """Seconds of the claims that are asked for; 0 of landmarks, which have none."""
        if not (asked.resamples or asked.null_draws) or n < FEWEST or recipe.landmarks:
            return 0.0
        rate = machine_rates.claim_rate(n, d, layers, recipe, self.rates)
        whole = layers * (asked.resamples * rate.half + asked.null_draws * rate.draw) + asked.null_draws * rate.frame
        return whole / (1 + THREADED * (self.at_once - 1))


def halved(asked: InferenceSettings, groups: Sequence[str] | None) -> int:
    """How often each layer is halved: by points, and by whole groups where there are any."""
    return 1 if without_groups(asked, groups) else 2


def share_run(layers: Sequence[str], model: "Skeleton", study: Study) -> float:
    """How much of the blocks the pass for the layers runs: up to the deepest of them, all where the head is wanted too."""
    if study.language and model.cut.predicts_next:
        return 1.0
    below = {"embedding": 0, **{f"layer_{i}": i + 1 for i in range(model.depth)}}
    return max(below.get(layer, model.depth) for layer in layers) / model.depth


def of_rate(job: Job, model: "Skeleton") -> list[Any]:
    """What the rate of a model depends on, besides its batches."""
    study = job.study
    return [asdict(job.source), model.parameters, study.site, study.language, study.dtype, model.cut.device]


def with_import(jobs: tuple[JobPlan, ...], planner: Planner) -> tuple[JobPlan, ...]:
    """The jobs, the first with the time that loading the library of the figures takes once."""
    if "matplotlib.pyplot" in sys.modules or not jobs or not jobs[0].stages:
        return jobs
    *others, last = jobs[0].stages
    first = replace(
        jobs[0], stages=(*others, replace(last, seconds=last.seconds + planner.yard * machine_rates.IMPORTING))
    )
    return (first, *jobs[1:])


def measured_points(recipe: Recipe, points: int) -> int:
    """The points that are measured of so many."""
    return min(points, recipe.subsample or points, recipe.landmarks or points)


# Bytes


def weight_bytes(model: "Skeleton") -> int:
    """Of the weights in the precision of the model."""
    import torch

    return model.parameters * getattr(torch, model.cut.dtype).itemsize


def batch_bytes(model: "Skeleton", batches: "Sequence[Batch]", decoder: "Decoder | None", *, language: bool) -> int:
    """Of the largest batch within a block or of the tokens that go through it together, and of the logits held at a time."""
    from todacomm.models.perplexity import comes_in_pieces, piece_rows

    tokens = max(b.ids.size for b in batches)
    inner = max(6 * model.width, 3 * model.block // (3 * model.width))
    scored = 0 if not language or model.cut.headless else tokens
    if scored and comes_in_pieces(model.cut):
        scored = min(scored, piece_rows(model.cut))
    within: int = decoder.bytes_for(sum(int(b.real.sum()) for b in batches)) if decoder else tokens * inner * 4
    return within + scored * model.vocabulary * 4 * 2


def cloud_bytes(n: int, d: int, recipe: Recipe) -> int:
    """Of one cloud while it is measured: its points and their products, the distances, and the engine."""
    k = min(d, n, recipe.components or d)
    m = min(n, recipe.landmarks or n)
    projection = 3 * 8 * n * d + 8 * min(n, d) ** 2 if k < d else 2 * 8 * n * d
    distances = 2 * m * m  # 4 bytes for each pair
    return max(projection, 8 * n * d + distances + round(ENGINE[recipe.maxdim] * m * m) + 128 * 8 * m)

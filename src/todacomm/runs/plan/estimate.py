"""Plan jobs: exact counts, bytes in closed form, seconds by calibration (docs/decisions/012-plan.md)."""

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from todacomm.core.errors import MissingExtra
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.memory import limit_of
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address
from todacomm.homology.engines import REFERENCE
from todacomm.models.checkpoints import checkpoint_files
from todacomm.models.checkpoints.base_and_adapter import parts_of
from todacomm.profiles.intervals_and_nulls import of_points, without_groups
from todacomm.profiles.measure import CHECKED_SHARE, drawn_for_check
from todacomm.runs.cache.entries import find_measured, find_reading
from todacomm.runs.cache.keys import claims_key
from todacomm.runs.cache.store import Cache
from todacomm.runs.experiment import Job, Reading, groups_of, recipe_of
from todacomm.runs.jobs import FAILURES, as_todacomm_error
from todacomm.runs.model_nulls import of_passes
from todacomm.runs.plan.calibration import CHECKED, Rates, seconds_of
from todacomm.runs.plan.memory_sizes import GGUF, TRIALS, WORKSPACE, base, cloud_bytes
from todacomm.runs.plan.plan import CLAIMS, FURTHER_NULLS, NULL_PASSES, TO_FETCH, JobPlan, Plan, Stage
from todacomm.statistics.random_halves import FEWEST
from todacomm.statistics.vertices import too_few

if TYPE_CHECKING:
    from todacomm.models.size_and_flops import Skeleton
    from todacomm.runs.plan.reading import Counted

THREADED = 0.8  # of a further core that one more layer at a time gains
# Seconds on the machine of `Rates.yard`: figures of one layer and for each doubling of the layers, reports, matplotlib
FIGURES, DOUBLING, REPORTS, IMPORTING = 1.0, 0.16, 0.05, 0.55
NETWORK, READ, READ_GGUF, DRAWN = 0.12, 1.2e-9, 19e-9, 12e-9  # make a network; read or draw one parameter of it


def plan_of(jobs: Sequence[Job], cache: Cache | None, rates: Rates) -> Plan:
    """Plan the jobs of one study, run in their order; a job that cannot be planned says why in ``problem``."""
    study = jobs[0].study
    apart, held = study.backend == "loky", base() + TRIALS  # before the planning itself leaves anything behind
    planner = Planner(cache, rates, 1 if apart else threads(study.jobs))
    found = tuple(planner.job(job) for job in jobs)
    return Plan(found, held, limit_of(study.max_memory), planner.at_once, threads(study.jobs) if apart else 1)


def rates_of(cache: Cache | None, *, fresh: bool = False) -> Rates:
    """The rates of this machine, kept beside the cache; measured anew with ``fresh`` and where nothing is cached."""
    return Rates(cache.root / "calibration" if cache else None, fresh=fresh)


def threads(jobs: str | int) -> int:
    """The number of layers measured at a time."""
    from joblib import cpu_count

    return cpu_count() if jobs == "auto" else int(jobs)


@dataclass(slots=True, eq=False)
class Planner:
    """Plan the jobs of a study in their order; the skeleton of a model is made once for all of its jobs."""

    cache: Cache | None
    rates: Rates
    at_once: int
    _skeleton: tuple[Any, "Skeleton"] | None = None  # the last one, and of which model
    _done: set[str] = field(default_factory=set)  # what is loaded for the jobs before

    def job(self, job: Job) -> JobPlan:
        """The plan of one job."""
        try:
            found = find_reading(job, self.cache, lazily=True) if self.cache else None
            asked = job.study.asked()
            if found and self.claimed(found, job):
                asked = InferenceSettings(resamples=0, null_draws=0)
            if (asked_again := not found or of_passes(asked)) and parts_of(job.source).directories is None:
                return JobPlan(job.source.name, job.dataset, problem=TO_FETCH)
            return self.planned(job, found, self.counted(job) if asked_again else None, asked)
        except MissingExtra:  # nothing that a plan could say: the run needs it too
            raise
        except FAILURES as problem:
            return JobPlan(job.source.name, job.dataset, problem=str(as_todacomm_error(problem)))

    def claimed(self, found: Reading, job: Job) -> bool:
        """Whether intervals and p-values are cached."""
        read = found.activations
        key = claims_key(found.digests, recipe_of(job.study, read), job.study.asked(), groups_of(read))
        return self.cache is not None and self.cache.facts("claims", key) is not None

    def counted(self, job: Job) -> "Counted":
        """The texts of a job as its model reads them."""
        from todacomm.models.size_and_flops import skeleton
        from todacomm.runs.plan.reading import count

        if self._skeleton is None or self._skeleton[0] != job.source:
            keys = ("site", "device", "dtype", "trust_remote_code", "allow_pickle")
            options = {key: getattr(job.study, key) for key in keys}
            self._skeleton = (job.source, skeleton(job.source, **options, clock=self.rates.wall))
        return count(self._skeleton[1], job, self.rates.wall)

    def planned(self, job: Job, found: Reading | None, counted: "Counted | None", asked: InferenceSettings) -> JobPlan:
        """Plan a job whose activations are ``found`` in the cache, or whose texts the model will read, or both."""
        if found:
            plan, groups = self.of_cache(job, found), groups_of(found.activations)
            recipe = recipe_of(job.study, found.activations)
            plan = replace(plan, batch=counted.plan().batch) if counted else plan
        elif counted:
            plan, groups = counted.plan(), counted.groups
            recipe = job.study.recipe(plan.pooling)
        held, stages = 4 * plan.points * plan.width * plan.layers, list[Stage]()
        weights = counted.weights if counted else 0
        if counted:
            stages += [self.load(job, counted), *([] if found else self.reading(counted, held))]
        drawn = replace(asked, resamples=asked.resamples * (1 if without_groups(asked, groups) else 2))
        stages += self.measuring(recipe, plan, held=held + weights, asked=drawn)
        if counted and (nulls := of_passes(asked)):
            stages.append(self.null_passes(counted, nulls, recipe, plan))
            plan = replace(plan, passes=plan.passes + len(nulls) * asked.null_runs)
        stages.append(Stage("figures and reports", self.drawing(plan.layers), held + weights + WORKSPACE))
        return replace(plan, points=measured_points(recipe, plan.points), stages=tuple(stages))

    def of_cache(self, job: Job, found: Reading) -> JobPlan:
        """The counts of a job whose texts the model has read before; ``points`` are those that were read."""
        read, card, recipe = found.activations, found.card, recipe_of(job.study, found.activations)
        points, width = next(iter(read.layers.values())).shape
        checked = drawn_for_check(list(read.layers), recipe)

        def known(layer: str) -> bool:
            cloud, where = found.digests[layer], Address(job.source.name, job.dataset, layer)
            return bool(self.cache and find_measured(cloud, where, recipe, self.cache, check=layer in checked))

        return JobPlan(
            job.source.name,
            job.dataset,
            read.pooling,
            texts=len(read.texts),
            content_tokens=read.notes["content_tokens"],
            points=points,
            layers=len(read.layers),
            width=width,
            blocks=card.blocks,
            parameters=card.parameters,
            read=True,
            measured=sum(map(known, read.layers)),
            notes=("the model has read these texts before",),
        )

    def load(self, job: Job, counted: "Counted") -> Stage:
        """The stage of loading the weights, for the first job of a model."""
        model, gguf = counted.model, checkpoint_files.only_gguf(parts_of(job.source).base) is not None
        held = round(GGUF * counted.weights) if gguf else counted.weights
        seconds = self.rates.yard * (NETWORK + model.parameters * (READ_GGUF if gguf else READ))
        if gguf:  # transformers reads its description, the vocabulary above all, once more with the weights
            seconds += self.rates.of(["described", asdict(job.source)], lambda: model.described)
        return Stage("load", seconds * self.first(repr(job.source)), held)

    def drawing(self, layers: int) -> float:
        """Seconds of figures, records and reports."""
        importing = 0 if "matplotlib.pyplot" in sys.modules else IMPORTING * self.first("matplotlib")
        return self.rates.yard * (FIGURES + DOUBLING * math.log2(max(1, layers)) + REPORTS + importing)

    def first(self, what: str) -> bool:
        """Whether this is its first use."""
        new = what not in self._done
        self._done.add(what)
        return new

    def reading(self, counted: "Counted", held: int) -> list[Stage]:
        """The stages of tokenising, of the pass for the layers, and of the language metrics."""
        from todacomm.runs.plan.reading import model_rate

        rate, batch = model_rate(counted, self.rates), counted.bytes_of_a_batch()
        share = 1.0 if counted.language and not counted.further else counted.share
        during = counted.weights + held + WORKSPACE + batch
        whole = rate.layers(counted, share)  # with tokenising, which is cold the first time that it is timed
        forward = max(whole / 2, whole - counted.tokenising)
        flops = counted.further * counted.flops + counted.head_flops
        return [
            Stage("tokenise", counted.tokenising, counted.weights),
            Stage("forward", forward, during, share * counted.flops),
            Stage("language", rate.language(counted), during, flops, each=batch),
        ]

    def null_passes(self, counted: "Counted", nulls: Sequence[str], recipe: Recipe, plan: JobPlan) -> Stage:
        """The stages of null-model passes, measured like the layers; each pass of ``untrained`` makes a network."""
        from todacomm.runs.plan.reading import model_rate

        runs, n, d = counted.job.study.null_runs, recipe.subsample or plan.points, plan.width
        networks = "untrained" in nulls
        making = networks * self.rates.yard * (NETWORK + DRAWN * plan.parameters)
        each = model_rate(counted, self.rates).layers(counted, counted.share)
        each += plan.layers * seconds_of("cloud", n, d, recipe, self.rates)
        held = 2 * 4 * plan.points * d * plan.layers + (1 + networks) * counted.weights + WORKSPACE
        batch, flops = counted.bytes_of_a_batch(), runs * len(nulls) * counted.share * counted.flops
        held += max(batch, cloud_bytes(n, d, recipe))
        return Stage(NULL_PASSES, runs * (len(nulls) * each + making), held, flops, each=batch)

    def measuring(self, recipe: Recipe, plan: JobPlan, *, held: int, asked: InferenceSettings) -> list[Stage]:
        """The stages of distances, homology, cross-check, intervals and null models drawn from points."""
        n, d, left = recipe.subsample or plan.points, plan.width, plan.layers - plan.measured
        columns = plan.layers * min(recipe.components or d, d)
        nulls = of_points(asked) if asked.null_draws else []
        if n < FEWEST or recipe.landmarks:  # no halves and no draws of these
            asked = InferenceSettings(resamples=0, null_draws=0)
        check = max(1, math.ceil(CHECKED_SHARE * plan.layers)) if left and recipe.engine != REFERENCE else 0
        halves, draws = plan.layers * asked.resamples, plan.layers * asked.null_draws

        def seconds(part: str, times: float, n: int = n, d: int = d) -> float:
            """Seconds for several of a part; nothing is timed for none."""
            return times and times * seconds_of(part, n, d, recipe, self.rates)

        again = 1 if recipe.maxdim and not too_few(n) else 0  # each draw is made once more for its centroids
        claims = seconds("splits", halves / 4) + seconds("draw", draws) + seconds("centroids", again * draws)
        claims += seconds("frame", (1 + again) * asked.null_draws, d=columns)
        each, at_once = cloud_bytes(n, d, recipe), min(self.at_once, plan.layers)
        stages = [
            self.spread("homology", seconds("cloud", left), left, held + each * at_once, each),
            self.spread("cross-check", seconds("reference", check, min(n, CHECKED)), check, held + each),
            self.spread(CLAIMS, claims, self.at_once, held + 2 * each * at_once, 2 * each),
            self.spread(
                FURTHER_NULLS, seconds("cloud", len(nulls) * draws), self.at_once, held + 2 * each * at_once, 2 * each
            ),
        ]
        return stages if nulls else stages[:-1]

    def spread(self, name: str, seconds: float, tasks: int, memory: int, each: int = 0) -> Stage:
        """A stage of several tasks, some at a time."""
        return Stage(name, seconds / (1 + THREADED * (max(1, min(self.at_once, tasks)) - 1)), memory, each=each)


def measured_points(recipe: Recipe, points: int) -> int:
    """The number of measured points."""
    return min(points, recipe.subsample or points, recipe.landmarks or points)

"""Statistics of a layer beside its metrics; one decorated function tests all layers against draws of a null model::

    @statistic("H1_share", head="H1 share", needs=("H0_total_persistence", "H1_total_persistence"))
    def share(given: Against) -> Outcome:
        h0, h1 = map(given.of, ("H0_total_persistence", "H1_total_persistence"))
        return given.tested(h1 / (h0 + h1))

Records have its tests under that name, reports under its ``head``; ``--claim H1_share@final:p<=0.05`` uses it. A
function of the metrics of a layer is tested as exactly as a metric.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from todacomm.clouds.prepare import PreparedCloud
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.inference_types import Alternative, Claims, LoopBar, NullTest
from todacomm.core.recipe import Recipe
from todacomm.core.registry import Registry
from todacomm.core.types import Measurement
from todacomm.homology.metrics import metrics
from todacomm.statistics.gaussian_null import Change, Values, number_or_none, tested_names, tests_of_one
from todacomm.statistics.loop_test import CENTROID_LOOP, LOOP, PROMINENCE, RATIO, against_layers, loop_tests
from todacomm.statistics.loop_test_in_groups import loop_bars
from todacomm.statistics.vertices import all_points, bars_among, centroids, centroids_of_draw, too_few

NO_BARS = np.empty((0, 2))
Series = Float[np.ndarray, "draws_and_1 layers"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One test a layer, and the H1 bars of each layer that the statistic takes for loops, or candidates."""

    tests: Sequence[NullTest]
    loops: Sequence[tuple[LoopBar, ...]] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Against:
    """The input of a statistic: layers of equally many points, and draws of a null model of them.

    ``values`` are the metrics ``names`` on each draw of each layer, NaN where undefined; ``tests`` their tests, layer
    by layer; ``reasons`` say why a layer has no null, empty where it has one. The clouds may lack their distances.
    ``spread`` is ``map``, perhaps in threads. ``draws`` makes the draws of the Gaussian null again (`drawn`).
    """

    null: str
    recipe: Recipe
    measurements: Sequence[Measurement]
    clouds: Sequence[PreparedCloud]
    names: Sequence[str]
    values: Values
    tests: Sequence[Mapping[str, NullTest]]
    reasons: Sequence[str]
    spread: Callable[..., Iterable[Any]] = map
    name: str = ""
    draws: Callable[..., Values] | None = None

    def of(self, metric: str) -> Series:
        """A metric of the layers (first row) and of each draw."""
        if metric not in self.names:
            raise UnknownName("metric of the draws", metric, self.names)
        own = np.array([m.summary[metric] for m in self.measurements], dtype=np.float64)
        return np.vstack([own, self.values[:, :, self.names.index(metric)]])

    def drawn(self, names: Sequence[str], vertices: Change) -> Values:
        """Metrics of the same draws of the Gaussian null, each turned into ``vertices`` first."""
        if self.draws is None:
            raise InvalidInput(f"the draws of the null model '{self.null}' are not made again; the Gaussian null's are")
        return self.draws(names=names, vertices=vertices)

    def tested(self, values: Series, alternative: Alternative = "two-sided") -> Outcome:
        """Test a number of the layers (first row) against the same number of each draw."""
        own = [number_or_none(value) for value in values[0]]
        return Outcome(tests_of_one(self.name, own, values[1:], way=alternative, reasons=self.reasons, null=self.null))


def nothing(_claims: Claims, _layer: str) -> str:
    """The text beside the p-values of most statistics: none."""
    return ""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic, what it needs and how reports show it.

    ``needs``: metrics without which it is left out. ``nulls``: the null models that it is tested against; empty for all
    that are drawn from points. Tables have a column ``head``, to which ``beside`` may add, and ``sentence`` below.
    ``apart``: it has a report section of its own.
    """

    name: str
    test: Callable[[Against], Outcome]
    head: str
    needs: tuple[str, ...]
    nulls: tuple[str, ...] = ()
    sentence: str = ""
    beside: Callable[[Claims, str], str] = nothing
    apart: bool = False


statistics: Registry[Statistic] = Registry("statistic")


def statistic(
    name: str,
    *,
    head: str,
    needs: tuple[str, ...],
    nulls: tuple[str, ...] = (),
    sentence: str = "",
    beside: Callable[[Claims, str], str] = nothing,
    apart: bool = False,
) -> Callable[[Callable[[Against], Outcome]], Statistic]:
    """Register a function as a statistic; see `Statistic` for the options."""
    return lambda test: statistics.add(name, Statistic(name, test, head, needs, nulls, sentence, beside, apart))


def statistics_of(recipe: Recipe) -> list[Statistic]:
    """The statistics whose metrics a recipe computes."""
    return [one for one in statistics.values() if set(one.needs) <= set(tested_names(recipe))]


def outcomes(given: Against) -> dict[str, Outcome]:
    """Evaluate every statistic for this null, by name."""
    asked = [one for one in statistics_of(given.recipe) if not one.nulls or given.null in one.nulls]
    return {one.name: checked(one.name, one.test(replace(given, name=one.name)), given) for one in asked}


def checked(name: str, outcome: Outcome, given: Against) -> Outcome:
    """Check that an outcome has one test a layer; raise InvalidInput."""
    if len(outcome.tests) != len(given.measurements):
        raise InvalidInput(
            f"the statistic '{name}' gave {len(outcome.tests)} tests; expected {len(given.measurements)}, one a layer"
        )
    return outcome


def size_of_loop(claims: Claims, layer: str) -> str:
    """The number of points around the most significant loop of a layer, and in its group; empty for none."""
    found = [bar for bar in claims.loops.get(layer, ()) if bar.found and not bar.centroids]
    return f"{len(found[0].cycle)} in {len(found[0].group)}" if found else ""


@statistic(
    LOOP,
    head="loop",
    needs=(PROMINENCE, RATIO),
    nulls=("gaussian",),
    sentence="The effect beside a loop is that of H1 prominence; where there is one: how many points are around it, "
    "and in its group.",
    beside=size_of_loop,
    apart=True,
)
def loop(given: Against) -> Outcome:
    """Test for loops: every H1 bar against rotations of its layer, then of its group of points."""
    prominences, ratios = (given.of(name)[1:] for name in (PROMINENCE, RATIO))
    bars = [m.diagrams.finite[1] for m in given.measurements]
    out = against_layers(bars, prominences, ratios, given.reasons)
    loops = loop_bars(given.clouds, bars, out, given.recipe, len(prominences), spread=given.spread)
    of_prominence = [tests[PROMINENCE] for tests in given.tests]
    return Outcome(loop_tests(LOOP, out, of_prominence, loops), loops)


def centroids_of_loop(claims: Claims, layer: str) -> str:
    """The number of centroids around the most significant loop of a layer, and of all; empty for none."""
    found = [bar for bar in claims.loops.get(layer, ()) if bar.found and bar.centroids]
    return f"{len(found[0].cycle)} of {found[0].centroids}" if found else ""


@statistic(
    CENTROID_LOOP,
    head="loop of centroids",
    needs=(PROMINENCE, RATIO),
    nulls=("gaussian",),
    sentence="The loop of centroids is tested alike on the centroids of clusters, a fifth as many as points and each "
    "the mean of ten; they have less noise and show smaller loops. Where there is one: how many are around it.",
    beside=centroids_of_loop,
    apart=True,
)
def loop_of_centroids(given: Against) -> Outcome:
    """Test for loops among the centroids of each layer, against the centroids of its rotations."""
    few = [too_few(cloud.facts.distinct_points) for cloud in given.clouds]
    reasons = [null or own for null, own in zip(given.reasons, few, strict=True)]
    vertices = [
        all_points(cloud) if reason else centroids(cloud, seed=given.recipe.seed)
        for reason, cloud in zip(reasons, given.clouds, strict=True)
    ]
    bars = [
        NO_BARS if reason else bars_among(one.points, given.recipe)
        for reason, one in zip(reasons, vertices, strict=True)
    ]
    drawn = given.drawn((PROMINENCE, RATIO), partial(centroids_of_draw, seed=given.recipe.seed))
    prominences, ratios = np.moveaxis(drawn, 2, 0)
    own = [None if reason else metrics["prominence"].of(one) for reason, one in zip(reasons, bars, strict=True)]
    tests = tests_of_one(CENTROID_LOOP, own, prominences, way="greater", reasons=reasons, null=given.null)
    layers = against_layers(bars, prominences, ratios, reasons)
    loops = loop_bars(given.clouds, bars, layers, given.recipe, len(drawn), spread=given.spread, vertices=vertices)
    return Outcome(loop_tests(CENTROID_LOOP, layers, tests, loops), loops)

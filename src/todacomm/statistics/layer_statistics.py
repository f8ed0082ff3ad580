"""Statistics of a layer beside its metrics: one decorated function tests all layers against the draws of a null model::

    @statistic("H1_share", head="H1 share", needs=("H0_total_persistence", "H1_total_persistence"))
    def share(given: Against) -> Outcome:
        h0, h1 = map(given.of, ("H0_total_persistence", "H1_total_persistence"))
        return given.tested(h1 / (h0 + h1))

Records carry its tests under that name, the report under its ``head``, and ``--claim H1_share@final:p<=0.05`` asks for
it. A function of the metrics of a layer is tested as exactly as a metric is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from todacomm.clouds.prepare import PreparedCloud
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.inference_types import Alternative, Claims, LoopBar, NullTest
from todacomm.core.recipe import Recipe
from todacomm.core.registry import Registry
from todacomm.core.types import Measurement
from todacomm.statistics.gaussian_null import Values, number_or_none, tested_names, tests_of_one
from todacomm.statistics.loop_test import LOOP, PROMINENCE, RATIO, against_layers, loop_tests
from todacomm.statistics.loop_test_in_groups import loop_bars

Series = Float[np.ndarray, "draws_and_1 layers"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One test a layer, and the bars of H1 of each layer that the statistic holds to be loops or to resemble them."""

    tests: Sequence[NullTest]
    loops: Sequence[tuple[LoopBar, ...]] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Against:
    """What a statistic is given: layers of equally many points, and draws of a null model of them.

    ``values`` are the metrics ``names`` on each draw of each layer, NaN where one is undefined; ``tests`` those of the
    metrics, layer by layer; ``reasons`` say why a layer has no null, empty where it has one. The clouds may have let go
    of their distances. ``spread`` is ``map``, perhaps by several threads.
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

    def of(self, metric: str) -> Series:
        """A metric of the layers as they are, then of each draw."""
        if metric not in self.names:
            raise UnknownName("metric of the draws", metric, self.names)
        own = np.array([m.summary[metric] for m in self.measurements], dtype=np.float64)
        return np.vstack([own, self.values[:, :, self.names.index(metric)]])

    def tested(self, values: Series, alternative: Alternative = "two-sided") -> Outcome:
        """The test of a number of the layers as they are, in the first row, against the same number of each draw."""
        own = [number_or_none(value) for value in values[0]]
        return Outcome(tests_of_one(self.name, own, values[1:], way=alternative, reasons=self.reasons, null=self.null))


def nothing(_claims: Claims, _layer: str) -> str:
    """What stands beside the p-values of most statistics."""
    return ""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic, what it is made of and how reports show it.

    ``needs`` are the metrics without which it is left out; ``nulls`` the null models that it is tested against, every
    one that is drawn from points where empty. Tables have a column ``head``, in which ``beside`` may add to the
    p-values of a layer, and ``sentence`` below. ``apart``: a section of its own tells of it, so that no other does.
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
    """The statistics whose metrics a recipe has."""
    return [one for one in statistics.values() if set(one.needs) <= set(tested_names(recipe))]


def outcomes(given: Against) -> dict[str, Outcome]:
    """Every statistic that is tested against this null, by name."""
    asked = [one for one in statistics_of(given.recipe) if not one.nulls or given.null in one.nulls]
    return {one.name: checked(one.name, one.test(replace(given, name=one.name)), given) for one in asked}


def checked(name: str, outcome: Outcome, given: Against) -> Outcome:
    """The outcome, or InvalidInput where it has not one test a layer."""
    if len(outcome.tests) != len(given.measurements):
        raise InvalidInput(
            f"the statistic '{name}' gave {len(outcome.tests)} tests; expected {len(given.measurements)}, one a layer"
        )
    return outcome


def size_of_loop(claims: Claims, layer: str) -> str:
    """How many points are around the most significant loop of a layer, and in its group; empty for none."""
    found = [bar for bar in claims.loops.get(layer, ()) if bar.found]
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
    """Whether there is a loop: every bar of H1 against rotations of its layer, then of its group of points."""
    prominences, ratios = (given.of(name)[1:] for name in (PROMINENCE, RATIO))
    bars = [m.diagrams.finite[1] for m in given.measurements]
    out = against_layers(bars, prominences, ratios, given.reasons)
    loops = loop_bars(given.clouds, bars, out, given.recipe, len(prominences), spread=given.spread)
    return Outcome(loop_tests(out, given.tests, loops), loops)

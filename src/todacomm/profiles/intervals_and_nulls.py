"""Attach confidence intervals and null-model tests to every metric of a profile. Pure: no disk, no clock.

Splits and draws are the same for all layers, and for all models measured on as many texts with one seed, so that
layers and models are compared text by text.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from todacomm.clouds.duplicates import unique_rows
from todacomm.clouds.prepare import Indices, Prepare, PreparedCloud, copies_of, prepare, subsample
from todacomm.core.errors import InvalidInput
from todacomm.core.inference_types import Claims, Halves, InferenceSettings, Interval, LoopBar, NullTest
from todacomm.core.progress import Track, silent
from todacomm.core.recipe import Recipe
from todacomm.core.types import Expansion, Measurement, PointCloud, Profile
from todacomm.profiles.expansion import SHAPE
from todacomm.statistics.gaussian_null import Change, gaussian_null, joint, null_tests, tested_names
from todacomm.statistics.intervals import intervals, peak_shares, ratio_interval
from todacomm.statistics.layer_statistics import Against, outcomes
from todacomm.statistics.metrics_on_halves import SCALE, TREE, halves_of, no_interval_reason
from todacomm.statistics.null_models import given_layers, null_models, null_values
from todacomm.statistics.random_halves import FEWEST, Splits, numbered, refusal, splits

T = TypeVar("T")
R = TypeVar("R")

GAUSSIAN = "gaussian"
BLOCK = 8  # draws of the null at a time
GROWTHS = {"ratio": TREE, "scale": SCALE, "shape": SHAPE}  # part of a Growth → the number that grows


@runtime_checkable
class Map(Protocol):
    """The built-in ``map`` for one sequence, or the same by several threads."""

    def __call__(self, function: Callable[[T], R], tasks: Sequence[T], /) -> Iterable[R]: ...


def with_claims(
    profile: Profile,
    cloud: Callable[[str], PointCloud],
    asked: InferenceSettings,
    *,
    groups: Sequence[str] | None = None,
    track: Track = silent,
    spread: Map = map,
    prepared: Prepare = prepare,
) -> Profile:
    """Attach inference to a profile; return it unchanged where nothing is asked for.

    ``cloud`` gives the raw cloud of a layer, ``groups`` the article of each point; ``spread`` maps over layers and
    draws, serially or in threads; ``prepared`` may know the clouds already.
    """
    if not asked.anything:
        return profile
    nulls = [*([GAUSSIAN] if asked.null_draws else []), *of_points(asked)]
    labels = None if groups is None else chosen(groups, profile.recipe)
    ungrouped = without_groups(asked, labels)
    sizes = dict.fromkeys(m.facts.points for m in profile.measurements)
    rows = {n: rows_of(profile, cloud, n) if asked.resamples else np.arange(n) for n in sizes}
    cuts = {n: cuts_of(kept, n, profile.recipe.seed, asked, None if ungrouped else labels) for n, kept in rows.items()}
    look = partial(halve_layer, profile=profile, cloud=cloud, cuts=cuts, rows=rows, prepared=prepared)
    looks = dict(
        zip(profile.layers, track(spread(look, profile.layers), "intervals", len(profile.layers)), strict=True)
    )
    halves = {layer: look.halves for layer, look in looks.items() if look.halves}
    singly = {layer: look.one_by_one for layer, look in looks.items() if look.one_by_one}
    tested = {null: against(null, profile, looks, cloud, asked, track=track, spread=spread) for null in nulls}
    claims = Claims(
        asked=asked,
        intervals={layer: intervals(found, confidence=asked.confidence) for layer, found in halves.items()},
        one_by_one={layer: intervals(found, confidence=asked.confidence) for layer, found in singly.items()},
        growths=growths_of(profile.expansions, halves, asked),
        peaks=peak_shares(halves) if comparable(halves) else {},
        tests={null: tests for null, (tests, _) in tested.items()},
        loops={layer: bars for _, loops in tested.values() for layer, bars in loops.items()},
        halves=halves,
        missing={layer: look.missing for layer, look in looks.items() if look.missing},
        ungrouped=ungrouped,
        labels=() if ungrouped or labels is None else numbered(labels),
    )
    return replace(profile, claims=claims)


# Intervals


def without_groups(asked: InferenceSettings, groups: Sequence[str] | None) -> str:
    """Why whole groups are not resampled; empty where they are."""
    if not asked.resamples:
        return "no resamples were asked for"
    return "the texts carry no groups" if groups is None else refusal(groups)


def rows_of(profile: Profile, cloud: Callable[[str], PointCloud], n: int) -> Indices:
    """Indices of the points that are split; a row that is a copy in all layers is one observation."""
    found = [m for m in profile.measurements if m.facts.points == n]
    if any(m.facts.distinct_points == n or m.facts.landmarks_of is not None for m in found):
        return np.arange(n)
    return unique_rows([copies_of(cloud(m.address.layer), m.recipe) for m in found])


def cuts_of(rows: Indices, n: int, seed: int, asked: InferenceSettings, groups: Sequence[str] | None) -> list[Splits]:
    """Split these rows of n points by whole groups where there are any, then by points; none of too few points."""
    if not asked.resamples or len(rows) < FEWEST:
        return []
    given = None if groups is None else [groups[row] for row in rows]
    labels = [None] if given is None or refusal(given) else [given, None]
    return [splits(len(rows), asked.resamples // 2, seed, one).of_rows(rows, n) for one in labels]


def chosen(groups: Sequence[str], recipe: Recipe) -> list[str]:
    """The groups of the points in the recipe's subsample."""
    places = subsample(np.arange(len(groups), dtype=np.float64)[:, None], recipe)[:, 0]
    return [groups[int(place)] for place in places]


@dataclass(frozen=True, slots=True, eq=False)
class HalvedLayer:
    """One layer measured on halves; its distances are released.

    ``halves`` are of whole groups where there are any; then ``one_by_one`` are of points.
    """

    cloud: PreparedCloud
    halves: Halves | None
    one_by_one: Halves | None
    missing: str


def halve_layer(
    layer: str,
    *,
    profile: Profile,
    cloud: Callable[[str], PointCloud],
    cuts: Mapping[int, Sequence[Splits]],
    rows: Mapping[int, Indices],
    prepared: Prepare,
) -> HalvedLayer:
    """Prepare the cloud of one layer and measure it on halves."""
    found = profile.at(layer)
    ready = prepared(cloud(layer), found.recipe)
    missing = no_interval_reason(ready.facts, len(rows[found.facts.points]))
    drawn = [] if missing else cuts[found.facts.points]
    halves, one_by_one, *_ = *(halves_of(ready, found, one) for one in drawn), None, None
    return HalvedLayer(replace(ready, condensed=ready.condensed[:0]), halves, one_by_one, missing)


def comparable(halves: Mapping[str, Halves]) -> bool:
    """Whether all layers were split alike."""
    return len({found.drawn for found in halves.values()}) == 1


def growths_of(
    expansions: Sequence[Expansion], halves: Mapping[str, Halves], asked: InferenceSettings
) -> dict[str, dict[str, Interval]]:
    """Baseline → intervals of H0 ratio, scale ratio and shape ratio; the peak layer is fixed."""
    found = {}
    for expansion in expansions:
        growth = expansion.growth
        if growth and growth.baseline in halves and growth.peak in halves:
            above, below = halves[growth.peak], halves[growth.baseline]
            found[growth.baseline] = {
                part: ratio_interval(name, above, below, confidence=asked.confidence) for part, name in GROWTHS.items()
            }
    return found


# Null models


def of_points(asked: InferenceSettings) -> list[str]:
    """The requested null models that are drawn from points; the others take forward passes."""
    found = [null for null in asked.nulls if null_models[null].draw]
    if found and not asked.null_draws:
        raise InvalidInput(f"0 null draws leave nothing of the null model '{found[0]}'; give some, or leave it out")
    return found


def against(
    null: str,
    profile: Profile,
    looks: Mapping[str, HalvedLayer],
    cloud: Callable[[str], PointCloud],
    asked: InferenceSettings,
    *,
    track: Track,
    spread: Map,
) -> tuple[dict[str, Mapping[str, NullTest]], dict[str, tuple[LoopBar, ...]]]:
    """Layer → its tests, and layer → its candidate loops; layers of equally many points share their draws."""
    recipe, names = profile.recipe, tested_names(profile.recipe)
    tests: dict[str, Mapping[str, NullTest]] = {}
    loops: dict[str, tuple[LoopBar, ...]] = {}
    what = "null draws" if null == GAUSSIAN else f"null: {null}"
    for found in by_points(profile.measurements):
        ready = [looks[m.address.layer].cloud for m in found]
        draw, reasons = drawn_from(null, ready, cloud, recipe)
        values = in_blocks(draw, asked.null_draws, what, track, spread)
        of_metrics = null_tests([m.summary for m in found], values, names, reasons=reasons, null=null)
        again = None if null != GAUSSIAN else partial(drawn_again, draw, asked.null_draws, track=track, spread=spread)
        shown = outcomes(Against(null, recipe, found, ready, names, values, of_metrics, reasons, spread, draws=again))
        for i, m in enumerate(found):
            tests[m.address.layer] = {**{name: one.tests[i] for name, one in shown.items()}, **of_metrics[i]}
            if bars := [bar for one in shown.values() for bar in (one.loops[i] if one.loops else ())]:
                loops[m.address.layer] = tuple(bars)
    return {layer: tests[layer] for layer in profile.layers}, loops


def drawn_from(
    null: str, ready: Sequence[PreparedCloud], cloud: Callable[[str], PointCloud], recipe: Recipe
) -> tuple[Callable[[Sequence[int]], np.ndarray], Sequence[str]]:
    """Draws by number → their values, for the layers of these clouds; and why a layer has no null."""
    layers = [one.address.layer for one in ready]
    if null == GAUSSIAN:
        raw = [cloud(layer) for layer in layers] if recipe.scale == "sphere" else ()
        rotated = joint(ready, recipe, raw=raw)
        return partial(gaussian_null, rotated, recipe), rotated.reasons
    given = given_layers([cloud(layer) for layer in layers], ready, recipe)
    return partial(null_values, given, null_models[null], recipe), given.reasons


def drawn_again(
    draw: Callable[..., np.ndarray], number: int, *, names: Sequence[str], vertices: Change, track: Track, spread: Map
) -> np.ndarray:
    """Metrics of the same draws, each turned into vertices first."""
    return in_blocks(partial(draw, names=names, vertices=vertices), number, "null draws of centroids", track, spread)


def by_points(measurements: Sequence[Measurement]) -> Iterable[list[Measurement]]:
    """Group measurements by their number of points."""
    sizes = dict.fromkeys(m.facts.points for m in measurements)
    return [[m for m in measurements if m.facts.points == size] for size in sizes]


def in_blocks(
    values: Callable[[Sequence[int]], np.ndarray], draws: int, what: str, track: Track, spread: Map
) -> np.ndarray:
    """Compute the values of all draws, block by block."""
    blocks = [range(start, min(start + BLOCK, draws)) for start in range(0, draws, BLOCK)]
    return np.concatenate(list(track(spread(values, blocks), what, len(blocks))))

"""Compare the clouds of two profiles: diagram distances with a permutation test over blocks of texts, and CKA.

Points of different models live in different spaces, so they cannot be exchanged. Instead the texts are cut into
disjoint blocks, the same for both models; under the null hypothesis the two diagrams of a block can be swapped
(Robinson and Turner 2017, https://doi.org/10.1007/s41468-017-0008-7).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int

from todacomm.clouds.cka import linear_cka
from todacomm.clouds.distances import median
from todacomm.clouds.prepare import PreparedCloud, prepare
from todacomm.comparison.differences import MatchedLayers, Pair
from todacomm.core.errors import InvalidInput
from todacomm.core.progress import Track, silent
from todacomm.core.types import Bars, Measurement, Number, PointCloud
from todacomm.core.value_types import Missing
from todacomm.homology.diagram_distances import bottleneck, wasserstein
from todacomm.homology.engines import restriction, subsampler
from todacomm.statistics.permutations import MOST_BLOCKS, PermutationTest, swapped_within_blocks
from todacomm.statistics.pvalues import adjusted

BLOCKS, FEWEST_BLOCKS, FEWEST_IN_BLOCK = 10, 10, 10
FEWEST_WHOLE = 6  # blocks of whole groups, with which p can be 1 / 32
DEGREE = 2.0  # order of the Wasserstein distance
Clouds = Callable[[str], PointCloud]  # layer → its raw cloud
Parts = Sequence[Int[np.ndarray, " size"]]  # the points of each block, ascending


@dataclass(frozen=True, slots=True)
class DiagramDistance:
    """Distances between the diagrams of one dimension in two matched layers, each over its median distance.

    ``p`` is of the Wasserstein distance of order 2 in this layer alone, ``adjusted`` over the layers, ``smallest`` the
    least attainable p. ``note`` says why a value is None.
    """

    bottleneck: Number
    wasserstein: Number
    p: Number
    adjusted: Number
    smallest: Number
    note: str = ""


@dataclass(frozen=True, slots=True)
class Apart:
    """Diagram distances and CKA of two profiles along the matched layers of their `Pair`.

    ``diagrams``: H0, H1 … → one a layer; ``cka``: one a layer, of the raw activations. ``missing`` says why there is no
    CKA, ``untested`` why there are no p-values; ``blocks``: how many blocks of how many texts (the fewest).
    """

    diagrams: Mapping[str, tuple[DiagramDistance, ...]]
    cka: tuple[Number, ...]
    blocks: tuple[int, int]
    missing: str = ""
    untested: str = ""


def distances_apart(
    pair: Pair,
    first: Clouds | Missing,
    second: Clouds | Missing,
    *,
    blocks: int = BLOCKS,
    track: Track = silent,
) -> Apart:
    """Compute bottleneck and Wasserstein distances of every matched layer, and CKA and tests with clouds.

    ``first`` and ``second`` give the clouds, or are the reason why there are none. Raises InvalidInput for fewer than
    10 blocks and for more than can be swapped in every way.
    """
    if not FEWEST_BLOCKS <= blocks <= MOST_BLOCKS:
        raise InvalidInput(f"{blocks} blocks; expected {FEWEST_BLOCKS} to {MOST_BLOCKS}")
    dimensions = [f"H{k}" for k in range(min(pair.first.recipe.maxdim, pair.second.recipe.maxdim) + 1)]
    if pair.refused:
        return Apart({}, (), (0, 0), pair.refused, pair.refused)
    whole = {name: [of_whole(pair, one, k) for one in pair.layers] for k, name in enumerate(dimensions)}
    reason = "; ".join(dict.fromkeys(side.reason for side in (first, second) if isinstance(side, Missing)))
    missing = reason or (pair.unpaired if pair.unpaired == "the texts are not the same" else "")
    parts = blocks_of(pair, blocks)
    untested = missing or pair.unpaired or unfit(pair, parts)
    cka: tuple[Number, ...] = ()
    if not (missing or isinstance(first, Missing) or isinstance(second, Missing)):
        looked = list(
            track(
                (look(pair, one, first, second, parts=[] if untested else parts) for one in pair.layers),
                "distances between models",
                len(pair.layers),
            )
        )
        cka = tuple(found.cka for found in looked)
        if not untested:
            whole = {
                name: tested(whole[name], [found.tests[k] for found in looked]) for k, name in enumerate(dimensions)
            }
    return Apart(
        {name: tuple(row) for name, row in whole.items()},
        cka,
        (0, 0) if untested else (len(parts), min(map(len, parts))),
        missing,
        untested,
    )


def unfit(pair: Pair, parts: Parts) -> str:
    """Why the clouds cannot be tested on these blocks; empty where they can."""
    if pair.first.recipe.landmarks or pair.second.recipe.landmarks:
        return "landmarks are other texts in each model"
    if len(parts) < FEWEST_WHOLE:
        return (
            f"whole groups make no more than {len(parts)} blocks of {FEWEST_IN_BLOCK} texts, {FEWEST_WHOLE} are needed"
        )
    size = min(map(len, parts))
    return "" if size >= FEWEST_IN_BLOCK else f"blocks of {size} texts are too small, {FEWEST_IN_BLOCK} are needed"


# Whole diagrams, which every run keeps


def of_whole(pair: Pair, one: MatchedLayers, dimension: int) -> DiagramDistance:
    """Compute the distances of two diagrams, each over its median distance."""
    found = pair.first.at(one.first), pair.second.at(one.second)
    undefined = next((m.facts.undefined for m in found if m.facts.undefined), "")
    if undefined:
        return DiagramDistance(None, None, None, None, None, undefined)
    a, b = (scale_free(m, dimension) for m in found)
    return DiagramDistance(bottleneck(a, b), wasserstein(a, b, degree=DEGREE), None, None, None)


def scale_free(measurement: Measurement, dimension: int) -> Bars:
    """The finite bars of one dimension over the median distance of their cloud."""
    recipe, facts = measurement.recipe, measurement.facts
    scale = 1.0 if recipe.scale == "median" else facts.scale / unit_of(recipe.scale, facts.rms_distance)
    return measurement.diagrams.finite[dimension] / scale


def unit_of(scale: str, rms: float) -> float:
    """What the recipe divided the distances by, other than the median."""
    return rms if scale == "rms" else 1.0


# Blocks


@dataclass(frozen=True, slots=True)
class LayerTests:
    """CKA of two matched layers, and a test for each dimension."""

    cka: Number
    tests: tuple[PermutationTest, ...]


def look(pair: Pair, one: MatchedLayers, first: Clouds, second: Clouds, *, parts: Parts) -> LayerTests:
    """Prepare both clouds and measure them on blocks; no blocks leave the tests out."""
    raw = first(one.first), second(one.second)
    given = "precomputed" in {pair.first.recipe.distance, pair.second.recipe.distance}  # no activations to align
    cka = None if given or len(raw[0]) != len(raw[1]) else linear_cka(raw[0].points, raw[1].points)
    if not parts:
        return LayerTests(cka, ())
    recipes = pair.first.recipe, pair.second.recipe
    maxdim = min(recipe.maxdim for recipe in recipes)
    ready = [prepare(cloud, replace(recipe, maxdim=maxdim)) for cloud, recipe in zip(raw, recipes, strict=True)]
    diagrams = [bars for cloud in ready for bars in diagrams_of(cloud, parts, recipes[0].engine, maxdim)]
    return LayerTests(cka, tuple(swapped_within_blocks(matrix([d[k] for d in diagrams])) for k in range(maxdim + 1)))


def blocks_of(pair: Pair, blocks: int) -> Parts:
    """Cut both clouds into the same blocks: of whole groups where half-samples are, else of random points."""
    labels = pair.first.claims.labels if pair.first.claims else ()
    if labels:
        return cut_groups(labels, blocks)
    return list(random_blocks(pair.first.measurements[0].facts.points, blocks, pair.first.recipe.seed))


def random_blocks(n: int, blocks: int, seed: int) -> Int[np.ndarray, "blocks size"]:
    """Draw disjoint random blocks of equal size, each ascending; the remainder is left out."""
    rng = np.random.default_rng([seed, n, blocks])
    return np.sort(rng.permutation(n)[: blocks * (n // blocks)].reshape(blocks, -1), axis=1)


def cut_groups(labels: Sequence[int], most: int) -> Parts:
    """Pack whole groups, largest first, into as many blocks of `FEWEST_IN_BLOCK` points as possible."""
    label = np.asarray(labels)
    kinds, sizes = np.unique(label, return_counts=True)
    for number in range(min(most, len(kinds)), 1, -1):
        block, held = np.zeros(len(kinds), np.int64), np.zeros(number, np.int64)
        for group in np.argsort(-sizes, kind="stable"):
            block[group] = held.argmin()
            held[block[group]] += sizes[group]
        if held.min() >= FEWEST_IN_BLOCK:
            return [np.flatnonzero(np.isin(label, kinds[block == k])) for k in range(number)]
    return [np.arange(len(label))]


def diagrams_of(cloud: PreparedCloud, parts: Parts, engine: str, maxdim: int) -> list[tuple[Bars, ...]]:
    """The finite bars of each block over its own median distance; unscaled where that is 0."""
    diagrams = subsampler(cloud.condensed, engine=engine, maxdim=maxdim)
    within = restriction(cloud.condensed)
    apart = [cloud.first_of_each_kind(part) for part in parts]
    return [diagrams(part).scaled(1 / (median(within(part)) or 1.0)).finite for part in apart]


def matrix(diagrams: list[Bars]) -> Float64[np.ndarray, "v v"]:
    """The Wasserstein distances between all diagrams, to the power of their order."""
    found = np.zeros((len(diagrams), len(diagrams)))
    for i, a in enumerate(diagrams):
        for j in range(i):
            found[i, j] = found[j, i] = wasserstein(a, diagrams[j], degree=DEGREE) ** DEGREE
    return found


def tested(whole: list[DiagramDistance], tests: list[PermutationTest]) -> list[DiagramDistance]:
    """Add p-values, adjusted over the layers, to distances; none where a diagram is undefined."""
    p = np.array([np.nan if one.note else test.p for one, test in zip(whole, tests, strict=True)])
    after = adjusted(p)
    return [
        one if one.note else replace(one, p=float(raw), adjusted=float(value), smallest=test.smallest)
        for one, raw, value, test in zip(whole, p, after, tests, strict=True)
    ]

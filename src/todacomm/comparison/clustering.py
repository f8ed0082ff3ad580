"""Cluster profiles, test groups of models, and correlate topology with language metrics."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from todacomm.comparison.differences import depth_of, relative_depth
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.types import Number, Profile
from todacomm.core.value_types import by_value
from todacomm.statistics.permutations import PermutationTest, groups_apart, spearman
from todacomm.statistics.pvalues import adjusted

SHAPES = (
    "H0_total_persistence_scaled",
    "H0_entropy",
    "H1_total_persistence_scaled",
    "H1_max_lifetime_scaled",
    "H1_entropy",
)  # scale-free, whatever the recipe
GRID = 11  # relative depths from the embedding to the last block
FEWEST_MODELS, FEWEST_RANKED = 3, 5
LANGUAGE = "bits_per_byte"
TOPOLOGY = {
    "expansion": "expansion",
    "scale_growth": "scale growth",
    "shape_growth": "shape growth",
    "largest_shape_growth": "largest shape growth",
    "h1_shape": "H1 total / median distance, peak",
}


@dataclass(frozen=True, slots=True)
class GroupTest:
    """A permutation test of whether models of one label lie closer together than models of different ones.

    ``within`` and ``between`` are mean distances; ``note`` says why there is no ``test`` of their difference.
    """

    factor: str
    labels: tuple[str, ...]
    within: Number
    between: Number
    test: PermutationTest | None
    note: str = ""


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """Distances between profiles, and their average-linkage tree.

    ``distances`` (v, v) are root mean square differences of ``names``, standardised over all models and depths, on a
    grid of relative depths. ``tree`` (v - 1, 4) is as in ``scipy.cluster.hierarchy``; ``order`` lists its leaves.
    """

    models: tuple[str, ...]
    names: tuple[str, ...]
    distances: Float64[np.ndarray, "v v"]
    tree: Float64[np.ndarray, "_ 4"]
    order: tuple[int, ...]
    families: tuple[GroupTest, ...]


def likeness(profiles: Sequence[Profile], *, groups: Mapping[str, Sequence[str]] | None = None) -> Clustering | None:
    """Cluster three or more profiles and test their groups; None for fewer, or without a common metric.

    ``groups``: label → models; by default the kinds and the norm places in the models' cards.
    """
    names = [name for name in SHAPES if all(name in p.names for p in profiles)]
    if len(profiles) < FEWEST_MODELS or not names:
        return None
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    distances = distances_of(profiles, names)
    if not np.isfinite(distances).all():
        return None
    condensed = squareform(distances, checks=False)
    tree = optimal_leaf_ordering(linkage(condensed, "average"), condensed)
    return Clustering(
        tuple(p.model for p in profiles),
        tuple(names),
        distances,
        tree,
        tuple(leaves_list(tree).tolist()),
        tuple(family(factor, labels, distances) for factor, labels in labels_of(profiles, groups).items()),
    )


def distances_of(profiles: Sequence[Profile], names: Sequence[str]) -> Float64[np.ndarray, "v v"]:
    """Root mean square differences of standardised metrics; constant metrics are left out."""
    curves = np.array([[on_grid(p, name) for name in names] for p in profiles])
    spread = curves.std(axis=(0, 2), keepdims=True)
    units = (curves / np.where(spread > 0, spread, np.inf)).reshape(len(profiles), -1)
    return np.sqrt(((units[:, None, :] - units[None, :, :]) ** 2).mean(axis=2))


def on_grid(profile: Profile, name: str) -> Float64[np.ndarray, " g"]:
    """Interpolate a metric to evenly spaced relative depths; where undefined, take the nearest layer."""
    blocks, values = depth_of(profile), profile[name]
    layers = np.array([relative_depth(layer, blocks) for layer in profile.layers])
    sound = np.array([not m.facts.undefined for m in profile.measurements])
    known = np.isfinite(values) & (layers <= 1) & sound
    if not known.any():
        return np.full(GRID, np.nan)
    return np.interp(np.linspace(0, 1, GRID), layers[known], values[known])


# Families


def labels_of(profiles: Sequence[Profile], groups: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """Factor → the label of each profile; empty where a model has none."""
    if groups:
        return {"groups": labels_given([p.model for p in profiles], groups)}
    cards = [p.card for p in profiles]
    return {
        "kind": tuple(c.kind if c else "" for c in cards),
        "norm place": tuple(c.norm_place if c else "" for c in cards),
    }


def labels_given(models: Sequence[str], groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Label each model. Raises UnknownName for a model not compared, InvalidInput for one in two groups."""
    found: dict[str, str] = {}
    for label, members in groups.items():
        for model in members:
            if model not in models:
                raise UnknownName("model of this comparison", model, models)
            if model in found:
                raise InvalidInput(f"{model} is in the groups {found[model]} and {label}; expected one group a model")
            found[model] = label
    return tuple(found.get(model, "") for model in models)


def family(factor: str, labels: tuple[str, ...], distances: Float64[np.ndarray, "v v"]) -> GroupTest:
    """Test one grouping of models by permuting the labels; models without a label are left out."""
    chosen = [i for i, label in enumerate(labels) if label]
    kept = [labels[i] for i in chosen]
    if len(set(kept)) < 2 or len(set(kept)) == len(kept):
        return GroupTest(factor, labels, None, None, None, "it takes two groups, and two models in one of them")
    inner = distances[np.ix_(chosen, chosen)]
    i, j = np.triu_indices(len(chosen), 1)
    same = np.array([kept[a] == kept[b] for a, b in zip(i, j, strict=True)])
    within, between = (float(inner[i, j][which].mean()) for which in (same, ~same))
    return GroupTest(factor, labels, within, between, groups_apart(inner, kept))


# Topology against language


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's correlation of a topological metric with bits per byte, one row a model."""

    kind: str
    name: str
    models: int
    test: PermutationTest | None
    adjusted: Number
    note: str = ""


def correlations(
    models: Sequence[str], kinds: Sequence[str], bits: Sequence[Number], topology: Mapping[str, Sequence[Number]]
) -> tuple[Correlation, ...]:
    """Correlate each metric for each kind of model; refuse, with the reason, below five models.

    Bits per byte of causal and of masked models are different quantities, so kinds are kept apart.
    """
    found = []
    for kind in dict.fromkeys(k for k, b in zip(kinds, bits, strict=True) if b is not None):
        of_kind = [i for i, k in enumerate(kinds) if k == kind and bits[i] is not None]
        for name, values in topology.items():
            rows = [i for i in of_kind if defined(values[i])]
            note = unranked([models[i] for i in rows])
            test = None if note else spearman(floats(values[i] for i in rows), floats(bits[i] for i in rows))
            told = note or ("" if test else "one side is the same for all")
            found.append(Correlation(kind, name, len(rows), test, None, told))
    after = adjusted(floats(c.test.p if c.test else None for c in found))
    return tuple(
        replace(c, adjusted=x if math.isfinite(x) else None) for c, x in zip(found, after.tolist(), strict=True)
    )


def defined(value: Number) -> bool:
    """Whether a number is defined."""
    return value is not None and math.isfinite(value)


def floats(values: Iterable[Number]) -> Float64[np.ndarray, " v"]:
    """Convert numbers to an array."""
    return np.array(list(values), dtype=np.float64)


def unranked(models: Sequence[str]) -> str:
    """Why these rows are not correlated; empty where they are."""
    if len(set(models)) < len(models):
        return "a model stands in several rows, which are not independent"
    if len(models) < FEWEST_RANKED:
        return f"{len(models)} models; with fewer than {FEWEST_RANKED} no order of ranks is unlikely enough"
    return ""

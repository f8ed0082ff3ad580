"""Compare profiles: one row each, warnings, pairwise differences, clustering and correlations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from todacomm.comparison.clustering import LANGUAGE, TOPOLOGY, Clustering, Correlation, correlations, likeness
from todacomm.comparison.diagram_tests import BLOCKS, Apart, Clouds, distances_apart
from todacomm.comparison.differences import Pair, pair
from todacomm.core.errors import InvalidInput, MissingExtra, UnknownName
from todacomm.core.inference_types import Interval
from todacomm.core.progress import Track, silent
from todacomm.core.threads import one_thread
from todacomm.core.types import Number, Profile, is_block
from todacomm.core.value_types import Missing, by_value

ALL = "all"  # a value of ``against``: every pair
NO_CLOUDS = Missing("the activations are not at hand")


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One profile in one line; None where undefined.

    ``intervals`` are those of ``expansion``, ``scale_growth`` and ``shape_growth``. ``h1_shape`` is the largest
    H1 total / median distance of the reliable blocks.
    """

    model: str
    data: str
    pooling: str
    kind: str
    norm_place: str
    parameters: int | None
    baseline: str
    expansion: Number
    scale_growth: Number
    shape_growth: Number
    peak_layer: str
    largest_shape_growth: Number
    largest_shape_layer: str
    largest_shape_doubt: str
    h1_peak: Number
    h1_peak_layer: str
    bits_per_byte: Number
    doubt: str
    h1_shape: Number = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class How:
    """How to compare profiles.

    ``against`` is the model that the others are compared with, by default the first; ``all`` takes every pair.
    ``groups``: label → models. ``blocks``: number of text blocks for the tests of diagram distances.
    """

    against: str = ""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    blocks: int = BLOCKS


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Several profiles side by side, pair by pair, and all together; `compare` makes it.

    Attributes
    ----------
    profiles : tuple of Profile
        What was compared.
    rows : tuple of ModelRow
        One line a profile: expansion and its factors, peak layer, largest H1, bits per byte.
    warnings : tuple of str
        What forbids reading two rows side by side.
    failures : mapping of str to str
        Models that failed, with the reason.
    pairs : tuple of Pair
        Differences of each pair, number by number, with intervals and adjusted p-values.
    apart : tuple of Apart
        Distances between the diagrams of each pair, with permutation tests.
    likeness : Clustering or None
        The cluster tree of the profiles; None for fewer than three.
    correlations : tuple of Correlation
        Rank correlations of topology with language metrics.
    how : How
        Which pairs, groups and blocks were used.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> rng = np.random.default_rng(0)
    >>> first, second = (td.measure(rng.normal(size=(40, 5)), name=n, null_draws=0) for n in ("a", "b"))
    >>> [row.model for row in td.compare([first, second]).rows]
    ['a', 'b']

    """

    profiles: tuple[Profile, ...]
    rows: tuple[ModelRow, ...]
    warnings: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    apart: tuple[Apart, ...] = ()
    likeness: Clustering | None = None
    correlations: tuple[Correlation, ...] = ()
    how: How = field(default_factory=How)

    def __repr__(self) -> str:
        models = ", ".join(dict.fromkeys(row.model for row in self.rows))
        return f"Comparison({models}: {len(self.rows)} profiles, {len(self.pairs)} pairs)"

    def to_frame(self) -> Any:
        """Return the differences of all pairs as a pandas DataFrame, a row a pair, layer and number."""
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise MissingExtra("pandas", "models", "Comparison.to_frame()") from None
        return pd.DataFrame([row for one in self.pairs for row in difference_rows(one)])


def difference_rows(of: Pair) -> Iterator[dict[str, Any]]:
    """Yield a row a layer and number of a pair: both values, and their relative difference with its interval and p."""
    first, second = of.labels
    for name, found in of.differences.items():
        for layers, one in zip(of.layers, found, strict=True):
            share = one.relative
            yield {
                "first_model": first,
                "second_model": second,
                "first_layer": layers.first,
                "second_layer": layers.second,
                "number": name,
                "first": one.first,
                "second": one.second,
                "relative": share.estimate,
                "relative_low": share.low,
                "relative_high": share.high,
                "p": one.p,
                "p_adjusted": one.adjusted,
            }


@one_thread
def compare(
    profiles: Sequence[Profile],
    *,
    failures: Mapping[str, str] | None = None,
    clouds: Callable[[Profile], Clouds | Missing] | None = None,
    how: How | None = None,
    track: Track = silent,
) -> Comparison:
    """Compare profiles of several models, or of one model under several settings.

    All profiles share one baseline: ``embedding`` where it is reliable in every profile, otherwise the first reliable
    layer of each, with a warning.

    Parameters
    ----------
    profiles : sequence of Profile
        At least one; two or more are compared in pairs.
    failures : mapping of str to str, optional
        Models that failed and why; they are carried into the report.
    clouds : callable, optional
        Profile to a function from layer name to `PointCloud`, or to the reason why there is none. CKA and the tests of
        diagrams need it.
    how : How, optional
        Which pairs (``against``), groups of models, and number of blocks of texts.
    track : callable, optional
        Wraps an iterable with a progress bar.

    Returns
    -------
    Comparison

    Raises
    ------
    InvalidInput
        Without a profile, and for what is no list of profiles.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> rng = np.random.default_rng(0)
    >>> first, second = (td.measure(rng.normal(size=(40, 5)), name=n, null_draws=0) for n in ("a", "b"))
    >>> len(td.compare([first, second]).pairs)
    1

    """
    refuse_no_profiles(profiles)
    how, at_hand = how or How(), clouds or (lambda _: NO_CLOUDS)
    which = baseline_index(profiles)
    rows = tuple(row(p, which) for p in profiles)
    pairs = tuple(pair(a, b, baseline=which) for a, b in pairs_of(profiles, how.against))
    return Comparison(
        tuple(profiles),
        rows,
        tuple(warnings(profiles, rows)),
        dict(failures or {}),
        pairs,
        tuple(distances_apart(p, at_hand(p.first), at_hand(p.second), blocks=how.blocks, track=track) for p in pairs),
        likeness(profiles, groups=how.groups),
        correlations_of(rows),
        how,
    )


def refuse_no_profiles(profiles: Any) -> None:
    """Raise InvalidInput for anything but a list of profiles."""
    listed = isinstance(profiles, Sequence) and not isinstance(profiles, str)
    wrong = next((one for one in profiles if not isinstance(one, Profile)), None) if listed else profiles
    if wrong is not None:
        raise InvalidInput(
            "profiles are compared, in a list: td.compare([td.measure(first), td.measure(second)]); "
            f"found {type(wrong).__name__}"
        )
    if not profiles:
        raise InvalidInput("nothing to compare: no profile was given")


def pairs_of(profiles: Sequence[Profile], against: str = "") -> list[tuple[Profile, Profile]]:
    """Pair each profile with the first, or with that of the model ``against``; ``all`` gives every pair."""
    if against == ALL:
        return [(a, b) for i, a in enumerate(profiles) for b in profiles[i + 1 :]]
    found = [p for p in profiles if p.model == against] if against else list(profiles[:1])
    if not found:
        raise UnknownName("model of this comparison", against, [*dict.fromkeys(p.model for p in profiles), ALL])
    return [(found[0], p) for p in profiles if p is not found[0]]


def correlations_of(rows: Sequence[ModelRow]) -> tuple[Correlation, ...]:
    """Correlate topology with language metrics over the reliable rows; none for a single model."""
    if len(rows) < 2:
        return ()
    topology = {name: [None if r.doubt else getattr(r, name) for r in rows] for name in TOPOLOGY}
    return correlations([r.model for r in rows], [r.kind for r in rows], [getattr(r, LANGUAGE) for r in rows], topology)


def groups_of(profiles: Sequence[Profile]) -> dict[str, list[Profile]]:
    """Group the profiles that are compared: those of one dataset and pooling, where several have it.

    The rest of a dataset, such as models pooled each by its kind, is one group, which names its poolings.
    """
    kinds: dict[tuple[str, str], list[Profile]] = {}
    for profile in profiles:
        kinds.setdefault((profile.data, profile.recipe.pooling or "given"), []).append(profile)
    alone: dict[str, list[Profile]] = {}
    for (data, _), group in kinds.items():
        if len(group) == 1:
            alone.setdefault(data, []).extend(group)
    mixed = {data: group for data, group in alone.items() if len({p.model for p in group}) > 1}
    alike = {f"{data}_{pooling}": g for (data, pooling), g in kinds.items() if len(g) > 1 or data not in mixed}
    return alike | mixed


def with_unique_names(runs: Mapping[str, Sequence[Profile]]) -> list[Profile]:
    """List the profiles of named runs; a model that several runs measured takes the name of its run."""
    owners: dict[str, set[str]] = {}
    for run, profiles in runs.items():
        for profile in profiles:
            owners.setdefault(profile.model, set()).add(run)
    return [
        renamed(profile, run) if len(owners[profile.model]) > 1 else profile
        for run, profiles in runs.items()
        for profile in profiles
    ]


def renamed(profile: Profile, model: str) -> Profile:
    """Copy a profile under another model name."""
    found = (replace(m, address=replace(m.address, model=model)) for m in profile.measurements)
    return replace(profile, measurements=tuple(found))


def baseline_index(profiles: Sequence[Profile]) -> int:
    """Choose the expansion to compare: 0 (``embedding``) if reliable in all profiles, else 1 (first reliable layer)."""
    return 0 if all(sound_embedding(p) for p in profiles) else 1


def sound_embedding(profile: Profile) -> bool:
    """Whether the embedding was measured and is a reliable baseline."""
    return "embedding" in profile.layers and not profile.at("embedding").facts.doubtful


def row(profile: Profile, which: int) -> ModelRow:
    """Summarise one profile; ``which`` is the baseline (0: embedding, 1: first reliable layer)."""
    expansion = profile.expansions[which] if profile.expansions else None
    growth = expansion.growth if expansion else None
    shapeliest = expansion.largest_shape if expansion else None
    h1_layer, h1 = peak_of(profile, "H1_total_persistence")
    card, language = profile.card, profile.language or {}
    return ModelRow(
        model=profile.model,
        data=profile.data,
        pooling=profile.recipe.pooling or "given",
        kind=card.kind if card else "array",
        norm_place=card.norm_place if card else "",
        parameters=card.parameters if card else None,
        baseline=expansion.baseline if expansion else "",
        expansion=growth.ratio if growth else None,
        scale_growth=growth.scale if growth else None,
        shape_growth=growth.shape if growth else None,
        peak_layer=growth.peak if growth else "",
        largest_shape_growth=shapeliest.shape if shapeliest else None,
        largest_shape_layer=shapeliest.peak if shapeliest else "",
        largest_shape_doubt=profile.at(shapeliest.peak).facts.doubtful if shapeliest else "",
        h1_peak=h1,
        h1_peak_layer=h1_layer,
        bits_per_byte=language.get("bits_per_byte"),
        doubt=(expansion.doubt or expansion.reason) if expansion else "no blocks were measured",
        h1_shape=peak_of(profile, "H1_total_persistence_scaled")[1],
        intervals=intervals_of(profile, expansion.baseline if expansion else ""),
    )


def intervals_of(profile: Profile, baseline: str) -> dict[str, Interval]:
    """The intervals of the growths from a baseline, by the names of a row."""
    found = profile.claims.growths.get(baseline, {}) if profile.claims else {}
    names = {"ratio": "expansion", "scale": "scale_growth", "shape": "shape_growth"}
    return {names[part]: interval for part, interval in found.items()}


def peak_of(profile: Profile, name: str) -> tuple[str, Number]:
    """Find the reliable block with the largest value of a metric, and that value; empty and None without one."""
    blocks = [m for m in profile.measurements if is_block(m.address.layer) and not m.facts.doubtful]
    found = [(m.summary[name], m.address.layer) for m in blocks if m.summary.get(name) is not None]
    if not found:
        return "", None
    value, layer = max(found, key=lambda pair: pair[0] or 0.0)
    return layer, value


def warnings(profiles: Sequence[Profile], rows: Sequence[ModelRow]) -> list[str]:
    """Warn of what makes rows incomparable."""
    found = [text for text in (differing(profiles, *question) for question in QUESTIONS) if text]
    if any(r.baseline not in ("", "embedding") for r in rows):
        measured = any("embedding" in p.layers for p in profiles)
        because = "The embedding is not a sound baseline for every model" if measured else "No embedding was measured"
        each = "; ".join(f"{r.model} ({r.pooling}) on {r.baseline or 'none'}" for r in rows)
        found.append(f"{because}, so each model is set on its own first sound layer: {each}.")
    return found


def blocks_of(profile: Profile) -> str:
    """List the measured blocks of a profile; ``all`` where none is missing."""
    measured = [layer for layer in profile.layers if is_block(layer)]
    complete = profile.card is not None and len(measured) == profile.card.blocks
    return "all" if complete or profile.card is None else ", ".join(measured)


QUESTIONS: tuple[tuple[str, Callable[[Profile], object], str], ...] = (
    ("poolings", lambda p: p.recipe.pooling, "the clouds are of different things"),
    ("choices of blocks", blocks_of, "a peak is one over the blocks that were measured"),
    ("texts", lambda p: p.texts_sha256[:12], "the points are not of the same texts"),
    ("lengths of text", lambda p: p.recipe.max_length, "longer texts are cut elsewhere"),
    ("centrings", lambda p: p.recipe.centre, "cosines are taken from another origin"),
    ("thresholds", lambda p: p.recipe.threshold, "bars beyond a threshold are missing"),
    ("numbers of points", lambda p: p.measurements[0].facts.points, "totals and counts grow with the number of points"),
    ("distances", lambda p: p.recipe.distance, "their units differ"),
    ("scales", lambda p: p.recipe.scale, "their units differ"),
    ("numbers of components", lambda p: p.recipe.components, "more components keep more of the variance"),
    ("sites", lambda p: p.recipe.site, "a sublayer's output is not the residual stream"),
    ("datasets", lambda p: p.data, "the texts are not the same"),
)


def differing(profiles: Sequence[Profile], what: str, of: Callable[[Profile], object], because: str) -> str:
    """Warn where profiles differ in ``of``; empty where they do not."""
    holders: dict[object, list[str]] = {}
    for profile in profiles:
        holders.setdefault(of(profile), []).append(profile.model)
    if len(holders) < 2:
        return ""
    listed = "; ".join(f"{value}: {', '.join(dict.fromkeys(models))}" for value, models in holders.items())
    return f"Different {what} are compared ({listed}): {because}."

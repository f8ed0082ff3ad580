"""Profiles → Comparison: one row a profile, and what forbids reading two rows side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from todacomm.errors import InvalidInput
from todacomm.types import Number, Profile, is_block


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One profile in one line; a number that is undefined is None."""

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


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Several profiles side by side, with what a reader must know and the models that failed."""

    profiles: tuple[Profile, ...]
    rows: tuple[ModelRow, ...]
    warnings: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)


def compare(profiles: Sequence[Profile], *, failures: Mapping[str, str] | None = None) -> Comparison:
    """Set profiles side by side, on the same baseline for all: ``embedding`` where every profile has it sound.

    Otherwise each is set on its first sound layer, and a warning says so. Raises InvalidInput without a profile.
    """
    if not profiles:
        raise InvalidInput("nothing to compare: no profile was given")
    which = baseline_index(profiles)
    rows = tuple(row(p, which) for p in profiles)
    return Comparison(tuple(profiles), rows, tuple(warnings(profiles, rows)), dict(failures or {}))


def groups_of(profiles: Sequence[Profile]) -> dict[str, list[Profile]]:
    """The profiles that are set side by side: those of one dataset and pooling, where every model has the same ones.

    Where models were pooled differently (by their kind), all are one group, which the comparison warns of.
    """
    kinds: dict[tuple[str, str], list[Profile]] = {}
    for profile in profiles:
        kinds.setdefault((profile.data, profile.recipe.pooling or "given"), []).append(profile)
    models = [{p.model for p in group} for group in kinds.values()]
    if any(m != models[0] for m in models):
        by_data: dict[str, list[Profile]] = {}
        for profile in profiles:
            by_data.setdefault(profile.data, []).append(profile)
        return by_data
    return {f"{data}_{pooling}": group for (data, pooling), group in kinds.items()}


def told_apart(runs: Mapping[str, Sequence[Profile]]) -> list[Profile]:
    """The profiles of named runs in one list; a model that several runs measured is called by the name of its run."""
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
    """The profile under another model name."""
    found = (replace(m, address=replace(m.address, model=model)) for m in profile.measurements)
    return replace(profile, measurements=tuple(found))


def baseline_index(profiles: Sequence[Profile]) -> int:
    """Which expansion of each profile is compared: 0 (``embedding``) where it is sound for all, else 1 (first sound layer)."""
    return 0 if all(sound_embedding(p) for p in profiles) else 1


def sound_embedding(profile: Profile) -> bool:
    """Whether the embedding was measured and can carry a ratio."""
    return "embedding" in profile.layers and not profile.at("embedding").facts.doubtful


def row(profile: Profile, which: int) -> ModelRow:
    """The row of one profile on baseline ``which`` of its expansions (0: embedding, 1: the first sound layer)."""
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
    )


def peak_of(profile: Profile, name: str) -> tuple[str, Number]:
    """The sound block with the largest value of a metric, and that value; empty and None where there is none."""
    blocks = [m for m in profile.measurements if is_block(m.address.layer) and not m.facts.doubtful]
    found = [(m.summary[name], m.address.layer) for m in blocks if m.summary.get(name) is not None]
    if not found:
        return "", None
    value, layer = max(found, key=lambda pair: pair[0] or 0.0)
    return layer, value


def warnings(profiles: Sequence[Profile], rows: Sequence[ModelRow]) -> list[str]:
    """What forbids reading the rows side by side without a second thought."""
    found = [text for text in (differing(profiles, *question) for question in QUESTIONS) if text]
    degenerate = [r.model for r in rows if r.baseline != "embedding"]
    if degenerate:
        found.append(
            "The embedding is not a sound baseline for every model, so each model is set on its own first sound layer: "
            + "; ".join(f"{r.model} ({r.pooling}) on {r.baseline or 'none'}" for r in rows)
            + "."
        )
    return found


def blocks_of(profile: Profile) -> str:
    """Which of its blocks a profile has measured; ``all`` where none is missing."""
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
    """A sentence where the profiles differ in ``of``; empty where they do not."""
    holders: dict[object, list[str]] = {}
    for profile in profiles:
        holders.setdefault(of(profile), []).append(profile.model)
    if len(holders) < 2:
        return ""
    listed = "; ".join(f"{value}: {', '.join(dict.fromkeys(models))}" for value, models in holders.items())
    return f"Different {what} are compared ({listed}): {because}."

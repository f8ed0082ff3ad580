"""Judge each claim under many settings: does it stand, fail, or stay undecided?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from todacomm.ablation.claims import (
    Claim,
    Units,
    Verdict,
    bound_claim,
    default_claims,
    growth_of,
    loop_test,
    p_of,
    peak_of,
)
from todacomm.ablation.settings import Setting
from todacomm.comparison.compare import baseline_index
from todacomm.comparison.expressions import Statement
from todacomm.core.errors import InvalidInput
from todacomm.core.recipe import Recipe
from todacomm.core.types import CloudFacts, Number, Profile, layer_key
from todacomm.core.value_types import Missing

RATIO_ONLY = "every distance is divided by one number, which changes no ratio"


@dataclass(frozen=True, slots=True, eq=False)
class Rerun:
    """One model under one setting; ``problem`` says why there is no profile."""

    setting: Setting
    model: str
    profile: Profile | None
    problem: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """A claim and its verdicts, one a setting; that of the base is not counted."""

    text: str
    models: tuple[str, ...]
    base: Verdict
    verdicts: Mapping[Setting, Verdict]

    @property
    def name(self) -> str:
        """The claim in a list; for a ranking, the quantity."""
        return self.text.split(":")[0] if len(self.models) > 1 else self.text

    @property
    def stands(self) -> int:
        return sum(v.stands is True for v in self.verdicts.values())

    @property
    def judged(self) -> int:
        return sum(v.stands is not None for v in self.verdicts.values())

    @property
    def fails(self) -> tuple[Setting, ...]:
        return tuple(s for s, v in self.verdicts.items() if v.stands is False)

    @property
    def apart(self) -> tuple[Setting, ...]:
        return tuple(s for s, v in self.verdicts.items() if v.stands is None)


@dataclass(frozen=True, slots=True)
class Numbers:
    """One model under one setting: its growth from the baseline of the base to the peak, and the peak.

    ``doubt`` says why a value is None, or what casts doubt on the growth; ``peak_doubt`` the same of the peak.
    """

    points_measured: int | None
    baseline: str | None = None
    expansion: Number = None
    scale_growth: Number = None
    shape_growth: Number = None
    peak_layer: str | None = None
    loop_p: Number = None
    doubt: str = ""
    peak_doubt: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Ablation:
    """Models under settings, the base first; ``baselines``: model → the layer that its growth starts from.

    ``depths`` are the indices of the last blocks, None in older records; ``recipe`` is that of the base.
    """

    settings: tuple[Setting, ...]
    numbers: Mapping[Setting, Mapping[str, Numbers]]
    baselines: Mapping[str, str]
    standings: tuple[Standing, ...]
    recipe: Recipe
    depths: Mapping[str, int] | None

    @property
    def base(self) -> Setting:
        return self.settings[0]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self.numbers[self.base])


def numbers_of(rerun: Rerun, baseline: str) -> Numbers:
    """Summarise one model under one setting."""
    if rerun.profile is None:
        return Numbers(None, doubt=rerun.problem)
    growth, doubt = growth_of(rerun.profile, baseline)
    peak, peak_doubt = peak_of(rerun.profile)
    p = p_of(rerun.profile, loop_test(rerun.profile), "")
    points = rerun.profile.measurements[0].facts.points
    ratio, scale, shape = (growth.ratio, growth.scale, growth.shape) if growth else (None, None, None)
    return Numbers(
        points, baseline or None, ratio, scale, shape, peak, None if isinstance(p, Missing) else p, doubt, peak_doubt
    )


def last_block(profile: Profile) -> int:
    """The index of the last block; 0 where there is none."""
    return max((layer_key(layer)[1] for layer in profile.layers), default=0)


# Judging


def ablation(settings: Sequence[Setting], reruns: Iterable[Rerun], bounds: Sequence[Statement] = ()) -> Ablation:
    """Judge the claims of the base, and ``bounds`` on every model, under all settings.

    Models without a profile in the base are left out. Raises InvalidInput where there is nothing to claim, UnknownName
    for an unknown layer.
    """
    found: dict[Setting, dict[str, Rerun]] = {setting: {} for setting in settings}
    for rerun in reruns:
        found[rerun.setting][rerun.model] = rerun
    base = {model: r.profile for model, r in found[settings[0]].items() if r.profile}
    if not base:
        problems = "; ".join(f"{r.model}: {r.problem}" for r in found[settings[0]].values())
        raise InvalidInput(f"nothing could be measured in the base setting: {problems or 'no model was given'}")
    whole = {setting: {model: of[model] for model in base} for setting, of in found.items()}
    baselines = baselines_of(base)
    claims = [
        *default_claims(base, baselines),
        *(bound_claim(bound, model, baselines[model]) for bound in bounds for model in base),
    ]
    if not claims:
        raise InvalidInput(
            "there is nothing to claim of a cloud without blocks; say what with --claim, such as "
            "--claim 'H1_count@cloud>0', or ask for a loop with --null-draws 199"
        )
    return Ablation(
        tuple(settings),
        {s: {model: numbers_of(rerun, baselines[model]) for model, rerun in of.items()} for s, of in whole.items()},
        baselines,
        tuple(standing(claim, settings, whole) for claim in claims),
        next(iter(base.values())).recipe,
        {model: last_block(profile) for model, profile in base.items()},
    )


def baselines_of(base: Mapping[str, Profile]) -> dict[str, str]:
    """Model → the layer that its growth starts from, as in a comparison.

    The embedding where it is reliable in all models, else the first reliable layer of each; empty where none is.
    """
    which = baseline_index(tuple(base.values()))
    expansions = {model: profile.expansions[which : which + 1] for model, profile in base.items()}
    return {model: found[0].baseline if found and found[0].growth else "" for model, found in expansions.items()}


def standing(claim: Claim, settings: Sequence[Setting], reruns: Mapping[Setting, Mapping[str, Rerun]]) -> Standing:
    """Judge a claim under every setting."""
    first, _ = profiles_of(reruns[settings[0]], claim.models)
    verdicts: dict[Setting, Verdict] = {}
    seen: dict[Any, Setting] = {}
    for setting in settings:
        profiles, problem = profiles_of(reruns[setting], claim.models)
        barred = problem or barrier(claim, profiles, first)
        if not barred:
            key = tuple(clouds_of(p, claim.units) for p in profiles.values())
            barred = repeated(setting, seen.setdefault(key, setting), settings[0])
        verdicts[setting] = Verdict(None, reason=barred) if barred else claim.judge(profiles)
    return Standing(claim.text, claim.models, verdicts.pop(settings[0]), verdicts)


def profiles_of(reruns: Mapping[str, Rerun], models: Sequence[str]) -> tuple[dict[str, Profile], str]:
    """The profiles of some models under a setting, and why one is missing."""
    missing = {model: reruns[model].problem for model in models if reruns[model].profile is None}
    told = "; ".join(f"{model}: {why}" if len(models) > 1 else why for model, why in missing.items())
    return {model: p for model in models if (p := reruns[model].profile)}, told


def barrier(claim: Claim, profiles: Mapping[str, Profile], base: Mapping[str, Profile]) -> str:
    """Why a setting cannot decide a claim; empty where it can."""
    reasons = (barrier_of_one(claim.units, p, base[model]) for model, p in profiles.items())
    return next(filter(None, reasons), "")


def barrier_of_one(units: Units, profile: Profile, base: Profile) -> str:
    """Why one profile cannot decide it: other units than in the base, or too few points to project."""
    ours, theirs, facts = profile.recipe, base.recipe, profile.measurements[0].facts
    if units != "none" and ours.distance != theirs.distance:
        return f"{ours.distance} distances have other units"
    if units == "length" and ours.scale != theirs.scale:
        return f"lengths are in another unit at scale {ours.scale}"
    if units == "ratio" and "sphere" in {ours.scale, theirs.scale} and ours.scale != theirs.scale:
        return "on the unit sphere the size of the activations is gone"
    kept = ours.components
    if kept is not None and facts.points <= kept < facts.dimension and any(kept_of(base)):
        return f"{facts.points} points are no more than {kept} components, so nothing is projected"
    return ""


def repeated(setting: Setting, earlier: Setting, base: Setting) -> str:
    """Note that an earlier setting measured the same clouds; empty otherwise."""
    if earlier == setting:
        return ""
    if setting.scale != earlier.scale and replace(setting, scale=earlier.scale) == earlier:
        return RATIO_ONLY
    return f"the same clouds as in the setting '{earlier.label(base)}'"


def clouds_of(profile: Profile, units: Units) -> tuple[Recipe, tuple[int | None, ...]]:
    """What decides the clouds of a profile: equal for settings that measure the same."""
    recipe = profile.recipe
    scale = "none" if units != "length" and recipe.scale in ("median", "rms") else recipe.scale
    seed = recipe.seed if recipe.subsample is not None else 0
    return replace(recipe, components=None, seed=seed, scale=scale), kept_of(profile)


def kept_of(profile: Profile) -> tuple[int | None, ...]:
    """The number of kept components of each cloud; None where all are kept."""
    return tuple(kept(m.recipe.components, m.facts) for m in profile.measurements)


def kept(components: int | None, facts: CloudFacts) -> int | None:
    """The number of kept components; None where all are kept."""
    return components if components is not None and components < min(facts.points, facts.dimension) else None

"""Claims that an ablation re-tests: thresholds, peak layer, ranking, presence of a loop. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from todacomm.comparison.expressions import GROWTHS, Statement
from todacomm.core.errors import UnknownName
from todacomm.core.inference_types import ALPHA
from todacomm.core.recipe import Recipe
from todacomm.core.types import Growth, Measurement, Number, Profile, is_block
from todacomm.core.value_types import Missing, or_missing
from todacomm.homology.metrics import SCALED, names_of
from todacomm.profiles.expansion import growth as growth_between
from todacomm.profiles.expansion import total_of
from todacomm.statistics.gaussian_null import tested_names
from todacomm.statistics.layer_statistics import statistics_of
from todacomm.statistics.loop_test import LOOP, PROMINENCE

LOOPS = (LOOP, PROMINENCE)  # loop tests, the best first
OF_A_CLOUD = ("scale", "rms_distance", "norm", "variance_kept", "largest_variance_share", "distinct_points")


def quantities_of(maxdim: int) -> tuple[str, ...]:
    """The numbers of a layer that a claim can be about."""
    scaled = (f"{name}{SCALED}" for name, (_, metric) in names_of(maxdim).items() if metric.degree)
    return (*names_of(maxdim), *scaled, *OF_A_CLOUD)


def tests_of(recipe: Recipe) -> tuple[str, ...]:
    """The numbers of a layer that have a p-value."""
    return (*tested_names(recipe), *(one.name for one in statistics_of(recipe)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one claim under one setting; ``stands`` is None where undecided, for the ``reason`` given.

    ``value`` is the finding in words; ``tau`` is Kendall's τ of an order against that of the base.
    """

    stands: bool | None
    value: str = ""
    reason: str = ""
    tau: Number = None


# What a profile says


def candidates(profile: Profile) -> list[Measurement]:
    """The layers among which a peak is sought: the blocks, or every layer where none is a block."""
    blocks = [m for m in profile.measurements if is_block(m.address.layer)]
    return blocks or [m for m in profile.measurements if m.address.layer != "final"]


def peak_of(profile: Profile) -> tuple[str, str]:
    """The layer with the largest H0 total, and why it is unknown or doubtful."""
    found = candidates(profile)
    broken = next((f"{m.address.layer}: {m.facts.undefined}" for m in found if m.facts.undefined), "")
    top = max(found, key=total_of)
    return top.address.layer, broken or (f"{top.address.layer}: {top.facts.doubtful}" if top.facts.doubtful else "")


def growth_of(profile: Profile, baseline: str, peak: str = "") -> tuple[Growth | None, str]:
    """The growth from a baseline to a layer, by default the peak, and the doubt on it or the reason why it is None."""
    for layer in filter(None, (baseline, peak)):
        if layer not in profile.layers:
            raise UnknownName("layer", layer, profile.layers)
    if not baseline:
        return None, "no layer has a sound cloud in the base"
    below, above = profile.at(baseline), profile.at(peak or peak_of(profile)[0])
    for m in (below, above):
        if m.facts.undefined:
            return None, f"{m.address.layer}: {m.facts.undefined}"
    if below.facts.points != above.facts.points:
        return None, "the layers have different numbers of points"
    doubts = (f"{m.address.layer}: {m.facts.doubtful}" for m in dict.fromkeys((below, above)) if m.facts.doubtful)
    return growth_between(below, above), "; ".join(doubts)


def loop_test(profile: Profile) -> str:
    """The loop test of a profile; empty where it has none."""
    tests = profile.claims.tests.get("gaussian", {}) if profile.claims else {}
    return next((name for name in LOOPS if any(name in of_layer for of_layer in tests.values())), "")


def p_of(profile: Profile, name: str, layer: str) -> float | Missing:
    """The family-wise p-value of a metric (without a layer, the least), or the reason why there is none."""
    tests = profile.claims.tests.get("gaussian", {}) if profile.claims and name else {}
    if layer and layer not in profile.layers:
        raise UnknownName("layer", layer, profile.layers)
    asked = [tests[x][name] for x in ((layer,) if layer else tests) if name in tests.get(x, {})]
    known = [(t.family_wise, t) for t in asked if t.family_wise is not None]
    if not known:
        return Missing(next((t.note for t in asked if t.note), f"{name or 'a loop'} was not tested"))
    p, least = min(known, key=lambda one: one[0])
    if least.smallest > ALPHA:
        return Missing(f"{least.draws} draws are too few to decide: no p-value is below {least.smallest:.2g}")
    return p


def value_of(bound: Statement, profile: Profile, baseline: str) -> float | Missing:
    """The quantity of a bound, or the reason why there is none."""
    if bound.kind:
        return p_of(profile, bound.quantity, bound.layer)
    if bound.quantity in GROWTHS:
        growth, doubt = growth_of(profile, baseline, bound.layer)
        return Missing(doubt) if growth is None or doubt else float(getattr(growth, GROWTHS[bound.quantity]))
    found = profile.at(bound.layer)
    value = found.summary[bound.quantity] if bound.quantity in found.summary else getattr(found.facts, bound.quantity)
    return or_missing(None if found.facts.doubtful else value, found.facts.doubtful or "undefined")


# Claims

Profiles = Mapping[str, Profile]
Units = Literal["none", "ratio", "length"]


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """A statement about some models, and how to judge it on their profiles under one setting.

    ``units``: "ratio" and "length" compare a ratio of lengths, or a length, with a number; "none" depends on no unit.
    """

    text: str
    models: tuple[str, ...]
    units: Units
    judge: Callable[[Profiles], Verdict]


def bound_claim(bound: Statement, model: str, baseline: str) -> Claim:
    """Claim that a quantity of a model satisfies a bound."""

    def judge(profiles: Profiles) -> Verdict:
        value = value_of(bound, profiles[model], baseline)
        if isinstance(value, Missing):
            return Verdict(None, reason=value.reason)
        return Verdict(bound.holds(value), f"{value:.4g}")

    return Claim(f"{model}: {bound}", (model,), units_of(bound), judge)


def units_of(bound: Statement) -> Units:
    """How the meaning of a bound depends on distance and normalisation."""
    if bound.kind or bound.quantity == "shape_growth":
        return "none"
    if bound.quantity in GROWTHS:
        return "ratio"
    if bound.quantity in ("scale", "rms_distance"):
        return "ratio"  # taken before the recipe divides
    metric = names_of(2).get(bound.quantity)
    return "length" if metric and metric[1].degree else "none"


def peak_claim(base: Profile) -> Claim:
    """Claim that the largest H0 total is in the same layer as in the base."""
    model, layer = base.model, peak_of(base)[0]

    def judge(profiles: Profiles) -> Verdict:
        found, reason = peak_of(profiles[model])
        return Verdict(None, found, reason) if reason else Verdict(found == layer, found)

    return Claim(f"{model}: the peak is {layer}", (model,), "none", judge)


def order_claim(quantity: str, base: Profiles, baselines: Mapping[str, str]) -> Claim:
    """Claim that the models rank as in the base."""
    bound = Statement(quantity, ">", 0.0)

    def values(profiles: Profiles) -> tuple[dict[str, float], str]:
        found = {m: value_of(bound, profiles[m], baselines[m]) for m in base}
        missing = {m: value.reason for m, value in found.items() if isinstance(value, Missing)}
        return {m: v for m, v in found.items() if not isinstance(v, Missing)}, together(missing, len(base))

    first = values(base)[0]

    def judge(profiles: Profiles) -> Verdict:
        found, missing = values(profiles)
        if missing:
            return Verdict(None, reason=missing)
        tau = kendall(first, found)
        return Verdict(tau == 1, " < ".join(ranked(found)), tau=tau)

    return Claim(f"order by {quantity.replace('_', ' ')}: {' < '.join(ranked(first))}", tuple(base), "none", judge)


def together(reasons: Mapping[str, str], models: int) -> str:
    """Join the reasons of several models; once where all share one."""
    if len(reasons) == models and len(set(reasons.values())) == 1:
        return next(iter(reasons.values()))
    return "; ".join(f"{model}: {reason}" for model, reason in reasons.items())


def ranked(values: Mapping[str, float]) -> list[str]:
    """The models from the least to the greatest value."""
    return sorted(values, key=lambda model: values[model])


def kendall(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Kendall's τ of two orders of the same names: (concordant - discordant pairs) / all pairs; ties count as neither.

    Kendall 1938, https://doi.org/10.1093/biomet/30.1-2.81
    """
    pairs = list(combinations(first, 2))
    signs = [(first[a] - first[b]) * (second[a] - second[b]) for a, b in pairs]
    return sum((s > 0) - (s < 0) for s in signs) / len(pairs)


def default_claims(base: Profiles, baselines: Mapping[str, str]) -> Iterator[Claim]:
    """Claim what the base shows: ranking of models, peaks, growths above or below 1, presence of a loop."""
    orders = [order_claim(quantity, base, baselines) for quantity in ("expansion", "shape_growth")]
    if len(base) > 1:
        yield from (claim for claim in orders if claim.judge(base).stands is not None)
    for model, profile in base.items():
        if len(candidates(profile)) > 1 and not peak_of(profile)[1]:
            yield peak_claim(profile)
        for bound in shown(profile, baselines[model]):
            yield bound_claim(bound, model, baselines[model])


def shown(profile: Profile, baseline: str) -> Iterator[Statement]:
    """The bounds that a profile satisfies by itself."""
    for quantity in ("expansion", "shape_growth"):
        value = value_of(Statement(quantity, ">", 1.0), profile, baseline)
        if not isinstance(value, Missing) and value != 1:
            yield Statement(quantity, ">" if value > 1 else "<", 1.0)
    if name := loop_test(profile):
        value = p_of(profile, name, "")
        if not isinstance(value, Missing):
            yield Statement(name, "<=" if value <= ALPHA else ">", ALPHA, kind="p")

"""Gate: decide which rules, such as ``shape_growth:rel>0.2``, fire on a comparison.

B is a later run, A the first one; `expressions` defines the grammar and the kinds. Without a layer, a rule fires where
any layer does, and p is adjusted over the layers. For distances (bottleneck_H1, wasserstein_H1, cka), ``abs`` is the
number itself.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from todacomm.comparison.compare import Comparison
from todacomm.comparison.diagram_tests import Apart
from todacomm.comparison.differences import LANGUAGE, Pair, incomparable
from todacomm.comparison.expressions import GROWTHS, Statement
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.recipe import GATE, alike
from todacomm.core.types import Number, Profile
from todacomm.core.value_types import Missing, or_missing

DISTANCE = re.compile(r"(?P<which>bottleneck|wasserstein)_(?P<dimension>H[0-2])")


@dataclass(frozen=True, slots=True)
class RuleValue:
    """A value that a rule was checked on: its pair, its layer (or empty), and whether the rule fires.

    ``beyond`` is how far it exceeds the number of the rule, negative where it falls short.
    """

    pair: str
    layer: str
    value: float
    beyond: float
    fires: bool
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome of a rule: the values on which it fires, furthest first; ``nearest`` is the closest otherwise."""

    rule: Statement
    fired: tuple[RuleValue, ...]
    nearest: RuleValue
    looked_at: int
    undefined: tuple[str, ...] = ()


def judge(rules: Sequence[Statement], comparisons: Mapping[str, Comparison]) -> list[Judgement]:
    """Decide each rule in all pairs of all comparisons.

    Raises InvalidInput where runs are not comparable or a rule cannot be decided, UnknownName for an unknown quantity
    or layer.
    """
    for name, comparison in comparisons.items():
        if not comparison.pairs:
            models = ", ".join(p.model for p in comparison.profiles)
            raise InvalidInput(
                f"{name} was measured for {models} alone: the gate compares runs on the same dataset, "
                "with the same pooling"
            )
    pairs = [both for c in comparisons.values() for both in zip(c.pairs, c.apart, strict=True)]
    for pair, _ in pairs:
        refuse_unlike(pair.first, pair.second)
    return [judgement(rule, pairs) for rule in rules]


def refuse_unlike(first: Profile, second: Profile) -> None:
    """Raise InvalidInput unless both were measured in the same way on the same texts."""
    why = incomparable(first, second)
    if first.data != second.data:
        why = f"the dataset is {first.data} for {first.model} and {second.data} for {second.model}"
    elif first.texts_sha256 != second.texts_sha256:
        digests = " and ".join(p.texts_sha256[:12] or "none" for p in (first, second))
        why = f"the texts of {first.model} and {second.model} are not the same (SHA-256 {digests})"
    for setting in alike(GATE):
        a, b = getattr(first.recipe, setting), getattr(second.recipe, setting)
        if not why and a != b:
            why = f"{setting} is {a} for {first.model} and {b} for {second.model}"
    if why:
        raise InvalidInput(f"the gate compares like with like: {why}. Measure both in the same way, on the same texts")


def judgement(rule: Statement, pairs: Sequence[tuple[Pair, Apart]]) -> Judgement:
    """Decide one rule in all pairs."""
    found: list[RuleValue] = []
    undefined: list[str] = []
    for pair, apart in pairs:
        for layer, value in values(rule, pair, apart):
            if isinstance(value, Missing):
                undefined.append(f"{pair.name}{', ' * bool(layer)}{layer}: {value.reason}")
            else:
                found.append(judged(rule, pair, layer, value))
    if not found:
        raise InvalidInput(
            f"--fail-if {rule.text} cannot be decided: {'; '.join(dict.fromkeys(undefined)) or 'no layer has it'}"
        )
    ranked = sorted(found, key=lambda one: -one.beyond)
    return Judgement(rule, tuple(one for one in ranked if one.fires), ranked[0], len(found), tuple(undefined))


def judged(rule: Statement, pair: Pair, layer: str, value: float) -> RuleValue:
    """Compare one value with the number of its rule."""
    return RuleValue(pair.name, layer, value, rule.beyond(value), rule.holds(value), doubt_of(pair, layer))


def doubt_of(pair: Pair, layer: str) -> str:
    """The doubts about this layer in either model."""
    found = [one for one in pair.layers if str(one) == layer]
    doubts = (
        [pair.first.at(found[0].first).facts.doubtful, pair.second.at(found[0].second).facts.doubtful] if found else []
    )
    return "; ".join(dict.fromkeys(doubt for doubt in doubts if doubt))


Value = float | Missing


def values(rule: Statement, pair: Pair, apart: Apart) -> Iterator[tuple[str, Value]]:
    """Yield the values of a pair that a rule is about, each with its layer, empty for one of the whole model."""
    if rule.quantity in GROWTHS or rule.quantity in LANGUAGE:
        if rule.layer:
            raise InvalidInput(f"--fail-if {rule.text}: {rule.quantity} is of a whole model and has no layers")
        yield "", growth_value(rule, pair) if rule.quantity in GROWTHS else language_value(rule, pair)
        return
    chosen = [i for i, one in enumerate(pair.layers) if rule.layer in ("", one.first, one.second, str(one))]
    if rule.layer and not chosen:
        raise UnknownName("layer of both", rule.layer, map(str, pair.layers), hint=f"In --fail-if {rule.text}")
    distance = DISTANCE.fullmatch(rule.quantity)
    if distance is not None or rule.quantity == "cka":
        for i in chosen:
            value = distance_value(rule, distance, apart, i) if distance else cka_value(rule, apart, i)
            yield str(pair.layers[i]), value
        return
    if rule.quantity not in pair.first.names and rule.quantity not in pair.differences:
        known = (
            *GROWTHS,
            *LANGUAGE,
            *pair.first.names,
            *(f"{d}_{k}" for k in apart.diagrams for d in ("bottleneck", "wasserstein")),
            "cka",
        )
        raise UnknownName("quantity", rule.quantity, known, hint=f"In --fail-if {rule.text}")
    for i in chosen:
        yield str(pair.layers[i]), layer_value(rule, pair, i)


def of_two(kind: str, first: Number, second: Number) -> Value:
    """Combine two numbers by a kind other than p and effect."""
    if first is None or second is None or not (math.isfinite(first) and math.isfinite(second)):
        return Missing("undefined")
    if kind in ("diff", "abs"):
        return second - first if kind == "diff" else abs(second - first)
    if first == 0:
        return Missing("the first is 0")
    return second / first if kind == "ratio" else abs(second - first) / abs(first)


def layer_value(rule: Statement, pair: Pair, i: int) -> Value:
    """The value of a rule in one layer."""
    name, one = rule.quantity, pair.layers[i]
    if rule.kind in ("p", "effect"):
        if name not in pair.differences:
            return Missing(pair.refused or "no interval is made of it, so that it has no p and no effect")
        found = pair.differences[name][i]
        note = found.difference.note
        if rule.kind == "p":
            return or_missing(found.p if rule.layer else found.adjusted, note or "neither number varies")
        return or_missing(None if found.effect is None else abs(found.effect), note or "the first does not vary")
    if name in pair.differences:
        return of_two(rule.kind, pair.differences[name][i].first, pair.differences[name][i].second)
    return of_two(
        rule.kind,
        float(pair.first[name][pair.first.layers.index(one.first)]),
        float(pair.second[name][pair.second.layers.index(one.second)]),
    )


def growth_value(rule: Statement, pair: Pair) -> Value:
    """The value of a rule about the expansion or one of its factors."""
    part = GROWTHS[rule.quantity]
    if rule.kind == "effect":
        raise InvalidInput(f"--fail-if {rule.text}: {rule.quantity} has rel, diff, abs, ratio and p, but no effect")
    if rule.kind == "p":
        found = pair.growths.get(part)
        return or_missing(found.adjusted if found else None, pair.no_growths or "neither varies")
    a, b = (getattr(growth, part) if growth else None for growth in pair.each_growth)
    value = of_two(rule.kind, a, b)
    return Missing(pair.no_growths or value.reason) if isinstance(value, Missing) else value


def language_value(rule: Statement, pair: Pair) -> Value:
    """The value of a rule about a language metric."""
    if rule.kind in ("p", "effect"):
        raise InvalidInput(
            f"--fail-if {rule.text}: {rule.quantity} has rel, diff, abs and ratio; no test is made of it"
        )
    if rule.quantity not in pair.language:
        return Missing(f"{rule.quantity} was not measured for both")
    return of_two(rule.kind, *pair.language[rule.quantity])


def distance_value(rule: Statement, distance: re.Match[str], apart: Apart, i: int) -> Value:
    """The value of a rule about the distance between two diagrams."""
    which, dimension = distance["which"], distance["dimension"]
    if rule.kind != "abs" and (which, rule.kind) != ("wasserstein", "p"):
        raise InvalidInput(
            f"--fail-if {rule.text}: {which} has abs, the distance itself"
            f"{', and p' if which == 'wasserstein' else '; p is that of wasserstein'}"
        )
    if dimension not in apart.diagrams:
        raise UnknownName("dimension of both", dimension, apart.diagrams, hint=f"In --fail-if {rule.text}")
    found = apart.diagrams[dimension][i]
    if rule.kind == "p":
        return or_missing(found.p if rule.layer else found.adjusted, found.note or apart.untested)
    return or_missing(getattr(found, which), found.note)


def cka_value(rule: Statement, apart: Apart, i: int) -> Value:
    """The value of a rule about the alignment of two layers."""
    if rule.kind != "abs":
        raise InvalidInput(
            f"--fail-if {rule.text}: cka has abs, the alignment itself (1 for equal geometry), as cka:abs<0.9"
        )
    why = apart.missing or "CKA takes four points of a layer, two of them unlike the others"
    return or_missing(apart.cka[i] if apart.cka else None, why)

"""Rules that flag a training or stop it. Pure.

``embedding:H1_max_lifetime>0.3`` compares a number of a layer, ``layer_5:relative_scale:ratio<0.5`` what became of it
since the first measurements, ``loss>10`` a number of the whole model; the layer ``*`` is any. ``A and B`` holds where
both do, in one layer.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Literal

from todacomm.comparison.expressions import SIGNS, Grammar, Statement
from todacomm.comparison.gate import of_two
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.types import Number
from todacomm.core.value_types import Missing
from todacomm.monitoring.numbers import RELATIVE_SCALE

Action = Literal["flag", "stop"]
Layers = Mapping[str, Mapping[str, Number]]
ACTIONS = ("flag", "stop")
ANY, AND = "*", " and "
SINCE_FIRST = ("ratio", "diff", "abs", "rel")
FIRST = 5  # measurements whose median is the first value
DISTINCT = "distinct_points"
ALERTS = Grammar(
    "alert",
    ("", *SINCE_FIRST),
    f"expected [layer:]quantity[:{'|'.join(SINCE_FIRST)}]<{SIGNS}><number>, as embedding:H1_max_lifetime>0.3",
)
KIND = re.compile(rf"\s*({'|'.join(SINCE_FIRST)})\s*[<>]")
NAMED = {  # statements of one layer, measurements in a row: benchmarks/alarm.py shows what they find and what they miss
    "loop": (("H1_screen_2_components>1.2", "H1_max_lifetime_sphere:ratio>1.1"), 3),
    "collapse": ((f"{RELATIVE_SCALE}:ratio<0.4",), 1),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """Statements on one layer, or on the whole model, that are looked at after every measurement.

    All of them must hold in ``consecutive`` measurements in a row; ``action`` is what follows.
    """

    statements: tuple[Statement, ...]
    action: Action = "flag"
    consecutive: int = 1

    @property
    def layer(self) -> str:
        """The layer; ``*`` for any, empty for the whole model."""
        return self.statements[0].layer

    def told(self, layer: str) -> str:
        """The rule in words, of a layer."""
        in_a_row = f" in {self.consecutive} measurements in a row" if self.consecutive > 1 else ""
        named = [f"{layer}:{replace(one, layer='')}" if layer else str(one) for one in self.statements]
        return f"{AND.join(named)}{in_a_row}"

    def __str__(self) -> str:
        return self.told(self.layer)


def rule_of(text: str, action: str, consecutive: int | None, layers: Collection[str], names: Collection[str]) -> Rule:
    """Parse a rule, or one of `NAMED` with or without a layer. Raises InvalidInput and UnknownName."""
    if action not in ACTIONS:
        raise UnknownName("action", action, ACTIONS)
    layer, _, rest = text.rpartition(":")
    parts, in_a_row = NAMED.get(rest.strip(), (tuple(text.split(AND)), 1))
    if rest.strip() in NAMED:
        parts = tuple(f"{layer.strip() or where(rest.strip(), layers)}:{part}" for part in parts)
    in_a_row = in_a_row if consecutive is None else consecutive
    if in_a_row < 1:
        raise InvalidInput(f"alert {text}: consecutive={in_a_row}; expected 1 or more")
    statements = tuple(checked(statement_of(part), layers, names) for part in parts)
    if len({one.layer for one in statements}) > 1:
        raise InvalidInput(f"alert {text}: expected one layer, the same in each part")
    return Rule(statements, "stop" if action == "stop" else "flag", in_a_row)


def where(name: str, layers: Collection[str]) -> str:
    """The layer of a named rule that names none: a collapse is looked for in any, a loop in the embedding."""
    if name == "collapse":
        return ANY
    if "embedding" not in layers and len(layers) != 1:
        raise InvalidInput(f"alert {name}: say in which layer, as {next(iter(layers), 'layer_0')}:{name}")
    return "embedding" if "embedding" in layers else next(iter(layers))


def statement_of(text: str) -> Statement:
    """Read a statement whose layer stands in front."""
    layer, sign, rest = text.partition(":")
    of_model = not sign or KIND.match(rest) is not None
    found = ALERTS.read(text if of_model else rest)
    return found if of_model else replace(found, layer=layer.strip(), text=text)


def checked(statement: Statement, layers: Collection[str], names: Collection[str]) -> Statement:
    """Refuse a layer or a number of a layer that is not watched."""
    if not statement.layer:
        return statement
    if statement.layer not in (ANY, *layers):
        raise UnknownName("layer that is watched", statement.layer, layers)
    if statement.quantity not in names:
        raise UnknownName("number that is measured", statement.quantity, names)
    return statement


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that fired: where, at which step, and on which values, one a statement."""

    rule: Rule
    step: int
    layer: str
    values: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.rule.told(self.layer)} (now {', '.join(f'{value:.4g}' for value in self.values)})"


@dataclass(slots=True)
class Watch:
    """A rule in use: the first values, with which later ones are compared, and how often it held in a row."""

    rule: Rule
    first: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    in_a_row: dict[str, int] = field(default_factory=dict)

    def look(self, step: int, layers: Layers, of_model: Mapping[str, Number]) -> list[Fired]:
        """Where the rule fires at a step. A number that is undefined does not satisfy it."""
        return [
            Fired(self.rule, step, layer, values)
            for layer, values in self._values(layers, of_model)
            if self._counted(layer, values)
        ]

    def _counted(self, layer: str, values: tuple[float, ...]) -> bool:
        holds = all(one.holds(value) for one, value in zip(self.rule.statements, values, strict=True))
        self.in_a_row[layer] = self.in_a_row.get(layer, 0) + 1 if holds else 0
        return self.in_a_row[layer] >= self.rule.consecutive

    def _values(self, layers: Layers, of_model: Mapping[str, Number]) -> Iterator[tuple[str, tuple[float, ...]]]:
        for layer, numbers in (layers if self.rule.layer else {"": of_model}).items():
            if self.rule.layer in ("", ANY, layer):
                of_each = enumerate(self.rule.statements)
                yield layer, tuple(self._since(layer, i, value_of(one.quantity, numbers)) for i, one in of_each)

    def _since(self, layer: str, place: int, now: Number) -> float:
        """What the kind of a statement makes of the first values and the present one; NaN, which satisfies nothing."""
        if now is None:
            return math.nan
        kind, first = self.rule.statements[place].kind, self.first.setdefault((layer, place), [])
        if len(first) < FIRST:
            first.append(now)
        made = of_two(kind, median(first), now) if kind else now
        return math.nan if isinstance(made, Missing) else made


def value_of(quantity: str, numbers: Mapping[str, Number]) -> Number:
    """A number of a layer; distinct points as a share of all points."""
    found = numbers.get(quantity)
    points = numbers.get("points")
    return found / points if quantity == DISTINCT and found is not None and points else found

"""The one grammar of rules and claims: ``<quantity>[@<layer>][:<kind>]<sign><number>``.

A rule (``--fail-if shape_growth:rel>0.2``) compares what a kind makes of two runs with the number. Kinds with a
direction are ``diff``, B - A, and ``ratio``, B / A; sizes without one are ``abs``, |B - A|, ``rel``, |B - A| / |A|,
and ``effect``, |B - A| in standard deviations of A over fresh texts; ``p`` is the p-value of no difference. A claim
(``--claim H1_count@layer_3>=10``) compares a number of one run with it, or with ``p`` its p-value.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from todacomm.core.errors import InvalidInput, UnknownName

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
SIGNS = '">", "<", ">=" or "<="'
FORM = re.compile(
    r"\s*(?P<quantity>\w+)\s*(?:@\s*(?P<layer>[^:<>=]*[^:<>=\s])\s*)?(?::\s*(?P<kind>[a-z]+)\s*)?"
    r"(?P<sign>>=|<=|>|<)\s*(?P<number>[^<>=\s]+)\s*"
)
GROWTHS = {"expansion": "ratio", "scale_growth": "scale", "shape_growth": "shape"}  # quantity → part of a Growth
SIZES = ("rel", "abs", "effect")


@dataclass(frozen=True, slots=True)
class Statement:
    """A comparison of a quantity, or of what ``kind`` makes of it, with a number.

    ``layer`` is empty where none is named, ``text`` is what was typed.
    """

    quantity: str
    sign: str
    number: float
    layer: str = ""
    kind: str = ""
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        layer, kind = f"@{self.layer}" if self.layer else "", f":{self.kind}" if self.kind else ""
        return f"{self.quantity}{layer}{kind} {self.sign} {self.number:.10g}"

    def holds(self, value: float) -> bool:
        """Whether a value satisfies the statement."""
        return OPERATORS[self.sign](value, self.number)

    def beyond(self, value: float) -> float:
        """How far a value exceeds the number; negative where it falls short."""
        return value - self.number if self.sign[0] == ">" else self.number - value


@dataclass(frozen=True, slots=True)
class Grammar:
    """The statements that an option accepts: their ``kinds`` (empty: optional) and their form."""

    option: str
    kinds: tuple[str, ...]
    expected: str

    def read(self, text: str) -> Statement:
        """Parse a statement. Raises InvalidInput, or UnknownName for another kind."""
        found = FORM.fullmatch(text)
        if found is None or not (found["kind"] or "" in self.kinds):
            raise InvalidInput(f"{self.option} {text}: {self.expected}")
        kind, named = found["kind"] or "", tuple(filter(None, self.kinds))
        if kind not in self.kinds:
            raise UnknownName("kind", kind, named, hint=f"In {self.option} {text}")
        number = self._number(found["number"], kind, text)
        return Statement(found["quantity"], found["sign"], number, found["layer"] or "", kind, text)

    def _number(self, number: str, kind: str, text: str) -> float:
        """Parse the number behind the sign, within the range of its kind."""
        try:
            found = float(number)
        except ValueError:
            raise InvalidInput(f"{self.option} {text}: {number} is no number; {self.expected}") from None
        if not math.isfinite(found) or (kind in (*SIZES, "p") and found < 0) or (kind == "p" and found > 1):
            size = "of 0 or more, for it is a size; diff and ratio have a direction"
            within = "from 0 to 1" if kind == "p" else size if kind in SIZES else "that is finite"
            raise InvalidInput(f"{self.option} {text}: {kind or 'a quantity'} is compared with a number {within}")
        return found


RULES = Grammar(
    "--fail-if",
    ("rel", "diff", "abs", "ratio", "p", "effect"),
    f"expected <quantity>[@layer]:<rel|diff|abs|ratio|p|effect><{SIGNS}><number>, as shape_growth:rel>0.2",
)
CLAIMS = Grammar(
    "--claim",
    ("", "p"),
    f"expected <quantity>[@layer][:p]<{SIGNS}><number>, as expansion>2, H1_count@layer_3>=10 or H1_loop@final:p<=0.05",
)


def claim_of(text: str, known: Collection[str], tested: Collection[str]) -> Statement:
    """Parse a claim; ``known`` are metrics of a layer besides `GROWTHS`, ``tested`` those with a p-value.

    Raises InvalidInput for anything else, or where the layer is missing; UnknownName for an unknown quantity.
    """
    found = CLAIMS.read(text)
    names = tuple(tested) if found.kind else (*GROWTHS, *known)
    if found.quantity not in names:
        raise UnknownName("number with a p-value" if found.kind else "quantity", found.quantity, names)
    if not (found.kind or found.layer or found.quantity in GROWTHS):
        name = found.quantity
        raise InvalidInput(f"--claim {text}: {name} is a number of one layer; say which, such as {name}@layer_3")
    return found

"""The small grammar of claims: ``<quantity>[@<layer>][:p]<sign><number>``, such as ``expansion>2`` or ``H1_count@layer_3>=10``."""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from todacomm.core.errors import InvalidInput, UnknownName

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
FORM = re.compile(
    r"\s*(?P<quantity>\w+)(?:@(?P<layer>[^:<>=\s]+))?(?P<p>:p)?\s*(?P<sign>>=|<=|>|<)\s*(?P<number>\S+)\s*"
)
GROWTHS = {"expansion": "ratio", "scale_growth": "scale", "shape_growth": "shape"}  # quantity → part of a Growth


@dataclass(frozen=True, slots=True)
class Bound:
    """That a quantity is above or below a number; ``of_p`` where its p-value is, ``layer`` empty where none is named."""

    quantity: str
    of_p: bool
    layer: str
    sign: str
    number: float

    def __str__(self) -> str:
        layer = f"@{self.layer}" if self.layer else ""
        return f"{self.quantity}{layer}{':p' if self.of_p else ''} {self.sign} {self.number:.10g}"

    def holds(self, value: float) -> bool:
        """Whether a value of the quantity keeps to the bound."""
        return OPERATORS[self.sign](value, self.number)


def bound_of(text: str, known: Collection[str], tested: Collection[str]) -> Bound:
    """A bound from its text; ``known`` are the names of numbers of a layer, beside `GROWTHS`, ``tested`` those with a p-value.

    Raises InvalidInput for what is no such text or lacks a layer, UnknownName for a quantity that there is not.
    """
    found = FORM.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"'{text}' is no claim; expected a quantity, perhaps a layer, a sign and a number, such as expansion>2, "
            "shape_growth<1, H1_count@layer_3>=10 or H1_prominence:p<=0.05"
        )
    bound = Bound(
        found["quantity"], bool(found["p"]), found["layer"] or "", found["sign"], number_of(found["number"], text)
    )
    names = tuple(tested) if bound.of_p else (*GROWTHS, *known)
    if bound.quantity not in names:
        raise UnknownName("number with a p-value" if bound.of_p else "quantity", bound.quantity, names)
    if not (bound.of_p or bound.layer or bound.quantity in GROWTHS):
        raise InvalidInput(
            f"'{text}': {bound.quantity} is a number of one layer; say which, such as {bound.quantity}@layer_3"
        )
    return bound


def number_of(text: str, claim: str) -> float:
    """A finite number."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InvalidInput(f"'{claim}': expected a number after the sign, found '{text}'")
    return found

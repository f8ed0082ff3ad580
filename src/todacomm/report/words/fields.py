"""State where the longest bar of H1 depends on the field of coefficients: over Z/3 it is another than over Z/2.

Homology over two fields differs where a cycle is filled only when it is run through several times (torsion).
"""

from collections.abc import Sequence

from todacomm.core.inference_types import Interval, Number
from todacomm.core.types import Measurement, Profile
from todacomm.report.words import phrases
from todacomm.report.words.intervals_and_nulls import interval_of
from todacomm.report.words.phrases import listed, padded

APART = 0.05  # of the bar over Z/2, where it has no interval
MOST_TOLD = 3
LONGEST = "H1_max_lifetime"
WHY = "some cycle is filled only when it is run through several times (torsion). Every other number here is over Z/2"


def depends(over_z2: Number, over_z3: Number, interval: Interval | None = None) -> bool:
    """Whether the longest bar over Z/3 lies outside the interval of that over Z/2; without one, 5 % and more apart."""
    if over_z2 is None or over_z3 is None:
        return False
    if interval is not None and interval.low is not None and interval.high is not None:
        return not interval.low <= over_z3 <= interval.high
    return abs(over_z3 - over_z2) > APART * over_z2


def field_sentence(profile: Profile) -> str:
    """Name the reliable layers whose longest H1 bar depends on the field; empty where none does."""
    apart = [m for m in phrases.sound(profile) if layer_depends(profile, m)]
    if not apart:
        return ""
    told = [f"{two_fields(m.summary[LONGEST], m.H1_max_lifetime_Z3)}{where(profile, m)}" for m in apart]
    return f"The longest H1 bar depends on the field of coefficients ({some(told)}): {WHY}."


def layer_depends(profile: Profile, m: Measurement) -> bool:
    """Whether the longest H1 bar of a layer depends on the field, by more than its interval."""
    return depends(m.summary.get(LONGEST), m.H1_max_lifetime_Z3, interval_of(m, profile, LONGEST))


def two_fields(over_z2: Number, over_z3: Number) -> str:
    """Both bars in words."""
    return f"{padded(over_z2, 3)} over Z/2 and {padded(over_z3, 3)} over Z/3"


def where(profile: Profile, m: Measurement) -> str:
    """The layer, where there are several."""
    return "" if phrases.single(profile) else f" at {phrases.position(profile, m)}"


def some(told: Sequence[str]) -> str:
    """The first few of a list, and how many more there are."""
    return listed([*told[:MOST_TOLD], *([f"{len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else [])])

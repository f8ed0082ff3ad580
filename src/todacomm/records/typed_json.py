"""Dataclasses out of JSON, each value of the type and in the range of its field: what else a record holds is told, not shown."""

import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from todacomm.core.errors import InvalidRecord

T = TypeVar("T")
SHARES = {
    "p",
    "adjusted",
    "family_wise",
    "smallest",
    "variance_kept",
    "largest_variance_share",
    "loop_p",
    "confidence",
    "p_layer",
    "p_group",
}
COUNTS = {
    *("points", "dimension", "components", "distinct_points", "scale", "rms_distance", "norm", "spread", "draws", "half"),
    *("landmarks_of", "covering_radius", "bar_error", "parameters", "blocks", "width", "resamples", "null_draws", "null_runs"),
    *("points_measured", "expansion", "scale_growth", "shape_growth", "largest_shape_growth", "h1_peak", "h1_shape", "ratio"),
}  # fmt: skip
ROUNDING = 1e-6
LARGEST = sys.float_info.max  # infinity is above it, and NaN not below


def made(kind: type[T], row: Any, where: object) -> T:
    """``kind(**row)``. Raises InvalidRecord that names the value which is none of its field."""
    hints, given = hints_of(kind), mapping(row, where)  # type: ignore[arg-type]
    needed = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]  # type: ignore[arg-type]
    if absent := [name for name in needed if name not in given]:
        raise InvalidRecord(f"{where} lacks {', '.join(absent)}")
    if unknown := [name for name in given if name not in hints]:
        raise InvalidRecord(f"{where} holds {', '.join(map(str, unknown))}, which nothing here is called")
    for name, value in given.items():
        if not fits(value, hints[name]):
            raise InvalidRecord(f"{where}: {name} is {brief(value)}; expected {spoken(hints[name])}")
        in_range(name, value, where)
    return kind(**given)


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """Field → its type."""
    return get_type_hints(kind)


def mapping(found: Any, where: object) -> Mapping[str, Any]:
    """An object of a record. Raises InvalidRecord for anything else."""
    if not isinstance(found, Mapping):
        raise InvalidRecord(f"{where} is {brief(found)}; expected an object")
    return found


def in_range(name: str, value: Any, where: object) -> None:
    """Raise InvalidRecord for a share outside of 0 to 1 and for less than nothing."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if name in SHARES and not -ROUNDING <= value <= 1 + ROUNDING:
            raise InvalidRecord(f"{where}: {name} is {brief(value)}; expected a number from 0 to 1")
        if name in COUNTS and value < 0:
            raise InvalidRecord(f"{where}: {name} is {brief(value)}; expected 0 or more")


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of JSON is one of a type; a number that is not finite is none."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str | int | NoneType) and value in inner
    if isinstance(origin, type):
        return fits_inside(value, origin, inner)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return hint is not bool and -LARGEST <= value <= LARGEST and (hint in (float, Any) or isinstance(value, hint))
    return hint is Any or isinstance(value, hint)


def fits_inside(value: Any, origin: type, inner: tuple[Any, ...]) -> bool:
    """The same of a list or an object, and of what is in it."""
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(fits(one, inner[1]) for one in value.values())
    return isinstance(value, list | tuple) and all(fits(one, inner[0]) for one in value)


def spoken(hint: Any) -> str:
    """A type in words."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(spoken, get_args(hint)))
    if get_origin(hint) is Literal:
        return " or ".join(repr(one) for one in get_args(hint))
    names = {float: "a finite number", int: "a whole number", str: "a text", bool: "true or false", NoneType: "null"}
    return names.get(hint, "a list" if get_origin(hint) is tuple else "what todacomm writes there")


def brief(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}…"


def numbers(found: Any, where: object) -> dict[str, float | None]:
    """An object of numbers that are finite or null."""
    for name, value in mapping(found, where).items():
        if not fits(value, float | None):
            raise InvalidRecord(f"{where}: {name} is {brief(value)}; expected a finite number or null")
        in_range(name, value, where)
    return dict(found)


def texts(found: Any, where: object) -> tuple[str, ...]:
    """A list of texts."""
    if not fits(found, tuple[str, ...]):
        raise InvalidRecord(f"{where} is {brief(found)}; expected a list of texts")
    return tuple(found)


def bars_from(found: Any, where: object, *, essential: bool = False) -> np.ndarray:
    """Bars (m, 2), born before they die, or (e,) births of those that never do: finite and not below 0."""
    array = np.asarray(found)
    shaped = array.ndim == 1 if essential else array.ndim == 2 and array.shape[1] == 2
    if array.dtype.kind != "f" or not shaped:
        wanted = "births" if essential else "births and deaths"
        raise InvalidRecord(f"{where} is of type {array.dtype} and shape {array.shape}; expected {wanted}")
    if not np.isfinite(array).all() or (array < -ROUNDING * array.max(initial=0)).any():
        raise InvalidRecord(f"{where} holds distances that are not finite or below 0")
    if not essential and (array[:, 1] < array[:, 0]).any():
        raise InvalidRecord(f"{where} holds bars that die before they are born")
    return array

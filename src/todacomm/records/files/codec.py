"""The one codec of records: frozen types are written to and read from JSON and arrays by their annotations.

A field is a key of the object; a frozen type in it is an object of its own, unless it is `Flat`. A field of arrays
(``Float64[np.ndarray, "s 2 k"]``) lies in a safetensors file beside it, named by its path below the field of the
record: ``layer_0/values``. A field with a default may be missing, as in older records, unless it is `Whole`.
`fault_messages` words what is wrong with a record.
"""

import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.io import SEAL, check_schema, read_arrays, read_json, sealed, to_json, write_atomically

T = TypeVar("T")
Flat = Annotated[T, "flat"]  # its fields are keys of the record that holds it
Rest = Annotated[T, "rest"]  # a mapping of all keys that are no field
Whole = Annotated[T, "whole"]  # none of its fields may be missing, whatever its default
Brief = Annotated[T, "brief"]  # empty texts in it are not written

SHARES = {
    *("p", "adjusted", "family_wise", "smallest", "loop_p", "p_layer", "p_group", "confidence"),
    *("variance_kept", "largest_variance_share"),
}  # fmt: skip
COUNTS = {
    *("points", "dimension", "components", "distinct_points", "scale", "rms_distance", "norm", "spread"),
    *("draws", "half"),
    *("landmarks_of", "covering_radius", "bar_error", "parameters", "blocks", "width"),
    *("resamples", "null_draws", "null_runs", "points_measured", "expansion", "scale_growth", "shape_growth"),
    *("largest_shape_growth", "h1_peak", "h1_shape", "ratio"),
}  # fmt: skip
ROUNDING = 1e-6
LARGEST = sys.float_info.max  # infinity is above it, and NaN not below
WORDS: dict[Any, str] = {
    float: "a finite number",
    int: "a whole number",
    str: "a text",
    bool: "true or false",
    NoneType: "null",
    Any: "JSON whose numbers are finite",
}
UNIONS = (Union, UnionType)
CHECKS: dict[type, Callable[[Any, Spot], None]] = {}  # type → a check of its values


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """Arrays by name, from the file at ``spot``."""

    spot: Spot
    found: Mapping[str, np.ndarray]

    @classmethod
    def read(cls, path: Path, schema: int | None, remedy: str) -> "Arrays":
        """Read the arrays of a file, of a schema where one is given. Raises InvalidRecord."""
        return cls(Spot(path, remedy), read_arrays(path, schema=schema, remedy=remedy))

    def take(self, name: str, kind: Any, sizes: dict[str, int] | None = None) -> np.ndarray:
        """Return an array of the type and axes of ``kind``; ``sizes`` are known axes. Raises InvalidRecord."""
        known, axes = {} if sizes is None else sizes, kind.dim_str.split()
        expected = f"{dtype_of(kind)} of shape ({', '.join(str(known.get(axis, axis)) for axis in axes)})"
        if (array := self.found.get(name)) is None:
            raise self.spot.lacks([name], [expected])
        fit = len(axes) == array.ndim and all(
            axis == "_" or n == (int(axis) if axis.isdecimal() else known.setdefault(axis, n))
            for axis, n in zip(axes, array.shape, strict=True)
        )
        if not fit or str(array.dtype) not in kind.dtypes:
            raise self.spot.at(name).fault(f"is {array.dtype} of shape {array.shape}; expected {expected}")
        return array


@dataclass(frozen=True, slots=True, eq=False)
class Format(Generic[T]):
    """The format of a record: its type, schema, file name, and the ``remedy`` that makes a good one again.

    ``sealed``: a digest shows changes. ``older``: schema → the function that converts a record to the present one.
    """

    kind: type[T]
    schema: int
    remedy: str
    file: str = ""
    sealed: bool = False
    older: Mapping[int, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = field(default_factory=dict)

    def row(self, value: T) -> dict[str, Any]:
        """Convert the record to JSON, without its arrays, which `arrays_of` gives."""
        found = {"schema": self.schema, **plain(value)}
        return sealed(found) if self.sealed else found

    def write(self, directory: Path, value: T) -> Path:
        """Write the record without its arrays. Raises CannotWrite."""
        return write_atomically(directory / self.file, to_json(self.row(value)))

    def read(self, directory: Path, arrays: Arrays | None = None) -> T:
        """Read the record in a directory with the arrays beside it. Raises InvalidRecord."""
        path = directory / self.file
        return self.parsed(read_json(path, self.remedy), Spot(path, self.remedy), arrays)

    def parsed(self, found: Any, spot: Spot, arrays: Arrays | None = None) -> T:
        """Build the record from its JSON. Raises InvalidRecord."""
        schema = check_schema(spot, found, self.schema, *self.older)
        try:
            row = self.older[schema](found) if schema in self.older else found
        except (KeyError, TypeError, AttributeError) as problem:
            raise spot.fault(f"is no record of schema {schema}: {problem!r}") from problem
        return decoded(self.kind, {key: row[key] for key in row if key not in ("schema", SEAL)}, spot, arrays)


@dataclass(frozen=True, slots=True)
class Part:
    """A field: its type, its marks (those above, and ``array``), its keys, and whether it has a default."""

    name: str
    kind: Any
    marks: frozenset[str]
    keys: tuple[str, ...]
    default: bool


@cache
def parts_of(kind: Any) -> tuple[Part, ...]:
    """The fields of a frozen type."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_part(one.name, hints[one.name], (one.default, one.default_factory)) for one in fields(kind))


def _part(name: str, hint: Any, defaults: tuple[Any, Any]) -> Part:
    array = [one for one in (hint, *get_args(hint)) if hasattr(one, "dim_str")]
    marks = frozenset([*getattr(hint, "__metadata__", ()), *(["array"] if array else [])])
    flat = [key for part in parts_of(hint.__origin__) for key in part.keys] if "flat" in marks else []
    keys = flat if marks & {"array", "flat", "rest"} else [name]
    return Part(name, (array or [hint])[0], marks, tuple(keys), defaults != (MISSING, MISSING))


def plain(value: Any, *, brief: bool = False, nulls: bool = False) -> Any:
    """Convert a value to JSON without its arrays; ``brief`` drops empty texts, ``nulls`` writes NaN as null."""
    if isinstance(value, Mapping):
        return {key: plain(one, brief=brief, nulls=nulls) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one, brief=brief, nulls=nulls) for one in value]
    if not is_dataclass(value):
        return None if nulls and isinstance(value, float) and not math.isfinite(value) else value
    row: dict[str, Any] = {}
    for part in parts_of(value.__class__):
        own = plain(getattr(value, part.name), brief=brief or "brief" in part.marks, nulls=nulls)
        if part.marks & {"flat", "rest"}:
            row |= own
        elif part.keys and not (brief and own == ""):
            row[part.name] = own
    return row


def arrays_of(value: Any, *path: str) -> dict[str, np.ndarray]:
    """Collect the arrays of a record by name; ``path`` leads to it."""
    found: dict[str, np.ndarray] = {}
    own = {part.name: getattr(value, part.name) for part in parts_of(value.__class__)} if is_dataclass(value) else value
    own = {str(i): one for i, one in enumerate(own)} if isinstance(own, tuple) else own
    for name, one in own.items() if isinstance(own, Mapping) else ():
        found |= {"/".join((*path[1:], name)): one} if isinstance(one, np.ndarray) else arrays_of(one, *path, name)
    return found


def decoded(hint: Any, value: Any, spot: Spot, arrays: Arrays | None = None, *, whole: bool = False) -> Any:
    """Build a value of type ``hint`` from JSON; InvalidRecord names the field of another type or out of its range."""
    origin, inner = get_origin(hint), get_args(hint)
    if options_of(hint):
        if expected := _unmet(hint, value, spot.fields[-1] if spot.fields else ""):
            raise spot.wrong(value, expected)
        return value
    if origin is Annotated:
        return decoded(inner[0], value, spot, arrays, whole=whole or "whole" in inner)
    if origin in UNIONS:  # X | None
        return None if value is None else decoded(inner[0], value, spot, arrays, whole=whole)
    if not isinstance(origin, type):
        return _from_fields(hint, value, spot, arrays, whole)
    if issubclass(origin, Mapping):
        rows = mapping(value, spot).items()
        return {key: _inside(inner[1], one, spot, key, arrays, whole) for key, one in rows}
    sizes = (len(inner),) if origin is tuple and inner[-1] is not Ellipsis else ()
    if not isinstance(value, list | tuple) or (sizes and len(value) not in sizes):
        raise spot.wrong(value, f"a list of {len(inner)}" if sizes else "a list")
    return tuple(_inside(inner[0], one, spot, str(i), arrays, whole) for i, one in enumerate(value))


def _inside(hint: Any, value: Any, spot: Spot, name: str, arrays: Arrays | None, whole: bool) -> Any:  # noqa: FBT001, PLR0917
    """Build a part of an object or a list; single values need no `Spot` of their own, as there are many."""
    if options_of(hint) and not _unmet(hint, value, name):
        return value
    return decoded(hint, value, spot.at(name), arrays, whole=whole)


def _from_fields(kind: type, value: Any, spot: Spot, arrays: Arrays | None, whole: bool) -> Any:  # noqa: FBT001
    """Build a frozen type from an object and the arrays beside it; its constructor and its check may refuse."""
    given, parts, found = mapping(value, spot), parts_of(kind), {}
    needed = [part.name for part in parts if part.keys == (part.name,) and (whole or not part.default)]
    if absent := [key for key in needed if key not in given]:
        raise spot.lacks(absent, needed)
    known = [key for part in parts for key in part.keys]
    rest = {key: one for key, one in given.items() if key not in known}
    if rest and not any("rest" in part.marks for part in parts):
        raise spot.fault(f"holds {', '.join(map(str, rest))}, which no field is called; expected {', '.join(known)}")
    sizes: dict[str, int] = {}
    for part in parts:
        if "array" in part.marks:
            beside, name = arrays or Arrays(spot, {}), "/".join((*spot.fields[1:], part.name))
            left_out = part.default and name not in beside.found
            found[part.name] = None if left_out else beside.take(name, part.kind, sizes)
        elif part.marks & {"flat", "rest"}:
            own = rest if "rest" in part.marks else {key: given[key] for key in part.keys if key in given}
            found[part.name] = decoded(part.kind, own, spot, arrays, whole=whole)
        elif part.name in given:
            found[part.name] = _inside(part.kind, given[part.name], spot, part.name, arrays, whole)
    try:
        made = kind(**found)
    except (InvalidInput, UnknownName) as problem:
        raise spot.fault(f"does not hold together: {problem}") from problem
    if check := CHECKS.get(kind):
        check(made, spot)
    return made


def _unmet(hint: Any, value: Any, name: str) -> str:
    """What a single value should be but is not, by type or range; empty where it is right."""
    if not any(_is(value, option) for option in options_of(hint)):
        return " or ".join(WORDS.get(option, repr(option)) for option in options_of(hint))
    if name in SHARES and isinstance(value, int | float) and not -ROUNDING <= value <= 1 + ROUNDING:
        return "a number from 0 to 1"
    return "0 or more" if name in COUNTS and isinstance(value, int | float) and value < 0 else ""


@cache
def options_of(hint: Any) -> tuple[Any, ...]:
    """The types or literal values that a single value may have; empty for composite types."""
    if get_origin(hint) in UNIONS:
        each = [options_of(one) for one in get_args(hint)]
        return tuple(option for options in each for option in options) if all(each) else ()
    return get_args(hint) if get_origin(hint) is Literal else (hint,) if hint in WORDS else ()


def _is(value: Any, option: Any) -> bool:
    """Whether a value is of a type or equals a literal; NaN and infinity are no numbers."""
    if option not in WORDS:
        return type(value) is type(option) and bool(value == option)
    if isinstance(value, bool):
        return option in (bool, Any)
    if isinstance(value, int | float):
        return -LARGEST <= value <= LARGEST and (option in (float, Any) or (option is int and isinstance(value, int)))
    return option is Any or isinstance(value, option)


def mapping(found: Any, spot: Spot) -> Mapping[str, Any]:
    """Return an object of a record; raise InvalidRecord for anything else."""
    if not isinstance(found, Mapping):
        raise spot.wrong(found, "an object")
    return found


@cache
def dtype_of(kind: Any) -> str:
    """The declared dtype of an array, such as float64; float for any size."""
    found = kind.dtypes
    return found[0] if len(found) == 1 else min((re.sub(r"[0-9_].*", "", name) for name in found), key=len)

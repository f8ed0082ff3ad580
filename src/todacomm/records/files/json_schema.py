"""A JSON Schema (draft 2020-12) of a record, derived from its declared type, by the rules of the codec.

What a constructor refuses, what holds between fields, and arrays, which lie in another file, are not in it.
"""

from collections.abc import Iterable, Mapping
from inspect import getdoc
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from todacomm.records.files.codec import COUNTS, ROUNDING, SHARES, UNIONS, WORDS, Format, options_of, parts_of
from todacomm.records.files.io import SEAL

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TYPES: Mapping[Any, str] = {float: "number", int: "integer", str: "string", bool: "boolean", NoneType: "null"}
DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
RANGES = ((SHARES, {"minimum": -ROUNDING, "maximum": 1 + ROUNDING}), (COUNTS, {"minimum": 0}))
NUMERIC = frozenset({float, int, Any})
Schema = dict[str, Any]


def json_schema(record: Format[Any], name: str, *, by_layer: bool = False) -> Schema:
    """Derive the JSON Schema of a record, or of an object that has a record ``by_layer``.

    A key is required where the codec requires it, so that older records of the same schema number fit too; a key that
    has no field is refused unless the type has a place for the rest. Ranges are those that the codec checks by name.

    Parameters
    ----------
    record : Format
        The declaration, such as ``MANIFEST_RECORD``.
    name : str
        The name of its file without the suffix, for the ``$id``.
    by_layer : bool
        Whether the file holds one record for each layer, by the name of the layer.

    Returns
    -------
    dict
        JSON, with the types within the record under ``$defs``.

    Examples
    --------
    >>> from todacomm.records.training import DONE_RECORD
    >>> json_schema(DONE_RECORD, "finished")["properties"]["seconds"]
    {'type': ['number', 'null']}

    """
    defs: dict[str, Schema] = {}
    found = _object(record.kind, defs, whole=False)
    own = {"schema": {"const": record.schema}, **({SEAL: DIGEST} if record.sealed else {})}
    found |= {"properties": own | found["properties"], "required": ["schema", *found["required"]]}
    if by_layer:
        defs[record.kind.__name__] = found
        found = {"type": "object", "minProperties": 1, "additionalProperties": _ref(record.kind.__name__)}
    return _headed(f"{name}:{record.schema}", found) | ({"$defs": dict(sorted(defs.items()))} if defs else {})


def schema_of_numbers(name: str, numbers: Iterable[str]) -> Schema:
    """Derive the JSON Schema of an object of ``numbers``, each of which may be null or missing, and of other keys."""
    each = {"type": ["number", "null"]}
    return _headed(name, {"type": "object", "properties": dict.fromkeys(numbers, each)})


def _headed(name: str, found: Schema) -> Schema:
    return {"$schema": DRAFT, "$id": f"urn:todacomm:{name}", **found}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _schema(hint: Any, defs: dict[str, Schema], *, whole: bool, name: str = "") -> Schema:
    """The schema of a value of this type, which the field ``name`` holds."""
    origin, inner = get_origin(hint), get_args(hint)
    if options := options_of(hint):
        return _single(options) | _range(name, options)
    if origin is Annotated:
        return _schema(inner[0], defs, whole=whole or "whole" in inner)
    if origin in UNIONS:  # X | None
        return {"anyOf": [_schema(inner[0], defs, whole=whole), {"type": "null"}]}
    if not isinstance(origin, type):
        return _named(hint, defs, whole=whole)
    if issubclass(origin, Mapping):
        return {"type": "object", **_others(inner[1], defs, whole=whole)}
    sized = origin is tuple and inner[-1] is not Ellipsis
    size = {"minItems": len(inner), "maxItems": len(inner)} if sized else {}
    return {"type": "array", "items": _schema(inner[0], defs, whole=whole), **size}


def _single(options: tuple[Any, ...]) -> Schema:
    """The schema of a value of one of these types and literal values."""
    types = [TYPES[one] for one in options if one in TYPES]
    values = [one for one in options if one not in WORDS]
    each = [{"type": types if types[1:] else types[0]}] if types else []
    each += [{"enum": values}] if values else []
    return {} if Any in options else each[0] if len(each) == 1 else {"anyOf": each}


def _range(name: str, options: tuple[Any, ...]) -> Schema:
    """The range of the numbers of a field, by its name."""
    found = next((limits for names, limits in RANGES if name in names), {})
    return dict(found) if NUMERIC.intersection(options) else {}


def _others(hint: Any, defs: dict[str, Schema], *, whole: bool, known: frozenset[str] = frozenset()) -> Schema:
    """What holds for all keys of a mapping but the ``known``: the type of their values, and the ranges of some."""
    each = _schema(hint, defs, whole=whole)
    limited = RANGES if NUMERIC.intersection(options_of(hint)) else ()
    patterns = {f"^({'|'.join(sorted(names - known))})$": {**each, **limits} for names, limits in limited}
    return {"additionalProperties": each or True, **({"patternProperties": patterns} if patterns else {})}


def _named(kind: type, defs: dict[str, Schema], *, whole: bool) -> Schema:
    """A reference to the schema of a frozen type."""
    name = f"{kind.__name__}{'_whole' if whole else ''}"
    if name not in defs:
        defs[name] = {}  # so that a type within itself ends
        defs[name] = _object(kind, defs, whole=whole)
    return _ref(name)


def _object(kind: type, defs: dict[str, Schema], *, whole: bool) -> Schema:
    """The schema of an object with the fields of a frozen type; those of a flat one are fields of the object."""
    properties: Schema = {}
    required: list[str] = []
    others: Schema = {"additionalProperties": False}
    known = frozenset(key for part in parts_of(kind) for key in part.keys)
    for part in parts_of(kind):
        if "flat" in part.marks:
            flat = _object(get_args(part.kind)[0], defs, whole=whole or "whole" in part.marks)
            properties |= flat["properties"]
            required += flat["required"]
        elif "rest" in part.marks:
            others = _others(get_args(get_args(part.kind)[0])[1], defs, whole=whole, known=known)
        elif part.keys:
            properties[part.name] = _schema(part.kind, defs, whole=whole, name=part.name)
            required += [] if part.default and not whole else [part.name]
    about = {"title": kind.__name__, "description": _told(kind), "type": "object"}
    return {**about, "properties": properties, "required": required, **others}


def _told(kind: type) -> str:
    """The first paragraph of what is said of a type."""
    return " ".join((getdoc(kind) or "").split("\n\n")[0].replace("``", "").split())

"""The JSON Schemas that are shipped: derived from the declarations, and of one mind with the codec on every field."""

import copy
import importlib.util
import json
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from test_codec import EXAMPLE, NAMES, TOY, declared, examples

from todacomm.core.errors import InvalidRecord
from todacomm.records.files.codec import Arrays, arrays_of
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.io import SEAL, to_json
from todacomm.records.files.json_schema import json_schema, schema_of_numbers

ROOT = Path(__file__).parents[2]
BEYOND = ("does not hold together", "of shape", "expected its ends in order", "one a name")  # what no schema says
OTHERS = ("no", 7, -2, 0.5, 1e9 + 0.5, True, None, [], {}, ["no"], {"no": "such"})


def made():
    """The module that writes the schemas."""
    spec = importlib.util.spec_from_file_location("make_schemas", ROOT / "docs" / "make_schemas.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def validator(name):
    record = TOY if name == "TOY" else examples()[name][0]
    return Draft202012Validator(json_schema(record, name))


def example(name):
    """A declared record, its value, and its JSON without the seal."""
    record, value = (TOY, EXAMPLE) if name == "TOY" else examples()[name]
    row = json.loads(to_json(record.row(value)))
    return record, value, {key: row[key] for key in row if key != SEAL}


def places(found, path=(), seen=None):
    """The paths to the values of some JSON; of objects with the same keys and of lists, the first stands for all."""
    seen = set() if seen is None else seen
    yield path
    inner = list(found.items() if isinstance(found, dict) else enumerate(found[:1]) if isinstance(found, list) else ())
    alike = frozenset(found) if isinstance(found, dict) else path[-1:]
    for key, one in inner:
        if (alike, key) not in seen:
            seen.add((alike, key))
            yield from places(one, (*path, key), seen)


def changes(row):
    """The same JSON with one value changed, taken away or added, and what was done."""
    for path in places(row):
        *before, last = path or (None,)
        for other in OTHERS if path and path != ("schema",) else ():
            yield f"{path} is {other!r}", changed(row, before, lambda at, last=last, to=other: at.__setitem__(last, to))
        if isinstance(last, str):
            yield f"{path} is gone", changed(row, before, lambda at, last=last: at.pop(last))
        if isinstance(at_path(row, path), dict):
            yield f"{path} has one more", changed(row, path, lambda at: at.update(unheard_of="x"))


def at_path(found, path):
    for key in path:
        found = found[key]
    return found


def changed(row, path, how):
    again = copy.deepcopy(row)
    how(at_path(again, path))
    return again


def refusal(record, value, row):
    """Why the codec refuses a row, or nothing where it reads it."""
    beside = Arrays(Spot("some.safetensors"), arrays_of(value))
    try:
        record.parsed(row, Spot("some.json"), beside)
    except InvalidRecord as problem:
        return str(problem)
    return ""


def test_the_schemas_that_are_shipped_are_those_of_the_declarations():
    module = made()
    shipped = {path.name: path.read_text(encoding="utf-8") for path in module.PLACE.iterdir()}
    assert shipped == module.written(), "run: python docs/make_schemas.py"


@pytest.mark.slow
def test_every_declared_record_has_a_schema():
    module = made()
    assert {id(examples()[name][0]) for name in declared()} == set(map(id, module.RECORD_OF.values()))
    for found in module.schemas().values():
        Draft202012Validator.check_schema(found)


@pytest.mark.parametrize("name", ["TOY", *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES)])
def test_a_schema_and_the_codec_refuse_the_same(name):
    record, value, row = example(name)
    assert validator(name).is_valid(row)
    disagreements = []
    for what, other in changes(row):
        told, fits = refusal(record, value, other), validator(name).is_valid(other)
        if fits == bool(told) and not (fits and any(one in told for one in BEYOND)):
            disagreements.append(f"{what}: {told or 'read by the codec alone'}")
    assert disagreements == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_schema_wants_its_number_and_a_seal_that_can_be_one(name):
    record, _, row = example(name)
    for other in ({"schema": record.schema + 1}, {"schema": str(record.schema)}, {"schema": True}):
        assert not validator(name).is_valid(row | other)
    assert not validator(name).is_valid({key: one for key, one in row.items() if key != "schema"})
    if record.sealed:
        assert validator(name).is_valid(json.loads(to_json(record.row(examples()[name][1]))))
        assert not validator(name).is_valid(row | {SEAL: "0" * 63})


@pytest.mark.slow
def test_a_file_with_a_record_by_layer_has_one_layer_or_more():
    record, _, row = example("LAYER_RECORD")
    found = Draft202012Validator(json_schema(record, "tda_summaries", by_layer=True))
    assert found.is_valid({"layer_0": row})
    assert not found.is_valid({})
    assert not found.is_valid({"layer_0": row | {"points": -1}})


def test_numbers_of_a_language_model_may_be_null_or_missing_but_no_texts():
    found = Draft202012Validator(schema_of_numbers("metrics", ("loss", "tokens")))
    assert found.is_valid({"loss": None, "reason": "no head"})
    assert not found.is_valid({"loss": "1.5"})

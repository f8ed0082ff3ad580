"""Every record that the commands write fits the JSON Schema that is shipped for its file."""

import json
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import todacomm
from real_directories import COMMANDS, make, monitored

SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8"))
    for path in (Path(todacomm.__file__).parent / "records" / "schemas").iterdir()
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory in which each command was run, and a training was watched."""
    where = tmp_path_factory.mktemp("written")
    make(where, *COMMANDS)
    monitored(where / "topology")
    return where


@cache
def validator(name):
    return Draft202012Validator(SCHEMAS[name])


def faults(path):
    """What does not fit in a file, each with its place."""
    text = path.read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else [json.loads(text)]
    return [
        f"{path}: {'.'.join(map(str, fault.absolute_path))}: {fault.message}"
        for row in rows
        for fault in validator(path.stem).iter_errors(row)
    ]


def test_what_each_command_writes_fits_its_schema(place):
    files = [path for path in sorted(place.rglob("*.json*")) if path.suffix in {".json", ".jsonl"}]
    assert {path.stem for path in files} == set(SCHEMAS)
    assert [fault for path in files for fault in faults(path)] == []


def test_a_value_of_another_type_does_not_fit(place):
    path = place / "measured" / "manifest.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    found["recipe"]["seed"] = "42"
    (place / "changed").mkdir()
    (place / "changed" / "manifest.json").write_text(json.dumps(found), encoding="utf-8")
    (fault,) = faults(place / "changed" / "manifest.json")
    assert "recipe.seed: '42' is not of type 'integer'" in fault

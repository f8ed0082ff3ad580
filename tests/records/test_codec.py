"""The codec, and every declared record: round trips, and full messages for what does not fit."""

import importlib
import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32, Float64, Int

import stored
from grok_directories import TURNED_LOOPS
from stable_runs import stable_run
from todacomm import records
from todacomm.cohomology.association import Association
from todacomm.cohomology.passages import Passage
from todacomm.core.errors import InvalidInput, InvalidRecord
from todacomm.core.value_types import by_value
from todacomm.records.ablations import ABLATION_RECORD, record_of
from todacomm.records.comparisons import COMPARISON_RECORD, ComparisonRecord, Failed, group_of
from todacomm.records.files.codec import Arrays, Brief, Flat, Format, Rest, Whole, arrays_of, decoded, parts_of, plain
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.io import SEAL, read_arrays, to_json, write_arrays, write_atomically
from todacomm.records.inference import CLAIMS_RECORD
from todacomm.records.inference import record_of as record_of_claims
from todacomm.records.loops import LOOPS_RECORD, FoundLoop, LoopsOfLayer, LoopsRecord
from todacomm.records.monitoring import MONITORING_RECORD, STEP_RECORD, MonitoredStep, Monitoring
from todacomm.records.probes import PROBE_RECORD, ProbeRun
from todacomm.records.runs import LAYER_RECORD, MANIFEST_RECORD, LayerRow, manifest_of
from todacomm.records.stability import (
    STABILITY_PLAN,
    STABILITY_RECORD,
    STABILITY_SUMMARY,
    PlannedStability,
    StabilityPlan,
    StabilityRecord,
    StabilitySummary,
)
from todacomm.records.texts import TEXTS_RECORD, texts_to_keep
from todacomm.records.tracks import TRACK_RECORD, TrackedCheckpoint, TrackRecord
from todacomm.records.training import (
    ABOUT_RECORD,
    DONE_RECORD,
    LINE_RECORD,
    PLAN_RECORD,
    TURNED_RECORD,
    CheckpointLine,
    Cyclic,
    Plan,
    PlannedRun,
    RunDescription,
    RunEnd,
    TurnedRecord,
)
from todacomm.runs.run_study import compared
from todacomm.runs.training_results import SIGNATURE_RECORD, SignatureRecord
from todacomm.training.turned_run import Moved, TurnedRun

# A record of everything that can be declared


@dataclass(frozen=True)
class Inner:
    """A type that stands among the fields of another, and by itself."""

    p: float | None
    kind: Literal["a", "b"]
    note: str = ""

    def __post_init__(self) -> None:
        if self.note == "never":
            raise InvalidInput("a note of never; expected another")


@by_value
@dataclass(frozen=True, eq=False)
class Part:
    """A type with arrays: as many columns of ``values`` as ``whole`` is long."""

    names: tuple[str, ...]
    whole: Float64[np.ndarray, " k"]
    values: Float64[np.ndarray, "s 2 k"]
    rows: Int[np.ndarray, "_ _"] | None = None


@by_value
@dataclass(frozen=True, eq=False)
class Outer:
    """The record."""

    inner: Flat[Inner]
    by_name: Brief[Mapping[str, Inner]]
    parts: Mapping[str, Part]
    pairs: tuple[tuple[int, int] | None, ...]
    strict: Whole[Inner | None]
    beside: Rest[Mapping[str, float]]
    points: int | None = None
    top: Float32[np.ndarray, "n d"] | None = None


TOY = Format(Outer, 3, "make the toy again", "toy.json", sealed=True, older={2: lambda found: {**found, "pairs": []}})
ARRAYS = "toy.safetensors"
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
keys = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=5)
inners = st.builds(
    Inner,
    st.none() | st.floats(0, 1),
    st.sampled_from(["a", "b"]),
    st.text(max_size=5).filter(lambda text: text != "never"),
)
named = keys.filter(lambda key: key not in {"p", "kind", "note", "schema", "seal", *(p.name for p in parts_of(Outer))})


@st.composite
def parts(draw):
    s, k = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    rows = draw(st.none() | st.just(np.arange(4)[None]))
    return Part(tuple(f"n{i}" for i in range(k)), rng.normal(size=k), rng.normal(size=(s, 2, k)), rows)


outers = st.builds(
    Outer,
    inners,
    st.dictionaries(keys, inners, max_size=3),
    st.dictionaries(keys, parts(), max_size=2),
    st.lists(st.none() | st.tuples(st.integers(), st.integers()), max_size=3).map(tuple),
    st.none() | inners,
    st.dictionaries(named, numbers, max_size=2),
    st.none() | st.integers(0, 9),
    st.none() | st.just(np.ones((2, 3), np.float32)),
)


def through_text(record: Format, value: Any) -> Any:
    """What is read of a record that was written."""
    row = json.loads(to_json(record.row(value)))
    return record.parsed(row, Spot("file", record.remedy), Arrays(Spot("arrays"), arrays_of(value)))


@given(outers)
def test_what_is_declared_is_read_as_it_was_written(value):
    assert through_text(TOY, value) == value


EXAMPLE = Outer(
    Inner(0.5, "a"),
    {"x": Inner(None, "b"), "y": Inner(1, "a", "said")},
    {"one": Part(("u", "v"), np.zeros(2), np.zeros((3, 2, 2)), np.arange(3)[None])},
    ((1, 2), None),
    Inner(0.1, "b"),
    {"more": 2.5},
    top=np.ones((2, 3), np.float32),
)


def test_flat_fields_and_the_rest_stand_in_the_record_and_arrays_beside_it():
    assert TOY.row(EXAMPLE) | {SEAL: ""} == {
        "schema": 3,
        "p": 0.5,
        "kind": "a",
        "note": "",
        "by_name": {"x": {"p": None, "kind": "b"}, "y": {"p": 1, "kind": "a", "note": "said"}},
        "parts": {"one": {"names": ["u", "v"]}},
        "pairs": [[1, 2], None],
        "strict": {"p": 0.1, "kind": "b", "note": ""},
        "more": 2.5,
        "points": None,
        SEAL: "",
    }
    assert set(arrays_of(EXAMPLE)) == {"one/whole", "one/values", "one/rows", "top"}


@pytest.fixture
def toy(tmp_path):
    """The example in its two files."""
    TOY.write(tmp_path, EXAMPLE)
    write_arrays(tmp_path / ARRAYS, arrays_of(EXAMPLE), {"schema": 1})
    return tmp_path


def read(directory: Path) -> Outer:
    return TOY.read(directory, Arrays(Spot(directory / ARRAYS, TOY.remedy), read_arrays(directory / ARRAYS)))


def test_files_are_read_as_they_were_written(toy):
    assert read(toy) == EXAMPLE


def refused(directory: Path, file: str, *told: str) -> None:
    """That reading raises InvalidRecord which names the file, says all that is ``told``, and what to do."""
    with pytest.raises(InvalidRecord) as raised:
        read(directory)
    said = str(raised.value)
    assert str(directory / file) in said
    assert not [text for text in (*told, "make the toy again") if text not in said], said


def changed(directory: Path, change: Any, *, sealed: bool = False) -> None:
    """Change the JSON, and leave its seal only where that is asked for."""
    path = directory / TOY.file
    found = json.loads(path.read_text(encoding="utf-8"))
    change(found)
    if not sealed:
        found.pop(SEAL)
    path.write_text(json.dumps(found), encoding="utf-8")


ILL = {
    "a field that is missing": (lambda f: f.pop("parts"), "lacks parts; expected by_name, parts, pairs, strict"),
    "a flat field that is missing": (lambda f: f.pop("p"), "lacks p; expected p, kind"),
    "a default that may not be missing": (lambda f: f["strict"].pop("note"),
        "strict lacks note; expected p, kind, note"),
    "a field that there is not": (
        lambda f: f["parts"]["one"].update(nams=[]),
        "parts.one holds nams, which no field is called; expected names",
    ),
    "a text for a number": (lambda f: f["by_name"]["x"].update(p="much"),
        "by_name.x.p is 'much'; expected a finite number or null"),
    "a truth for a number": (lambda f: f.update(points=True), "points is True; expected a whole number or null"),
    "a fraction for a whole number": (lambda f: f.update(points=1.5), "points is 1.5; expected a whole number or null"),
    "a number that is not finite": (lambda f: f.update(more=10**400), "more is 1000"),
    "another word": (lambda f: f.update(kind="c"), "kind is 'c'; expected 'a' or 'b'"),
    "a share above 1": (lambda f: f.update(p=1.5), "p is 1.5; expected a number from 0 to 1"),
    "a count below 0": (lambda f: f.update(points=-1), "points is -1; expected 0 or more"),
    "an object for a list": (lambda f: f.update(pairs={}), "pairs is {}; expected a list"),
    "a list that is too long": (lambda f: f.update(pairs=[[1, 2, 3]]), "pairs.0 is [1, 2, 3]; expected a list of 2"),
    "a list for an object": (lambda f: f.update(parts=[]), "parts is []; expected an object"),
    "a value that its type refuses": (lambda f: f["by_name"]["x"].update(note="never"),
        "by_name.x does not hold together: a note of never; expected another"),
}  # fmt: skip


@pytest.mark.parametrize("what", ILL)
def test_json_that_does_not_fit_is_told_with_its_field_and_what_was_expected(toy, what):
    change, told = ILL[what]
    changed(toy, change)
    refused(toy, TOY.file, told)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda a: a.pop("one/values"), ("lacks one/values; expected float64 of shape (s, 2, 2)",)),
        (
            lambda a: a.update({"one/values": np.zeros((3, 2, 4))}),
            ("one/values is float64 of shape (3, 2, 4); expected float64 of shape (s, 2, 2)",),
        ),
        (
            lambda a: a.update({"one/values": np.zeros((3, 5, 2))}),
            ("one/values is float64 of shape (3, 5, 2)", "(s, 2, 2)"),
        ),
        (
            lambda a: a.update(top=np.ones(3, np.float32)),
            ("top is float32 of shape (3,); expected float32 of shape (n, d)",),
        ),
        (
            lambda a: a.update(top=np.ones((2, 3))),
            ("top is float64 of shape (2, 3); expected float32 of shape (n, d)",),
        ),
        (
            lambda a: a.update({"one/rows": np.ones(3)}),
            ("one/rows is float64 of shape (3,); expected int of shape (_, _)",),
        ),
    ],
)
def test_arrays_that_are_missing_or_of_another_shape_or_type_are_told(toy, change, told):
    found = read_arrays(toy / ARRAYS)
    change(found)
    write_arrays(toy / ARRAYS, found, {"schema": 1})
    refused(toy, ARRAYS, *told)


def test_arrays_that_need_not_be_there_are_none(toy):
    found = read_arrays(toy / ARRAYS)
    del found["top"], found["one/rows"]
    write_arrays(toy / ARRAYS, found, {"schema": 1})
    assert read(toy).top is read(toy).parts["one"].rows is None


@pytest.mark.parametrize("text", ["", "{", '{"schema": NaN}', "[" * 100_000, "\ufeff{}", '{"schema": 1' + "0" * 5000])
def test_what_is_no_json_is_told(toy, text):
    (toy / TOY.file).write_text(text, encoding="utf-8")
    refused(toy, TOY.file, "cannot be read as JSON")


@pytest.mark.parametrize("text", ["null", "[]", "7", '"x"'])
def test_json_that_is_no_object_is_told(toy, text):
    (toy / TOY.file).write_text(text, encoding="utf-8")
    refused(toy, TOY.file, "; expected an object")


@pytest.mark.parametrize("file", [TOY.file, ARRAYS])
def test_a_file_that_is_gone_or_cut_off_is_told(toy, file):
    whole = (toy / file).read_bytes()
    (toy / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidRecord, match=f"{file} cannot be read as "):
        read(toy)
    (toy / file).unlink()
    with pytest.raises(InvalidRecord, match=f"{file} is missing; expected"):
        read(toy)


def test_another_schema_is_refused_and_an_older_one_is_read_where_it_can_be(toy):
    changed(toy, lambda found: found.update(schema=4))
    with pytest.raises(
        InvalidRecord, match=r"toy.json has schema 4; this todacomm reads schema 2 and 3.*update todacomm"
    ):
        read(toy)
    for schema in (1, None, "3", [], True):
        (toy / TOY.file).write_text(json.dumps({"schema": schema}), encoding="utf-8")
        refused(toy, TOY.file, "has schema", "this todacomm reads schema 2 and 3")
    TOY.write(toy, EXAMPLE)
    changed(toy, lambda found: (found.update(schema=2), found.pop("pairs")))
    assert read(toy).pairs == ()


def test_an_older_record_that_is_none_is_told():
    broken = Format(Inner, 2, "make it again", older={1: lambda found: {"p": found["old"]["p"], "kind": "a"}})
    with pytest.raises(InvalidRecord, match=r"x.json is no record of schema 1: KeyError\('old'\).*make it again"):
        broken.parsed({"schema": 1}, Spot("x.json", broken.remedy))


def test_a_record_that_was_changed_does_not_fit_its_seal(toy):
    changed(toy, lambda found: found.update(more=3.5), sealed=True)
    refused(toy, TOY.file, "is not as it was written: expected another seal")


# Every record that is declared


@cache
def examples() -> dict[str, tuple[Format, Any]]:
    """A record of every declaration, by the name of the declaration."""
    profile, ablation = stored.profile_of("a", 0, claims=True), stored.an_ablation()
    measurement = profile.measurements[0]
    facts = measurement.facts
    layer = LayerRow(measurement.summary, facts, facts.doubtful, facts.note)
    failures = {"b": Failed("it had no weights", "a traceback")}
    found = compared([profile, stored.profile_of("b", 1)])
    groups = {name: group_of(one, ["a verdict"] * len(one.pairs)) for name, one in found.items()}
    settings = {"network": "mlp", "steps": 10}
    run = ("seed_1", "run", 1, settings)
    about = RunDescription(
        *run, "mlp, seed 1", "add_p19, 0.3", "embedding", Cyclic("residue", 19), "", {"task": "add mod 19"}
    )
    line = CheckpointLine(
        0, {"train_loss": 1.5, "lag": None}, (3, 5), (), {"sphere": {"embedding": LAYER_RECORD.row(layer)}}
    )
    return {
        "ABLATION_RECORD": (ABLATION_RECORD, record_of(ablation, failures, "todacomm ablate", {"numpy": "2"})),
        "ABOUT_RECORD": (ABOUT_RECORD, about),
        "CLAIMS_RECORD": (CLAIMS_RECORD, record_of_claims(profile.claims)),
        "COMPARISON_RECORD": (
            COMPARISON_RECORD,
            ComparisonRecord(
                experiments=("../a", "../b"), groups=groups, failures=failures, beside={"gate": {"passed": True}}
            ),
        ),
        "DONE_RECORD": (DONE_RECORD, RunEnd("", 1.5, {"run.json": "0" * 64})),
        "LAYER_RECORD": (LAYER_RECORD, layer),
        "LINE_RECORD": (LINE_RECORD, line),
        "MONITORING_RECORD": (MONITORING_RECORD, monitoring(profile.recipe)),
        "STEP_RECORD": (STEP_RECORD, MonitoredStep(3, {"layer_0": {"scale": 1.5}}, {"loss": 0.1}, 0.2, 0.3, ("a",))),
        "LOOPS_RECORD": (LOOPS_RECORD, loops_record(profile.recipe)),
        "MANIFEST_RECORD": (MANIFEST_RECORD, manifest_of(profile, {"command": "todacomm run"})),
        "PLAN_RECORD": (PLAN_RECORD, Plan(settings, (PlannedRun("", *run),), "0" * 16, {"numpy": "2"})),
        "PROBE_RECORD": (PROBE_RECORD, ProbeRun(stored.a_probe(), "todacomm probe", {"seed": 42})),
        "SIGNATURE_RECORD": (
            SIGNATURE_RECORD,
            SignatureRecord("todacomm grok", {"": {"verdict": "?"}}, {"x": "no run"}, {}, {}),
        ),
        **stability_records(settings),
        "TRACK_RECORD": (TRACK_RECORD, track_record(settings)),
        "TEXTS_RECORD": (TEXTS_RECORD, texts_to_keep(stored.TEXTS, whole=True)),
        "TURNED_RECORD": (TURNED_RECORD, turned_record()),
    }


def loops_record(recipe) -> LoopsRecord:
    """A layer with one loop, around which a number runs, and a layer without."""
    around = Association("year", "number", 0.8, 0.01, 0.02)
    loop = FoundLoop(
        1.5, 0.5, 2.5, 1, (), 0.01, 0.3, 20, (0, 1, 2), ("a", "b", "c"), (around,), np.zeros(20), np.ones((20, 2))
    )
    layers = (
        LoopsOfLayer("layer_0", 2.0, 20, 0.01, (), ((0.0, 0.0), (0.5, 1.0)), (loop,)),
        LoopsOfLayer("layer_1", 2.0, 20, None, ("no bar stands out",), (), ()),
    )
    return LoopsRecord("a", "texts", "todacomm loops", recipe, layers, (Passage(0, 0, 0, 1, 0.9, 0.05),), ("a", "b"))


def stability_records(settings) -> dict[str, Any]:
    """The three records of a study of stability."""
    found = stable_run(np.random.default_rng(0))
    plan = StabilityPlan(found.copying, (PlannedStability("recipe_1", 46, settings),), "0" * 16, "todacomm stability")
    summary = StabilitySummary(
        ({"seed": 46, "saturated_at": None},), {"recipe_1": {}}, ({"rho": 0.5},), {"recipe_2/seed_46": "lost"}
    )
    return {
        "STABILITY_PLAN": (STABILITY_PLAN, plan),
        "STABILITY_RECORD": (STABILITY_RECORD, StabilityRecord(found, 1.5, {"numpy": "2"})),
        "STABILITY_SUMMARY": (STABILITY_SUMMARY, summary),
    }


def track_record(settings) -> TrackRecord:
    """Two checkpoints of a track, one of which has failed."""
    first = TrackedCheckpoint("mine", 0, "mine@0", "0", "runs/0", run="checkpoints/0", identity="0" * 64)
    second = TrackedCheckpoint("mine", 9, "mine@9", "9", "runs/9", failure="broken", details="Traceback")
    found = ({"series": "mine", "step": None},)
    return TrackRecord(
        command="todacomm track",
        digest="0" * 16,
        study=settings,
        checkpoints=(first, second),
        finished=True,
        onsets=found,
        partings=found,
        loops=found,
        versions={"numpy": "2"},
    )


def turned_record() -> TurnedRecord:
    """Three loops of a training run, two of which it uses."""
    found = TurnedRun("seed_1", TURNED_LOOPS, (Moved(1, 1.0),))
    return TurnedRecord(found, 19, 42, "0" * 64, 0.3, {"numpy": "2"})


def declared() -> set[str]:
    """The names of all records that are declared."""
    names = [*(f"records.{one.name}" for one in pkgutil.iter_modules(records.__path__)), "runs.training_results"]
    modules = (importlib.import_module(f"todacomm.{name}") for name in names)
    return {name for module in modules for name, value in vars(module).items() if isinstance(value, Format)}


def monitoring(recipe: Any) -> Monitoring:
    """What a monitor says of itself."""
    return Monitoring("mine", ("layer_0",), "texts", "0" * 64, "mean", recipe, 10, 0.05, ("loss > 10",), {"missing": 0})


NAMES = (
    *("ABLATION_RECORD", "ABOUT_RECORD", "CLAIMS_RECORD", "COMPARISON_RECORD", "DONE_RECORD"),
    *("LAYER_RECORD", "LINE_RECORD", "LOOPS_RECORD", "MANIFEST_RECORD", "MONITORING_RECORD"),
    *("PLAN_RECORD", "PROBE_RECORD", "STEP_RECORD"),
    *("STABILITY_PLAN", "STABILITY_RECORD", "STABILITY_SUMMARY"),
    *("SIGNATURE_RECORD", "TEXTS_RECORD", "TRACK_RECORD", "TURNED_RECORD"),
)


def test_every_declaration_has_its_example():
    assert declared() == set(NAMES) == set(examples())


@pytest.mark.parametrize("name", NAMES)
def test_a_declared_record_is_read_as_it_was_written(name):
    record, value = examples()[name]
    again = through_text(record, value)
    assert type(again) is record.kind
    assert to_json(record.row(again)) == to_json(record.row(value))
    before, after = arrays_of(value), arrays_of(again)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[key], after[key], equal_nan=True) for key in before)


def parse(name: str, row: Mapping[str, Any]) -> Any:
    """A row that was changed, as a record without its seal."""
    record, value = examples()[name]
    beside = Arrays(Spot("some.safetensors", record.remedy), arrays_of(value))
    return record.parsed({key: row[key] for key in row if key != SEAL}, Spot("some.json", record.remedy), beside)


@pytest.mark.parametrize("name", NAMES)
def test_a_declared_record_tells_what_it_lacks_and_what_is_ill_typed(name):
    record, value = examples()[name]
    row = json.loads(to_json(record.row(value)))
    needed = [part.name for part in parts_of(record.kind) if part.keys == (part.name,) and not part.default]
    for key in needed:
        with pytest.raises(InvalidRecord, match=f"some.json lacks {key}; expected .*{key}") as raised:
            parse(name, {other: row[other] for other in row if other != key})
        assert record.remedy in str(raised.value)
        with pytest.raises(InvalidRecord, match=rf"some.json: {key}(\.\d)? is .*; expected ") as raised:
            parse(
                name,
                row | {key: ["no", {"such": "value"}] if isinstance(row[key], Mapping | str | int | None) else "no"},
            )
        assert record.remedy in str(raised.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_declared_record_of_a_newer_schema_is_refused(name):
    record, value = examples()[name]
    with pytest.raises(InvalidRecord, match=rf"some.json has schema {record.schema + 1}; .*update todacomm"):
        parse(name, record.row(value) | {"schema": record.schema + 1})


@pytest.mark.parametrize("name", NAMES)
def test_a_field_that_a_declared_record_has_no_place_for_is_told_or_kept(name):
    record, value = examples()[name]
    row = record.row(value) | {"unheard_of": 1.5}
    rest = [part.name for part in parts_of(record.kind) if "rest" in part.marks]
    if rest:
        assert getattr(parse(name, row), rest[0])["unheard_of"] == 1.5
    else:
        with pytest.raises(InvalidRecord, match="some.json holds unheard_of, which no field is called; expected "):
            parse(name, row)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("LAYER_RECORD", "LINE_RECORD", "STEP_RECORD")])
def test_a_declared_file_that_is_cut_off_is_told(name, tmp_path):
    record, value = examples()[name]
    path = record.write(tmp_path, value)
    write_atomically(path, path.read_bytes()[:-3])
    with pytest.raises(InvalidRecord, match=f"{record.file} cannot be read as JSON: .*{record.remedy.split(':')[0]}"):
        record.read(tmp_path)


def test_plain_values_and_numbers_of_mappings_are_decoded_alone():
    assert plain((1, {"a": Inner(None, "a")})) == [1, {"a": {"p": None, "kind": "a", "note": ""}}]
    assert decoded(Mapping[str, float | None], {"a": None, "b": 1}, Spot("x")) == {"a": None, "b": 1}
    with pytest.raises(InvalidRecord, match="x: texts.1 is 2; expected a text"):
        decoded(tuple[str, ...], ["a", 2], Spot("x").at("texts"))


def test_an_unknown_default_is_taken():
    """Older records lack fields that have a default."""
    assert decoded(Inner, {"p": None, "kind": "a"}, Spot("x")) == Inner(None, "a")

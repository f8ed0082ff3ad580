"""Records: what is written is what is read, and a damaged one says so."""

import json

import numpy as np
import pytest

from todacomm.core.errors import CannotWrite, InvalidRecord
from todacomm.profiles.from_arrays import measure
from todacomm.records.files.io import write_arrays
from todacomm.records.runs import (
    DIAGRAMS,
    MANIFEST,
    SUMMARIES,
    Record,
    read_experiment,
    read_record,
    summaries,
    write_atomically,
    write_record,
)


@pytest.fixture(scope="module")
def profile():
    rng = np.random.default_rng(20260)
    layers = {
        "embedding": 0.2 * rng.normal(size=(40, 8)),
        "layer_0": rng.normal(size=(40, 8)),
        "layer_1": np.ones((40, 8)),
    }
    return measure(layers, name="model", maxdim=2)


def test_a_record_is_read_as_it_was_written(profile, tmp_path):
    write_record(tmp_path / "run", Record(profile, {"seconds": {}}), None)
    found = read_record(tmp_path / "run").profile
    assert found.layers == profile.layers
    assert found.recipe == profile.recipe
    assert found.expansions == profile.expansions
    for name in profile.names:
        np.testing.assert_array_equal(found[name], profile[name])
    for ours, theirs in zip(found.measurements, profile.measurements, strict=True):
        assert ours == theirs, ours.address
        assert [len(born) for born in ours.diagrams.essential] == [1, 0, 0]


def test_a_record_from_before_z3_is_read(profile, tmp_path):
    write_record(tmp_path, Record(profile, {}), None)
    layers, manifest = (json.loads((tmp_path / name).read_text()) for name in (SUMMARIES, MANIFEST))
    for m in profile.measurements:
        assert layers[m.address.layer].pop("H1_max_lifetime_Z3") == m.H1_max_lifetime_Z3 is not None
    del manifest["seal"], manifest["files"]
    (tmp_path / SUMMARIES).write_text(json.dumps(layers))
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    found = read_record(tmp_path).profile
    assert [m.H1_max_lifetime_Z3 for m in found.measurements] == [None] * 3
    assert found.names == profile.names


def test_a_record_from_before_landmarks_is_read(profile, tmp_path):
    write_record(tmp_path, Record(profile, {}), None)
    layers, manifest = (json.loads((tmp_path / name).read_text()) for name in (SUMMARIES, MANIFEST))
    for row in layers.values():
        for key in ("landmarks_of", "covering_radius", "bar_error"):
            assert row.pop(key) is None
    assert manifest["recipe"].pop("landmarks") is None
    del manifest["seal"], manifest["files"]  # these records had neither
    (tmp_path / SUMMARIES).write_text(json.dumps(layers))
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    found = read_record(tmp_path).profile
    assert found.measurements[0].facts == profile.measurements[0].facts


def test_equal_profiles_are_equal_bytes(profile, tmp_path):
    for name in ("one", "two"):
        write_record(tmp_path / name, Record(profile, {}), None)
    for file in (SUMMARIES, DIAGRAMS, "metrics.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_summaries_are_json_without_nan_and_carry_their_schema_and_marks(profile):
    found = json.loads(json.dumps(summaries(profile), allow_nan=False))
    assert found["layer_1"]["distinct_points"] == 1
    assert found["layer_1"]["doubt"] == "1 distinct point of 40"
    assert found["layer_1"]["H0_total_persistence_scaled"] is None
    assert found["embedding"]["schema"] == 1
    assert found["embedding"]["H0_count"] == 39


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / SUMMARIES).unlink(), "tda_summaries.json is missing"),
        (lambda run: (run / MANIFEST).write_text("{"), "manifest.json cannot be read"),
        (
            lambda run: (run / MANIFEST).write_text('{"schema": 99}'),
            "has schema 99; this todacomm reads schema 1.*update todacomm",
        ),
        (lambda run: (run / DIAGRAMS).write_bytes(b"\0" * 20), "cannot be read as safetensors"),
        (
            lambda run: (run / SUMMARIES).write_text('{"layer_9": {"schema": 1}}'),
            "layer_9 in .* lacks points, .*expected points, dimension",
        ),
        (lambda run: (run / SUMMARIES).write_text('{"layer_9": {"schema": 2}}'), "layer_9 in .*has schema 2"),
        (lambda run: (run / SUMMARIES).write_text("[]"), r"tda_summaries.json is \[\]; expected an object"),
        (lambda run: write_arrays(run / DIAGRAMS, {}, {"schema": 2}), "diagrams.safetensors has schema 2.*update"),
    ],
)
def test_a_damaged_record_names_the_file_and_the_fault(profile, tmp_path, damage, message):
    write_record(tmp_path / "run", Record(profile, {}), None)
    damage(tmp_path / "run")
    with pytest.raises(InvalidRecord, match=message):
        read_record(tmp_path / "run")


def test_runs_are_read_in_their_order(profile, tmp_path):
    for number in (0, 2, 10, 1):
        write_record(tmp_path / "runs" / f"run_{number}", Record(profile, {"number": number}), None)
    (tmp_path / "runs" / "run_3.part").mkdir()
    assert [record.manifest["number"] for record in read_experiment(tmp_path)] == [0, 1, 2, 10]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidRecord, match="holds no runs"):
        read_experiment(tmp_path / "empty")


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    write_atomically(tmp_path / "sub" / "a.txt", "text")
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["a.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="cannot write .*Choose another place"):
        write_atomically(tmp_path / "file" / "below.txt", "text")

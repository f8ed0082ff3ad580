"""What docs/format.md says is enough: a reader written from it alone reads what commands wrote."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import todacomm as td
from foreign_reader import READ, Refused
from real_directories import make

READER = Path(__file__).with_name("foreign_reader.py")
ALONE = (
    "import runpy, sys; sys.modules['todacomm'] = None; del sys.argv[0]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Runs of arrays and of models, two comparisons and a training, as the commands leave them."""
    where = tmp_path_factory.mktemp("foreign")
    make(where, "measure", "other", "landmarks", "medians", "run", "compare", "grok")
    return where


def one(place, pattern):
    (found,) = place.glob(pattern)
    return found


def read_alone(kind, directory):
    """What the reader prints in a process that cannot import todacomm."""
    arguments = [sys.executable, "-c", ALONE, str(READER), kind, str(directory)]
    found = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.parametrize(
    "where",
    ["measured", "few", "by_median", *(f"experiments/three_tiny-{name}_*/runs/run_0" for name in
        ("preln-decoder", "preln-encoder", "postln-decoder"))],
)  # fmt: skip
def test_a_run_is_read_as_todacomm_reads_it(place, where):
    directory = one(place, where)
    found, own = read_alone("run", directory), td.load(directory)
    assert (found["model"], found["data"], tuple(found["layers"])) == (own.model, own.data, own.layers)
    for measurement in own.measurements:
        read = found["layers"][measurement.address.layer]
        assert measurement.summary.items() <= read["numbers"].items()
        assert read["bars"] == {str(k): len(bars) for k, bars in enumerate(measurement.diagrams.finite)}
    intervals = {} if found["claims"] is None else found["claims"]["layers"]
    for layer, row in intervals.items():
        for name, interval in row["intervals"].items():
            assert (interval["low"], interval["high"]) == tuple(
                getattr(own.claims.intervals[layer][name], end) for end in ("low", "high")
            )


def test_texts_and_activations_of_a_run_of_a_model_are_read(place):
    found = read_alone("run", one(place, "experiments/three_tiny-preln-decoder_*/runs/run_0"))
    assert len(found["texts"]["items"]) == 24
    assert {layer: shape[0] for layer, shape in found["activations"].items()} == dict.fromkeys(found["layers"], 24)
    assert read_alone("run", place / "measured")["texts"] is None


def test_an_unfinished_run_is_passed_over(place, tmp_path):
    experiment = shutil.copytree(one(place, "experiments/three_tiny-preln-decoder_*"), tmp_path / "experiment")
    (experiment / "runs" / "run_1.part").mkdir()
    assert len(read_alone("experiment", experiment)) == 1


@pytest.mark.parametrize(("where", "rows"), [("comparison_three_*", 3), ("comparison_gated_*", 2)])
def test_a_comparison_is_read_as_todacomm_reads_it(place, where, rows):
    directory = one(place, f"experiments/{where}")
    found, own = read_alone("comparison", directory), td.load(directory)
    (group,) = found["groups"].values()
    assert [row["model"] for row in group["rows"]] == [row.model for row in own.rows]
    assert [row["expansion"] for row in group["rows"]] == [row.expansion for row in own.rows]
    assert len(group["rows"]) == rows
    assert [(pair["first"], pair["second"]) for pair in group["pairs"]] == [
        (pair.first.model, pair.second.model) for pair in own.pairs
    ]
    assert (found["gate"] is None) == (rows == 3)


def test_a_training_is_read_as_todacomm_reads_it(place):
    directory = one(place, "experiments/grok_*")
    found, own = read_alone("training", directory), td.load(directory)
    assert {name: run["steps"] for name, run in found["runs"].items()} == {one.name: list(one.steps) for one in own}
    for one_run in own:
        followed = one_run.numbers["embedding/sphere/H1_max_lifetime"]
        assert found["runs"][one_run.name]["followed"] == pytest.approx(list(followed), rel=1e-12)
    assert found["verdicts"].keys() == found["runs"].keys()
    assert found["runs"]["seed_46"]["used"]
    assert found["runs"]["permuted_labels_46"]["used"] == []


# ---- what it refuses: each change keeps the digests right, unless it is about a digest


def resealed(path, change):
    """Change a JSON record, and its seal with it."""
    found = json.loads(path.read_text(encoding="utf-8"))
    change(found)
    if "seal" in found:
        plain = {key: value for key, value in found.items() if key != "seal"}
        found["seal"] = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(found), encoding="utf-8")


def rewritten(path, change):
    """Change the arrays of a file."""
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    found = load_file(path)
    change(found)
    save_file(found, path, metadata)


def redigested(directory, record, name):
    """Let a manifest, or the end of a training run, have the digest of a file that was changed."""
    digest = hashlib.sha256((directory / name).read_bytes()).hexdigest()
    resealed(directory / record, lambda found: found["files"].__setitem__(name, digest))


CHANGES = {
    "another SHA-256": lambda run: (run / "metrics.json").write_text("{}", encoding="utf-8"),
    "another seal": lambda run: (run / "manifest.json").write_text(
        (run / "manifest.json").read_text(encoding="utf-8").replace('"seed": 42', '"seed": 43'), encoding="utf-8"
    ),
    "schema 2": lambda run: resealed(run / "manifest.json", lambda found: found.update(schema=2)),
    "ratio is": lambda run: resealed(
        run / "manifest.json", lambda found: found["expansions"][0]["growth"].update(ratio=2.5)
    ),
    "H0_entropy is": lambda run: (
        resealed(run / "tda_summaries.json", lambda found: found["layer_0"].update(H0_entropy=1.0)),
        redigested(run, "manifest.json", "tda_summaries.json"),
    ),
    "H1_max_lifetime_scaled is": lambda run: (
        resealed(run / "tda_summaries.json", lambda found: found["layer_1"].update(H1_max_lifetime_scaled=9.0)),
        redigested(run, "manifest.json", "tda_summaries.json"),
    ),
    "H1_count is": lambda run: (
        rewritten(run / "diagrams.safetensors", lambda found: found.update({"layer_0/H1": found["layer_0/H1"][1:]})),
        redigested(run, "manifest.json", "diagrams.safetensors"),
    ),
    "is not in": lambda run: (
        resealed(
            run / "tda_claims.json",
            lambda found: found["layers"]["layer_0"]["intervals"]["H0_total_persistence"].update(high=0.0, low=-1.0),
        ),
        redigested(run, "manifest.json", "tda_claims.json"),
    ),
    "float64 (": lambda run: (
        rewritten(
            run / "claims.safetensors",
            lambda found: found.update({"layer_0/whole": np.append(found["layer_0/whole"], 1.0)}),
        ),
        redigested(run, "manifest.json", "claims.safetensors"),
    ),
}


@pytest.mark.parametrize("told", CHANGES)
def test_a_changed_run_is_refused(place, tmp_path, told):
    run = shutil.copytree(place / "measured", tmp_path / "run")
    assert READ["run"](run)
    CHANGES[told](run)
    with pytest.raises(Refused) as raised:
        READ["run"](run)
    assert told in str(raised.value)


def test_a_comparison_whose_row_is_not_of_its_run_is_refused(place, tmp_path):
    directory = shutil.copytree(place, tmp_path / "all") / "experiments"
    comparison = one(directory, "comparison_three_*")
    resealed(
        comparison / "comparison.json",
        lambda found: next(iter(found["groups"].values()))["rows"][1].update(shape_growth=7.0),
    )
    with pytest.raises(Refused, match=r"shape_growth is 7\.0"):
        READ["comparison"](comparison)


def test_a_cut_off_line_is_passed_over_and_a_step_that_does_not_rise_is_refused(place, tmp_path):
    directory = shutil.copytree(one(place, "experiments/grok_*"), tmp_path / "grok")
    run = directory / "runs" / "seed_46"
    lines = (run / "records.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (run / "records.jsonl").write_text("".join(lines) + lines[0][:30], encoding="utf-8")
    redigested(run, "finished.json", "records.jsonl")
    assert len(READ["training"](directory)["runs"]["seed_46"]["steps"]) == len(lines)
    (run / "records.jsonl").write_text("".join([*lines, lines[3]]), encoding="utf-8")
    redigested(run, "finished.json", "records.jsonl")
    with pytest.raises(Refused, match="step 240 after 2400"):
        READ["training"](directory)


def test_loops_that_were_turned_with_other_weights_are_passed_over(place, tmp_path):
    directory = shutil.copytree(one(place, "experiments/grok_*"), tmp_path / "grok")
    resealed(directory / "runs" / "seed_46" / "turned.json", lambda found: found.update(weights="0" * 64))
    assert READ["training"](directory)["runs"]["seed_46"]["used"] == []

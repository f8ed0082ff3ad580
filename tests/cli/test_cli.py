"""The commands that need no model, and what every command does with bad input."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from shapes import circle
from todacomm.cli import app
from todacomm.models.names import PRESETS, SHIPPED

COMMANDS = sorted(command.name for command in app.registered_commands)


def one_line(text):
    return " ".join(text.split())


@pytest.fixture
def arrays(tmp_path, rng):
    np.save(tmp_path / "circle.npy", circle(24))
    np.savez(tmp_path / "layers.npz", layer_0=rng.normal(size=(30, 4)), embedding=rng.normal(size=(30, 4)))
    save_file({"layer_0": rng.normal(size=(30, 4)).astype(np.float32)}, tmp_path / "acts.safetensors")
    return tmp_path


def test_measure_prints_a_table(todacomm, arrays):
    code, out, _ = todacomm("measure", "circle.npy")
    assert code == 0
    assert "cloud" in out
    assert "24" in out


def test_measure_names_what_it_leaves_out_and_takes_layers(todacomm, tmp_path, rng):
    layers = {name: rng.normal(size=(30, 4)) for name in ("layer_0", "layer_1")}
    np.savez(tmp_path / "layers.npz", **layers, labels=np.arange(30))
    code, _, err = todacomm("measure", "layers.npz", "--null-draws", 0, "--resamples", 0)
    assert code == 0
    assert "Left out of layers.npz" in one_line(err)
    assert "labels (of shape (30,))" in one_line(err)
    code, out, err = todacomm("measure", "layers.npz", "--layers", "layer_1", "--json", "--null-draws", 0)
    assert (code, list(json.loads(out)[0]["layers"])) == (0, ["layer_1"])
    assert "Left out" not in err


def test_measure_prints_json(todacomm, arrays):
    code, out, _ = todacomm("measure", "circle.npy", "--json")
    assert code == 0
    layer = json.loads(out)[0]["layers"]["cloud"]
    assert layer["H1_count"] == 1
    assert layer["H1_max_lifetime"] == pytest.approx(np.sqrt(3) - 2 * np.sin(np.pi / 24), rel=1e-6)


def test_measure_prints_csv_with_a_row_a_layer(todacomm, arrays):
    code, out, _ = todacomm("measure", "layers.npz", "--csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["layer"] for row in rows] == ["embedding", "layer_0"]
    assert float(rows[0]["H0_count"]) == 29


def test_measure_reads_safetensors_and_its_options(todacomm, arrays):
    code, out, _ = todacomm(
        "measure", "acts.safetensors", "--json", "--maxdim", 2, "--scale", "median", "--pca", "none"
    )
    layer = json.loads(out)[0]["layers"]["layer_0"]
    assert code == 0
    assert "H2_count" in layer
    assert layer["H0_total_persistence"] == pytest.approx(layer["H0_total_persistence_scaled"])


def test_measure_writes_records_figures_and_a_reading(todacomm, arrays):
    code, _, _ = todacomm("measure", "layers.npz", "--resamples", 0, "--null-draws", 0, "--output", "measured")
    assert code == 0
    assert {p.name for p in Path("measured").iterdir()} >= {
        "tda_summaries.json",
        "diagrams.safetensors",
        "manifest.json",
        "tda_interpretation.md",
        "visualizations",
    }
    code, _, err = todacomm("measure", "layers.npz", "--output", "measured")
    assert code == 2
    assert "measured is not an empty directory; give --output a new one" in one_line(err)
    assert todacomm("measure", "layers.npz", "--output", "circle.npy")[0] == 2


@pytest.mark.parametrize(
    ("options", "said"), [(("-q",), True), (("-q", "--json"), False), (("-q", "--output", "m"), False), ((), False)]
)
def test_measure_says_where_nothing_comes_of_it(todacomm, arrays, options, said):
    code, out, err = todacomm("measure", "circle.npy", "--resamples", 0, "--null-draws", 0, *options)
    assert code == 0
    assert ("without --output nothing is kept" in one_line(err)) == said
    assert not out or not said
    if "--output" in options:
        assert f"Written to: {Path('m').resolve()}" in out


def test_list_models_names_every_model(todacomm):
    code, out, _ = todacomm("list-models")
    assert code == 0
    for name in (*SHIPPED, *PRESETS, *(preset.location for preset in PRESETS.values())):
        assert name in out
    listed = json.loads(todacomm("list-models", "--json")[1])
    assert [one["name"] for one in listed] == [*SHIPPED, *PRESETS]
    assert listed[-1] == {
        "name": "gemma2-2b",
        "location": "google/gemma-2-2b",
        "kind": "causal",
        "parameters": 2614341888,
    }


def test_list_configs_names_every_study(todacomm):
    code, out, _ = todacomm("list-configs")
    assert code == 0
    for name in ("quick", "article", "encoder-decoder", "families"):
        assert name in out


def test_init_writes_a_study_that_can_be_read_and_overwrites_nothing(todacomm):
    assert todacomm("init", "mine.yaml")[0] == 0
    assert yaml.safe_load(Path("mine.yaml").read_text(encoding="utf-8"))["samples"] == 500
    code, _, err = todacomm("init", "mine.yaml")
    assert code == 2
    assert "mine.yaml is there already" in err


def test_version_names_engine_device_and_libraries(todacomm):
    code, out, err = todacomm("--version")
    assert code == 0
    for part in ("todacomm 1.0.0.dev0", "torch", "device", "engine bitlink", "numpy"):
        assert part in out
    assert not err


def test_version_warns_of_the_predecessor(todacomm, tmp_path, monkeypatch):
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    code, _, err = todacomm("--version")
    assert code == 0
    assert "todacomm 0.1.0" in one_line(err)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(todacomm, name):
    code, out, _ = todacomm(name, "--help")
    assert code == 0
    assert len(one_line(out)) > 80


def test_help_is_quick_to_load():
    """Imports are what costs: help must not load NumPy's heavier friends (CPU seconds are measured in benchmarks/)."""
    script = (
        "import sys, todacomm.cli\nprint([m for m in ('scipy', 'pydantic', 'torch', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


BAD_INPUT = [
    (("measure", "none.npy"), "none.npy is not a file; expected .npy, .npz, .safetensors"),
    (("measure", "table.xlsx"), "'.xlsx' is not a kind of array file that todacomm knows."),
    (("measure", "table.csv"), "table.csv has no column of numbers; expected values separated by commas"),
    (("measure", "good.npy", "--layers", "layer_3"), "'layer_3' is not a layer that todacomm knows. Known: cloud."),
    (("measure", "good.npy", "--resamples", "10000000000"), "10000000000 resamples; expected at most 100,000"),
    (("measure", "good.npy", "--null-draws", "10000000000"), "10000000000 null draws; expected at most 1,000,000"),
    (("measure", "good.npy", "--max-memory", "1MB"), "its arrays take"),
    (("measure", "broken.npy"), "broken.npy cannot be read as NumPy arrays"),
    (("measure", "broken.npz"), "broken.npz cannot be read as NumPy arrays"),
    (("measure", "broken.safetensors"), "broken.safetensors cannot be read as safetensors"),
    (("measure", "pickled.npy"), "n at least 3: cloud is of type Python objects; expected at least one"),
    (("measure", "nan.npy"), "nan/arrays/cloud: 1 of 4 points hold NaN or infinity"),
    (("measure", "two.npy"), "n at least 3: cloud is of shape (2, 3); expected at least one"),
    (("measure", "equal.npy"), "all 6 points are equal; there is no shape to measure"),
    (("measure", "flat.npy"), "n at least 3: cloud is of shape (5,); expected at least one"),
    (
        ("measure", "good.npy", "--pca", "many"),
        "components: expected a whole number, found 'many' (Keep N principal components; none keeps every",
    ),
    (
        ("measure", "good.npy", "--distance", "cosin"),
        "'cosin' is not a distance that todacomm knows. Did you mean 'cosine'?",
    ),
    (
        ("measure", "good.npy", "--scale", "meddian"),
        "'meddian' is not a scale that todacomm knows. Did you mean 'median'?",
    ),
    (
        ("measure", "good.npy", "--engine", "ripsr"),
        "'ripsr' is not an engine that todacomm knows. Did you mean 'ripser'?",
    ),
    (("measure", "good.npy", "--maxdim", "3"), "maxdim: expected at most 2, found 3 (Highest homology dimension"),
    (("measure", "good.npy", "--seed", "-1"), "seed: expected at least 0, found -1"),
    (("measure", "good.npy", "--subsample", "99"), "a subsample of 99 points was asked for, but there are 8"),
    (("run", "--model", "gtp2"), "'gtp2' is not a model that todacomm knows. Did you mean 'gpt2'?"),
    (("run", "--dataset", "wikitxt2"), "'wikitxt2' is not a dataset that todacomm knows. Did you mean 'wikitext2'?"),
    (("run", "--pool", "meen"), "'meen' is not a pooling that todacomm knows. Did you mean 'mean'?"),
    (("run", "--layers", "layer0"), "'layer0' is not a layer that todacomm knows."),
    (("run", "--site", "atention"), "'atention' is not a site that todacomm knows. Did you mean 'attention'?"),
    (("run", "--device", "gpu"), "'gpu' is not a device that todacomm knows."),
    (("run", "--dtype", "float23"), "'float23' is not a dtype that todacomm knows. Did you mean 'float32'?"),
    (("run", "--batch-size", "big"), "batch_size: expected 'auto' or a whole number, found 'big'"),
    (("run", "--model", "gpt2", "--hf-model", "a/b"), "--model and --hf-model both name the models; give one of them"),
    (("run", "--samples", "100000"), "2891"),
    (("run", "--dataset", "few.txt"), "few"),
    (("run", "--dataset", "none.txt"), "none.txt"),
    (("run", "--hf-model", "./empty"), "empty"),
    (("run", "--config", "odd.yaml"), "line 2"),
    (("run", "--config", "none.yaml"), "there is no study file 'none.yaml'. Studies that ship: "),
    (("run", "--model", "tiny-preln-decoder", "--revision", "v1"), "revisions are of hub models"),
    (
        ("compare", "a", "b", "--output", "c/d"),
        "name: expected a name without slashes, found 'c/d'; the directory is output_dir",
    ),
    (("compare", "gpt2"), "1 run given; a comparison needs at least two"),
    (("compare", "gpt2,bert"), "'gpt2' is not a run that todacomm knows."),
]


@pytest.fixture
def bad_files(tmp_path):
    for name in ("broken.npy", "broken.npz", "broken.safetensors", "table.csv", "table.xlsx"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}] * 4), allow_pickle=True)
    np.save(tmp_path / "nan.npy", np.array([[1.0, np.nan], [0, 1], [2, 0], [1, 1]]))
    np.save(tmp_path / "two.npy", np.zeros((2, 3)))
    np.save(tmp_path / "equal.npy", np.ones((6, 3)))
    np.save(tmp_path / "flat.npy", np.zeros(5))
    np.save(tmp_path / "good.npy", np.random.default_rng(0).normal(size=(8, 3)))
    (tmp_path / "few.txt").write_text("one\n\ntwo\n", encoding="utf-8")
    (tmp_path / "odd.yaml").write_text("samples: 20\nsample: 30\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=[" ".join(a) for a, _ in BAD_INPUT])
def test_bad_input_is_told_in_one_paragraph_with_exit_code_2(todacomm, bad_files, arguments, message):
    before = sorted(bad_files.rglob("*"))
    code, out, err = todacomm(*arguments)
    assert code == 2
    assert message in one_line(err)
    assert "Traceback" not in err
    assert not out
    left = [p for p in bad_files.rglob("*") if p not in before and p.name != "experiments"]
    assert not left, "nothing is half-written"


def test_an_unknown_option_is_told_with_exit_code_2(todacomm):
    code, _, err = todacomm("run", "--sampels", "5")
    assert code == 2
    assert "--samples" in err


def test_an_output_directory_that_cannot_be_written_is_told(todacomm, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = todacomm("run", "--model", SHIPPED[0], "--samples", 10, "--output-dir", "file")
    assert code == 2
    assert "cannot write to file" in one_line(err)
    assert "--output-dir" in err


def test_the_console_script_is_the_same_program():
    done = subprocess.run([sys.executable, "-m", "todacomm", "--help"], capture_output=True, text=True, check=True)
    assert "measure" in done.stdout

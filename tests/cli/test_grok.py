"""``todacomm grok`` as one types it: what it writes, how it goes on, and what it refuses."""

import json

import pytest

from todacomm.runs.training_results import DEFINITIONS

SMALL = [
    *(
        "--prime",
        17,
        "--train-fraction",
        0.4,
        "--width",
        16,
        "--hidden",
        64,
        "--layers",
        1,
        "--steps",
        300,
        "--every",
        20,
    ),
    *("--batch", 64, "--weight-decay", 0.1, "--points", 20, "--test-pairs", 40, "--learning-rate", 0.02, "--seeds", 46),
    *("--jobs", 1),
]


@pytest.mark.slow
def test_an_experiment_from_the_command_line(todacomm, tmp_path):
    code, out, err = todacomm("grok", *SMALL)
    (directory,) = (tmp_path / "experiments").iterdir()
    assert directory.name.startswith("grok_add_p17_")
    found = json.loads((directory / "signature.json").read_text())
    assert code == 0
    assert found["cells"][""]["definitions"] == DEFINITIONS
    assert found["cells"][""]["verdict"] == "memorised only"
    assert "Memorised only: 0 of 1 runs grokked." in out
    assert "Report:" in out
    assert "17 points are few" in err
    page = (directory / "reports" / "report.html").read_text()
    assert "Memorised only" in page
    assert '"kind":"grok"' in page
    names = {path.name for path in (directory / "visualizations").iterdir()}
    assert {"training_curves.png", "clock.png", "embedding.gif", "signature.png"} <= names
    assert len(list((directory / "runs").iterdir())) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "div", "--prime", "12"], "not prime"),
        (["--task", "ad"], "Did you mean 'add'"),
        (["--train-fraction", "0"], "above 0 and below 1"),
        (["--train-fraction", "1"], "above 0 and below 1"),
        (["--prime", "9973", "--test-pairs", "all", "--max-memory", "4GiB"], "runs at a time need about"),
        (["--sweep", "momentum=1,2"], "'momentum' is not a setting"),
        (["--sweep", "weight_decay"], "expected a setting and its values"),
        (["--sweep", "weight_decay=much"], "expected a number"),
        (["--sweep", "steps=20,30", "--sweep", "steps=40"], "given twice"),
        (["--sweep", "train_fraction=0.2,1.5"], "above 0 and below 1"),
        (["--preset", "papper"], "not a preset"),
        (["--seeds", "x"], "--seeds x"),
        (["--controls", "0"], "--controls 0"),
        (["--device", "gpu"], "gpu"),
        (["--model", "pixels"], "reads images"),
    ],
)
def test_bad_input_is_told_before_any_work(arguments, message, todacomm, tmp_path):
    code, _, err = todacomm("grok", *arguments)
    assert code == 2
    assert message in " ".join(err.split())
    assert not list(tmp_path.glob("experiments/*"))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_fails_the_command_and_keeps_the_rest(todacomm, tmp_path):
    code, _, err = todacomm("grok", *SMALL, "--learning-rate", "1e30", "--quiet")
    assert code == 1
    assert "no finite number any more by step 20" in " ".join(err.split())
    (directory,) = (tmp_path / "experiments").iterdir()
    assert json.loads((directory / "signature.json").read_text())["problems"]
    assert (directory / "reports" / "report.md").exists()


@pytest.mark.slow
def test_a_sweep_is_a_table_and_a_figure(todacomm, tmp_path):
    _, out, err = todacomm("grok", *SMALL, "--sweep", "weight_decay=0,1", "--sweep", "train_fraction=0.3,0.4")
    (directory,) = (tmp_path / "experiments").iterdir()
    found = json.loads((directory / "signature.json").read_text())
    assert len(found["cells"]) + len(found["problems"]) == 4
    assert (directory / "visualizations" / "sweep.png").exists()
    text = (directory / "reports" / "report.md").read_text()
    assert "weight_decay=0,train_fraction=0.3" in text + out + err

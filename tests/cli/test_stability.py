"""``todacomm stability`` as one types it: what it writes, how it goes on, what is rebuilt, and what it refuses."""

import json

import pytest

import todacomm as td
from todacomm.records.stability import SUMMARY

SMALL = (
    *("--prime", 11, "--steps", 120, "--width", 8, "--hidden", 12, "--batch", 16, "--points", 20, "--test-pairs", 20),
    *("--copies", 3, "--scan", "none", "--renormalise", 10, "--jobs", 1),
)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--copies", 1], "1 copy: expected 3 or more"),
        (["--epsilon", 0], "epsilon 0: expected a share"),
        (["--scan", "few"], "--scan few: expected numbers"),
        (["--recipes", 1], "--recipes 1: expected 2 or more"),
        (["--recipes", 4, "--preset", "nanda"], "leave --preset nanda out"),
        (["--steps", 40, "--jobs", 1], "expected at least 100 steps"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(todacomm, words, said, tmp_path):
    code, _, err = todacomm("stability", "--seeds", 46, *words)
    assert code == 2 or "none of 1 runs came to an end" in err
    assert said in " ".join(err.split())


@pytest.mark.slow
def test_a_study_over_recipes_is_resumed_to_the_same_numbers_and_rebuilt(todacomm, tmp_path):
    words = ("stability", *SMALL, "--recipes", 2, "--seeds", "46-47")
    code, out, _ = todacomm(*words)
    assert code == 0
    (directory,) = (tmp_path / "experiments").iterdir()
    assert directory.name.startswith("stability_add_p11_")
    assert "transformer, add mod 11, seed 47" in " ".join(out.split())
    summary = json.loads((directory / SUMMARY).read_text())
    assert len(summary["runs"]) == 4
    first = {path: path.read_bytes() for path in sorted(directory.glob("runs/**/stability.safetensors"))}
    for path in (directory / SUMMARY, directory / "runs/recipe_2/seed_46/stability.json"):
        path.unlink()
    damaged = directory / "runs/recipe_2/seed_47/stability.json"
    damaged.write_bytes(damaged.read_bytes()[:-5])
    code, _, err = todacomm(*words)
    assert code == 0
    assert "going on with" in " ".join(err.split())
    assert {path: path.read_bytes() for path in first} == first
    assert json.loads((directory / SUMMARY).read_text())["runs"] == summary["runs"]

    figures = {path.name for path in (directory / "visualizations").iterdir()}
    assert figures == {f"{name}.png" for name in ("exponent", "spread", "sharpness", "recipes")}
    page = (directory / "report.html").read_bytes()
    (directory / "report.html").unlink()
    assert todacomm("report", str(directory))[0] == 0
    assert (directory / "report.html").read_bytes() == page
    found = td.load(directory)
    assert [one.seed for one in found] == [46, 47, 46, 47]
    damaged.write_bytes(damaged.read_bytes()[:-5])
    code, _, err = todacomm("report", str(directory))
    assert code == 1
    assert "left out: recipe_2/seed_47" in err


@pytest.mark.slow
def test_a_run_that_fails_is_told_and_the_rest_finish(todacomm, tmp_path):
    code, _, err = todacomm("stability", *SMALL, "--recipes", 2, "--seeds", 46, "--learning-rate", 1e18)
    assert code != 0
    assert "no finite number any more" in " ".join(err.split())


@pytest.mark.slow
def test_grok_follows_copies_of_its_runs_and_leaves_their_records_as_they_are(todacomm, tmp_path):
    words = ("grok", "--prime", 17, "--steps", 150, "--width", 8, "--hidden", 12, "--layers", 1, "--batch", 32,
        "--points", 20, "--test-pairs", 20, "--seeds", 46, "--jobs", 1, "--no-turn", "--controls", 1)  # fmt: skip
    code, _, err = todacomm(*words, "--stability", 3)
    assert "no signature" in err  # it is too short to memorise
    (with_copies,) = (tmp_path / "experiments").iterdir()
    run = with_copies / "runs" / "seed_46"
    assert (run / "stability.json").exists()
    assert not list(with_copies.glob("runs/*permuted*/stability.json"))
    page = (with_copies / "reports" / "report.html").read_text()
    assert "Do small differences grow?" in page
    assert (with_copies / "visualizations" / "exponent.png").exists()
    assert todacomm(*words, "--name", "without")[0] == code
    [without] = (tmp_path / "experiments").glob("without_*")
    assert (run / "records.jsonl").read_bytes() == (without / "runs" / "seed_46" / "records.jsonl").read_bytes()

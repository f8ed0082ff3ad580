"""``todacomm show``: records in the terminal, in 80 columns, without colours where nobody sees them."""

import doctest
import json
import re
import shutil
import subprocess
import sys

import pytest

import stored
from report_profiles import a_profile
from todacomm.comparison.compare import compare
from todacomm.records.comparisons import COMPARISON, COMPARISON_RECORD, ComparisonRecord, Failed, group_of
from todacomm.records.runs import Record, write_record
from todacomm.report.ablation import ablation_charts
from todacomm.report.terminal import sparklines
from todacomm.report.terminal.sparklines import heights, sparkline
from todacomm.report.words.pairs import verdicts
from todacomm.runs.ablation import write as write_ablation


def said(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def profile():
    return stored.profile_of("a", 0, claims=True)


@pytest.fixture
def narrow(monkeypatch):
    """A terminal of 80 columns."""
    from todacomm.cli.terminal import console

    monkeypatch.setattr(console.out, "_width", 80)


@pytest.fixture
def experiment(profile, tmp_path):
    return stored.write_experiment(tmp_path / "a_tda_20260101_000000", [profile])


@pytest.fixture
def comparison(tmp_path):
    """What ``compare`` stores of four models."""
    names = ("distilbert-base-multilingual-cased", "b", "c", "d")
    found = compare([a_profile(3, n=20, seed=i, model=name) for i, name in enumerate(names)])
    directory = tmp_path / "comparison_four_20260101_000000"
    groups = {"wikitext2_last": group_of(found, verdicts(found))}
    COMPARISON_RECORD.write(
        directory, ComparisonRecord(groups=groups, failures={"e": Failed("it had no weights")}, beside={})
    )
    return directory


@pytest.fixture
def training(tmp_path, monkeypatch):
    stored.unhurried(monkeypatch)
    return shutil.copytree(stored.a_training(), tmp_path / stored.a_training().name)


@pytest.fixture
def ablated(tmp_path, monkeypatch):
    monkeypatch.setattr(ablation_charts, "write_ablation_figures", lambda *_: [])
    return write_ablation(stored.an_ablation(), tmp_path, "a", {}, "todacomm ablate")


# Sparklines


def test_the_example_of_a_sparkline_holds():
    assert doctest.testmod(sparklines).failed == 0


def test_a_sparkline_runs_from_the_least_to_the_largest():
    assert sparkline([1, 2, 3]) == "▁▅█"
    assert sparkline([3, 3, 3]) == "▅▅▅"
    assert sparkline([None, float("nan"), 1.0]) == "··▅"
    assert sparkline([]) == ""
    assert sparkline([5, 0, 1], limits=(0.0, 1.0)) == "█▁█"


def test_a_long_course_is_thinned_to_medians_of_neighbours():
    values = [0.0] * 50 + [1.0] * 50
    values[3] = 40.0
    assert sparkline(values, most=10) == "▁▁▁▁▁█████"
    assert len(sparkline(range(1000), most=24)) == 24


def test_heights_are_logarithms_where_values_span_more_than_thirty_times():
    assert heights([1.0, 29.0]) == ([1.0, 29.0], False)
    drawn, logarithmic = heights([1.0, 100.0, None])
    assert logarithmic
    assert drawn == [0.0, pytest.approx(4.605170185988092), None]
    assert heights([0.0, 100.0])[1] is False
    assert heights([None])[1] is False


# What is shown


def test_a_run_is_shown_with_answer_sparklines_intervals_and_marks(todacomm, experiment, narrow):
    code, out, err = todacomm("show", experiment)
    assert (code, err) == (0, "")
    assert "a: 24 texts" in out
    assert "From embedding to its peak at layer_1" in said(out)
    assert re.search(r"H0 total +▁▄█ +[\d.]+ \(embedding\) +[\d.]+ \(layer_1\)", out)
    assert re.search(r"layer_1 +24 .*\[.*\].*\[.*\]", out)
    assert "bits per byte 1.25" in out
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


def test_doubtful_layers_are_marked_under_their_sparklines_and_set_no_end(todacomm, tmp_path, narrow):
    profile = a_profile(30, n=12, distinct=4, massive=["layer_29"])
    write_record(tmp_path / "run", Record(profile, {}), None)
    code, out, _ = todacomm("show", tmp_path / "run")
    assert code == 0
    (marks,) = [line for line in out.splitlines() if line.startswith(" doubtful")]
    assert marks.split("doubtful")[1].strip().split() == ["○", "○"]
    row = next(line for line in out.splitlines() if line.startswith(" H0 total"))
    assert len(re.search(r"[▁▂▃▄▅▆▇█·]+", row)[0]) == 22
    assert "(embedding)" not in row
    assert re.search(r"embedding +4 .* ○", out)
    assert max(map(len, out.splitlines())) <= 80


def test_a_single_cloud_has_no_trend(todacomm, tmp_path, narrow):
    from report_profiles import a_cloud

    write_record(tmp_path / "run", Record(a_cloud(), {}), None)
    code, out, _ = todacomm("show", tmp_path / "run")
    assert code == 0
    assert "along" not in out
    assert "60 points (60 distinct)" in said(out)


def test_a_comparison_is_shown_from_its_record_alone(todacomm, comparison, narrow):
    code, out, err = todacomm("show", comparison)
    assert (code, err) == (0, "")
    assert "expansion runs from" in said(out)
    assert "failed: e: it had no weights" in said(out)
    assert re.search(r"^ b +\d", out, re.MULTILINE)
    assert "distilbert-base-multilingual-cased" in said(out).replace(" ", "")
    assert (
        said(out).count("are not compared") + said(out).count(" differ in ") + said(out).count("nothing is found") == 3
    )
    assert max(map(len, out.splitlines())) <= 80


def test_a_training_is_shown_with_a_row_a_run(todacomm, training, narrow):
    code, out, err = todacomm("show", training)
    assert (code, err) == (0, "")
    assert "Signature present: 2 of 2 runs grokked" in said(out)
    first = next(line for line in out.splitlines() if line.startswith(" seed 1"))
    accuracy, followed = re.findall(r"[▁▂▃▄▅▆▇█·]{10}", first)
    assert (accuracy[0], accuracy[-1], followed[-1]) == ("▁", "█", "█")
    assert followed[0] in "▁▂"
    control = next(line for line in out.splitlines() if "permuted" in line)
    assert not set(re.findall(r"[▁▂▃▄▅▆▇█·]{10}", control)[1]) & set("▆▇█"), (
        "controls are drawn between the ends of all"
    )
    assert "memorised only" in control
    assert max(map(len, out.splitlines())) <= 80


def test_an_ablation_is_shown_with_a_row_a_claim(todacomm, ablated, narrow):
    code, out, _ = todacomm("show", ablated)
    assert code == 0
    assert "2 settings beside the base" in out
    assert "a: the peak is layer_1" in said(out)
    assert max(map(len, out.splitlines())) <= 80


def test_names_from_outside_are_no_markup(todacomm, tmp_path):
    profile = a_profile(1, n=10, model="[red]m[/red]", data="[bold]x")
    write_record(tmp_path / "run", Record(profile, {}), None)
    assert "[red]m[/red]: 10 texts" in todacomm("show", tmp_path / "run")[1]


# Records


def test_json_is_what_the_commands_print(todacomm, experiment, comparison, training, ablated):
    code, out, _ = todacomm("show", experiment, "--json")
    assert code == 0
    (run,) = json.loads(out)
    assert (run["model"], list(run["layers"])) == ("a", list(stored.LAYERS))
    for directory, name in ((comparison, COMPARISON), (training, "signature.json"), (ablated, "ablation.json")):
        out = todacomm("show", directory, "--json")[1]
        assert json.loads(out) == json.loads((directory / name).read_text(encoding="utf-8"))
    assert len(json.loads(todacomm("show", experiment, comparison, "--json")[1])) == 2


def test_what_is_damaged_is_told_and_the_rest_is_shown(todacomm, experiment, comparison):
    (experiment / "runs" / "run_0" / "metrics.json").write_text("{", encoding="utf-8")
    code, out, err = todacomm("show", experiment)
    assert code == 1
    assert "left out: language metrics of run_0:" in said(err)
    assert "From embedding to its peak" in said(out)
    assert "bits per byte" not in out
    (experiment / "runs" / "run_0" / "manifest.json").unlink()
    code, out, err = todacomm("show", experiment, comparison)
    assert code == 1
    assert "run_0/manifest.json is missing" in said(err)
    assert "expansion runs from" in said(out)
    code, out, err = todacomm("show", experiment)
    assert (code, out) == (2, "")
    assert "nothing of" in err


def test_a_name_that_is_none_suggests_another(todacomm, experiment, tmp_path):
    code, _, err = todacomm("show", "aa", "--output-dir", tmp_path)
    assert code == 2
    assert "Did you mean 'a'?" in err


def test_what_show_draws_on_is_light():
    script = (
        "import sys, todacomm.report.terminal.overview, todacomm.runs.training_results\n"
        "print([m for m in ('torch', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

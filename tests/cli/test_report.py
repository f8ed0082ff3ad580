"""``todacomm report``: everything again from the records, and what a damaged one does."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stored
from todacomm.comparison.compare import How
from todacomm.records.ablations import ABLATION_RECORD, rows_of
from todacomm.records.texts import NONE_KEPT
from todacomm.report.ablation import ablation_charts
from todacomm.report.comparison import all_charts
from todacomm.report.training import all_figures
from todacomm.runs.ablation import write as write_ablation
from todacomm.runs.run_study import compared, write_compared

ONE_LINE = " ".join
LEFT_OUT = "What is left out"


@pytest.fixture
def undrawn(monkeypatch):
    """No figure is drawn: what they show is tested elsewhere."""
    monkeypatch.setattr("todacomm.runs.rebuild_reports.write_figures", lambda *_: [])
    monkeypatch.setattr("todacomm.runs.rebuild_reports.write_comparison_charts", lambda *_: [])
    monkeypatch.setattr(all_charts, "write_comparison_charts", lambda *_: [])
    monkeypatch.setattr(ablation_charts, "write_ablation_figures", lambda *_: [])
    monkeypatch.setattr(all_figures, "write_grok_figures", lambda *_: [])


@pytest.fixture(scope="module")
def profiles():
    return [stored.profile_of(name, i, claims=i == 0) for i, name in enumerate("abc")]


@pytest.fixture
def experiment(profiles, tmp_path, undrawn):
    """Three runs of one model, on a directory of its own."""
    again = [stored.profile_of("a", i) for i in (1, 2)]
    return stored.write_experiment(tmp_path / "a_tda_20260101_000000", [profiles[0], *again])


@pytest.fixture
def comparison(profiles, tmp_path, undrawn):
    """Two and a reference, each in an experiment, and what ``compare`` writes on them."""
    runs = {}
    for i, profile in enumerate(profiles):
        directory = tmp_path / f"{profile.model}_tda_20260101_000000"
        runs[id(profile)] = stored.write_run(directory / "runs" / "run_0", profile, i)
    found = compared(profiles, how=How("a", {"old": ["a", "b"], "new": ["c"]}))
    return write_compared(found, tmp_path, name="three", run_of=lambda p: runs[id(p)])


@pytest.fixture
def training(tmp_path, undrawn, monkeypatch):
    """Two runs and two controls, with their signature and report."""
    stored.unhurried(monkeypatch)
    return shutil.copytree(stored.a_training(), tmp_path / stored.a_training().name)


def page_of(directory, name="reports/report.html"):
    return (directory / name).read_text(encoding="utf-8")


def said(text):
    return ONE_LINE(text.split())


# Runs


def test_the_report_of_an_experiment_is_made_again_and_no_record_is_touched(todacomm, experiment):
    before = stored.records(experiment)
    code, out, err = todacomm("report", experiment)
    assert code == 0
    assert "Report:" in out
    assert not err
    assert stored.records(experiment) == before
    page = page_of(experiment)
    assert '"kind": "layers"' in page or '"kind":"layers"' in page
    assert "text 3 \\u003cb\\u003e" in page
    assert LEFT_OUT not in page
    assert "samples: 24" in page_of(experiment, "reports/experiment_report.md")
    for run in (experiment / "runs").iterdir():
        assert "The answer" in (run / "tda_interpretation.md").read_text(encoding="utf-8")


def test_the_same_records_give_the_same_files(todacomm, experiment):
    made = []
    for _ in range(2):
        assert todacomm("report", experiment)[0] == 0
        made.append([page_of(experiment), page_of(experiment, "reports/experiment_report.md")])
    assert made[0] == made[1]


def test_one_run_is_reported_alone(todacomm, experiment):
    assert todacomm("report", experiment / "runs" / "run_1")[0] == 0
    assert "a: topology of 24 texts" in page_of(experiment / "runs" / "run_1", "reports/experiment_report.md")
    assert not (experiment / "reports").exists()


def test_an_experiment_is_found_by_its_name(todacomm, experiment, tmp_path):
    assert todacomm("report", "a", "--output-dir", tmp_path, "-q") == (0, "", "")
    assert (experiment / "reports" / "report.html").exists()
    code, _, err = todacomm("report", "b", "--output-dir", tmp_path)
    assert code == 2
    assert "'b' is not a run that todacomm knows" in err


def test_records_from_before_texts_were_kept_give_a_page_without_them(todacomm, experiment):
    (experiment / "runs" / "run_1" / "texts.json").unlink()
    shutil.rmtree(experiment / "runs" / "run_2" / "activations")
    code, _, err = todacomm("report", experiment)
    assert code == 0
    assert "run_1 keeps no texts: points have no text" in err
    assert "run_2 keeps no activations: no clouds are shown" in err
    assert NONE_KEPT.reason in page_of(experiment)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def newer(path):
    path.write_text(path.read_text(encoding="utf-8").replace('"schema": 1', '"schema": 2'), encoding="utf-8")


def cut_activations(run):
    cut(next(run.glob("activations/*")))


RUN_LOST, CLAIMS_LOST = "run_1:", "intervals and nulls of run_0:"
DAMAGE = [
    ("run_1", lambda run: cut(run / "tda_summaries.json"), RUN_LOST, "tda_summaries.json cannot be read"),
    ("run_1", lambda run: cut(run / "diagrams.safetensors"), RUN_LOST, "diagrams.safetensors cannot be read"),
    ("run_1", lambda run: (run / "diagrams.safetensors").unlink(), RUN_LOST, "diagrams.safetensors is missing"),
    ("run_1", lambda run: newer(run / "manifest.json"), RUN_LOST, "manifest.json has schema 2"),
    ("run_1", lambda run: (run / "manifest.json").unlink(), RUN_LOST, "manifest.json is missing"),
    ("run_1", shutil.rmtree, RUN_LOST, "run_1 is missing"),
    ("run_0", lambda run: cut(run / "tda_claims.json"), CLAIMS_LOST, "tda_claims.json cannot be read"),
    ("run_0", lambda run: (run / "tda_claims.json").unlink(), CLAIMS_LOST, "tda_claims.json is missing"),
    ("run_0", lambda run: (run / "claims.safetensors").unlink(), CLAIMS_LOST, "claims.safetensors is missing"),
    ("run_1", lambda run: cut(run / "metrics.json"), "language metrics of run_1:", "metrics.json cannot be read"),
    ("run_1", cut_activations, "activations of run_1:", ".safetensors cannot be read as safetensors"),
    ("run_1", lambda run: newer(run / "texts.json"), "texts of run_1:", "texts.json has schema 2"),
]


@pytest.mark.parametrize("case", DAMAGE, ids=[fault for *_, fault in DAMAGE])
def test_a_damaged_record_is_named_and_the_rest_is_shown(todacomm, experiment, case):
    run, damage, what, fault = case
    damage(experiment / "runs" / run)
    code, out, err = todacomm("report", experiment)
    assert code == 1
    assert "Report:" in out
    for text in (said(err), said(page_of(experiment)), said(page_of(experiment, "reports/experiment_report.md"))):
        assert what in text
        assert fault in text
        assert "run_2:" not in text
    page = page_of(experiment)
    assert LEFT_OUT in page
    assert page.count('"bars"') == 3 * (2 if what == RUN_LOST else 3)
    assert "1.25" in page_of(experiment, "reports/experiment_report.md")


def test_what_is_left_out_stands_right_after_the_answers(todacomm, experiment):
    cut(experiment / "runs" / "run_1" / "metrics.json")
    todacomm("report", experiment)
    heads = [
        line for line in page_of(experiment, "reports/experiment_report.md").splitlines() if line.startswith("## ")
    ]
    assert [head.endswith("The answer") for head in heads[:4]] == [True, True, True, False]
    assert heads[3] == f"## {LEFT_OUT}"
    page = page_of(experiment)
    assert page.index(LEFT_OUT) < page.index("explorer-0")


def test_nothing_is_written_where_nothing_can_be_read(todacomm, experiment):
    for run in (experiment / "runs").iterdir():
        (run / "manifest.json").unlink()
    code, _, err = todacomm("report", experiment)
    assert code == 2
    assert "can be read run_0:" in said(err)
    assert "run_2/manifest.json is missing" in said(err)
    assert not (experiment / "reports").exists()


def test_a_configuration_that_is_missing_is_told(todacomm, experiment):
    (experiment / "experiment_config.yaml").unlink()
    code, _, err = todacomm("report", experiment)
    assert code == 1
    assert "experiment_config.yaml is missing" in said(err)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: d.mkdir(), "holds no records; expected a directory that `todacomm run`"),
        (
            lambda d: (d / "runs" / "run_0").mkdir(parents=True) or d.rename(d.with_name("d.part")),
            "d.part is unfinished",
        ),
        (lambda d: d.mkdir() or (d / "records.jsonl").touch(), "is one run of an experiment of training"),
    ],
)
def test_a_directory_of_something_else_is_refused(todacomm, tmp_path, make, message):
    make(tmp_path / "d")
    code, _, err = todacomm("report", next(tmp_path.iterdir()))
    assert code == 2
    assert message in said(err)


# Comparisons


def test_a_comparison_is_made_again_of_its_runs(todacomm, comparison):
    before, page = page_of(comparison, "comparison.md"), page_of(comparison, "report.html")
    (comparison / "comparison.md").unlink()
    code, _, err = todacomm("report", comparison)
    assert (code, err) == (0, "")
    assert page_of(comparison, "comparison.md") == before
    assert page_of(comparison, "report.html") == page


def test_a_run_that_is_gone_is_told_and_the_others_are_compared(todacomm, comparison, tmp_path):
    shutil.rmtree(tmp_path / "b_tda_20260101_000000")
    before = stored.records(comparison)
    code, _, err = todacomm("report", comparison)
    assert code == 1
    assert "left out: b: " in said(err)
    assert "b_tda_20260101_000000/runs/run_0/manifest.json is missing" in said(err)
    assert stored.records(comparison) == before
    text = page_of(comparison, "comparison.md")
    assert "Comparison of 2 models" in text
    assert "differences from" not in text


def test_where_the_reference_is_gone_the_others_are_set_beside_the_next(todacomm, comparison, tmp_path):
    shutil.rmtree(tmp_path / "a_tda_20260101_000000")
    code, _, err = todacomm("report", comparison)
    assert code == 1
    assert "differences from a: it is left out; the others are set beside b" in said(err)
    assert "b and c" in page_of(comparison, "comparison.md")


def test_a_comparison_without_any_run_left_is_not_made_again(todacomm, comparison, tmp_path):
    for name in "abc":
        shutil.rmtree(tmp_path / f"{name}_tda_20260101_000000")
    code, _, err = todacomm("report", comparison)
    assert code == 2
    assert "nothing of" in err


def test_an_old_comparison_says_that_it_does_not_name_its_runs(todacomm, comparison):
    record = json.loads(page_of(comparison, "comparison.json"))
    del record["experiments"], record["seal"]
    (comparison / "comparison.json").write_text(json.dumps(record), encoding="utf-8")
    code, _, err = todacomm("report", comparison)
    assert code == 2
    assert "does not name the runs that it is of" in said(err)
    assert "compare the runs again" in said(err)


# Ablations


@pytest.fixture
def ablated(tmp_path, undrawn):
    return write_ablation(stored.an_ablation(), tmp_path, "a", {}, "todacomm ablate")


def test_an_ablation_is_read_as_it_was_written(ablated):
    found, made = ABLATION_RECORD.read(ablated), stored.an_ablation()
    assert found.rows == rows_of(found.ablation) == rows_of(made)
    assert [s.verdicts for s in found.ablation.standings] == [s.verdicts for s in made.standings]
    assert found.ablation.depths == {"a": 1}


def test_the_report_of_an_ablation_is_made_again(todacomm, ablated):
    before, records = [page_of(ablated, name) for name in ("ablation.md", "report.html")], stored.records(ablated)
    code, _, err = todacomm("report", ablated)
    assert (code, err) == (0, "")
    assert [page_of(ablated, name) for name in ("ablation.md", "report.html")] == before
    assert stored.records(ablated) == records


def test_an_old_ablation_keeps_the_figure_that_its_record_cannot_give(todacomm, ablated):
    record = json.loads(page_of(ablated, "ablation.json"))
    del record["depths"], record["seal"]
    for row in record["rows"]:
        del row["peak_doubt"]
    (ablated / "ablation.json").write_text(json.dumps(record), encoding="utf-8")
    (ablated / "visualizations").mkdir()
    (ablated / "visualizations" / "ablation_peaks.png").write_bytes(b"drawn before")
    code, _, err = todacomm("report", ablated)
    assert code == 0
    assert "the figure of the peaks stays as it was" in said(err)
    assert "visualizations/ablation_peaks.png" in page_of(ablated, "ablation.md")


def test_a_damaged_ablation_says_so(todacomm, ablated):
    cut(ablated / "ablation.json")
    code, _, err = todacomm("report", ablated)
    assert code == 2
    assert "ablation.json cannot be read" in err


# Training


def test_the_report_of_a_training_is_made_again_and_its_signature_stays(todacomm, training):
    before, text = stored.records(training), page_of(training, "reports/report.md")
    code, _, err = todacomm("report", training)
    assert (code, err) == (0, "")
    assert stored.records(training) == before
    assert page_of(training, "reports/report.md") == text
    assert "todacomm grok --prime 19" in text


def cut_lines(path, keep):
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:keep]), encoding="utf-8")


TRAINING_DAMAGE = [
    (lambda d: cut_lines(d / "runs/seed_1/records.jsonl", 9), "seed_1: ", "cut off after step 80; expected 190 steps"),
    (lambda d: cut(d / "runs/seed_2/records.jsonl"), "seed_2: ", "seed_2/records.jsonl is cut off"),
    (lambda d: (d / "runs/seed_2/run.json").unlink(), "seed_2: ", "seed_2/run.json is missing"),
    (lambda d: newer(d / "runs/seed_2/records.jsonl"), "seed_2: ", "records.jsonl, line 1 has schema 2"),
    (lambda d: shutil.rmtree(d / "runs/seed_2"), "seed_2: ", "runs/seed_2 is missing"),
    (
        lambda d: (d / "runs/seed_1/checkpoints/step_00000040.safetensors").unlink(),
        "diagrams and embeddings of seed_1: ",
        "step_00000040.safetensors is missing",
    ),
    (
        lambda d: (d / "runs/seed_1/weights.safetensors").unlink(),
        "weights of seed_1: ",
        "weights.safetensors is missing",
    ),
    (lambda d: (d / "experiment.json").unlink(), "plan, settings and versions: ", "experiment.json is missing"),
    (lambda d: (d / "signature.json").unlink(), "command and failures: ", "what was stopped goes on"),
]


@pytest.mark.parametrize("case", TRAINING_DAMAGE, ids=[fault for *_, fault in TRAINING_DAMAGE])
def test_a_damaged_training_is_told_and_the_rest_is_judged(todacomm, training, monkeypatch, case):
    damage, what, fault = case
    monkeypatch.setattr("todacomm.report.training.training_explorer.grok_explorers", lambda _: [])
    damage(training)
    left = stored.records(training)
    code, _, err = todacomm("report", training)
    assert code == 1
    for text in (said(err), said(page_of(training)), said(page_of(training, "reports/report.md"))):
        assert what in text
        assert fault in text
    assert stored.records(training) == left
    page = page_of(training)
    assert LEFT_OUT in page
    assert "Signature present: " in page
    assert ("0 of 1 runs" in page) is False
    assert ("1 of 1 runs grokked" in page) is what.startswith("seed_")


def test_figures_are_of_a_run_whose_diagrams_are_there(todacomm, training):
    (training / "runs/seed_1/checkpoints/step_00000040.safetensors").unlink()
    todacomm("report", training)
    assert '"run": "seed 2"' in page_of(training) or '"run":"seed 2"' in page_of(training)


def test_a_training_of_which_nothing_can_be_read_is_not_reported(todacomm, training):
    for path in training.glob("runs/*/records.jsonl"):
        path.unlink()
    code, _, err = todacomm("report", training)
    assert code == 2
    assert "nothing of" in err


# Several runs on one page


@pytest.fixture
def two(profiles, tmp_path, undrawn):
    return [
        stored.write_experiment(tmp_path / f"{profile.model}_tda_20260101_000000", [profile])
        for profile in profiles[:2]
    ]


def test_several_runs_lie_over_each_other_on_one_page(todacomm, two, tmp_path):
    before = [stored.records(directory) for directory in two]
    code, out, _ = todacomm("report", *two, "--output-dir", tmp_path)
    assert code == 0
    assert [stored.records(directory) for directory in two] == before
    (made,) = tmp_path.glob("report_a_and_b_*")
    assert str(made / "report.html") in said(out).replace(" ", "")
    page = page_of(made, "report.html")
    assert page.count('"kind": "layers"') + page.count('"kind":"layers"') == 1
    text = page_of(made, "report.md")
    for name in "ab":
        assert f"- **{name}**: {name} spreads the 24 texts out " in text
    assert "| a |" in text
    assert not (two[0] / "reports").exists()


def test_a_file_may_be_named_for_the_page(todacomm, two, tmp_path):
    assert todacomm("report", *two, "--output", tmp_path / "over.html")[0] == 0
    assert (tmp_path / "over.md").exists()
    assert todacomm("report", two[0], "--output", tmp_path / "over")[0] == 0
    assert (tmp_path / "over" / "report.html").exists()


def test_two_runs_of_one_model_are_called_by_their_directories(todacomm, profiles, tmp_path, undrawn):
    same = [stored.write_experiment(tmp_path / f"{name}_20260101_000000", [profiles[0]]) for name in ("old", "new")]
    assert todacomm("report", *same, "--output", tmp_path / "o")[0] == 0
    text = page_of(tmp_path / "o", "report.md")
    assert "- **old_20260101_000000**: " in text
    assert "- **new_20260101_000000**: " in text


def test_of_several_a_damaged_one_is_left_out(todacomm, two, tmp_path):
    cut(two[0] / "runs" / "run_0" / "manifest.json")
    code, _, err = todacomm("report", *two, "--output", tmp_path / "o")
    assert code == 1
    assert "run_0/manifest.json cannot be read" in said(err)
    assert LEFT_OUT in page_of(tmp_path / "o", "report.html")
    cut(two[1] / "runs" / "run_0" / "manifest.json")
    code, _, err = todacomm("report", *two, "--output", tmp_path / "p")
    assert code == 2
    assert said(err).count("a_tda_20260101_000000/runs/run_0/manifest.json") == 1
    assert not (tmp_path / "p").exists()


def test_what_cannot_share_a_page_is_refused(todacomm, two, comparison, training, tmp_path):
    def refused(*arguments):
        code, _, err = todacomm("report", *arguments)
        assert code == 2
        return said(err)

    assert "is an experiment of training, which shares a page with no other" in refused(two[0], training)
    assert "is a comparison, which shares a page with no other" in refused(comparison, two[0])
    assert "has its own page: leave out --output" in refused(training, "--output", tmp_path / "o")
    assert "the same directory is given twice" in refused(two[0], two[0])
    assert "holds records and a report of its own" in refused(*two, "--output", two[0])
    (tmp_path / "file").touch()
    assert "expected a directory, or a file that ends in .html" in refused(*two, "--output", tmp_path / "file")


# As one types it


@pytest.mark.slow
def test_neither_report_nor_show_needs_torch_and_show_draws_nothing(comparison, training, tmp_path):
    script = """
import sys
from todacomm.cli import app
def loaded(*names):
    return [name for name in names if name in sys.modules]
for command in ("show", "report"):
    for directory in sys.argv[1:]:
        app([command, directory], standalone_mode=False)
    print(command, loaded("torch", "transformers", *(["matplotlib"] if command == "show" else [])))
"""
    places = [tmp_path / "a_tda_20260101_000000", comparison, training]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, places)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "show []" in done.stdout
    assert "report []" in done.stdout
    assert (places[0] / "runs" / "run_0" / "visualizations" / "tda_summary.png").exists()
    assert (training / "visualizations" / "training_curves.png").exists()


@pytest.mark.slow
def test_figures_for_a_paper_are_drawn_from_records(todacomm, profiles, tmp_path):
    run = stored.write_run(tmp_path / "run", profiles[0], 0)
    assert todacomm("report", run, "--figures", "pdf")[0] == 0
    assert {path.suffix for path in (run / "visualizations").iterdir()} == {".png", ".pdf"}
    assert Path(run / "reports" / "report.html").exists()


@pytest.mark.slow
def test_what_a_study_wrote_is_made_again_byte_for_byte(todacomm, tmp_path):
    models = ("--models", "tiny-preln-decoder,tiny-postln-decoder", "--pool", "mean")
    assert todacomm("run", *models, "--samples", 20, "--resamples", 0, "--null-draws", 19, "-q")[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "experiments").rglob("*") if path.is_file()}
    for path in before:
        if set(path.parts) & set(stored.MADE_AGAIN):
            path.unlink()
    for directory in (tmp_path / "experiments").iterdir():
        assert todacomm("report", directory, "-q") == (0, "", "")
    assert {path: path.read_bytes() for path in (tmp_path / "experiments").rglob("*") if path.is_file()} == before

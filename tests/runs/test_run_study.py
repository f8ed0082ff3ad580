"""Small studies on the shipped models: what is written, what fails, what is the same twice."""

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import todacomm as td
from todacomm.records.runs import read_experiment
from todacomm.runs.config import Study
from todacomm.runs.run_study import execute

ENCODER, DECODER = "tiny-postln-encoder", "tiny-preln-decoder"


def one_line(text):
    return " ".join(text.split())


@pytest.mark.usefixtures("no_figures")
def test_a_failed_model_of_several_is_reported_and_the_others_finish(todacomm, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    code, out, err = todacomm("run", "--models", f"./broken,{ENCODER}", "--samples", 12, "--pool", "mean")
    assert code == 1
    assert ENCODER in out
    assert "failed: broken" in one_line(err)
    comparison = next(Path("experiments").glob("comparison_*"))
    record = json.loads((comparison / "comparison.json").read_text(encoding="utf-8"))
    assert "broken" in record["failures"]
    assert "Traceback" in record["failures"]["broken"]["details"]
    assert "broken" in (comparison / "comparison.md").read_text(encoding="utf-8")
    assert not list(Path("experiments").glob("broken*"))


def failing(monkeypatch, second):
    """Let the second reading of a study end in an error."""
    from todacomm.runs import jobs

    real, calls = jobs.read, []

    def once(*arguments, **settings):
        calls.append(settings["pooling"])
        if len(calls) == 2:
            raise second
        return real(*arguments, **settings)

    monkeypatch.setattr(jobs, "read", once)


@pytest.mark.slow
def test_an_error_of_another_library_is_told_and_the_other_jobs_are_done(monkeypatch, todacomm):
    failing(monkeypatch, RuntimeError("not enough memory"))
    code, _, err = todacomm(
        "run", "--model", DECODER, "--pool", "mean,last,max", "--samples", 10, "--layers", "layer_5", "--quiet"
    )
    assert code == 1
    assert f"failed: {DECODER}: wikitext2, pooling last: RuntimeError: not enough memory" in one_line(err)
    (experiment,) = Path("experiments").glob("*")
    assert [record.profile.recipe.pooling for record in read_experiment(experiment)] == ["mean", "max"]
    assert "Traceback" not in err


@pytest.mark.usefixtures("no_figures")
def test_a_fault_of_ours_is_not_taken_for_a_failed_job(monkeypatch, tmp_path):
    failing(monkeypatch, KeyError("a mistake"))
    study = Study(models=(DECODER,), samples=10, layers=("layer_5",), pooling=("mean", "last"), null_draws=19)
    with pytest.raises(KeyError, match="a mistake"):
        execute(study.but(output_dir=str(tmp_path)))
    assert len(read_experiment(next(tmp_path.iterdir()))) == 1


def test_a_report_that_cannot_be_written_does_not_take_the_run_with_it(tmp_path, monkeypatch):
    from todacomm.runs import run_study as execution

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(execution, "write_experiment_reports", full)
    study = Study(models=(DECODER,), samples=10, layers=("layer_5",), pooling=("mean",), output_dir=str(tmp_path))
    with pytest.raises(td.TodacommError, match="No space left"):
        execute(study)
    assert len(read_experiment(next(tmp_path.iterdir()))) == 1


def test_settings_that_would_change_nothing_are_refused():
    texts = td.texts("wikitext2", 10)
    with pytest.raises(td.TodacommError, match=r"output_dir: run\(\) measures one model"):
        td.run(DECODER, texts=texts, output_dir="here")
    with pytest.raises(td.TodacommError, match="samples: all of the texts given are measured"):
        td.run(DECODER, texts=texts, samples=5)
    with pytest.raises(td.TodacommError, match="device: the model is loaded already"):
        td.run(object(), tokenizer=object(), texts=texts, device="cpu")


@pytest.mark.slow
def test_two_datasets_are_two_runs(todacomm):
    code, _, _ = todacomm(
        "run",
        "--model",
        DECODER,
        "--datasets",
        "wikitext2,squad",
        "--samples",
        10,
        "--layers",
        "embedding,layer_5",
        "--quiet",
    )
    assert code == 0
    experiment = next(Path("experiments").glob("tiny*"))
    assert [record.profile.data for record in read_experiment(experiment)] == ["wikitext2", "squad"]
    assert read_experiment(experiment)[0].profile.layers == ("embedding", "layer_5")


def test_two_datasets_of_one_name_are_refused(todacomm, tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "texts.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    code, _, err = todacomm("run", "--model", DECODER, "--datasets", "a/texts.txt,b/texts.txt", "--samples", 3)
    assert code == 2
    assert "are both called 'texts'" in one_line(err)


@pytest.mark.usefixtures("no_figures")
def test_sublayers_and_tokens_can_be_measured(tmp_path):
    texts = td.texts("wikitext2", 12)
    mlp = td.run(DECODER, texts=texts, site="mlp", language=False)
    assert mlp.layers == tuple(f"layer_{i}" for i in range(6))
    tokens = td.run(DECODER, texts=texts, pooling="tokens", subsample=40, language=False)
    assert tokens["points"].tolist() == [40] * 8
    assert any("Each point is one token" in note for note in tokens.notes)


@pytest.mark.usefixtures("no_figures")
def test_run_takes_a_model_that_the_caller_holds():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from todacomm.models.names import resolve

    directory = resolve("tiny-postln-decoder").location
    held = AutoModelForCausalLM.from_pretrained(directory).float()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    texts = td.texts("wikitext2", 12)
    ours, named = td.run(held, tokenizer=tokenizer, texts=texts), td.run("tiny-postln-decoder", texts=texts)
    np.testing.assert_allclose(ours["H0_total_persistence"], named["H0_total_persistence"], rtol=1e-5)


WORDS = ["The river is wide.", "A bridge of stone", "Rain", "Winter came early", "They sang all night"]


def test_run_takes_a_list_of_texts():
    whole = td.run(DECODER, texts=td.Texts("texts", tuple(WORDS)), layers="layer_2", language=False, resamples=0)
    for given in (WORDS, tuple(WORDS), (text for text in WORDS), np.array(WORDS), td.Texts(WORDS)):
        assert td.run(DECODER, texts=given, layers="layer_2", language=False, resamples=0) == whole
    assert (whole.data, whole["points"].tolist()) == ("texts", [5])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([*WORDS, ""], "texts: 5 of 6 texts have .* 6 were asked for, which is all of them: text 5 is empty. Leave"),
        ([*WORDS[:2], "", *WORDS, ""], "7 of 9 texts have .*: text 2 is empty"),
        ([*WORDS, None], "text 5 is NoneType; expected a string"),
        ([b"bytes", *WORDS], "text 0 is bytes; expected a string"),
        (["half \ud800", *WORDS], "text 0 holds half a surrogate pair"),
        (7, "texts are int; expected a list of strings"),
    ],
)
def test_a_text_that_cannot_be_measured_is_named(texts, message):
    with pytest.raises(td.TodacommError, match=message):
        td.run(DECODER, texts=texts, layers="layer_2", language=False)


def test_a_path_of_a_file_of_texts_is_one(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("\n".join(WORDS), encoding="utf-8")
    found = td.run(DECODER, texts=path, samples=5, layers="layer_2", language=False, resamples=0, null_draws=0)
    assert found.data == "own"


@pytest.mark.slow
def test_an_interrupt_leaves_what_was_finished_and_nothing_half(tmp_path):
    poolings = ["mean", "last", "max", "cls"]
    command = [
        sys.executable,
        "-m",
        "todacomm",
        "run",
        "--model",
        DECODER,
        "--pool",
        ",".join(poolings),
        "--samples",
        "400",
    ]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs are started deaf to it
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heard) as running:  # noqa: PLW1509
        while not list(tmp_path.glob("experiments/*/runs/run_0/manifest.json")):
            assert running.poll() is None, "it has ended before"
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate()
    assert running.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    records = read_experiment(next(tmp_path.glob("experiments/*")))
    assert 1 <= len(records) < len(poolings)
    assert [record.profile.recipe.pooling for record in records] == poolings[: len(records)]
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.usefixtures("no_figures")
def test_texts_that_are_too_short_are_passed_over_and_the_next_ones_taken(tmp_path):
    path = tmp_path / "mixed.txt"
    path.write_text("\n".join(f"word {i}" + " and so on and on" * (i % 2) for i in range(20)), encoding="utf-8")
    study = Study(models=(DECODER,), datasets=(str(path),), samples=10, min_tokens=6, pooling=("mean",), language=False)
    (profile,) = execute(study.but(output_dir=str(tmp_path / "out"), layers=("layer_5",))).profiles
    assert profile["points"].tolist() == [10]
    assert any("10 texts had too few tokens" in note for note in profile.notes)
    with pytest.raises(td.TodacommError, match="20"):
        execute(study.but(samples=21, output_dir=str(tmp_path / "out")))

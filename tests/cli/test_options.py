"""Options come from the fields of a study: each is explained once, takes its older words, and can be completed."""

import re

import pytest
import typer.main
from typer.core import TyperOption

from todacomm.cli import COMMANDS, app
from todacomm.cli.options import OF_ARRAYS, dashed, given_of, retold
from todacomm.cli.options import default_of as default_of_field
from todacomm.cli.terminal.help import default_of, names_of, sentence_of
from todacomm.core.errors import InvalidInput
from todacomm.runs.config import OPTIONS, Study
from todacomm.runs.fields import INFERENCE, MEASURING

GROUP = typer.main.get_group(app)


def options_of(command):
    return {one.name: one for one in GROUP.commands[command].params if isinstance(one, TyperOption)}


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("key", OPTIONS)
def test_every_field_of_a_study_is_an_option_with_its_sentence_and_default(command, key):
    told, option = OPTIONS[key], options_of(command)[key]
    assert next(names_of(option)) == dashed(key)
    assert option.help == f"{told.help}."
    assert option.rich_help_panel == told.panel
    assert default_of(option) == default_of_field(told)
    assert {dashed(old) for old in told.old} <= set(option.opts)
    assert set(told.single) <= set(options_of(command))


def test_measure_has_what_says_something_of_arrays():
    marked = {key for key, told in OPTIONS.items() if told.bears_on & {MEASURING, INFERENCE}}
    assert marked - set(OF_ARRAYS) == {"pooling", "site", "max_length", "null_runs"}
    assert set(OF_ARRAYS) <= set(options_of("measure"))
    changed = {key for key in OF_ARRAYS if options_of("measure")[key].help != f"{OPTIONS[key].help}."}
    assert changed == {"distance", "jobs", "cache"}


def test_output_is_a_path_and_an_older_word_for_a_name():
    paths = {command for command in COMMANDS if "output" in options_of(command)}
    names = {command for command in COMMANDS if "name" in options_of(command)}
    assert (paths, names) == ({"measure", "report"}, {"run", "plan", "compare", "ablate", "grok", "stability", "track"})
    assert all(options_of(command)["name"].opts == ["--name", "--output"] for command in names)


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_breaks_no_word_and_cuts_no_option(todacomm, monkeypatch, command, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERMINAL_WIDTH", str(width))
    code, out, err = todacomm(command, "--help")
    assert (code, err) == (0, "")
    assert "<bool>" not in out
    flat = re.sub(r"\s+", "", out)
    for option in GROUP.commands[command].params:
        assert re.sub(r"\s+", "", sentence_of(option)) in flat
        if isinstance(option, TyperOption) and option.metavar:
            assert f"{next(names_of(option))} {option.metavar}" in out
    words = {word for option in GROUP.commands[command].params for word in sentence_of(option).split()}
    whole = {part for word in words for part in re.split(r"(?<=-)", word) if len(part) > 3}
    assert [part for part in whole if part not in out] == []


def typed(**values):
    return given_of(OPTIONS, values)


def test_only_what_was_typed_is_given_and_read_by_its_kind():
    words = {"samples": "20", "components": "none", "batch_size": "auto", "jobs": "3", "confidence": ".9", "name": "5"}
    found = typed(**words, shuffle=True, cache=False, model="gpt2", seed=None)
    assert found == {
        "samples": 20,
        "components": "none",
        "batch_size": "auto",
        "jobs": 3,
        "confidence": 0.9,
        "name": "5",
        "shuffle": True,
        "cache": False,
        "models": ("gpt2",),
    }
    study = Study(**found)
    assert (study.components, study.name, study.models) == (None, "5", ("gpt2",))


def test_two_options_of_one_field_are_refused():
    with pytest.raises(InvalidInput, match="--model and --hf-model both name the models; give one of them"):
        typed(model="a", hf_model="b")


@pytest.fixture
def studies(monkeypatch):
    """The studies that would be run."""
    seen = []

    def execute(study, **_):
        seen.append(study)
        raise InvalidInput("seen")

    monkeypatch.setattr("todacomm.runs.run_study.execute", execute)
    return seen


def test_older_words_are_taken_and_what_is_on_can_be_turned_off(todacomm, studies):
    for words in (
        ("--pool", "mean", "--pca", 5, "--points", 9, "--output", "a", "--no-texts", "--no-cache"),
        ("--pooling", "mean", "--components", 5, "--subsample", 9, "--name", "a", "--no-keep-texts", "--no-cache"),
    ):
        todacomm("run", "--model", "gpt2", *words)
    expected = {"pooling": "mean", "components": 5, "subsample": 9, "name": "a", "keep_texts": False, "cache": False}
    assert studies == [Study(models="gpt2", **expected)] * 2


def test_a_switch_of_a_study_file_can_be_turned_round(todacomm, studies, tmp_path):
    (tmp_path / "study.yaml").write_text("shuffle: true\ncache: false\n", encoding="utf-8")
    todacomm("run", "--config", "study.yaml", "--no-shuffle", "--cache", "--samples", 7)
    assert studies == [Study(samples=7)]


def test_what_says_nothing_of_arrays_is_refused(todacomm):
    for command in ("ablate", "plan"):
        code, _, err = todacomm(command, "x.npy", "--site", "mlp")
        assert code == 2
        assert "x.npy and --site: arrays need no model and no texts" in " ".join(err.split())


def completions(todacomm, monkeypatch, line):
    monkeypatch.setenv("_TODACOMM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    return todacomm()[1].split()


def test_a_shell_completes_commands_options_and_values(todacomm, monkeypatch):
    assert completions(todacomm, monkeypatch, "todacomm me") == ["measure"]
    assert "--subsample" in completions(todacomm, monkeypatch, "todacomm run --sub")
    assert completions(todacomm, monkeypatch, "todacomm run --site a") == ["attention"]
    assert completions(todacomm, monkeypatch, "todacomm run --pooling mean,to") == ["mean,tokens"]
    assert completions(todacomm, monkeypatch, "todacomm measure x.npy --distance p") == ["precomputed"]


def test_a_field_can_be_told_otherwise_for_a_command():
    found = retold("name", "Name of the comparison", default="x")
    assert (found.help, found.default, found.kind) == ("Name of the comparison", "x", OPTIONS["name"].kind)


def test_defaults_are_told_in_one_way(todacomm):
    for command in COMMANDS:
        out = todacomm(command, "--help")[1]
        assert not re.search(r"[(]default|Default ", out)


def test_a_file_of_ones_own_is_measured_whole_unless_told(tmp_path):
    """Neither more than it holds nor the first texts alone; a study file and --samples decide."""
    from todacomm.cli.run import study_of

    own = tmp_path / "own.txt"
    own.write_text("\n".join(f"text number {i}" for i in range(7)) + "\n\n", encoding="utf-8")
    given = {"datasets": (str(own),)}
    assert study_of(None, given).samples == 7
    assert study_of(None, {**given, "samples": 5}).samples == 5
    assert study_of(None, {**given, "min_tokens": 3}).samples == 500
    assert study_of(None, {"datasets": (str(own), "squad")}).samples == 500
    assert study_of(None, {"datasets": ("squad",)}).samples == 500
    written = tmp_path / "study.yaml"
    written.write_text("samples: 4\n", encoding="utf-8")
    assert study_of(str(written), given).samples == 4

"""Exit codes and messages of the docs, whatever the terminal, the environment and missing packages."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from todacomm.cli import app
from todacomm.cli.terminal import ending
from todacomm.cli.terminal.streams import guarded
from todacomm.core.errors import CannotWrite

TESTS = Path(__file__).parents[1]
ENCODINGS = ("cp1252", "ascii", "utf-8")
NAMES = ("embedding", "layer_0 → ×", "=cmd|' /C calc'!A0", "evil\x1b[31m\x9b1m", "[/x][red]", "\u202etxt")
FEW = ("--resamples", "20", "--null-draws", "19")
LIGHT = [
    ["--help"],
    ["--version"],
    ["list-models"],
    ["list-configs"],
    ["init", "study.yaml"],
    *([command.name, "--help"] for command in app.registered_commands),
    ["measure", "layers.npz", *FEW],
    ["measure", "layers.npz", *FEW, "--json"],
    ["measure", "layers.npz", *FEW, "--csv"],
    ["measure", "layers.npz", *FEW, "--quiet"],
    ["measure", "layers.npz", *FEW, "--output", "measured"],
    ["measure", "layers.npz", *FEW, "--output", "other"],
    ["measure", "nothing → ×.npy"],
    ["plan", "layers.npz"],
    ["plan", "layers.npz", "--json"],
    ["ablate", "layers.npz", "--components", "2,3", "--points", "all", "--scale", "none", "--distance", "euclidean"],
    ["compare", "measured", "other", "--fail-if", "H0_count:abs>=0"],
    ["compare", "measured", "other", "--fail-if", "H0_count:abs>0", "--json"],
    ["show", "measured"],
    ["show", "measured", "--json"],
    ["report", "measured"],
    ["report", "measured", "other", "--output", "page.html"],
    ["cache", "ls"],
    ["cache", "ls", "--json"],
    ["cache", "ls", "--csv"],
    ["cache", "du"],
    ["cache", "rm", "--all", "--yes"],
]
CODES = {("measure", "nothing → ×.npy"): 2, ("compare", "measured", "other", "--fail-if", "H0_count:abs>=0"): 1}
OF_MODELS = [
    ["run", "--model", "tiny-preln-decoder", "--samples", "10", *FEW, "--output", "one"],
    ["run", "--model", "tiny-preln-decoder", "--samples", "10", *FEW, "--json"],
    ["plan", "--model", "tiny-preln-decoder", "--samples", "10"],
    ["ablate", "--model", "tiny-preln-decoder", "--samples", "10", "--components", "2", "--points", "all", "--pool",
        "last", "--max-length", "8"],
    ["grok", "--prime", "5", "--steps", "20", "--seeds", "1", "--controls", "1", "--width", "8", "--points", "10"],
    ["grok", "--prime", "5", "--steps", "20", "--seeds", "1", "--controls", "1", "--width", "8", "--points", "10",
        "--json"],
]  # fmt: skip


@pytest.fixture
def place(tmp_path):
    """A directory with arrays whose names are hard to print."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "layers.npz", **{name: rng.normal(size=(20, 3)) for name in NAMES})
    return tmp_path


def environment(**more):
    path = os.pathsep.join([str(TESTS / "absent"), str(TESTS.parent / "src"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, **more}


def every(commands, place, *encodings, **variables):
    """What each command gives under each encoding: (encoding, command, code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, str(TESTS / "every_command.py"), *encodings],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        check=True,
        cwd=place,
        env=environment(MPLBACKEND="module://no_such_canvas", **variables),
    )
    return json.loads(done.stdout)


def assert_as_documented(found):
    for encoding, command, code, out, err in found:
        told = f"{encoding} {command}: {code}\n{out}\n{err}"
        expected = CODES.get(tuple(command), 0)
        if command[:2] == ["init", "study.yaml"] or "--output" in command:
            expected = expected if encoding == found[0][0] else 2  # it is there already
            expected = 0 if "page.html" in command else expected
        assert code == expected, told
        assert "Traceback" not in err, told
        if "--json" in command and code == 0:
            json.loads(out)
        assert not {c for c in out + err if c < " " or "\x7f" <= c <= "\x9f"} - {"\n", "\t"}, told


@pytest.mark.slow
@pytest.mark.parametrize(
    "absent", ["", "transformers,datasets,tokenizers", "torch,transformers,datasets,tokenizers,pandas"]
)
def test_commands_on_arrays_are_the_same_in_every_encoding_with_a_broken_canvas_and_without_torch(place, absent):
    assert_as_documented(every(LIGHT, place, *ENCODINGS, ABSENT=absent))


@pytest.mark.slow
def test_commands_on_models_are_the_same_in_every_encoding(place):
    for encoding, command, code, out, err in every(OF_MODELS, place, *ENCODINGS):
        assert code == (1 if command[0] == "grok" and "no signature" in err else 0), (
            f"{encoding} {command}: {out}\n{err}"
        )
        assert "Traceback" not in err
        if "--json" in command and out:
            json.loads(out)


@pytest.mark.slow
@pytest.mark.parametrize("absent", ["torch", "transformers"])
def test_what_needs_models_says_what_to_install_and_leaves_with_2(place, absent):
    hidden = "torch,transformers,tokenizers" if absent == "torch" else "transformers"
    needed = [command for command in OF_MODELS if absent == "torch" or command[0] != "grok"]
    for _, command, code, out, err in every(needed, place, "utf-8", ABSENT=hidden):
        assert code == 2, command
        assert "which is not installed here. Install it from your clone with: pip install '.[" in " ".join(err.split())
        assert absent in err
        assert "Traceback" not in err
        assert not out


def test_an_extra_is_named_by_the_package_that_brings_it():
    found = [
        ("torch", "run", "torch", "models"),
        ("torch.nn", "grok", "torch", "grok"),
        ("accelerate", "run", "accelerate", "large"),
        ("dask.array", "run", "distributed", "cluster"),
    ]
    for module, command, package, extra in found:
        told = str(ending.missing_extra(ModuleNotFoundError(f"No module named {module!r}", name=module), command))
        assert told.startswith(f"todacomm {command} needs {package}, which")
        assert f"'.[{extra}]'" in told
        assert str(ending.missing_extra(ModuleNotFoundError(f"No module named '{module}'"), command)) == told
    assert ending.missing_extra(ModuleNotFoundError("No module named 'of_a_plugin'", name="of_a_plugin"), "run") is None


@pytest.mark.parametrize("encoding", [*ENCODINGS, "latin-1", "koi8-r"])
def test_names_that_an_encoding_does_not_hold_are_replaced(todacomm, place, monkeypatch, encoding):
    """Control characters, brackets and formulas of names are shown; JSON holds every name as it is."""
    printed = {}
    for form in ("--json", "--csv", "--no-cache"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", stream)
            assert todacomm("measure", "layers.npz", "--resamples", 0, "--null-draws", 0, form)[0] == 0
        printed[form] = stream.buffer.getvalue().decode(encoding)
        assert not any(c in printed[form] for c in "\x1b\x9b\x07\u202e")
    assert set(json.loads(printed["--json"])[0]["layers"]) == set(NAMES)
    layers = [row["layer"] for row in csv.DictReader(io.StringIO(printed["--csv"]))]
    assert "'=cmd|' /C calc'!A0" in layers
    assert r"evil\x1b[31m\x9b1m" in layers
    table = printed["--no-cache"]
    assert "[/x][red]" in table
    assert r"evil\x1b[31m\x9b1m" in table
    assert ("layer_0 → ×" if encoding == "utf-8" else "layer_0 -> ") in table


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1"])
def test_csv_shields_a_formula_and_no_number(todacomm, tmp_path, name):
    np.savez(tmp_path / "layers.npz", **{name: np.random.default_rng(0).normal(size=(9, 2))})
    _, out, _ = todacomm("measure", "layers.npz", "--csv", "--resamples", 0, "--null-draws", 0)
    row = next(csv.DictReader(io.StringIO(out)))
    assert row["layer"] == f"'{name}"
    assert float(row["H0_total_persistence"]) > 0


class Broken(io.StringIO):
    """A stream that cannot be written, or not flushed."""

    def __init__(self, problem, *, late):
        super().__init__()
        self.problem, self.late = problem, late

    def write(self, text):
        if self.late:
            return len(text)
        raise self.problem

    def flush(self):
        raise self.problem


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("problem", [FULL, BrokenPipeError(32, "Broken pipe"), io.UnsupportedOperation("not writable")])
@pytest.mark.parametrize(
    "command", [["list-models"], ["--help"], ["run", "--help"], ["cache", "ls", "--json"], ["--version"]]
)
def test_output_that_cannot_be_written_is_told_with_exit_code_2(todacomm, monkeypatch, command, problem, late):
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", Broken(problem, late=late))
        code, _, err = todacomm(*command)
    assert code == 2
    assert err.startswith("error: standard output cannot be written: ")
    assert "Traceback" not in err


def test_messages_that_cannot_be_written_change_no_exit_code(todacomm, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", Broken(FULL, late=False))
        assert todacomm("measure", "none.npy")[0] == 2
        assert todacomm("list-models")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ("{} list-models > /dev/full", 2),
        ("{} list-models >&-", 2),
        ("{} measure layers.npz --quiet --resamples 0 --null-draws 0 >&-", 0),
        ("{} measure layers.npz --quiet --resamples 0 --null-draws 0 >&- 2>&- <&-", 0),
        ("{} measure none.npy 2> /dev/full", 2),
        ("({} measure layers.npz --json; echo $? > code) | true; exit $(cat code)", 2),
        ("{} list-models < /dev/null", 0),
    ],
)
def test_a_real_shell_gets_the_same_codes(place, shell, code):
    program = f"{sys.executable} -m todacomm"
    done = subprocess.run(
        ["/bin/sh", "-c", shell.format(program)],
        cwd=place,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_streams_are_as_before_when_the_program_has_ended():
    before = sys.stdout, sys.stderr
    with pytest.raises(CannotWrite), guarded():
        raise CannotWrite("x")
    assert (sys.stdout, sys.stderr) == before

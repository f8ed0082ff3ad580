"""Probes: the files that ship and a user's own, a probe from the command line, what is written and read again."""

import json
from pathlib import Path

import pytest

import todacomm as td
from stored import a_probe
from todacomm.circles.order import FEWEST_WORDS
from todacomm.circles.probed import Probed
from todacomm.circles.probes import shipped_probes
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.report.probes.probe_sections import sentences
from todacomm.runs.loops.probe_files import load_probe, probe_of
from todacomm.runs.loops.probe_model import lower_half

OWN = """
words: [one, two, three, four, five, six]
templates: ["there are {}", "she has {}"]
questions:
  - text: "after {} comes"
    step: 2
  - "{} and then"
"""
CIRCLES = {"months", "weekdays", "hours", "compass", "hues", "notes", "modulo_ten"}
CONTROLS = {"positions": "line", "numbers": "line", "grades": "line", "nouns": "none"}


def test_the_probes_that_ship_have_twelve_templates_and_say_what_is_known_of_their_words():
    found = {name: load_probe(name) for name in shipped_probes()}
    assert set(found) == CIRCLES | set(CONTROLS)
    for name, probe in found.items():
        assert probe.name == name
        assert len(set(probe.templates)) >= 12
        assert probe.expected == CONTROLS.get(name, "circle")


def test_a_file_of_ones_own_is_read():
    probe = probe_of(OWN, "my/counting.yaml")
    assert (probe.name, probe.words[1], probe.expected) == ("counting", "two", "circle")
    assert [(q.text, q.step) for q in probe.questions] == [("after {} comes", 2), ("{} and then", 1)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("words: [a, b", "own.yaml: not YAML"),
        ("- a", "expected the keys name, words, templates"),
        ("words: [a]\ncolour: red", "unknown key 'colour'"),
        ("words: a, b", "words is 'a, b'; expected a list"),
        ("words: [a, b]", "lacks templates"),
        (OWN + "expected: round", "expected is 'round'; it is one of circle, line, none"),
        (OWN.replace("step: 2", "step: two"), "expected a text, or text and step"),
        (OWN.replace("six", "one"), "has the word 'one' twice"),
        (OWN.replace(", six", ""), f"has 5 words, whose orders decide nothing; expected {FEWEST_WORDS} or more"),
        (OWN.replace('"she has {}"', '"she has"'), "has the sentence 'she has'; expected {} once"),
        (OWN.replace(', "she has {}"', ""), "has 1 templates; expected 2 or more"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(text, told):
    with pytest.raises(InvalidInput) as refused:
        probe_of(text, "own.yaml")
    assert told in str(refused.value)


def test_an_unknown_probe_and_a_missing_file_name_those_that_ship(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'months'"):
        load_probe("month")
    with pytest.raises(InvalidInput, match="Probes that ship: compass"):
        load_probe(str(tmp_path / "none.yaml"))


def test_ten_layers_of_the_lower_half_are_turned():
    layers = ["embedding", *(f"layer_{i}" for i in range(30))]
    chosen = lower_half(layers)
    assert len(chosen) == 10
    assert chosen[0] == "embedding"
    assert chosen[-1] == "layer_14"
    assert lower_half(["embedding", "layer_0"]) == ["embedding"]


def test_a_probe_is_written_read_again_shown_and_reported(todacomm, tmp_path):
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    code, out, err = todacomm(
        "probe", "own.yaml", "--model", "tiny-preln-decoder", "--placebos", "19", "--layers", "layer_0"
    )
    assert (code, err) == (0, err)
    assert "own, tiny-preln-decoder" in out
    (directory,) = Path("experiments").iterdir()
    assert {path.name for path in directory.iterdir()} == {"probe.json", "probe.md", "report.html", "visualizations"}
    found = td.load(directory)
    assert isinstance(found, Probed)
    assert list(found.orders) == ["embedding", *(f"layer_{i}" for i in range(6))]
    for sentence in sentences(found):
        assert sentence in " ".join(out.split())
    code, shown, _ = todacomm("show", directory)
    assert code == 0
    assert sentences(found)[0] in " ".join(shown.split())
    before = (directory / "report.html").read_text(encoding="utf-8")
    (directory / "report.html").unlink()
    assert todacomm("report", directory)[0] == 0
    assert (directory / "report.html").read_text(encoding="utf-8") == before


def test_json_is_what_was_found(todacomm):
    code, out, _ = todacomm("probe", "nouns", "--model", "tiny-preln-decoder", "--json")
    assert code == 0
    (found,) = json.loads(out)
    assert found["probe"]["name"] == "nouns"
    assert found["asked"] is None
    several = "table, doctor, window, bread, horse, garden, letter, button"
    assert found["notes"] == [f"Words of several tokens are read at their last one: {several}."]


def test_an_encoder_is_probed_and_not_asked(todacomm):
    code, out, _ = todacomm("probe", "months", "--model", "tiny-postln-encoder")
    assert code == 0
    assert "was not asked: tiny-postln-encoder gives no answer to a prompt: it is no causal model" in " ".join(
        out.split()
    )


def test_several_models_are_refused(todacomm):
    code, _, err = todacomm("probe", "months", "--models", "tiny-preln-decoder,tiny-postln-decoder")
    assert code == 2
    assert "--model names 2 models; expected one" in " ".join(err.split())


def test_a_probe_needs_a_model(todacomm):
    code, _, err = todacomm("probe", "months")
    assert code == 2
    assert "no model is named; expected one, as in: todacomm probe months --model gpt2" in " ".join(err.split())


def test_sentences_give_the_verdict_with_its_numbers():
    told = sentences(a_probe())
    assert told[0].startswith("Circle: the 6 words lie on a circle at 1 layer of 2, most clearly at layer_0 (p = 0.01")
    assert told[1].startswith("Used: the answers turn with the angle (p = 0.05).")
    assert "R = 0.9 (0.95 under the full swap of states; 0.3 at most for 19 placebos)" in told[1]

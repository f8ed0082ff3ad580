"""The shipped models: what the study asked of them before it could begin."""

import collections
import json
import math

import pytest

import todacomm as td
from todacomm.models.extraction import extract
from todacomm.models.names import SHIPPED, resolve
from todacomm.runs.config import Study
from todacomm.runs.experiment import load
from todacomm.zoo.train import Plan, means, read_lines, untokenised
from todacomm.zoo.train import main as train_small


def logs():
    for name in SHIPPED:
        lines = (resolve(name).directory / "training_log.jsonl").read_text(encoding="utf-8").splitlines()
        yield name, json.loads(lines[0]), [json.loads(line) for line in lines[1:]]


def test_all_four_had_the_same_width_depth_and_token_budget():
    settings = [{k: v for k, v in head.items() if k not in ("cell", "parameters")} for _, head, _ in logs()]
    assert all(setting == settings[0] for setting in settings)
    assert settings[0]["blocks"] >= 6
    assert all(rows[-1]["step"] == settings[0]["steps"] for _, _, rows in logs())


def test_all_four_have_one_tokenizer():
    assert len({(resolve(name).directory / "tokenizer.json").read_bytes() for name in SHIPPED}) == 1


def test_the_tokenisation_of_wikitext_is_undone():
    line = 'He said , " It \'s a well @-@ known film ( 1 @,@ 000 m ) . "'
    assert untokenised(line) == 'He said, "It\'s a well-known film (1,000 m)."'


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_the_models_have_learned_the_language(name):
    """On the test split: decoders at least 1.5 bits a token below its unigram entropy, encoders at least 0.75 and with
    at least twice the accuracy of naming the commonest token.
    """
    texts = td.texts("wikitext2")
    model = load(name, Study())
    counts = collections.Counter(
        token
        for text in texts.items
        for token in model.tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    )
    total = sum(counts.values())
    entropy = -sum(c / total * math.log2(c / total) for c in counts.values())
    _, language = extract(model, texts, layers="embedding")
    if model.kind == "causal":
        assert language.loss / math.log(2) < entropy - 1.5
    else:
        assert language.masked_loss / math.log(2) < entropy - 0.75
        assert language.accuracy > 2 * max(counts.values()) / total


def test_a_text_a_line_or_a_paragraph_a_line(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "def f():\\n    pass "}\n\n{"text": "x"}\n', encoding="utf-8")
    (tmp_path / "a.txt").write_text(" one \n\ntwo\n", encoding="utf-8")
    assert read_lines(tmp_path / "a.jsonl") == ["def f():\n    pass ", "x"]
    assert read_lines(tmp_path / "a.txt") == ["one", "two"]


def test_losses_are_logged_as_means_and_other_steps_interrupt_none():
    rows = list(means(iter(range(1, 251)), Plan(seed=1, steps=250), {30, 100}))
    assert [row["step"] for row in rows] == [30, 100, 200, 250]
    assert [row.get("loss") for row in rows] == [None, 50.5, 150.5, 225.5]


@pytest.mark.slow
def test_another_corpus_and_size_is_trained_and_kept_step_by_step(tmp_path):
    texts = [{"text": f"for i in range({n}):\n    print(i + {n * n})"} for n in range(300)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, texts)), encoding="utf-8")
    small = "--width 8 --blocks 2 --heads 2 --vocabulary 300 --steps 12 --rows 2 --window 16 --seed 3 --one-form"
    train_small([str(tmp_path / "a.jsonl"), *small.split(), *["--cell", "preln-decoder", "--checkpoints", "0,5,12"],
                 "--output", str(tmp_path / "a")])  # fmt: skip
    kept = [load(str(tmp_path / "a" / name), Study()) for name in ("checkpoint-0", "checkpoint-5", "checkpoint-12", "")]
    assert [model.anatomy.width for model in kept] == [8] * 4
    assert len({model.weights_sha256 for model in kept}) == 3
    assert kept[2].weights_sha256 == kept[3].weights_sha256
    head = json.loads((tmp_path / "a" / "training_log.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert (head["width"], head["steps"], head["parameters"]) == (8, 12, kept[3].parameters)

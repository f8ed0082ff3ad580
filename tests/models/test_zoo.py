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
from todacomm.zoo.train import untokenised


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

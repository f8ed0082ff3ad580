import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from tiny_models import BARE, CAUSAL, MASKED, SENTENCES, TEXTS, tiny, tokenizer
from todacomm.core.types import Texts
from todacomm.models import perplexity
from todacomm.models.architecture.hooks import evaluating
from todacomm.models.batching import choose
from todacomm.models.extraction import extract
from todacomm.models.perplexity import LanguageMetrics


def tokens_of(name, **options):
    return extract(tiny(name), TEXTS, layers="layer_0", **{"max_length": 60, **options})[0].tokens


def metrics(name, texts=TEXTS, **options):
    return extract(tiny(name), texts, layers="layer_0", **{"max_length": 60, **options})[1]


def numbers(found):
    return {k: v for k, v in found.as_dict().items() if isinstance(v, int | float)}


def log_probabilities(name, ids):
    """One text, no padding, the whole forward pass."""
    with evaluating(tiny(name).network):
        return tiny(name).network(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(dim=-1)


def encoded(name, text):
    return tiny(name).tokenizer(text, truncation=True, max_length=60)["input_ids"]


def causal_by_hand(name):
    """Nats and hits of every content token that has a token before it, one text at a time."""
    nats, hits = [], []
    for text in SENTENCES:
        ids = encoded(name, text)
        found = log_probabilities(name, ids)
        for t in range(1, len(ids) - (name not in BARE)):  # the closing </s> is special
            nats.append(-found[t - 1, ids[t]].item())
            hits.append(found[t - 1].argmax().item() == ids[t])
    return np.array(nats), np.array(hits)


@pytest.mark.parametrize("name", CAUSAL)
def test_loss_perplexity_and_accuracy_equal_a_computation_one_text_at_a_time(name):
    nats, hits = causal_by_hand(name)
    found = metrics(name)
    assert found.tokens == len(nats)
    assert found.loss == pytest.approx(nats.mean(), rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(nats.mean()), rel=1e-4)
    assert found.accuracy == hits.mean()


@pytest.mark.parametrize("name", sorted(BARE))
def test_the_loss_is_that_of_transformers_weighted_by_tokens(name):
    total = tokens = 0
    for text in SENTENCES:
        ids = torch.tensor([encoded(name, text)])
        with evaluating(tiny(name).network):
            total += (ids.shape[1] - 1) * tiny(name).network(input_ids=ids, labels=ids).loss.item()
        tokens += ids.shape[1] - 1
    assert metrics(name).loss == pytest.approx(total / tokens, rel=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "qwen2"])
def test_bits_per_byte_divide_all_bits_by_the_bytes_that_were_predicted(name):
    """Without a first special token the first token of a text is given, not predicted, and its bytes do not count."""
    texts = Texts("ä", (*SENTENCES, "äöü €uro 東京", "  spaces  everywhere  "))
    given = [tiny(name).tokenizer.decode(encoded(name, t)[:1]) if name in BARE else "" for t in texts.items]
    whole = [t.encode() for t in texts.items]
    if name in BARE:
        assert given[-2] == "\ufffd"  # half of ä: its character counts as given
        given[-2] = "ä"
    found = metrics(name, texts)
    assert found.bytes == sum(len(w) for w in whole) - sum(len(g.encode()) for g in given)
    assert found.bits_per_byte == pytest.approx(found.loss * found.tokens / math.log(2) / found.bytes, rel=1e-12)


def test_bytes_beyond_the_window_do_not_count():
    text = " ".join(SENTENCES)
    found = metrics("qwen2", Texts("long", (text,)), max_length=12)
    offsets = tiny("qwen2").tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    assert found.tokens == 10
    assert found.bytes == len(text[: offsets[10][1]].encode())


def masked_by_hand(name, chosen, *, alone):
    """Nats and hits of the drawn tokens of each text: all drawn masked together, or one after the other."""
    together, singles = perplexity._drawn(chosen.encoded, 42)
    nats, hits = [], []
    for masked in singles if alone else together:
        ids = masked.encoded.ids.copy()
        ids[masked.places] = tiny(name).tokenizer.mask_token_id
        found = log_probabilities(name, ids.tolist())
        nats.append([-found[p, masked.encoded.ids[p]].item() for p in masked.places])
        hits += [found[p].argmax().item() == masked.encoded.ids[p] for p in masked.places]
    return nats, np.mean(hits)


@pytest.mark.parametrize("name", MASKED)
def test_masked_loss_and_pseudo_perplexity_equal_a_computation_one_text_at_a_time(name):
    chosen = choose(tiny(name), TEXTS, samples=None, min_tokens=1, max_length=60)
    found = metrics(name)
    nats, accuracy = masked_by_hand(name, chosen, alone=False)
    assert found.tokens == sum(map(len, nats))
    assert found.masked_loss == pytest.approx(np.concatenate(nats).mean(), rel=1e-5)
    assert found.accuracy == accuracy
    lengths = [len(e.content) for e in chosen.encoded]
    singles = iter(masked_by_hand(name, chosen, alone=True)[0])
    means = [np.mean([next(singles)[0] for _ in range(min(2, n))]) for n in lengths]
    assert found.scored_tokens == sum(min(2, n) for n in lengths)
    assert math.log(found.pseudo_perplexity) == pytest.approx(np.average(means, weights=lengths), rel=1e-5)


def test_fifteen_per_cent_of_the_content_is_masked_and_at_least_one_token():
    chosen = choose(tiny("bert"), TEXTS, samples=None, min_tokens=1, max_length=60)
    together, alone = perplexity._drawn(chosen.encoded, 0)
    for masked in together:
        content = masked.encoded.content
        assert len(masked.places) == max(1, round(0.15 * len(content)))
        assert set(masked.places) <= set(content)
        assert len(set(masked.places)) == len(masked.places)
    assert all(len(m.places) == 1 and m.places[0] in m.encoded.content for m in alone)


@pytest.mark.slow
def test_the_pseudo_perplexity_estimates_that_of_all_tokens(monkeypatch):
    """Two tokens a text, over many seeds, average to the mean over all tokens; scoring all of them gives it exactly."""
    texts = TEXTS.take([1, 5, 6, 7, 9])
    estimates = [math.log(metrics("esm", texts, seed=seed).pseudo_perplexity) for seed in range(40)]
    monkeypatch.setattr(perplexity, "SCORED", 10**6)
    exact = [metrics("esm", texts, seed=seed) for seed in (0, 1)]
    assert exact[0].scored_tokens == exact[0].content_tokens
    truth = math.log(exact[0].pseudo_perplexity)
    assert math.log(exact[1].pseudo_perplexity) == pytest.approx(truth, rel=1e-6)
    error = np.std(estimates, ddof=1) / math.sqrt(len(estimates))
    assert 0 < error < 0.05 * truth
    assert abs(np.mean(estimates) - truth) < 4 * error


@pytest.mark.parametrize("name", ["gpt2", "opt-350m", "esm-decoder", "roberta", "esm"])
def test_neither_batches_nor_padding_nor_order_change_a_number(name):
    expected = pytest.approx(numbers(metrics(name, batch_size=1)), rel=1e-5)
    for options in ({"batch_size": 7}, {"batch_size": 7, "padding": "left"}, {}):
        assert numbers(metrics(name, **options)) == expected
    assert numbers(metrics(name, TEXTS.take([7, 0, 3, 10, 2, 1, 9, 8, 4, 6, 5]))) == expected


@pytest.mark.parametrize("name", [*CAUSAL, *MASKED])
def test_the_head_called_in_pieces_gives_the_numbers_of_the_whole(name, monkeypatch):
    monkeypatch.setattr(perplexity, "PIECE_ROWS", 5)
    monkeypatch.setattr(perplexity, "PIECE_BYTES", 0)
    pieces = numbers(metrics(name))
    for module in ("perplexity", "extraction"):
        monkeypatch.setattr(f"todacomm.models.{module}.comes_in_pieces", lambda model: False)
    assert pieces == pytest.approx(numbers(metrics(name)), rel=1e-6)


@pytest.mark.parametrize("name", [*CAUSAL, *MASKED])
def test_the_head_comes_in_pieces_unless_something_follows_it(name):
    """Gemma 2 caps its logits after the head and ESM adds a bias, which pieces of the head alone would miss."""
    assert perplexity.comes_in_pieces(tiny(name)) == (name not in ("gemma2", "esm", "esm-decoder"))


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_one_seed_gives_one_record(name):
    assert metrics(name, seed=3) == metrics(name, seed=3)


def test_another_seed_masks_other_tokens():
    assert metrics("bert", seed=3).masked_loss != metrics("bert", seed=4).masked_loss


def test_a_model_without_a_head_gives_nothing_but_the_reason():
    model = dataclasses.replace(
        tiny("bert"), network=tiny("bert").base, headless="the checkpoint has no language-modelling head"
    )
    _, found = extract(model, TEXTS)
    record = found.as_dict()
    assert record.pop("reason") == "the checkpoint has no language-modelling head"
    assert record.pop("kind") == "masked"
    assert set(record.values()) == {None}


def test_a_tokenizer_without_a_mask_token_gives_the_reason():
    model = dataclasses.replace(tiny("bert"), tokenizer=tokenizer(ends=False))
    assert extract(model, TEXTS)[1] == LanguageMetrics("masked", reason="the tokenizer has no mask token")


def test_texts_of_one_token_leave_nothing_to_predict():
    _, found = extract(tiny("gpt2"), Texts("letters", ("a", "b", "c")))
    assert (found.tokens, found.loss, found.reason) == (0, None, "no text has a token to predict")


def test_records_are_strict_json_even_where_a_perplexity_overflows():
    assert perplexity._exp(1e4) == math.inf
    record = LanguageMetrics("causal", loss=1e4, perplexity=math.inf).as_dict()
    assert record["perplexity"] is None
    json.dumps(record, allow_nan=False)


def test_language_metrics_are_left_out_on_request():
    assert extract(tiny("gpt2"), TEXTS, language=False)[1] is None


# Of each text


def test_tokens_are_counted_and_the_last_one_is_told_with_how_often_it_occurs():
    ids = [[i for i in encoded("gpt2", text) if i > 2] for text in SENTENCES]
    found = tokens_of("gpt2", language=False)
    everything = [token for row in ids for token in row]
    assert found.counts == tuple(map(len, ids))
    assert found.last == tuple(row[-1] for row in ids)
    assert found.occurrences == tuple(everything.count(row[-1]) for row in ids)
    assert found.losses is None
    assert len(set(found.occurrences)) > 2


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_loss_of_a_text_is_the_mean_over_its_own_predicted_tokens(name):
    nats, _ = causal_by_hand(name)
    found, predicted = tokens_of(name).losses, [len(encoded(name, text)) - 1 - (name not in BARE) for text in SENTENCES]
    starts = np.cumsum([0, *predicted])
    for i, loss in enumerate(found):
        own = nats[starts[i] : starts[i + 1]]
        assert loss == (pytest.approx(own.mean(), rel=1e-4) if len(own) else None)


def test_the_loss_of_a_text_for_a_masked_model_is_that_of_the_tokens_masked_together():
    found, whole = tokens_of("bert"), metrics("bert")
    masked = [max(1, round(perplexity.MASKED_SHARE * count)) for count in found.counts]
    assert sum(masked) == whole.tokens
    assert np.dot(found.losses, masked) / sum(masked) == pytest.approx(whole.masked_loss, rel=1e-4)


def test_a_text_of_one_token_has_no_loss():
    found = extract(tiny("gpt2"), Texts("t", ("a", "the cat sat", "b")), layers="layer_0")[0].tokens
    assert [loss is None for loss in found.losses] == [True, False, True]

import dataclasses
import math

import numpy as np
import pytest
import torch

from forward_by_hand import stream
from tiny_models import BARE, CAUSAL, FAMILIES, POST_NORM, PRE_NORM, SENTENCES, TEXTS, tiny
from todacomm.core.errors import InvalidCloud, InvalidInput, InvalidTexts, UnknownName
from todacomm.core.types import Texts
from todacomm.models import batching, perplexity
from todacomm.models.architecture.hooks import evaluating
from todacomm.models.batching import choose, pad
from todacomm.models.extraction import extract


def read(name, **options):
    return extract(tiny(name), TEXTS, **{"language": False, "max_length": 60, **options})[0]


def ids_of(name, text, limit=60):
    return torch.tensor([tiny(name).tokenizer(text, truncation=True, max_length=limit)["input_ids"]])


def assert_same(found, expected, tolerance=1e-4):
    """Equal to a share of the median norm of each layer."""
    assert list(found) == list(expected)
    for layer, points in found.items():
        scale = np.median(np.linalg.norm(expected[layer], axis=1))
        np.testing.assert_allclose(points, expected[layer], rtol=0, atol=tolerance * scale, err_msg=layer)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_layer_is_what_the_forward_pass_written_by_hand_gives(name):
    """Embedding, each block and the final norm, at the last (causal) or first (masked) content token of each text."""
    found = read(name, pooling="last").layers
    for i, text in enumerate(SENTENCES[:4]):
        ids = ids_of(name, text)
        last = -1 if name in BARE else -2  # before </s>
        by_hand = {layer: h[0, last][None].numpy() for layer, h in stream(name, tiny(name).base, ids).items()}
        assert_same({layer: points[i : i + 1] for layer, points in found.items()}, by_hand)


@pytest.mark.parametrize("name", FAMILIES)
def test_inner_layers_are_the_hidden_states_of_transformers_and_final_is_its_last(name):
    ids = ids_of(name, SENTENCES[0])
    with evaluating(tiny(name).network):
        states = tiny(name).base(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
    found = read(name, samples=1, pooling="cls").layers
    inner = [f"layer_{i}" for i in range(len(tiny(name).anatomy.blocks) - 1)]
    expected = dict(zip(["embedding", *inner], [h[0, :1].numpy() for h in states.hidden_states], strict=False))
    assert_same({layer: found[layer] for layer in expected}, expected)
    if name != "opt-350m":  # its last state comes after a projection to the width of the words
        top = "final" if name in PRE_NORM else f"layer_{len(inner)}"
        np.testing.assert_allclose(found[top], states.last_hidden_state[0, :1].numpy(), atol=1e-5)


@pytest.mark.parametrize("name", PRE_NORM)
def test_the_last_block_is_read_before_the_final_norm(name):
    layers = read(name).layers
    last = f"layer_{tiny(name).blocks - 1}"
    assert np.abs(layers[last] - layers["final"]).max() > 0.1


@pytest.mark.parametrize("name", POST_NORM)
def test_final_is_absent_where_there_is_no_final_norm(name):
    layers = read(name).layers
    assert list(layers) == ["embedding", *(f"layer_{i}" for i in range(tiny(name).blocks))]
    with pytest.raises(UnknownName, match="'final' is not a layer"):
        read(name, layers="embedding,final")


@pytest.mark.parametrize("name", PRE_NORM)
def test_what_attention_and_mlp_add_is_the_growth_of_the_stream(name):
    block, attention, mlp = (read(name, site=site, pooling="mean").layers for site in ("block", "attention", "mlp"))
    assert list(attention) == list(mlp) == [f"layer_{i}" for i in range(tiny(name).blocks)]
    before = block["embedding"]
    for layer in attention:
        assert min(np.abs(attention[layer]).mean(), np.abs(mlp[layer]).mean()) > 1e-3
        np.testing.assert_allclose(
            block[layer] - before, attention[layer] + mlp[layer], atol=2e-5 * np.abs(before).max()
        )
        before = block[layer]


@pytest.mark.parametrize("name", FAMILIES)
def test_padding_side_batch_size_and_order_do_not_matter(name):
    expected = read(name, pooling="mean", batch_size=1).layers
    for options in ({"batch_size": 7}, {"batch_size": 32}, {"batch_size": 7, "padding": "left"}, {"padding": "left"}):
        assert_same(read(name, pooling="mean", **options).layers, expected)
    order = np.random.default_rng(1).permutation(len(TEXTS))
    shuffled, _ = extract(tiny(name), TEXTS.take(order), pooling="mean", language=False, max_length=60)
    assert_same({layer: points[np.argsort(order)] for layer, points in shuffled.layers.items()}, expected)


def test_padding_is_written_on_the_side_asked_for():
    rows = choose(tiny("bert"), TEXTS, samples=2, min_tokens=1, max_length=60).encoded
    short, long = sorted(map(len, rows))
    right, left = (pad(sorted(rows, key=len), 9, side) for side in ("right", "left"))
    assert right.real[0].tolist() == [True] * short + [False] * (long - short)
    assert left.real[0].tolist() == [False] * (long - short) + [True] * short
    assert (right.ids[0, short:] == 9).all()
    assert (left.starts, right.starts) == ([long - short, 0], [0, 0])
    assert (left.real.sum(), left.content.sum()) == (short + long, short + long - 4)


@pytest.mark.parametrize("name", CAUSAL)
def test_the_language_pass_gives_the_same_activations(name):
    alone = read(name)
    assert_same(extract(tiny(name), TEXTS, max_length=60)[0].layers, alone.layers)


def test_pooling_follows_the_kind_of_the_model():
    assert read("gpt2").pooling == "last"
    assert read("esm-decoder").pooling == "last"
    assert read("esm").pooling == "cls"


def test_last_is_the_last_token_that_is_not_special():
    """The tokenizer of BERT's kin ends every text alike; the last content token does not."""
    assert len(np.unique(read("bert", pooling="last").layers["embedding"].round(5), axis=0)) == len(SENTENCES)
    assert len(np.unique(read("bert", pooling="cls").layers["embedding"].round(5), axis=0)) == 1


def test_layers_can_be_chosen_by_name_and_come_in_the_order_of_depth():
    assert list(read("gpt2", layers="final, layer_1,embedding").layers) == ["embedding", "layer_1", "final"]
    assert list(read("gpt2", layers=["layer_0"]).layers) == ["layer_0"]
    with pytest.raises(UnknownName, match="Did you mean 'layer_2'.*Known: embedding, layer_0, layer_1, layer_2, final"):
        read("gpt2", layers="layer_3")
    with pytest.raises(UnknownName, match="'embedding' is not a layer"):
        read("gpt2", layers="embedding", site="mlp")
    with pytest.raises(InvalidInput, match="no layer was asked for"):
        read("gpt2", layers=[])


def test_tokens_are_all_content_tokens_in_the_order_of_reading():
    found = read("bert", pooling="tokens", subsample=10**6)
    lengths = [len(ids_of("bert", text)[0]) - 2 for text in SENTENCES]
    assert all(len(points) == sum(lengths) for points in found.layers.values())
    assert found.notes["tokens"] == f"{sum(lengths)} of {sum(lengths)} tokens"
    start = sum(lengths[:2])
    by_hand = stream("bert", tiny("bert").base, ids_of("bert", SENTENCES[2]))["layer_1"][0, 1:-1].numpy()
    np.testing.assert_allclose(found.layers["layer_1"][start : start + lengths[2]], by_hand, atol=1e-4)


def test_a_subsample_of_tokens_is_drawn_by_seed_and_is_the_same_in_each_layer():
    everything = read("bert", pooling="tokens", subsample=10**6).layers
    some, again, other = (
        read("bert", pooling="tokens", subsample=9, seed=s, batch_size=b) for s, b in ((1, 4), (1, 7), (2, 4))
    )
    assert some.notes["tokens"].startswith("9 of ")
    places = {}
    for layer, points in some.layers.items():
        distances = np.linalg.norm(points[:, None] - everything[layer][None], axis=2)
        assert distances.min(axis=1).max() < 1e-4
        places[layer] = distances.argmin(axis=1)
    assert (places["layer_1"] == places["layer_2"]).all()
    assert len(set(places["layer_1"])) == 9
    assert (np.diff(places["layer_1"]) > 0).all()
    assert_same(again.layers, some.layers)
    assert np.abs(other.layers["layer_1"] - some.layers["layer_1"]).max() > 0.01


def test_long_texts_are_cut_and_counted():
    long = Texts("long", (*SENTENCES[:3], " ".join(SENTENCES) * 3))
    found, _ = extract(tiny("gpt2"), long, max_length=10, language=False)
    assert found.notes["max_length"] == 10
    whole = [len(ids_of("gpt2", text, limit=10**6)[0]) > 10 for text in long.items]
    assert found.notes["truncated_texts"] == sum(whole)
    assert found.notes["truncated_share"] == sum(whole) / 4


@pytest.mark.parametrize(("name", "window"), [("gpt2", 64), ("roberta", 79), ("distilbert", 64)])
def test_the_window_of_the_model_is_never_exceeded(name, window):
    """RoBERTa keeps the positions up to its padding id for itself (its padding id is 0 here)."""
    long = Texts("long", (" ".join(SENTENCES) * 3,))
    found, _ = extract(tiny(name), long, max_length=10**4, language=False)
    assert found.notes["max_length"] == window


def test_texts_without_content_are_passed_over_and_counted():
    texts = Texts("holes", ("", *SENTENCES[:3], "", *SENTENCES[3:5]), tuple("abcdefg"))
    found, _ = extract(tiny("bert"), texts, samples=4, language=False)
    assert found.texts.items == SENTENCES[:4]
    assert found.texts.groups == ("b", "c", "d", "f")
    assert (found.notes["texts"], found.notes["skipped_texts"]) == (4, 2)
    assert_same(found.layers, {layer: points[:4] for layer, points in read("bert").layers.items()})


def test_too_few_texts_say_how_many_there_are():
    with pytest.raises(
        InvalidTexts, match="sentences: 11 of 11 texts have at least 1 content token .* 500 were asked for"
    ):
        read("gpt2", samples=500)
    longer = sum(len(ids_of("gpt2", t)[0]) >= 12 for t in SENTENCES)
    with pytest.raises(InvalidTexts, match=f"{longer} of 11 texts have at least 12 content tokens"):
        read("gpt2", samples=11, min_tokens=12)
    with pytest.raises(InvalidTexts, match="0 of 1 texts"):
        extract(tiny("bert"), Texts("empty", ("",)), language=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "--batch-size 0"),
        ({"samples": 0}, "--samples 0"),
        ({"min_tokens": 0}, "--min-tokens 0"),
        ({"max_length": 2}, "--max-length 2: bert adds 2 special tokens, so expected 3 or more"),
        ({"site": "heads"}, "site 'heads'"),
        ({"pooling": "tokens", "subsample": 0}, "a subsample of 0 tokens"),
        ({"pooling": "lsat"}, "Did you mean 'last'"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises((InvalidInput, UnknownName), match=message):
        read("bert", **options)


@pytest.mark.parametrize(("dtype", "cause"), [("float32", "weights themselves"), ("float16", "try --dtype float32")])
def test_nan_and_infinity_name_the_layer_the_count_and_the_cause(dtype, cause):
    model = dataclasses.replace(tiny("gpt2"), dtype=dtype)

    def spoil(_module, _args, output):
        output = output.clone()
        output[..., 0] = math.inf
        return output

    handle = model.anatomy.blocks[1].register_forward_hook(spoil)
    try:
        with pytest.raises(InvalidCloud, match=f"layer_1 of gpt2: 11 of 11 points hold NaN or infinity; .*{cause}"):
            extract(model, TEXTS, language=False)
    finally:
        handle.remove()


def test_no_hook_stays_and_the_mode_is_given_back():
    model = tiny("gpt2")
    hooks = [(dict(m._forward_hooks), dict(m._forward_pre_hooks)) for m in model.network.modules()]
    model.network.train()
    try:
        extract(model, TEXTS, samples=3)
        assert model.network.training
        assert all(m.training for m in model.network.modules())
    finally:
        model.network.eval()
    assert hooks == [(dict(m._forward_hooks), dict(m._forward_pre_hooks)) for m in model.network.modules()]


@pytest.fixture
def watched():
    """The shapes that enter the head of GPT-2, and what its base gives, while a test runs."""
    model, shapes, outputs = tiny("gpt2"), [], []
    handles = [
        model.network.lm_head.register_forward_hook(lambda _m, args, _o: shapes.append(args[0].shape)),
        model.base.register_forward_hook(lambda _m, _a, out: outputs.append(out)),
    ]
    yield shapes, outputs
    for handle in handles:
        handle.remove()


def test_the_head_sees_only_the_positions_that_predict(watched):
    shapes, outputs = watched
    extract(tiny("gpt2"), TEXTS, language=False)
    assert not shapes
    outputs.clear()
    _, language = extract(tiny("gpt2"), TEXTS)
    # a short text, to see what comes after the head; the shortest text alone and padded beside the longest
    tried, _alone, _padded, *batches = outputs
    assert tried.last_hidden_state.shape[1] == 9
    first_positions = len(batches)  # what the head is called on within the pass itself
    assert sum(shape[1] for shape in shapes) == 9 + first_positions + language.tokens  # no padding, no last token


def test_neither_hidden_states_nor_attention_maps_nor_a_cache_are_made(watched):
    _, outputs = watched
    extract(tiny("gpt2"), TEXTS)
    assert len(outputs) > 1
    for out in outputs[1:]:
        assert (out.hidden_states, out.attentions, out.past_key_values) == (None, None, None)


def test_the_logits_of_few_positions_are_held_at_a_time(monkeypatch, watched):
    whole = extract(tiny("gpt2"), TEXTS, max_length=30)
    monkeypatch.setattr(perplexity, "PIECE_ROWS", 7)
    monkeypatch.setattr(perplexity, "PIECE_BYTES", 0)
    watched[0].clear()
    pieces = extract(tiny("gpt2"), TEXTS, max_length=30)
    tried, *pieces_seen = watched[0]  # a short text first, to see what comes after the head
    assert tried[1] == 9
    assert max(shape[1] for shape in pieces_seen) == 7
    assert pieces[1].loss == pytest.approx(whole[1].loss, rel=1e-6)
    assert pieces[1].accuracy == whole[1].accuracy


def test_logits_that_come_whole_make_smaller_batches(monkeypatch, watched):
    monkeypatch.setattr("todacomm.models.batching.LOGIT_BYTES", 4 * 300 * 40)
    monkeypatch.setattr("todacomm.models.extraction.comes_in_pieces", lambda model: False)
    extract(tiny("gpt2"), TEXTS, max_length=30)
    assert max(shape[1] for shape in watched[0]) <= 40


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("site", ["block", "mlp"])
def test_the_pass_ends_where_the_deepest_layer_has_been_read(name, site):
    ran = []
    handles = [
        block.register_forward_pre_hook(lambda _m, _a, i=i: ran.append(i))
        for i, block in enumerate(tiny(name).anatomy.blocks)
    ]
    last = len(handles) - 1
    try:
        some = read(name, site=site, layers="layer_0").layers
        assert ran.count(1) == ran.count(last) < ran.count(0)  # only short texts, by which a model is asked, go further
        if site == "block":
            ran.clear()
            first = read(name, layers="embedding").layers
            assert ran.count(1) == ran.count(last) < ran.count(0)  # entered, and left before it ran
            assert first["embedding"].tobytes() == read(name).layers["embedding"].tobytes()
    finally:
        for handle in handles:
            handle.remove()
    whole = read(name, site=site).layers["layer_0"]  # without hooks, so perhaps block by block, which rounds otherwise
    np.testing.assert_allclose(some["layer_0"], whole, rtol=1e-4, atol=1e-5)


def test_the_language_metrics_need_the_whole_pass():
    alone = extract(tiny("gpt2"), TEXTS, layers="embedding")[1]
    assert alone == extract(tiny("gpt2"), TEXTS)[1]


def test_a_text_takes_five_bytes_a_token_beside_itself():
    """Thousands of texts wait for their batch, while their hidden states do not."""
    for row in choose(tiny("bert"), TEXTS, samples=None, min_tokens=1, max_length=60).encoded:
        assert row.ids.nbytes + row.special.nbytes == 5 * len(row)
        assert row.predicted_bytes == len(row.text.encode())


def test_progress_passes_every_batch():
    seen = []

    def track(items, description, total):
        items = list(items)
        seen.append((description, total, len(items)))
        return items

    extract(tiny("bert"), TEXTS, batch_size=4, track=track)
    assert seen == [("activations of bert", 3, 3), ("masked-token loss", 3, 3), ("pseudo-perplexity", 6, 6)]


@pytest.mark.parametrize("name", ["gpt2", "bert", "llama"])
def test_of_a_long_text_no_more_is_tokenised_than_is_read(name, monkeypatch):
    """The same tokens, marks and bytes as of the whole text; blanks and unbroken words too."""
    words = " ".join(TEXTS.items)
    long = [words * 300, "a" * 30_000, "a " + " " * 30_000 + words, "ab cd. " * 20_000, "\n" * 20_000 + words]
    kinds = Texts("long", (*long, *TEXTS.items))
    options = {"samples": None, "min_tokens": 1, "max_length": 40}
    parts = choose(tiny(name), kinds, **options).encoded
    monkeypatch.setattr(batching, "LONG", 10**9)
    whole = choose(tiny(name), kinds, **options).encoded
    for a, b in zip(parts, whole, strict=True):
        assert (a.ids.tolist(), a.truncated, a.predicted_bytes, a.text) == (
            b.ids.tolist(),
            b.truncated,
            b.predicted_bytes,
            b.text,
        )


def test_a_line_of_ten_million_letters_is_never_tokenised_whole(monkeypatch):
    model, given = tiny("gpt2"), []
    tokenised = batching._tokenised

    def counted(tokenizer, texts, **options):
        given.append(sum(map(len, [texts] if isinstance(texts, str) else texts)))
        return tokenised(tokenizer, texts, **options)

    monkeypatch.setattr(batching, "_tokenised", counted)
    line = "ab cd. " * 1_500_000
    chosen = choose(model, Texts("long", (line, *TEXTS.items)), samples=None, min_tokens=1, max_length=40)
    assert chosen.encoded[0].truncated
    assert max(given) < 100_000

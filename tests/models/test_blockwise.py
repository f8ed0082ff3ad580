"""The pass block by block gives what the plain pass gives, is used where it is known to be right, and nowhere else."""

import copy

import numpy as np
import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from tiny_models import ENDS, FAMILIES, MIDDLE, SMALL, TEXTS, tiny, tokenizer
from todacomm.models import batching, blockwise
from todacomm.models.batching import Batching, choose, pad
from todacomm.models.blockwise import decoder_of, lays_out, stretches_of
from todacomm.models.checkpoints.loading import adopt
from todacomm.models.extraction import extract, way_of

KNOWN = ("llama", "qwen2")
LONGEST = 60


def mistral(**more):
    options = {**SMALL, **MIDDLE, **ENDS, "num_key_value_heads": 1, "max_position_embeddings": 64, **more}
    torch.manual_seed(3)
    return adopt(MistralForCausalLM(MistralConfig(**options)).eval(), tokenizer(ends=False), name="mistral")


def assert_both_ways_agree(model, **options):
    """An explicit batch size asks for the plain pass; equal to 1e-5 of the length of each point, the losses to 1e-5."""
    assert decoder_of(model.anatomy, longest=LONGEST) is not None
    quick, told = extract(model, TEXTS, max_length=LONGEST, **options)
    plain, said = extract(model, TEXTS, max_length=LONGEST, batch_size=5, **options)
    assert list(quick.layers) == list(plain.layers)
    for layer, points in plain.layers.items():
        off = np.linalg.norm(quick.layers[layer] - points, axis=1)
        assert (off <= 1e-5 * np.linalg.norm(points, axis=1)).all(), layer
    if said is not None:
        assert told.loss == pytest.approx(said.loss, rel=1e-5)
        assert (told.tokens, told.accuracy) == (said.tokens, said.accuracy)


def used(model, **options):
    """Whether `extract` would read the model block by block."""
    asked = {"with_logits": False, "site": "block", "longest": LONGEST, **options}
    return way_of(model, Batching(asked.pop("size", "auto"), asked.pop("side", "right")), **asked).decoder is not None


@pytest.mark.parametrize("pooling", ["last", "cls", "mean", "max", "tokens"])
@pytest.mark.parametrize("name", KNOWN)
def test_points_and_losses_are_those_of_the_plain_pass(name, pooling):
    assert_both_ways_agree(tiny(name), pooling=pooling)
    assert_both_ways_agree(tiny(name), pooling=pooling, subsample=7 if pooling == "tokens" else None, language=False)


def test_a_model_that_no_list_names_is_known_by_its_structure():
    assert_both_ways_agree(mistral(sliding_window=None))


@pytest.mark.parametrize("layers", ["embedding", "layer_0", "layer_1,embedding", "final", "layer_2"])
def test_the_pass_ends_where_nothing_more_is_asked_for(layers, monkeypatch):
    assert_both_ways_agree(tiny("llama"), layers=layers, language=False)
    applied = []
    apply = blockwise.Block.apply
    monkeypatch.setattr(blockwise.Block, "apply", lambda *given: applied.append(1) or apply(*given))
    extract(tiny("llama"), TEXTS, max_length=LONGEST, layers=layers, language=False)
    assert len(applied) == {"embedding": 0, "layer_0": 1, "layer_1,embedding": 2}.get(layers, 3)


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"pooling": "last"}, len(TEXTS)),
        ({"pooling": "cls"}, len(TEXTS)),
        ({"pooling": "tokens", "subsample": 7}, 7),
        ({"pooling": "mean"}, None),
        ({"pooling": "last", "language": True}, None),
    ],
)
def test_the_last_block_is_run_for_the_pooled_tokens_alone(options, rows, monkeypatch):
    added = []
    add = blockwise.Block._add
    monkeypatch.setattr(blockwise.Block, "_add", lambda *given: added.append(len(given[1])) or add(*given))
    read, _ = extract(tiny("llama"), TEXTS, max_length=LONGEST, **{"language": False, **options})
    assert added[-1] == (rows or added[0])
    assert added[0] >= read.notes["content_tokens"] > len(TEXTS)


@pytest.mark.parametrize("name", KNOWN)
def test_stretches_pieces_and_laid_out_matrices_change_rounding_only(name, monkeypatch):
    monkeypatch.setitem(batching.AUTO_TOKENS, "cpu", 60)
    monkeypatch.setattr(blockwise, "STRETCH", 70)
    monkeypatch.setattr(blockwise, "ROWS", 16)
    monkeypatch.setattr(blockwise, "FEWEST_ROWS", 1)
    made = []
    init = blockwise.Product.__init__
    monkeypatch.setattr(blockwise.Product, "__init__", lambda self, *given: made.append(self) or init(self, *given))
    assert_both_ways_agree(tiny(name))
    assert all((product.laid is not None) == lays_out() for product in made)
    assert len(made) > 3 * 4  # more than one stretch through three blocks


@pytest.mark.parametrize("last", ["embedding", "layer_0", "layer_2", "final"])
def test_steps_are_counted_beforehand(last):
    model = tiny("llama")
    decoder, chosen = (
        decoder_of(model.anatomy, longest=LONGEST),
        choose(model, TEXTS, samples=None, min_tokens=1, max_length=LONGEST),
    )
    with torch.inference_mode():
        steps = list(decoder.steps([[pad(chosen.encoded, 0)]], {last: lambda *_: None}))
    assert len(steps) == decoder.steps_until(last)


def test_stretches_hold_all_batches_in_order(monkeypatch):
    monkeypatch.setattr(blockwise, "STRETCH", 40)
    rows = choose(tiny("llama"), TEXTS, samples=None, min_tokens=1, max_length=LONGEST).encoded
    groups = Batching().groups(rows, 30)
    stretches = stretches_of(groups)
    assert [group for stretch in stretches for group in stretch] == groups
    assert len(stretches) > 1
    assert all(len(s) == 1 or sum(len(row) for group in s for row in group) <= 40 for s in stretches)


@pytest.mark.parametrize("attended", [1, 12, 1000])
def test_texts_of_one_length_stand_together_and_all_rows_are_among_them(attended, monkeypatch):
    monkeypatch.setattr(blockwise, "ATTENDED", attended)
    lengths = [9, 9, 9, 5, 4, 4, 9, 1, 1, 1, 1]
    runs = blockwise._alike(lengths)
    assert [length for run in runs for length in [run.shape[1]] * run.shape[0]] == lengths
    assert [run.rows.stop - run.rows.start for run in runs] == [
        texts * length for texts, length in (r.shape for r in runs)
    ]
    assert [run.rows.start for run in runs] == [0, *(run.rows.stop for run in runs)][:-1]
    assert all(texts == 1 or texts * length <= attended for texts, length in (run.shape for run in runs))


def test_two_passes_give_the_same_bytes():
    first, second = (extract(tiny("llama"), TEXTS, max_length=LONGEST)[0].layers for _ in range(2))
    assert all(points.tobytes() == second[layer].tobytes() for layer, points in first.items())


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - set(KNOWN)))
def test_other_families_are_left_to_the_plain_pass(name):
    assert not used(tiny(name))


def test_what_it_cannot_do_is_left_to_the_plain_pass():
    model = tiny("llama")
    assert used(model)
    assert used(model, with_logits=True)
    assert not used(model, site="mlp")
    assert not used(model, size=4)
    assert not used(model, side="left")
    assert not used(mistral(sliding_window=8))
    assert used(mistral(sliding_window=64))


def test_a_module_with_a_hook_or_in_half_precision_is_left_to_the_plain_pass():
    model = copied("llama")
    handle = model.base.layers[1].mlp.register_forward_hook(lambda _m, _a, output: 2 * output)
    assert not used(model)
    handle.remove()
    assert used(model)
    assert not used(adopt(model.network.to(torch.bfloat16), model.tokenizer))


def test_a_model_that_was_asked_for_hidden_states_once_is_still_read_block_by_block():
    """transformers leaves the hooks that capture them."""
    model = copied("llama")
    model.base(input_ids=torch.tensor([[1, 2, 3]]), output_hidden_states=True)
    assert any(module._forward_hooks for module in model.base.modules())
    assert used(model)


def copied(name, change=lambda _network: None):
    network = copy.deepcopy(tiny(name).network)
    change(network)
    return adopt(network, tiny(name).tokenizer)


def doubling(module):
    """The same module, in whose class the forward pass gives twice as much."""
    kind = type(module)
    module.__class__ = type(kind.__name__, (kind,), {"forward": lambda self, *a, **k: 2 * kind.forward(self, *a, **k)})


CHANGES = {
    "mlp": lambda network: doubling(network.model.layers[1].mlp),
    "norm": lambda network: doubling(network.model.layers[2].post_attention_layernorm),
    "angles": lambda network: network.model.rotary_emb.inv_freq.mul_(2),
    "activation": lambda network: setattr(network.model.layers[0].mlp, "act_fn", torch.nn.ReLU()),
}


@pytest.mark.parametrize("part", ["mlp", "norm"])
def test_what_looks_alike_and_computes_something_else_is_found_out(part):
    assert not used(copied("llama", CHANGES[part]))


@pytest.mark.parametrize("part", ["angles", "activation"])
def test_what_the_modules_say_is_followed(part):
    assert_both_ways_agree(copied("llama", CHANGES[part]))


@pytest.mark.slow
def test_the_points_of_a_real_model_are_those_of_the_plain_pass():
    import todacomm as td
    from real_weights import decoder
    from todacomm.models.checkpoints.loading import load_model
    from todacomm.models.names import resolve

    model, texts = load_model(resolve(str(decoder())), device="cpu"), td.texts("wikitext2", 24)
    assert decoder_of(model.anatomy, longest=128) is not None
    (quick, told), (plain, said) = (extract(model, texts, batch_size=size) for size in ("auto", 8))
    for layer, points in plain.layers.items():
        off = np.linalg.norm(quick.layers[layer] - points, axis=1)
        assert (off <= 1e-5 * np.linalg.norm(points, axis=1)).all(), layer
    assert told.loss == pytest.approx(said.loss, rel=1e-6)

"""Hidden states changed at one token: the same scores as a hook in a whole pass gives, for decoders of every build."""

import numpy as np
import pytest
import torch

from architectures import built
from tiny_models import tokenizer
from todacomm.core.errors import InvalidInput
from todacomm.models.architecture.hooks import hidden_of
from todacomm.models.checkpoints.loading import adopt
from todacomm.models.turned_states import answers_of, kept, prompts_of, scores, scores_of, tokens_of, why_silent

DECODERS = ("llama", "gpt2", "gpt_neox", "opt", "bloom", "qwen2", "gemma2", "phi", "mixtral")
WORDS = ("moon", "one", "mat")
TEMPLATE = "the {} sat on the"


def decoder(name):
    return adopt(built(name), tokenizer(ends=True))


def by_hand(model, prompts, layer, added):
    """The scores of all tokens after the last one, from a whole pass in which a hook changes one token."""
    rows = torch.arange(len(prompts.ids))

    def change(hidden):
        hidden = hidden.clone()
        hidden[rows, prompts.places] += torch.from_numpy(added).to(hidden)[prompts.words]
        return hidden

    def after(_module, _args, output):
        hidden = change(hidden_of(output))
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    def before(_module, args, kwargs):
        return (
            ((change(args[0]), *args[1:]), kwargs)
            if args
            else (args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])})
        )

    first = layer == "embedding"
    block = model.anatomy.blocks[0 if first else int(layer.removeprefix("layer_"))]
    handle = block.register_forward_pre_hook(before, with_kwargs=True) if first else block.register_forward_hook(after)
    try:
        with torch.inference_mode():
            return model.network(input_ids=prompts.ids, use_cache=False).logits[:, -1].double().numpy()
    finally:
        handle.remove()


@pytest.mark.parametrize("name", DECODERS)
def test_blocks_above_a_changed_state_run_as_in_a_whole_pass(name):
    model = decoder(name)
    (prompts,) = prompts_of(model.tokenizer, [TEMPLATE], WORDS)
    answers = list(range(5, 12))
    layers = ["embedding", "layer_0", f"layer_{model.blocks - 1}"]
    found = kept(model, prompts, layers)
    rng = np.random.default_rng(0)
    before = scores(model, prompts, answers)
    for layer in layers:
        added = rng.normal(size=(4, len(WORDS), model.anatomy.width))
        added[0] = 0
        turned = scores_of(model, [found], layer, answers, added)
        assert turned.shape == (4, 3, len(answers))
        assert turned[0] == pytest.approx(before, abs=1e-4)
        for turn in range(4):
            assert turned[turn] == pytest.approx(by_hand(model, prompts, layer, added[turn])[:, answers], abs=1e-4)
        moved = abs(turned[1] - turned[0]).max()
        assert moved == 0 if layer == layers[-1] else moved > 1e-3  # no block is left to carry it to the last token
    assert scores(model, prompts, answers) == pytest.approx(before)  # nothing is left behind


def test_words_of_several_tokens_are_read_at_their_last_one_and_grouped_by_length():
    model = decoder("llama")
    words = ("moon", "cat", "one")
    prompts = prompts_of(model.tokenizer, [TEMPLATE], words)
    assert [one.ids.shape[0] for one in prompts] == [2, 1]
    assert [one.words.tolist() for one in prompts] == [[0, 2], [1]]
    for one in prompts:
        for ids, place, word in zip(one.ids.tolist(), one.places.tolist(), one.words.tolist(), strict=True):
            last = tokens_of(model.tokenizer, words[word])[-1]
            assert ids[place] == last
    found = [kept(model, one, ["layer_0"]) for one in prompts]
    turned = scores_of(model, found, "layer_0", [5, 6], np.zeros((2, 3, model.anatomy.width)))
    assert turned.shape == (2, 3, 2)


def test_no_special_token_ends_a_prompt():
    given = tokenizer(ends=True)
    assert tokens_of(given, "the cat")[-1] not in given.all_special_ids
    assert tokens_of(given, "the cat") == given("the cat")["input_ids"][: len(tokens_of(given, "the cat"))]


def test_answers_that_begin_alike_are_refused_by_name():
    with pytest.raises(InvalidInput, match="the answers moon a, moon b begin with the same token"):
        answers_of(tokenizer(ends=True), TEMPLATE, ("cat", "moon a", "moon b"))


def test_a_sentence_without_a_place_for_the_word_is_refused():
    with pytest.raises(InvalidInput, match="no place for the word"):
        prompts_of(tokenizer(ends=True), ["the cat sat"], WORDS)


def test_a_model_without_a_causal_head_says_why_it_is_not_asked():
    assert "gives no answer to a prompt: it is no causal model" in why_silent(decoder("bert"))
    headless = adopt(built("llama").model, tokenizer(ends=True))
    assert "no language-modelling head" in why_silent(headless)
    assert why_silent(decoder("llama")) == ""


def test_tokens_that_all_answers_begin_with_end_the_prompt():
    model = decoder("llama")
    ending, answers = answers_of(model.tokenizer, TEMPLATE, ("cat", "two", "three"))
    whole = tokens_of(model.tokenizer, TEMPLATE.replace("{}", "cat") + " cat")
    start = len(tokens_of(model.tokenizer, TEMPLATE.replace("{}", "cat")))
    assert [*ending, answers[0]] == whole[start : start + len(ending) + 1]
    assert len(set(answers)) == 3
    (prompts,) = prompts_of(model.tokenizer, [TEMPLATE], WORDS, ending)
    assert prompts.ids[0].tolist()[len(prompts.ids[0]) - len(ending) :] == ending

"""Networks that a caller holds, also inside what other libraries wrap around them."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import todacomm as td
from tiny_models import TEXTS, tiny
from todacomm.core.errors import InvalidInput
from todacomm.models.checkpoints.loading import adopt
from todacomm.models.checkpoints.user_networks import state_sha256

QUICK = {"resamples": 0, "null_draws": 0, "pooling": "mean"}
WORDS = tiny("bert").tokenizer


def bert():
    return copy.deepcopy(tiny("bert").network)


class Transformer(nn.Module):
    """As the first module of sentence-transformers holds a network and its tokenizer."""

    def __init__(self):
        super().__init__()
        self.auto_model, self.tokenizer = bert(), WORDS


class Compiled(nn.Module):
    """As torch.compile holds the network that it was given."""

    def __init__(self):
        super().__init__()
        self._orig_mod = bert()


WRAPPED = {
    "sentence-transformers": (lambda: nn.Sequential(Transformer(), nn.Identity()), None),
    "DataParallel": (lambda: nn.DataParallel(bert()), WORDS),
    "torch.compile": (Compiled, WORDS),
    "both": (lambda: nn.DataParallel(nn.Sequential(Transformer())), None),
    "a pipeline": (lambda: SimpleNamespace(model=bert(), tokenizer=WORDS), None),
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_the_network_inside_a_wrapper_is_measured(wrapper):
    make, words = WRAPPED[wrapper]
    wanted = td.run(bert(), texts=TEXTS, tokenizer=WORDS, **QUICK)
    found = td.run(make(), texts=TEXTS, tokenizer=words, **QUICK)
    np.testing.assert_allclose(found["H0_total_persistence"], wanted["H0_total_persistence"], rtol=1e-6)
    assert found.card.weights_sha256 == wanted.card.weights_sha256


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_network_of_quantised_layers_is_measured_and_known_by_its_numbers():
    """In eight bits the states move by about a hundredth."""
    quantised = [torch.quantization.quantize_dynamic(network, {nn.Linear}) for network in (bert(), bert(), bert())]
    with torch.no_grad():
        quantised[2].bert.embeddings.word_embeddings.weight[5, 0] += 1e-3
    found = td.run(quantised[0], texts=TEXTS, tokenizer=WORDS, **QUICK)
    wanted = td.run(bert(), texts=TEXTS, tokenizer=WORDS, **QUICK)
    np.testing.assert_allclose(found["H0_total_persistence"], wanted["H0_total_persistence"], rtol=0.05)
    digests = [state_sha256(network) for network in quantised]
    assert digests[0] == digests[1] != digests[2]
    assert state_sha256(bert()) not in digests


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_packed_weights_are_in_the_digest():
    one, other = nn.Sequential(nn.Linear(4, 4)), nn.Sequential(nn.Linear(4, 4))
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        other[0].weight[0, 0] += 1
    quantised = [torch.quantization.quantize_dynamic(network, {nn.Linear}) for network in (one, other)]
    assert state_sha256(quantised[0]) != state_sha256(quantised[1])


def test_a_network_whose_weights_are_not_in_memory_has_no_digest():
    assert state_sha256(nn.Linear(2, 2, device="meta")) == ""


@pytest.mark.parametrize("given", [object(), None, 5, [1.0], SimpleNamespace(model="bert")])
def test_what_is_no_model_is_refused_in_one_sentence(given):
    with pytest.raises(InvalidInput, match="is no model: expected a name, a directory, or a network of torch"):
        td.run(given, texts=TEXTS, tokenizer=WORDS)


def test_a_tokenizer_may_be_given_by_its_place(tmp_path):
    WORDS.save_pretrained(tmp_path)
    found = td.run(bert(), texts=TEXTS, tokenizer=str(tmp_path), **QUICK)
    wanted = td.run(bert(), texts=TEXTS, tokenizer=WORDS, **QUICK)
    np.testing.assert_array_equal(found["H0_total_persistence"], wanted["H0_total_persistence"])


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_network_with_an_adapter_is_measured_with_it_and_prompt_tuning_is_refused():
    peft = pytest.importorskip("peft", reason="installed by the extra `adapters`")
    config = peft.LoraConfig(r=4, target_modules=["query"], init_lora_weights=False)
    adapted = peft.get_peft_model(bert(), config).eval()
    found = td.run(adapted, texts=TEXTS, tokenizer=WORDS, **QUICK)
    inner = adopt(adapted.get_base_model(), WORDS)
    plain = td.run(bert(), texts=TEXTS, tokenizer=WORDS, **QUICK)
    assert found.card.weights_sha256 == inner.weights_sha256
    assert abs(found["H0_total_persistence"][-1] - plain["H0_total_persistence"][-1]) > 0.01
    prompts = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    with pytest.raises(InvalidInput, match="PROMPT_TUNING puts vectors before the texts"):
        td.run(peft.get_peft_model(copy.deepcopy(tiny("llama").network), prompts), texts=TEXTS, tokenizer=WORDS)

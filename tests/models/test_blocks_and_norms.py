import pytest
import torch
import transformers as hf
from torch import nn

from tiny_models import FAMILIES, POST_NORM, PRE_NORM, tiny
from todacomm.core.errors import InvalidInput
from todacomm.models.architecture.blocks_and_norms import anatomy
from todacomm.models.architecture.hooks import entering, evaluating, hooked


@pytest.mark.parametrize("name", FAMILIES)
def test_blocks_and_final_norm_are_found_from_the_module_tree(name):
    found = tiny(name).anatomy
    assert (found.blocks_path, found.final_norm_path) == (FAMILIES[name].blocks, FAMILIES[name].final)
    assert found.blocks == tuple(tiny(name).base.get_submodule(FAMILIES[name].blocks))
    assert found.width == 16


@pytest.mark.parametrize("name", FAMILIES)
def test_the_place_of_the_norm_is_read_from_what_the_blocks_do(name):
    assert tiny(name).anatomy.norm_place == ("pre-LN" if name in PRE_NORM else "post-LN")


def test_a_model_that_normalises_only_what_its_sublayers_add_is_neither():
    config = hf.Olmo2Config(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, pad_token_id=0
    )
    found = anatomy(hf.Olmo2ForCausalLM(config).eval())
    assert found.norm_place == "other"
    assert found.final_norm is not None


def test_both_places_of_the_norm_are_among_the_families():
    assert {"gpt2", "opt-pre", "esm"} <= set(PRE_NORM)
    assert {"bert", "opt-post", "opt-350m", "roformer"} <= set(POST_NORM)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("site", ["attention", "mlp"])
def test_each_block_has_a_module_for_what_a_sublayer_adds(name, site):
    found = tiny(name).anatomy
    modules = [tap.module for tap in found.outputs(site)]
    assert len(set(modules)) == len(found.blocks)
    for module, block in zip(modules, found.blocks, strict=True):
        assert module in set(block.modules())


def test_an_unknown_site_is_refused():
    with pytest.raises(InvalidInput, match="site 'head'; expected one of block, attention, mlp"):
        tiny("gpt2").anatomy.outputs("head")


class Shared(nn.Module):
    """One layer applied again and again, as in ALBERT: there is no list of blocks."""

    def __init__(self, config):
        super().__init__()
        self.config, self.embed, self.layer = config, nn.Embedding(300, 8), nn.Linear(8, 8)
        self.pair = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])

    def forward(self, input_ids, attention_mask=None):  # noqa: ARG002
        return self.layer(self.layer(self.layer(self.embed(input_ids))))


def test_a_model_without_a_list_of_blocks_is_told_what_was_looked_for():
    network = Shared(tiny("gpt2").network.config)
    with pytest.raises(
        InvalidInput,
        match=r"looked for a ModuleList whose modules are called 3 times.*: pair \(2\); .*td\.activations\(",
    ):
        anatomy(network)


def test_a_list_that_does_not_run_on_the_stream_is_no_list_of_blocks():
    network = Shared(tiny("gpt2").network.config)
    network.decoys = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
    with pytest.raises(InvalidInput, match=r"lists found: pair \(2\), decoys \(3\)"):
        anatomy(network)


class SideBySide(Shared):
    """Three modules that read the same stream: a list as long as the model is deep, and no chain."""

    def forward(self, input_ids, attention_mask=None):  # noqa: ARG002
        hidden = self.embed(input_ids)
        return sum(module(hidden) for module in self.decoys)


def test_modules_that_run_side_by_side_are_no_chain_of_blocks():
    network = SideBySide(tiny("gpt2").network.config)
    network.decoys = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
    with pytest.raises(InvalidInput, match="of SideBySide cannot be found: decoys did not run one after the other"):
        anatomy(network)


def test_a_sublayer_that_does_not_add_up_to_the_stream_is_refused():
    """A block that scales what attention adds (as Granite does) is not measured by the wrong tensor."""
    network = tiny("llama").network
    block = network.model.layers[1]
    handle = block.self_attn.register_forward_hook(lambda _m, _a, out: (1.5 * out[0], *out[1:]), prepend=True)
    try:
        assert anatomy(network).outputs("attention")
    finally:
        handle.remove()
    handle = block.register_forward_hook(lambda _m, _a, out: 1.1 * out, prepend=True)
    try:
        with pytest.raises(InvalidInput, match="what the attention sublayer of layers.1 .* cannot be found"):
            anatomy(network).outputs("attention")
    finally:
        handle.remove()


def test_a_network_without_a_configuration_is_pointed_to_the_library_call():
    with pytest.raises(InvalidInput, match=r"Linear has no configuration.*td\.activations\("):
        anatomy(nn.Linear(2, 2))


def test_modes_are_given_back_module_by_module():
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    network[0].eval()
    with evaluating(network):
        assert not any(m.training for m in network.modules())
        assert torch.is_inference_mode_enabled()
    assert [m.training for m in network.modules()] == [True, False, True]


def test_hooks_are_removed_when_the_forward_pass_fails():
    network = nn.Linear(2, 2)
    with pytest.raises(RuntimeError), hooked({network: lambda _: None}, {network: lambda _: None}):
        network(torch.ones(3, 3))
    assert not network._forward_hooks
    assert not network._forward_pre_hooks


def test_hidden_states_are_found_by_position_or_by_name():
    hidden, mask = torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.long)
    assert entering((hidden, mask), {}) is hidden
    assert entering((), {"attention_mask": mask, "hidden_states": hidden}) is hidden
    assert entering((), {"attention_mask": mask, "x": hidden}) is hidden
    assert entering((), {"attention_mask": mask}) is None


class Mixture(nn.Module):
    """Two blocks of two experts each: lists of one length, one inside the other."""

    def __init__(self, config):
        super().__init__()
        self.config, self.embed, self.norm = config, nn.Embedding(300, 8), nn.LayerNorm(8)
        self.layers = nn.ModuleList([Experts(), Experts()])

    def forward(self, input_ids, attention_mask=None):  # noqa: ARG002
        hidden = self.embed(input_ids)
        for layer in self.layers:
            hidden = layer(hidden)
        return self.norm(hidden)


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.aaa = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])

    def forward(self, hidden):
        return hidden + self.aaa[0](hidden) + self.aaa[1](hidden)


def test_the_experts_of_a_mixture_are_not_taken_for_its_blocks():
    network = Mixture(tiny("gpt_neo").network.config)  # two layers
    assert [len(m) for m in network.modules() if isinstance(m, nn.ModuleList)] == [2, 2, 2]
    assert anatomy(network).blocks_path == "layers"


def test_blocks_that_add_nothing_yet_do_not_hide_the_final_norm():
    """Fresh models often start with zeros: then every norm receives what leaves the last block."""
    network = hf.LlamaForCausalLM(tiny("llama").network.config)
    with torch.no_grad():
        for layer in network.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    assert anatomy(network).final_norm_path == "norm"

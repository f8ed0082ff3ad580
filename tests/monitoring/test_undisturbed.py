"""A network that is looked at while it trains goes on as if nobody had looked: the losses are the same, bit for bit."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from networks_in_training import Delicate, batch
from todacomm.monitoring.sources import Reading, source_of
from todacomm.monitoring.undisturbed import undisturbed

STEPS = 12


def trained(look, *, saving=False, autocast=False, accumulated=1, wrap=lambda network: network):
    """The losses, the last weights and buffers of a training, which ``look`` sees after each step."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    network = Delicate(saving=saving)
    network.train()
    network.frozen.eval()
    running = wrap(network)
    looked = look(running)
    optimiser, losses = torch.optim.SGD(network.parameters(), lr=0.05), []
    for _ in range(STEPS):
        for _ in range(accumulated):
            inputs, noise = torch.randn(8, 6), np.random.rand() + random.random()  # noqa: NPY002, S311
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                looked()
                loss = (running(inputs.requires_grad_(saving)).square().mean() + noise) / accumulated
                looked()
            loss.backward()
            looked()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    return losses, {name: value.clone() for name, value in network.state_dict().items()}, modes(network)


def modes(network):
    return {name: module.training for name, module in network.named_modules()}


def nobody(_):
    return lambda: None


def somebody(network):
    return source_of(network, [batch()], Reading(layers=["first", "norm", "second"])).read


WAYS = {
    "plain": {},
    "autocast": {"autocast": True},
    "accumulation": {"accumulated": 3},
    "checkpointing": {"saving": True},
}
COMPILED = {"wrap": lambda network: torch.compile(network, backend="eager")}


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "way", [*WAYS.values(), pytest.param(COMPILED, marks=pytest.mark.slow)], ids=[*WAYS, "compiled"]
)
def test_losses_weights_buffers_and_modes_are_the_same_bit_for_bit(way):
    alone, watched = (trained(look, **way) for look in (nobody, somebody))
    assert watched[0] == alone[0]
    assert watched[1].keys() == alone[1].keys()
    assert all(torch.equal(watched[1][name], alone[1][name]) for name in alone[1])
    assert watched[2] == alone[2]


def test_a_pass_without_care_is_noticed():
    """Otherwise the test above could not fail."""

    def careless(network):
        return lambda: network(batch())

    assert trained(careless)[0] != trained(nobody)[0]


def test_steps_are_paired_where_a_network_draws_in_evaluation():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(6, 4)

        def forward(self, x):
            return self.one(x + torch.rand_like(x))

    source = source_of(Noisy(), [batch()], Reading(layers=["one"]))
    first = source.read()["one"]
    torch.rand(5)
    assert np.array_equal(first, source.read()["one"])


def test_a_network_goes_on_training_with_what_it_made_while_it_was_watched():
    """Tensors of the inference mode, which a network keeps for later, would stop its next backward pass."""

    class Keeping(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.kept = nn.Linear(6, 6), None

        def forward(self, x):
            if self.kept is None:
                self.kept = torch.ones(6) * 2
            return self.one(x * self.kept)

    network = Keeping()
    with undisturbed(network):
        network(batch())
    network(batch()).sum().backward()
    assert network.one.weight.grad is not None


def test_it_is_put_back_also_where_the_pass_fails():
    network = Delicate()
    before, state = modes(network), torch.get_rng_state()
    with pytest.raises(RuntimeError, match="shapes"), undisturbed(network):
        network(torch.ones(3, 5))
    assert modes(network) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert float(network.passes) == 0
    assert torch.is_grad_enabled()
    assert torch.is_autocast_cache_enabled()


def test_texts_of_an_encoder_of_torch_are_read_with_their_padding():
    """In evaluation it packs them into nested tensors, which have no rows to pool."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2)
    padded = torch.tensor([[False, False, True], [False, True, True], [False, False, False]])
    texts = {"src": torch.randn(3, 3, 8), "src_key_padding_mask": padded}
    found = source_of(encoder, [texts], Reading(layers=["layers.0", "layers.1.linear1"])).read()
    assert {name: points.shape for name, points in found.items()} == {"layers.0": (3, 8), "layers.1.linear1": (3, 16)}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_compiled_is_read_as_it_was_written_and_not_compiled_again():
    compiled = []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.drop = nn.Linear(6, 4), nn.Dropout(0.0)

        def forward(self, x):
            return self.drop(self.head(x))

    network = nn.Sequential(Block())
    network[0].compile(backend=backend)
    expected, times = network(batch()), len(compiled)
    found = source_of(network, [batch()], Reading(layers=["0.head"])).read()["0.head"]
    assert np.allclose(found, expected.detach().numpy(), atol=1e-6)
    assert torch.equal(network(batch()), expected)
    assert len(compiled) == times >= 1

"""Turning a loop that was found without labels, inside a module."""

import numpy as np
import pytest
import torch
from torch import nn

import todacomm as td
from todacomm.core.errors import InvalidInput


class Angle:
    """The angle in the first two features."""

    def angle(self, points):
        return np.arctan2(points[:, 1], points[:, 0])


AROUND = 2 * np.pi * np.arange(24) / 24
CIRCLE = np.stack([np.cos(AROUND), np.sin(AROUND), np.full(24, 3.0)], axis=1)


class Pair(nn.Module):
    """Gives its input and something beside it, as blocks of transformers do."""

    def forward(self, hidden):
        return hidden, "beside"


def test_only_the_tokens_that_are_named_are_turned_and_nothing_is_left_behind():
    module = Pair()
    hidden = torch.from_numpy(CIRCLE[:12].reshape(3, 4, 3)).float()
    with td.turning(module, Angle(), CIRCLE, np.pi / 2):
        turned, beside = module(hidden)
    assert beside == "beside"
    assert torch.equal(turned[:, :-1], hidden[:, :-1])
    expected = hidden[:, -1] @ torch.tensor([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert turned[:, -1].numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert torch.equal(module(hidden)[0], hidden)
    with td.turning(module, Angle(), CIRCLE, np.pi, tokens=slice(None)):
        assert module(hidden)[0][..., :2].numpy() == pytest.approx(-hidden[..., :2].numpy(), abs=1e-5)


def test_a_loop_that_was_found_turns_a_network_that_reads_it():
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, 200)
    plane = np.linalg.qr(rng.normal(size=(10, 2)))[0].T
    cloud = 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1) @ plane + 0.3 * rng.normal(size=(200, 10))
    (loop, *_) = td.loops(cloud, null_draws=39).coordinates
    network = nn.Sequential(nn.Identity(), nn.Linear(10, 2, bias=False))
    network[1].weight.data = torch.from_numpy(plane)
    given = torch.from_numpy(cloud[:20])

    def read():
        found = network(given).detach().numpy()
        return np.arctan2(found[:, 1], found[:, 0])

    before = read()
    with td.turning(network[0], loop, cloud, 1.0):
        moved = np.angle(np.exp(1j * (read() - before)))
    assert abs(abs(np.mean(moved)) - 1.0) < 0.15
    assert np.std(moved) < 0.3


def test_what_cannot_be_turned_is_said():
    with (
        pytest.raises(InvalidInput, match="the module gives 4 features; expected 3"),
        td.turning(layer := nn.Identity(), Angle(), CIRCLE, 1.0),
    ):
        layer(torch.zeros(2, 4))
    with (
        pytest.raises(InvalidInput, match="expected 5 or more different angles"),
        td.turning(nn.Identity(), Angle(), np.ones((9, 3)), 1.0),
    ):
        pass

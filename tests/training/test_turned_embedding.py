"""Turning a frequency of a network that is known to use it, and one that it only carries."""

from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from todacomm.circles.causal_test import p_values
from todacomm.core.errors import InvalidInput
from todacomm.training.networks import Network, Perceptron, Shape
from todacomm.training.tasks import Task
from todacomm.training.turned_embedding import angles_of, named, share_moved, table_of, turned

USED, CARRIED = (3, 5, 8), 7


class Clock(Network):
    """Computes with angles exactly: its logits are Σ_k cos(2πk(a ± b − c)/n) over the frequencies that it uses."""

    def __init__(self, task: Task):
        super().__init__()
        self.order, self.characters = task.characters.order, task.characters
        waves = self.characters.waves([*USED, CARRIED], np.arange(self.order))
        table = np.zeros((task.size, waves.shape[1]))
        table[self.characters.members] = waves[self.characters.places]
        self.embed = nn.Embedding.from_pretrained(torch.from_numpy(table), freeze=True)
        self.places = torch.from_numpy(waves)
        self.names = ()
        self.subtracts = task.sign < 0
        self.classes = task.classes

    def states(self, inputs):
        rows = cast("nn.Embedding", self.embed)(inputs)
        used = 2 * len(USED)
        a, b = (torch.view_as_complex(rows[:, i, :used].reshape(len(rows), -1, 2).contiguous()) for i in (0, 1))
        b = b.conj() if self.subtracts else b
        c = torch.view_as_complex(self.places[:, :used].reshape(self.order, -1, 2).contiguous())
        found = torch.full((len(rows), self.classes), -10.0, dtype=torch.float64)
        members = self.characters.members
        found[:, members] = (3 * ((a * b)[:, None] * c.conj()[None]).real.sum(dim=-1))[:, self.characters.places]
        yield found


@pytest.fixture(params=["add", "mul", "sub"])
def clock(request):
    task = Task(request.param, 23, train_fraction=0.5)
    return Clock(task), task


def test_a_frequency_that_the_network_computes_with_is_used_and_one_that_it_carries_is_not(clock):
    network, task = clock
    found = {
        k: turned(network, task, angles_of(k, task.characters), k, draws=19, rng=np.random.default_rng(0), pairs=60)
        for k in (*USED, CARRIED)
    }
    for k in USED:
        assert found[k].slope == pytest.approx(1, abs=0.02)
        assert found[k].accuracy == 1
        assert found[k].direction == 1
        assert found[k].verdict(p_values({"embedding": found[k]})["embedding"])[0] == "used"
    carried = found[CARRIED]
    assert abs(carried.slope) < 0.01
    assert carried.ceiling > 0.9
    assert carried.verdict(p_values({"embedding": carried})["embedding"])[0] == "represented, not used"


def test_all_planes_together_move_every_answer(clock):
    network, task = clock
    for step in (1, 4, 11):
        assert share_moved(network, task, USED, step, rng=np.random.default_rng(0)) == 1
        assert share_moved(network, task, (CARRIED,), step, rng=np.random.default_rng(0)) < 0.2


def test_an_angle_is_named_by_its_frequency_and_its_direction():
    characters = Task("mul", 23).characters
    noise = 0.1 * np.random.default_rng(0).normal(size=characters.order)
    found = named(1.3 - angles_of(4, characters) + noise, characters)
    assert (found.frequency, found.direction) == (4, -1)
    assert found.correlation > 0.98


def test_a_task_without_characters_and_a_network_of_pixels_are_refused():
    task = Task("quadratic", 23)
    network = Clock(Task("add", 23))
    with pytest.raises(InvalidInput, match="no operation of a group"):
        turned(network, task, np.zeros(23), 1, draws=0, rng=np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="no embedding of tokens"):
        table_of(Perceptron(4, 3, Shape(layers=1)))

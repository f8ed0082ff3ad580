"""Copies of a network in training: the first is the network's own training, the others differ by what was added."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import nn

import todacomm as td
from todacomm.core.errors import InvalidInput, TrainingFailed
from todacomm.stability.copies import Copies
from todacomm.stability.distances import angles
from todacomm.stability.laboratory import batches_of, start_of
from todacomm.stability.measure import Ground, faster_together
from todacomm.stability.perturbation import perturbations
from todacomm.training.networks import Shape
from todacomm.training.run_settings import Training
from todacomm.training.tasks import Task
from todacomm.training.training_loop import Run

SMALL = {"mlp": Shape(8, 12, 2, 2), "transformer": Shape(8, 12, 1, 2), "nanda": Shape(8, 12, 1, 2)}


def run_of(network):
    return Run(Task("add", 11, 0.5), Training(network, SMALL[network], steps=100, batch=16, learning_rate=1e-2))


def copies_of(run, *, together, k=2, epsilon=1e-3):
    weights = {name: w.detach().numpy() for name, w in run.network.named_parameters()}
    noise = perturbations(weights, [epsilon] * k, range(k), seed=0)
    return Copies(run.network, run.optimiser, F.cross_entropy, noise, together=together)


def trained(network, *, together):
    run = run_of(network)
    run.train_to(20)
    copies = copies_of(run, together=together)
    batches = batches_of(run, 20)
    losses = copies.train(next(batches) for _ in range(30))
    return copies, losses


def assert_close_as_rounding(found, expected):
    """Equal but for the order of sums, which AdamW magnifies where a gradient is rounding alone (biases of keys)."""
    assert float((found - expected).detach().norm()) < 2e-4 * max(1, float(expected.detach().norm()))


@pytest.mark.parametrize("network", SMALL)
def test_the_unperturbed_copy_is_the_run_itself(network):
    copies, _ = trained(network, together=False)
    run = run_of(network)
    run.train_to(50)
    for name, weight in run.network.named_parameters():
        assert_close_as_rounding(copies.stack[name][0], weight)


def test_all_copies_at_once_are_copies_one_after_another():
    (at_once, losses), (in_turn, expected) = (trained("mlp", together=which) for which in (True, False))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for name in at_once.stack:
        assert_close_as_rounding(at_once.stack[name], in_turn.stack[name])


def test_small_batches_of_a_perceptron_go_together():
    network, batch = run_of("mlp").network, 256
    optimiser = torch.optim.AdamW(network.parameters())
    assert faster_together(Ground(network, optimiser, F.cross_entropy, (), rows=batch))
    assert not faster_together(Ground(network, optimiser, F.cross_entropy, (), rows=batch + 1))
    assert not faster_together(Ground(run_of("nanda").network, optimiser, F.cross_entropy, (), rows=batch))


def test_a_perturbation_is_as_long_as_epsilon_times_the_norm_of_each_tensor():
    weights = {"a": np.array([[3.0, 0.0], [0.0, 4.0]]), "zero": np.zeros(3)}
    found = perturbations(weights, [0.1, 0.01], [0, 0], seed=1)
    np.testing.assert_allclose([np.linalg.norm(one) for one in found["a"]], [0.5, 0.05])
    np.testing.assert_allclose(found["a"][0], 10 * found["a"][1])
    assert not found["zero"].any()


def test_rescaling_multiplies_every_difference_and_keeps_averages_of_squares_above_zero():
    copies, _ = trained("mlp", together=False)
    name, weight = next(iter(copies.stack.items()))
    moments = copies.optimiser.state[weight]
    moments["exp_avg_sq"][1] = 0.5 * moments["exp_avg_sq"][0]
    before = {"w": weight.detach().clone(), **{k: moments[k].clone() for k in ("exp_avg", "exp_avg_sq")}}
    copies.rescale(np.array([4.0, 1.0]))
    for key, after in (("w", weight.detach()), ("exp_avg", moments["exp_avg"])):
        torch.testing.assert_close(after[1] - after[0], 4 * (before[key][1] - before[key][0]), rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(after[[0, 2]], before[key][[0, 2]], rtol=0, atol=0)
    assert (moments["exp_avg_sq"] >= 0).all()
    assert not moments["exp_avg_sq"][1].any()  # v0 + 4 (v0 / 2 - v0) is below zero everywhere
    assert name in copies.stack


def test_dropout_masks_are_shared():
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(6, 20), nn.Dropout(0.5), nn.Linear(20, 2))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    nothing = {name: np.zeros((3, *w.shape)) for name, w in network.named_parameters()}
    copies = Copies(network, optimiser, F.mse_loss, nothing)
    batch = torch.randn(32, 6), torch.randn(32, 2)
    copies.train([batch] * 5)
    apart, _ = copies.squares()
    assert max(one.max() for one in apart.values()) < 1e-10
    copies.train([batch])
    assert not torch.equal(copies.stack["0.weight"][0], network[0].weight)


def test_angles_do_not_see_scale():
    first, others = np.array([3.0, 4.0]), np.array([[6.0, 8.0], [-4.0, 3.0], [3.0, 4.0001]])
    norms = np.array([first @ first, *np.square(others).sum(axis=1)])
    found = angles(np.square(others - first).sum(axis=1), norms)
    np.testing.assert_allclose(found, [0, np.pi / 2, 1.2e-5], atol=2e-9)


def test_distances_start_at_epsilon_and_stay_there_for_brought_back_copies():
    task, copying = Task("add", 11, 0.5), td.Copying(copies=4, every=10, scanned=(1e-4,), checkpoints=2)
    training = Training("mlp", SMALL["mlp"], steps=100, batch=16)
    found = td.grokking.stability_of(task, training, copying=copying)
    assert found.start == start_of(training) == 50
    np.testing.assert_allclose(found.distances[0, 0] / found.weight_norms[0], found.copying.epsilons, rtol=1e-4)
    renormalised = found.apart(role="renormalised")
    np.testing.assert_allclose(
        renormalised[1:], renormalised[0] * np.exp(found.of("weights", "renormalised")), rtol=1e-3
    )
    np.testing.assert_allclose(
        np.cumsum(found.of("weights", "free"), axis=0), np.log(found.apart()[1:] / found.apart()[0]), atol=1e-9
    )
    assert found.number("test_accuracy").shape == (3,)
    assert (found.number("sharpness") > 0).all()
    assert len(found.matched) == 1
    assert "group/head" in found.names
    assert "angle/layers.1" in found.names


# What is refused, and what is told


def ground():
    network = nn.Linear(2, 1)
    return network, torch.optim.SGD(network.parameters(), lr=0.1)


def batches(value=1.0):
    while True:
        yield torch.full((4, 2), value), torch.zeros(4, 1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"copies": 1}, "1 copy: expected 3 or more"), ({"epsilon": 0.0}, "epsilon 0: expected"),
     ({"epsilon": -1e-3}, "above 0"), ({"every": 0}, "every 0; expected 1")],
)  # fmt: skip
def test_a_setting_out_of_its_range_is_refused(settings, said):
    with pytest.raises(InvalidInput, match=said):
        td.Copying(**settings)


def test_a_network_without_parameters_or_without_weights_is_refused():
    empty, zero = nn.Sequential(nn.ReLU()), nn.Linear(2, 1)
    for weight in zero.parameters():
        nn.init.zeros_(weight)
    some = torch.optim.SGD(zero.parameters(), lr=0.1)
    for network, said in ((empty, "no parameters that are trained"), (zero, "every weight is 0")):
        with pytest.raises(InvalidInput, match=said):
            td.follow_copies(network, some, batches(), loss=F.mse_loss, steps=50)


def test_an_optimiser_that_mixes_weights_is_refused():
    network = nn.Linear(2, 1)
    with pytest.raises(InvalidInput, match="LBFGS mixes the weights"):
        td.follow_copies(network, torch.optim.LBFGS(network.parameters()), batches(), loss=F.mse_loss, steps=50)


def test_too_few_steps_or_batches_are_told():
    network, optimiser = ground()
    with pytest.raises(InvalidInput, match="less than two windows"):
        td.follow_copies(network, optimiser, batches(), loss=F.mse_loss, steps=30)
    few = [next(batches())] * 60
    with pytest.raises(InvalidInput, match="the batches ended after step 60"):
        td.follow_copies(network, optimiser, few, loss=F.mse_loss, steps=100)


def test_a_loss_that_is_lost_is_told_of_the_network_and_of_one_copy():
    network, optimiser = ground()
    with pytest.raises(TrainingFailed, match="no finite number any more by step"):
        td.follow_copies(network, optimiser, batches(1e30), loss=F.mse_loss, steps=50)

    class Fragile(nn.Module):
        """Its outputs are lost where its weight exceeds 1, which only a copy's can."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, inputs):
            return inputs[:, :1] * self.weight * torch.where(self.weight > 1, torch.nan, 1.0)

    fragile = Fragile()
    still = torch.optim.SGD(fragile.parameters(), lr=1e-30)
    copying = td.Copying(copies=8, scanned=())
    found = td.follow_copies(fragile, still, batches(), loss=F.mse_loss, steps=50, copying=copying)
    assert any("its loss is no finite number any more by step 25" in one for one in found.complaints)
    assert 0 < len(found.complaints) < 7
    assert found.exponent().value == pytest.approx(0, abs=1e-6)
    assert None in (*found.exponent().copies, *found.raw().copies)

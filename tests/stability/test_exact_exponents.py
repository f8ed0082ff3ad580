"""Exponents that are known: a quadratic bowl, with and without momentum, and the logistic map."""

import numpy as np
import pytest
import torch
from torch import nn

from todacomm.stability.copies import Copies
from todacomm.stability.distances import TrainedCopies
from todacomm.stability.exponents import IDENTICAL, raw_exponent, renormalised_exponent
from todacomm.stability.follow import STATE, follow, windows_of

CURVATURES = (0.3, 1.0, 4.0, 12.0)


class Bowl(nn.Module):
    """Half of sum h_i w_i², as a network whose output is its loss."""

    def __init__(self, start):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(start, dtype=torch.float64))
        self.h = CURVATURES

    def forward(self, _):
        return 0.5 * (torch.tensor(self.h, dtype=torch.float64) * self.weights**2).sum()


def copies_on_the_bowl(perturbed, *, eta, steps, every, renormalised, **settings):
    """What copies of a network at the bottom of the bowl, where it stays, do under gradient descent."""
    bowl = Bowl([0.0, 0.0, 0.0, 0.0])
    optimiser = torch.optim.SGD(bowl.parameters(), lr=eta, **settings)
    nothing = torch.zeros(1)
    copies = Copies(bowl, optimiser, lambda out, _: out, {"weights": np.array(perturbed)})
    system = TrainedCopies(copies, ((nothing, nothing) for _ in range(steps)), None)
    lengths = windows_of(steps, every)
    wanted = system.distances()[STATE] if renormalised else np.full(len(perturbed), np.nan)
    first = system.distances()[STATE]
    windows = list(follow(system, lengths, wanted))
    return first, windows, np.array(lengths)


def growths_of(windows):
    return np.array([window.growths[STATE] for window in windows])


@pytest.mark.parametrize("eta", [0.05, 0.12, 0.2])  # stable; oscillating in the stiffest direction; unstable in it
def test_a_copy_moved_along_an_eigenvector_has_its_exponent(eta):
    first, windows, lengths = copies_on_the_bowl(1e-3 * np.eye(4), eta=eta, steps=40, every=10, renormalised=False)
    expected = np.log(np.abs(1 - eta * np.array(CURVATURES)))
    raw = raw_exponent(first, windows[-1].distances[STATE], 40)
    np.testing.assert_allclose(np.array(raw.copies), expected, atol=1e-6)
    renormalised = copies_on_the_bowl(1e-3 * np.eye(4), eta=eta, steps=40, every=10, renormalised=True)[1]
    np.testing.assert_allclose(renormalised_exponent(growths_of(renormalised), lengths).copies, expected, atol=1e-6)


@pytest.mark.parametrize("eta", [0.05, 0.12, 0.2])
def test_a_random_perturbation_tends_to_the_largest_exponent(eta):
    noise = 1e-3 * np.random.default_rng(0).normal(size=(5, 4))
    _, windows, lengths = copies_on_the_bowl(noise, eta=eta, steps=300, every=20, renormalised=True)
    found = renormalised_exponent(growths_of(windows), lengths)
    assert found.value == pytest.approx(np.log(np.abs(1 - eta * np.array(CURVATURES))).max(), abs=1e-3)


@pytest.mark.parametrize(
    ("eta", "beta", "decay", "steps"),
    [
        (0.4, 0.9, 0.05, 400),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [(0.05, 0.9, 0.0, 3000), (0.05, 0.9, 0.05, 3000), (0.02, 0.5, 0.0, 3000)]
        ),
    ],
)
def test_heavy_ball_momentum_has_the_largest_root(eta, beta, decay, steps):
    """Weight decay adds to every curvature; 0.4 is unstable, and the roots of the others are complex."""
    noise = 1e-3 * np.random.default_rng(1).normal(size=(3, 4))
    _, windows, lengths = copies_on_the_bowl(
        noise, eta=eta, steps=steps, every=10, renormalised=True, momentum=beta, weight_decay=decay
    )
    roots = [np.roots([1, -(1 + beta - eta * (h + decay)), beta]) for h in CURVATURES]
    assert renormalised_exponent(growths_of(windows), lengths).value == pytest.approx(
        np.log(np.abs(roots).max()), abs=1e-3
    )


def test_identical_copies_stay_at_distance_zero_and_have_no_exponent():
    first, windows, lengths = copies_on_the_bowl(np.zeros((2, 4)), eta=0.1, steps=30, every=10, renormalised=True)
    assert not first.any()
    assert not any(window.distances[STATE].any() for window in windows)
    for found in (
        renormalised_exponent(growths_of(windows), lengths),
        raw_exponent(first, windows[-1].distances[STATE], 30),
    ):
        assert found.value is None
        assert found.reason == IDENTICAL


class Logistic:
    """x → 4 x (1 - x), the first value being the unperturbed one."""

    def __init__(self, values):
        self.x = np.array(values)

    def advance(self, steps):
        for _ in range(steps):
            self.x = 4 * self.x * (1 - self.x)

    def distances(self):
        return {STATE: np.abs(self.x[1:] - self.x[0])}

    def rescale(self, factors):
        self.x[1:] = self.x[0] + factors * (self.x[1:] - self.x[0])


def test_the_logistic_map_has_the_logarithm_of_two():
    system = Logistic([0.3, 0.3 + 1e-9])
    lengths = windows_of(100_000, 10)
    growths = np.array([w.growths[STATE] for w in follow(system, lengths, np.array([1e-9]))])
    assert renormalised_exponent(growths, np.array(lengths)).value == pytest.approx(np.log(2), rel=0.02)

"""The largest eigenvalue of a Hessian, where it is known."""

import pytest
import torch
from torch import nn

from todacomm.stability.sharpness import largest_eigenvalue, sharpness


class Quadratic(nn.Module):
    def __init__(self, diagonal):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(len(diagonal)))
        self.diagonal = torch.tensor(diagonal)

    def forward(self, _):
        return 0.5 * (self.diagonal * self.weight**2).sum()


@pytest.mark.parametrize(
    ("diagonal", "expected"), [([1.0, 3.0, 10.0], 10.0), ([-20.0, 3.0, 5.0], 5.0), ([0.0, 0.0], 0.0)]
)
def test_it_is_the_largest_entry_of_a_diagonal_hessian(diagonal, expected):
    found, _ = sharpness(Quadratic(diagonal), lambda out, _: out, (torch.zeros(1), torch.zeros(1)))
    assert found == pytest.approx(expected, rel=0.02, abs=0.2)


def test_scales_enter_on_both_sides():
    scales = {"weight": torch.tensor([2.0, 1.0])}
    found, _ = sharpness(Quadratic([3.0, 5.0]), lambda out, _: out, (torch.zeros(1), torch.zeros(1)), scales)
    assert found == pytest.approx(12, rel=0.01)


def test_the_vector_is_the_eigenvector():
    value, vector = largest_eigenvalue(
        lambda v: {"w": torch.tensor([[2.0, 1.0], [1.0, 2.0]]) @ v["w"]}, {"w": torch.tensor([1.0, 0.2])}
    )
    assert value == pytest.approx(3, rel=1e-3)
    torch.testing.assert_close(vector["w"].abs(), torch.full((2,), 0.5**0.5), rtol=0.05, atol=0)

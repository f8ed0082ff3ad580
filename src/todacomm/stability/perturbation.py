"""Perturb copies of a set of weights, each tensor by Gaussian noise in proportion to its norm."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

Tensors = Mapping[str, Float[np.ndarray, "..."]]


def directions(weights: Tensors, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Gaussian noise for each tensor, scaled to the norm of the tensor: times epsilon, it is the perturbation.

    A tensor of zeros, such as a bias at its start, has none.
    """
    found = {}
    for name, weight in weights.items():
        noise = rng.standard_normal(weight.shape)
        length = float(np.linalg.norm(noise))
        found[name] = noise * (float(np.linalg.norm(weight.astype(np.float64))) / length if length else 0.0)
    return found


def perturbations(
    weights: Tensors, epsilons: Sequence[float], of: Sequence[int], *, seed: int
) -> dict[str, Float[np.ndarray, "k ..."]]:
    """The perturbation of every copy; copies with the same number in ``of`` have the same direction."""
    each = [
        directions(weights, rng=np.random.default_rng([seed, 4, number])) for number in range(max(of, default=-1) + 1)
    ]
    return {
        name: np.stack([epsilon * each[number][name] for epsilon, number in zip(epsilons, of, strict=True)])
        for name in weights
    }

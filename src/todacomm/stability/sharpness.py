"""The largest eigenvalue of the Hessian of a loss, plain and as the optimiser sees it, by power iteration."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel

Weights = dict[str, Tensor]
ITERATIONS, CLOSE = 20, 1e-3  # at most so many products, fewer where the eigenvalue changes by less than this share


def hessian_product(
    network: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], batch: tuple[Tensor, Tensor]
) -> Callable[[Weights], Weights]:
    """The map v → Hv of the loss of a batch at the network's weights."""
    weights = {name: w.detach() for name, w in network.named_parameters() if w.requires_grad}

    def loss_at(at: Weights) -> Tensor:
        return loss(functional_call(network, at, (batch[0],)), batch[1])

    with sdpa_kernel(SDPBackend.MATH):  # the others cannot be differentiated twice
        product = vjp(grad(loss_at), weights)[1]
    return lambda vector: product(vector)[0]


def largest_eigenvalue(
    product: Callable[[Weights], Weights], start: Weights, *, iterations: int = ITERATIONS
) -> tuple[float, Weights]:
    """The largest eigenvalue of a symmetric map and its eigenvector, by power iteration from ``start``.

    Where the eigenvalue of largest modulus is negative, the map is shifted by it and iterated once more.
    """
    value, vector = dominant(product, start, iterations)
    if value >= 0:
        return value, vector
    shift = -value

    def shifted(v: Weights) -> Weights:
        found = product(v)
        return {name: found[name] + shift * v[name] for name in v}

    above, vector = dominant(shifted, start, iterations)
    return above - shift, vector


def dominant(product: Callable[[Weights], Weights], start: Weights, iterations: int) -> tuple[float, Weights]:
    """The eigenvalue of largest modulus, with its vector."""
    vector, value = normalised(start), 0.0
    for _ in range(iterations):
        found = product(vector)
        before, value = value, inner(vector, found)
        if not inner(found, found) > 0:
            break
        vector = normalised(found)
        if abs(value - before) <= CLOSE * abs(value):
            break
    return value, vector


def sharpness(
    network: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    batch: tuple[Tensor, Tensor],
    scales: Mapping[str, Tensor] | None = None,
    start: Weights | None = None,
) -> tuple[float, Weights]:
    """The largest eigenvalue of the Hessian H, or of SHS where ``scales`` S are given; with its vector.

    With Adam's S = (√v + ε)^(-1/2) the second is the sharpness that decides on its stability: Cohen et al. 2022,
    https://arxiv.org/abs/2207.14484.
    """
    product = hessian_product(network, loss, batch)
    first = start or {name: torch.ones_like(w) for name, w in network.named_parameters() if w.requires_grad}
    if scales is None:
        return largest_eigenvalue(product, first)

    def scaled(v: Weights) -> Weights:
        found = product({name: scales[name] * v[name] for name in v})
        return {name: scales[name] * found[name] for name in v}

    return largest_eigenvalue(scaled, first)


def inner(a: Weights, b: Weights) -> float:
    """The inner product, summed in float64."""
    return sum(float((a[name].double() * b[name].double()).sum()) for name in a)


def normalised(vector: Weights) -> Weights:
    """The vector at length 1."""
    length = inner(vector, vector) ** 0.5
    return {name: one / length for name, one in vector.items()}

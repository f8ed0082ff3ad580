"""Layers of many copies as one product each: within `BatchedLayers` a network takes stacked weights, and gives (k, …).

Linear layers with (k, o, i) weights and look-ups in (k, c, d) tables are replaced; what else a network does must act on
each number by itself, as activations do, or along the last axis.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Products(torch.autograd.Function):
    """(k, m, i) inputs, (k, o, i) weights and (k, o) biases → (k, m, o) outputs, with gradients laid out as weights.

    Torch's own gradient of a batched product is laid out the other way round, and copied once more.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """One product for all copies."""
        ctx.save_for_backward(inputs, weight)
        ctx.biased = bias is not None
        found = torch.bmm(inputs, weight.mT)
        return found if bias is None else found.add_(bias.unsqueeze(1))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        """Two products for all copies."""
        (grad,) = grads
        inputs, weight = ctx.saved_tensors
        of_inputs = torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None
        return of_inputs, torch.bmm(grad.mT, inputs), grad.sum(1) if ctx.biased else None


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The linear layer of each copy on its own inputs, or on inputs that all share."""
    each = inputs if inputs.dim() == weight.dim() else inputs.expand(len(weight), *inputs.shape)
    return Products.apply(each, weight, bias)  # type: ignore[no-untyped-call]  # torch gives it no types


def look_up(indices: Tensor, table: Tensor) -> Tensor:
    """Rows of each copy's table at indices that all share: (k, m, d)."""
    offsets = torch.arange(len(table), device=table.device) * table.shape[1]
    return F.embedding(indices + offsets.view(-1, 1), table.flatten(0, 1))


class BatchedLayers(TorchFunctionMode):
    """Within it, linear layers and look-ups take stacked weights; those of one network are as ever."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace the two functions where their weights are stacked."""
        if func is F.linear and args[1].dim() == 3:
            return linear(*args)
        if func is F.embedding and args[1].dim() == 3:
            return look_up(*args[:2])
        return func(*args, **(kwargs or {}))

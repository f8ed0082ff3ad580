"""Linear layers and look-ups of many copies as one product each, for use inside `torch.func.vmap`.

What vmap makes of them by itself adds the bias in a pass of its own, and copies every gradient of a weight once.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Products(torch.autograd.Function):
    """(k, m, i) inputs, (k, o, i) weights and (k, o) biases → (k, m, o) outputs, with gradients laid out as weights."""

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


def batched_linear(count: int, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply the linear layer of each copy to its own inputs, of any shape (k, …, i)."""
    shape = inputs.shape
    flat = inputs if inputs.dim() == 3 else inputs.reshape(count, -1, shape[-1])
    found = Products.apply(flat, weight, bias)  # type: ignore[no-untyped-call]  # torch gives it no types
    return found if inputs.dim() == 3 else found.view(*shape[:-1], -1)


class Linear(torch.autograd.Function):
    """`torch.nn.functional.linear` with a rule of its own under vmap, where it alone is used."""

    generate_vmap_rule = False

    @staticmethod
    def forward(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """One copy alone."""
        return F.linear(inputs, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep nothing: gradients flow through the rule of vmap."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, int]:
        """All copies at once."""
        k = info.batch_size
        inputs, weight = (in_front(one, at, k) for one, at in zip((inputs, weight), in_dims[:2], strict=True))
        return batched_linear(k, inputs, weight, None if bias is None else in_front(bias, in_dims[2], k)), 0


class LookUp(torch.autograd.Function):
    """`torch.nn.functional.embedding` of indices that all copies share, with a rule of its own under vmap."""

    generate_vmap_rule = False

    @staticmethod
    def forward(indices: Tensor, table: Tensor) -> Tensor:
        """One copy alone."""
        return F.embedding(indices, table)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep nothing: gradients flow through the rule of vmap."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, indices: Tensor, table: Tensor) -> tuple[Tensor, int]:
        """All copies at once, as one long table."""
        k = info.batch_size
        table = in_front(table, in_dims[1], k)
        offsets = torch.arange(k, device=table.device) * table.shape[1]
        every = in_front(indices, in_dims[0], k) + offsets.view(-1, *[1] * (indices.dim() - (in_dims[0] is not None)))
        return F.embedding(every, table.flatten(0, 1)), 0


def in_front(tensor: Tensor, at: int | None, k: int) -> Tensor:
    """The tensor with its copies along the first axis; one that all share is repeated without being copied."""
    return tensor.expand(k, *tensor.shape) if at is None else tensor.movedim(at, 0)


class BatchedLayers(TorchFunctionMode):
    """Within it, linear layers and plain look-ups take the rules above."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace the two functions where they are called with weights that differ between copies."""
        if not kwargs and func is F.linear:
            inputs, weight, *bias = args
            return Linear.apply(inputs, weight, bias[0] if bias else None)  # type: ignore[no-untyped-call]
        if not kwargs and func is F.embedding and len(args) == 2:
            return LookUp.apply(*args)  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))

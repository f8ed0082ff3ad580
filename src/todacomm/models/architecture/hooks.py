"""Watch the inputs and outputs of modules in evaluation mode, by hooks that are always removed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from todacomm.models.architecture.forward_inputs import arguments

Axes = tuple[int, int, int]
UPRIGHT: Axes = (0, 1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Tap:
    """Where to read hidden states: the input or output of a module in one of its calls.

    ``axes`` permutes them to (texts, tokens, features): XLNet has (tokens, texts, features) inside.
    """

    module: nn.Module
    entering: bool = False
    call: int = 0
    axes: Axes = UPRIGHT


def upright(hidden: Tensor, axes: Axes, tokens: int) -> Tensor:
    """Hidden states as (texts, tokens, features), without what a model appends to its texts; flat ones unchanged."""
    return hidden.permute(axes)[:, :tokens] if hidden.ndim == 3 else hidden


def hidden_of(output: Any) -> Tensor | None:
    """The hidden states in the output of a module: the tensor, or the first of a tuple or mapping."""
    several = tuple(output.values()) if isinstance(output, Mapping) else output
    first = several[0] if isinstance(several, tuple | list) and len(several) else several
    return first if isinstance(first, Tensor) else None


def entering(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """The hidden states in a module's arguments: by position, ``hidden_states``, or the first (b, t, d)."""
    given = [*args[:1], kwargs.get("hidden_states"), *kwargs.values()]
    return next((g for g in given if isinstance(g, Tensor) and g.is_floating_point() and g.ndim >= 2), None)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; each module's own mode is restored.

    Where gradients are off already, the inference mode is not entered: a network in training cannot go on with tensors
    that were made in it.
    """
    training = [m for m in network.modules() if m.training]
    network.eval()
    try:
        with torch.inference_mode() if torch.is_grad_enabled() else nullcontext():
            yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def hooked(
    before: Mapping[nn.Module, Callable[[Tensor], None]], after: Mapping[nn.Module, Callable[[Tensor], None]]
) -> Iterator[None]:
    """Call ``before[module]`` with a module's input and ``after[module]`` with its output, until the block ends."""
    handles = [m.register_forward_pre_hook(_reading_input(f), with_kwargs=True) for m, f in before.items()]
    handles += [m.register_forward_hook(_reading_output(f)) for m, f in after.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _reading_input(function: Callable[[Tensor], None]) -> Callable[..., None]:
    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if (hidden := entering(args, kwargs)) is not None:
            function(hidden)

    return hook


def _reading_output(function: Callable[[Tensor], None]) -> Callable[..., None]:
    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        if (hidden := hidden_of(output)) is not None:
            function(hidden)

    return hook


@dataclass(slots=True)
class Trace:
    """Input and output of each watched module, call by call; ``order`` lists the modules as they were called."""

    entered: dict[nn.Module, list[Tensor]] = field(default_factory=dict)
    left: dict[nn.Module, list[Tensor]] = field(default_factory=dict)
    order: list[nn.Module] = field(default_factory=list)
    output: Any = None

    def at(self, module: nn.Module, call: int) -> tuple[Tensor, Tensor] | None:
        """Input and output of one call of a module; None where it was not called so often."""
        before, after = self.entered.get(module, []), self.left.get(module, [])
        return (before[call], after[call]) if call < len(before) == len(after) else None


Part = Callable[[nn.Module, Tensor], Tensor]


def trace(
    base: nn.Module,
    modules: Sequence[nn.Module],
    ids: Tensor,
    real: Tensor | None = None,
    part: Part = lambda _module, hidden: hidden,
    **more: Any,
) -> Trace:
    """Run the texts ``ids`` (b, t) through the base model; keep ``part`` of the inputs and outputs of ``modules``."""
    seen = Trace()

    def entered(module: nn.Module) -> Callable[[Tensor], None]:
        def enter(hidden: Tensor) -> None:
            seen.order.append(module)
            keep(seen.entered, module, hidden)

        return enter

    def left(module: nn.Module) -> Callable[[Tensor], None]:
        return lambda hidden: keep(seen.left, module, hidden)

    def keep(store: dict[nn.Module, list[Tensor]], module: nn.Module, hidden: Tensor) -> None:
        store.setdefault(module, []).append(part(module, hidden).detach().to("cpu", copy=True))

    with evaluating(base), hooked({m: entered(m) for m in modules}, {m: left(m) for m in modules}):
        seen.output = base(**arguments(base, ids, real), **more)
    return seen

"""Train a network and perturbed copies of it side by side, on the same batches, with the same dropout masks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from jaxtyping import Float, Float64
from torch import Tensor, nn
from torch.func import functional_call

from todacomm.core.errors import InvalidInput
from todacomm.stability.batched_layers import BatchedLayers

Loss = Callable[[Tensor, Tensor], Tensor]
Batches = Iterable[tuple[Tensor, Tensor]]
ELEMENTWISE = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta", "ASGD", "Rprop")
POSITIVE = {
    "exp_avg_sq",
    "max_exp_avg_sq",
    "square_avg",
    "acc_delta",
    "sum",
    "exp_inf",
}  # squares, of which roots are drawn
FEW_ROWS = 256  # up to so many a batch, one product of all copies is faster than one after another


class Copies:
    """A network and k perturbed copies of it, each with its own optimiser state; the first is not perturbed.

    Weights lie stacked along a first axis, and so does every moment of the optimiser, whose step is one for all.

    Parameters
    ----------
    network : torch.nn.Module
        The network as it is now; it is not changed.
    optimiser : torch.optim.Optimizer
        Its optimiser, with the state that all copies begin with; one that treats every weight by itself.
    loss : callable
        (outputs, targets) → the mean loss of a batch.
    perturbation : mapping of str to (k, ...) arrays
        What is added to each parameter of each copy.
    together : bool
        Whether each layer is one product for all copies (`BatchedLayers`), which the network must bear, and the loss
        is cross-entropy, rather than one copy after another.

    Raises
    ------
    InvalidInput
        For a network without parameters, and for an optimiser that mixes weights.

    """

    def __init__(
        self,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        loss: Loss,
        perturbation: Mapping[str, Float[np.ndarray, "k ..."]],
        *,
        together: bool = False,
    ) -> None:
        check_network(network, optimiser)
        self.loss = loss
        self.together = together
        self.stack = stacked(network, perturbation)
        self.count = len(next(iter(self.stack.values())))
        self.networks = [view_of(network, self.stack, i) for i in range(self.count)]
        self.optimiser = optimiser_of(optimiser, network, self.stack)
        self._gradients = [] if self.together else self._shared_gradients()

    def _shared_gradients(self) -> list[Tensor]:
        """Stacked gradients, of which each copy's are views."""
        for parameter in self.stack.values():
            parameter.grad = torch.zeros_like(parameter)
        for i, network in enumerate(self.networks):
            for name, weight in network.named_parameters():
                grad = self.stack[name].grad
                weight.grad = None if grad is None else grad[i]
        return [p.grad for p in self.stack.values() if p.grad is not None]

    def train(self, batches: Batches) -> Float64[np.ndarray, " c"]:
        """Take a step on each batch; return the sum of the losses of each of the c networks."""
        total = torch.zeros(self.count, dtype=torch.float64)
        for inputs, targets in batches:
            total += self._step_together(inputs, targets) if self.together else self._step_in_turn(inputs, targets)
        return total.numpy()

    def _step_in_turn(self, inputs: Tensor, targets: Tensor) -> Tensor:
        found, state = [], torch.get_rng_state()
        for network in self.networks:
            torch.set_rng_state(state)  # the same dropout mask for each
            loss = self.loss(network(inputs), targets)
            loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
            found.append(loss.detach())
        self.optimiser.step()
        torch._foreach_zero_(self._gradients)
        return torch.stack(found).cpu()

    def _step_together(self, inputs: Tensor, targets: Tensor) -> Tensor:
        with BatchedLayers():
            outputs = functional_call(self.networks[0], dict(self.stack), (inputs,))
        repeated = targets.expand(self.count, -1).flatten()
        each = F.cross_entropy(outputs.flatten(0, 1), repeated, reduction="none").view(self.count, -1)
        each.sum().div(len(targets)).backward()  # type: ignore[no-untyped-call]  # torch gives it no types
        self.optimiser.step()
        self.optimiser.zero_grad()
        return each.detach().mean(dim=1).cpu()

    # Differences from the first

    @torch.no_grad()
    def squares(self) -> tuple[dict[str, Float64[np.ndarray, " k"]], dict[str, Float64[np.ndarray, " c"]]]:
        """By parameter: squared distances of the k copies from the first, and squared norms of all c networks."""
        apart, norms = {}, {}
        for name, weight in self.stack.items():
            flat = weight.detach().flatten(1)
            apart[name] = squared(flat[1:] - flat[0])
            norms[name] = squared(flat)
        return apart, norms

    def weights(self, i: int) -> dict[str, np.ndarray]:
        """The parameters of one network, the unperturbed one being the first."""
        return {name: weight.detach()[i].cpu().numpy().copy() for name, weight in self.stack.items()}

    @torch.no_grad()
    def outputs(self, inputs: Tensor) -> Float64[np.ndarray, "c n"]:
        """The outputs of all networks for the same inputs, flattened; dropout is off."""
        modes = [network.training for network in self.networks]
        for network in self.networks:
            network.eval()
        found = torch.stack([network(inputs).flatten().double() for network in self.networks]).cpu().numpy()
        for network, mode in zip(self.networks, modes, strict=True):
            network.train(mode)
        return found

    @torch.no_grad()
    def rescale(self, factors: Float64[np.ndarray, " k"]) -> None:
        """Multiply the difference of each copy from the first by its factor: weights and moments alike.

        Moments that are averages of squares are kept at 0 or more.
        """
        for name, weight in self.stack.items():
            rescale_rows(weight, factors)
            for key, moment in self.optimiser.state.get(self.stack[name], {}).items():
                if isinstance(moment, Tensor) and moment.shape == weight.shape:
                    rescale_rows(moment, factors)
                    if key in POSITIVE:
                        moment.clamp_(min=0)


def squared(rows: Tensor) -> Float64[np.ndarray, " c"]:
    """The squared norm of each row, summed in float64."""
    return torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64).square().cpu().numpy()


def check_network(network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Raise InvalidInput where copies of a network cannot be trained side by side."""
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InvalidInput(
            f"{type(network).__name__} has no parameters that are trained, so there is nothing to perturb; expected a "
            "network with some"
        )
    kinds = [kind.__name__ for kind in type(optimiser).__mro__]
    if not any(kind in ELEMENTWISE for kind in kinds):
        raise InvalidInput(
            f"the optimiser {kinds[0]} mixes the weights of a tensor, so that copies cannot share its step; expected "
            f"one of {', '.join(ELEMENTWISE)}"
        )


def stacked(network: nn.Module, perturbation: Mapping[str, Float[np.ndarray, "k ..."]]) -> dict[str, nn.Parameter]:
    """Every trained parameter, unperturbed and then with each perturbation, along a first axis."""
    found = {}
    for name, weight in network.named_parameters():
        if weight.requires_grad:
            own = weight.detach()
            moved = own + torch.as_tensor(perturbation[name], dtype=own.dtype, device=own.device)
            found[name] = nn.Parameter(torch.cat([own[None], moved]))
    return found


def view_of(network: nn.Module, stack: Mapping[str, nn.Parameter], i: int) -> nn.Module:
    """A copy of the network whose parameters are the i-th of the stack, in the same memory."""
    made = deepcopy(network)
    for name, weight in made.named_parameters():
        if name in stack:
            weight.data = stack[name].data[i]
            weight.grad = None
    return made


def optimiser_of(
    optimiser: torch.optim.Optimizer, network: nn.Module, stack: Mapping[str, nn.Parameter]
) -> torch.optim.Optimizer:
    """An optimiser of the same kind and settings for the stack; its copies begin with the moments of the given one."""
    names: dict[Tensor, str] = {weight: name for name, weight in network.named_parameters()}
    groups = [
        {**{key: value for key, value in group.items() if key != "params"}, "params": members}
        for group in optimiser.param_groups
        if (members := [stack[names[weight]] for weight in group["params"] if names.get(weight) in stack])
    ]
    made: torch.optim.Optimizer = cast("Any", type(optimiser))(groups)  # each group holds all settings
    for weight, moments in optimiser.state.items():
        if (name := names.get(weight, "")) in stack:
            made.state[stack[name]] = {key: repeated(value, weight, stack[name]) for key, value in moments.items()}
    return made


def repeated(value: object, weight: Tensor, stack: Tensor) -> object:
    """A moment of one network as that of all its copies; what is no moment, such as a count of steps, stays single."""
    if isinstance(value, Tensor) and value.shape == weight.shape and value.dim():
        return value.detach().expand_as(stack).clone()
    return value.clone() if isinstance(value, Tensor) else value


def rescale_rows(tensor: Tensor, factors: Float64[np.ndarray, " k"]) -> None:
    """Multiply the difference of the other rows from the first by a factor each, in place."""
    by = torch.as_tensor(factors, dtype=torch.float64, device=tensor.device).view(-1, *[1] * (tensor.dim() - 1))
    first, others = tensor[:1].double(), tensor[1:]
    moved = (first + by * (others.double() - first)).to(tensor.dtype)
    others.copy_(torch.where(by == 1, others, moved))


def groups_of(names: Sequence[str]) -> dict[str, list[str]]:
    """Group the names of parameters by the module that holds them; a parameter of the network itself is its own."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.rpartition(".")[0] or name, []).append(name)
    return found

"""Measure the outputs of any modules of a network, one point a row of the batches: `todacomm.activations`."""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from todacomm.core.errors import InvalidInput, MissingExtra, ModelFailed, TodacommError, UnknownName
from todacomm.core.types import Activations, Points, Texts
from todacomm.models.pooling import Pooling, poolings

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError:
    raise MissingExtra("torch", "models", "Extracting activations") from None

from todacomm.models import output_axes
from todacomm.models.architecture.hooks import evaluating, hooked
from todacomm.models.collector import as_array
from todacomm.models.extraction import require_finite

Batches = Iterable[Tensor | Sequence[Any] | Mapping[str, Any]]
BATCH = "a tensor, a sequence of positional arguments, or a mapping of keyword arguments"
FOREIGN = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError, NotImplementedError)


def activations(
    module: nn.Module,
    batches: Batches,
    sites: Sequence[str],
    *,
    pooling: str = "mean",
    channels: int | Mapping[str, int] | None = None,
    mask: str | Mapping[str, str] | None = None,
) -> Activations:
    """Activations of any modules of a network, one point for each row of the batches.

    An output (b, d) is kept as it is. One with more axes is pooled over all but rows and channels: tokens (b, t, d),
    images (b, c, h, w) or (b, h, w, c), frames (b, c, l), and (t, b, d) of layers with ``batch_first=False``. The
    module stays on its device and keeps its mode and gradients.

    Parameters
    ----------
    module : torch.nn.Module
        The network that runs.
    batches : iterable of batches
        A batch is a tensor, a sequence of positional arguments, or a mapping of keyword arguments.
    sites : sequence of str
        Dotted names of modules inside ``module``, as in `torch.nn.Module.named_modules`.
    pooling : str, default "mean"
        How positions become one point.
    channels : int or mapping of str to int, optional
        The axis of the channels, 1 or -1, for all sites or by site; asked for only where it may be either.
    mask : str or mapping of str to str, optional
        The entry of a batch that marks padding, or ``"none"``. By default ``attention_mask``, for a decoder
        ``decoder_attention_mask``, and entries called ``…padding_mask`` (true is padding).

    Returns
    -------
    Activations
        Site to (n, d) float32 array, rows in the order of the batches.

    Raises
    ------
    UnknownName
        For a site that is no module.
    InvalidInput
        For a site that does not run once a batch, or whose rows are not those of the batch.
    InvalidCloud
        For NaN or infinity.

    Examples
    --------
    >>> import torch
    >>> import todacomm as td
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU())
    >>> td.activations(network, [torch.ones(3, 2), torch.ones(2, 2)], ["1"])
    Activations(Sequential, batches, mean: 1 layers of 5 × 8)

    """
    names = names_of(sites)
    reader = Reader(module, modules_of(module, names), poolings[pooling], channels, mask)
    with evaluating(module), reader.watching():
        for place, batch in enumerate(each_of(batches)):
            reader.read(batch, f"batch {place}")
    if not names or not reader.pooled[names[0]]:
        raise InvalidInput("no site or no batch was given; expected at least one of each")
    found = {site: np.concatenate(points) for site, points in reader.pooled.items()}
    require_same_number({site: len(points) for site, points in found.items()})
    require_finite(found, type(module).__name__, dtype_of(module))
    rows = tuple(f"row {i}" for i in range(len(found[names[0]])))
    return Activations(found, type(module).__name__, Texts("batches", rows), pooling)


def names_of(sites: Any) -> list[str]:
    """The sites as a list, also of a single name."""
    names = [sites] if isinstance(sites, str) else list(sites) if isinstance(sites, Iterable) else [sites]
    wrong = next((name for name in names if not isinstance(name, str)), None)
    if wrong is not None or sites is None:
        raise InvalidInput(
            f"a site is {type(wrong).__name__}; expected dotted names of modules, as of named_modules(): "
            "['blocks.3.mlp']"
        )
    return names


def modules_of(module: Any, sites: Sequence[str]) -> dict[str, nn.Module]:
    """The modules at the sites. Raises UnknownName, which lists those there are."""
    if not isinstance(module, nn.Module):
        raise InvalidInput(
            f"td.activations takes a torch module, found {type(module).__name__}; td.run takes the names of models"
        )
    inside = {name: m for name, m in module.named_modules(remove_duplicate=False) if name}
    for site in sites:
        if site not in inside:
            raise UnknownName("module", str(site), tuple(inside), hint=f"It is to be inside {type(module).__name__}.")
    return {site: inside[site] for site in sites}


def each_of(batches: Any) -> Iterator[Any]:
    """Iterate over batches; a single mapping, as a tokenizer gives, is one batch."""
    if isinstance(batches, Mapping):
        return iter([batches])
    if isinstance(batches, Tensor) and batches.ndim < 3:
        raise InvalidInput(
            f"the batches are one tensor of shape {tuple(batches.shape)}; put it in a list: "
            "td.activations(module, [tensor], …)"
        )
    if isinstance(batches, str | bytes | np.ndarray) or not isinstance(batches, Iterable):
        raise InvalidInput(
            f"the batches are of type {type(batches).__name__}; expected a list of batches, each {BATCH}"
        )
    return iter(batches)


def require_same_number(points: Mapping[str, int]) -> None:
    """Raise InvalidInput unless all sites give equally many points."""
    if len(set(points.values())) > 1:
        listed = ", ".join(f"{site} {number}" for site, number in points.items())
        raise InvalidInput(f"the sites give different numbers of points ({listed}); ask for them one after the other")


def dtype_of(module: nn.Module) -> str:
    """The dtype of a module's parameters; float32 without any."""
    return str(next((p.dtype for p in module.parameters()), torch.float32)).removeprefix("torch.")


@dataclass(slots=True, eq=False)
class Reader:
    """Run batches through a module and pool the outputs of its sites."""

    module: nn.Module
    sites: Mapping[str, nn.Module]
    pool: Pooling
    channels: int | Mapping[str, int] | None
    mask: str | Mapping[str, str] | None
    outputs: dict[str, list[np.ndarray]] = field(init=False)
    pooled: dict[str, list[Points]] = field(init=False)
    entered: list[tuple[int, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outputs = {site: [] for site in self.sites}
        self.pooled = {site: [] for site in self.sites}

    def watching(self) -> ExitStack:
        """Hook every site, and the layers that show which axis holds the rows of a batch."""
        hooks = ExitStack()
        for site, module in self.sites.items():  # one at a time: two names may be one module
            hooks.enter_context(hooked({}, {module: partial(self.keep, site)}))
        for layer in output_axes.tokens_first(self.module):
            handle = layer.register_forward_pre_hook(self.enter, with_kwargs=True)
            hooks.callback(handle.remove)
        return hooks

    def keep(self, site: str, output: Tensor) -> None:
        """Copy an output, since a later layer may write into it."""
        self.outputs[site].append(as_array(output.detach()).copy())

    def enter(self, _layer: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Note the input shape of a layer that takes tokens before rows."""
        given = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        self.entered.append(() if given is None else tuple(given.shape))

    def read(self, batch: Any, place: str) -> None:
        """Run one batch and pool the outputs of the sites."""
        call(self.module, batch, place)
        layout = output_axes.layout_of(output_axes.leading_shape(self.module, batch), self.entered)
        for site, found in self.outputs.items():
            if len(found) != 1:
                raise InvalidInput(
                    f"{site} gave {len(found)} tensors in one forward pass; expected one: does it run just once?"
                )
            self.pooled[site].append(self.points(site, found.pop(), batch, layout))
        self.entered.clear()

    def points(self, site: str, output: np.ndarray, batch: Any, layout: output_axes.Layout) -> Points:
        """Pool the output of one site for one batch: (b, d)."""
        if output.ndim < 2:
            raise InvalidInput(f"{site} gives shape {output.shape}; expected (b, d), (b, t, d) or (b, c, h, w)")
        hidden = output_axes.rows_first(site, output, layout)
        if hidden.ndim == 2:
            return hidden
        axis = output_axes.given_axis(site, self.channels, hidden.shape)
        if axis is None:
            axis = output_axes.channel_axis(site, self.sites[site], self.module, hidden.shape)
        flat = np.moveaxis(hidden, axis, -1)
        inside = flat.shape[:-1]
        flat = flat.reshape(len(flat), -1, flat.shape[-1])
        if len(inside) > 2:
            return self.pool(flat, np.ones(flat.shape[:2], dtype=bool))
        asked = self.mask.get(site) if isinstance(self.mask, Mapping) else self.mask
        return self.pool(flat, output_axes.real_positions(site, inside, batch, self.module, asked))


def call(module: nn.Module, batch: Any, place: str) -> None:
    """Run one forward pass; an error names the batch."""
    if isinstance(batch, str | bytes | np.ndarray) or not isinstance(batch, Tensor | Sequence | Mapping):
        raise InvalidInput(f"{place} is of type {type(batch).__name__}; expected {BATCH}")
    args: Sequence[Any] = () if isinstance(batch, Mapping) else [batch] if isinstance(batch, Tensor) else batch
    kwargs = dict(batch) if isinstance(batch, Mapping) else {}
    name = type(module).__name__
    try:
        inspect.signature(module.forward).bind(*args, **kwargs)
    except TypeError as problem:
        raise InvalidInput(
            f"{place} has {', '.join(map(str, kwargs)) or f'{len(args)} positional arguments'}, which {name}.forward "
            f"does not take ({problem}). Of pairs (x, y) give x alone: (x for x, y in loader)"
        ) from None
    try:
        module(*args, **kwargs)
    except TodacommError:
        raise
    except FOREIGN as problem:
        raise ModelFailed(f"{place}: {name} stopped with {type(problem).__name__}: {str(problem)[:400]}") from problem

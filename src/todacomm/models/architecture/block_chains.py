"""Find the blocks of a network: the module calls, one after the other, that pass the residual stream on.

One forward pass over a few tokens finds them among the lists of modules: a list is the chain of blocks if it is called
as often as the model has layers and each output enters the next call. A module may be called repeatedly (ALBERT). If
no list qualifies (XLM keeps four side by side), its outputs must be the hidden states that the model reports.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from todacomm.models.architecture.hooks import UPRIGHT, Axes, Tap, Trace, trace, upright

ORDERS: tuple[Axes, ...] = (UPRIGHT, (1, 0, 2), (0, 2, 1))  # axes of a stream; XLNet and SqueezeBERT differ inside
By = Literal["chain", "hidden states"]
States = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """The blocks in the order of their calls.

    ``embedding`` is where the stream enters the first, ``streams`` are those before and after each block (texts,
    tokens, features), ``by`` is how the chain was found.
    """

    path: str
    blocks: tuple[nn.Module, ...]
    axes: Axes
    embedding: Tap
    streams: States
    by: By


def lists_of(base: nn.Module) -> dict[str, tuple[nn.Module, ...]]:
    """The outermost lists of modules, by dotted name."""
    found: dict[str, tuple[nn.Module, ...]] = {}
    for path, module in base.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) and not any(path.startswith(f"{p}.") for p in found):
            found[path] = tuple(module)
    return found


def calls_of(order: Sequence[nn.Module], members: Sequence[nn.Module]) -> list[tuple[nn.Module, int]]:
    """The calls of some modules in order, each with its count among calls of that module."""
    counts: dict[nn.Module, int] = dict.fromkeys(members, 0)
    found = []
    for module in order:
        if module in counts:
            found.append((module, counts[module]))
            counts[module] += 1
    return found


def chain_of(base: nn.Module, depth: int, seen: Trace, ids: Tensor) -> Chain | None:
    """Find the chain of ``depth`` blocks among the lists; None where there is none."""
    found = list(_candidates(lists_of(base), depth, seen, ids))
    for one in found:
        if one.axes is not None and one.handed_on and (depth > 1 or len(found) == 1):
            return one.chain(Tap(one.calls[0][0], entering=True, axes=one.axes), "chain")
    states = reported(base, ids) if found else ()
    matching = (one for one in found if len(states) == depth + 1 and one.gives(states[1:]))
    return next((c for one in matching if (c := _by_states(base, one, states[0], ids)) is not None), None)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """The calls of a list with their inputs and outputs; ``axes`` None where these are longer than the texts."""

    path: str
    calls: list[tuple[nn.Module, int]]
    entered: list[Tensor]
    left: list[Tensor]
    axes: Axes | None
    tokens: int

    @property
    def handed_on(self) -> bool:
        """Whether the output of each call enters the next."""
        return all(same(after, before) for after, before in zip(self.left, self.entered[1:], strict=False))

    def gives(self, states: Sequence[Tensor]) -> bool:
        """Whether the calls output these states; the model may report the last after a norm."""
        needed = states[:-1] or states
        return all(same(self._upright(after), state) for after, state in zip(self.left, needed, strict=False))

    def chain(self, embedding: Tap, by: By, first: Tensor | None = None) -> Chain:
        streams = [self._upright(self.entered[0]) if first is None else first, *map(self._upright, self.left)]
        blocks = tuple(module for module, _ in self.calls)
        return Chain(self.path, blocks, self.axes or UPRIGHT, embedding, tuple(streams), by)

    def _upright(self, hidden: Tensor) -> Tensor:
        return upright(hidden, self.axes or UPRIGHT, self.tokens)


def _candidates(
    lists: Mapping[str, tuple[nn.Module, ...]], depth: int, seen: Trace, ids: Tensor
) -> Iterator[_Candidate]:
    for path, members in lists.items():
        calls = calls_of(seen.order, members)
        pairs = [pair for call in calls if (pair := seen.at(*call)) is not None]
        if len(calls) != depth or len(pairs) != depth:
            continue
        entered, left = map(list, zip(*pairs, strict=True))
        axes = _axes_of(left, (ids.shape[0], ids.shape[1]))
        if axes or all(h.ndim == 3 and len(h) == len(ids) and h.shape[1] > ids.shape[1] for h in left):
            yield _Candidate(path, calls, entered, left, axes, ids.shape[1])


def _axes_of(hidden: Sequence[Tensor], shape: tuple[int, int]) -> Axes | None:
    fits = (axes for axes in ORDERS if all(h.ndim == 3 and tuple(h.permute(axes).shape[:2]) == shape for h in hidden))
    return next(fits, None)


def _by_states(base: nn.Module, found: _Candidate, first: Tensor, ids: Tensor) -> Chain | None:
    """The chain of a list that outputs the reported states, if some module outputs the first of these too."""
    entering = found.entered[0]
    axes = found.axes or UPRIGHT
    if entering.ndim == 3 and same(upright(entering, axes, found.tokens), first):
        return found.chain(Tap(found.calls[0][0], entering=True, axes=axes), "hidden states")
    seen = trace(base, list(base.modules()), ids)
    taps = (Tap(m, call=i) for m, left in seen.left.items() for i, h in enumerate(left) if same(h, first))
    tap = next(taps, None)
    return found.chain(tap, "hidden states", first) if tap else None


def reported(base: nn.Module, ids: Tensor) -> States:
    """The hidden states that a model reports for these texts; none where it reports none, or in another shape."""
    accepted = inspect.signature(base.forward).parameters
    if "output_hidden_states" not in accepted and not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        return ()
    output = trace(base, (), ids, output_hidden_states=True, return_dict=True).output
    states = getattr(output, "hidden_states", None) or ()
    return tuple(s.cpu() for s in states if isinstance(s, Tensor) and s.shape[:2] == ids.shape)


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold equal numbers, in any precision and place; NaN equals NaN."""
    if a.shape != b.shape:
        return False
    x, y = a.float().cpu(), b.float().cpu()
    return bool(((x == y) | (x.isnan() & y.isnan())).all())


def received(seen: Trace, module: nn.Module, stream: Tensor, axes: Axes) -> int | None:
    """The last call of a module that a stream entered; None where there is none."""
    entered, tokens = seen.entered.get(module, []), stream.shape[1]
    calls = (i for i, h in enumerate(entered) if same(upright(h, axes, tokens), stream) or same(h, stream))
    return max(calls, default=None)

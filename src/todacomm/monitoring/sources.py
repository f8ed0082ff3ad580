"""What a monitor reads of a network in training, always the same way: texts, batches, or arrays such as weights."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from todacomm.core.array_input import array_of
from todacomm.core.errors import InvalidInput
from todacomm.core.types import Points, Texts
from todacomm.models.any_network import Reader, each_of, modules_of, names_of
from todacomm.models.architecture.blocks_and_norms import Anatomy, anatomy
from todacomm.models.architecture.hooks import Tap, hooked
from todacomm.models.batching import (
    Batch,
    Batching,
    ChosenTexts,
    EncodedText,
    choose,
    inputs,
    pad,
    pad_id,
    token_budget,
)
from todacomm.models.checkpoints.loading import adopt
from todacomm.models.checkpoints.user_networks import unwrapped
from todacomm.models.collector import Collector, PassEnded, Plan, plan_of_points
from todacomm.models.extraction import deepest, hooks_of, select_layers
from todacomm.models.pooling import poolings
from todacomm.monitoring.undisturbed import undisturbed

Clouds = dict[str, Points]
WRAPPERS = ("OptimizedModule", "DataParallel", "DistributedDataParallel")
SHARDED = "its weights are spread over several processes, and one of them alone cannot run it"


class Source(Protocol):
    """Where clouds come from; ``read`` gives them as they are now."""

    @property
    def layers(self) -> tuple[str, ...]: ...

    @property
    def sha256(self) -> str: ...

    def read(self) -> Clouds: ...


@dataclass(frozen=True, slots=True, eq=False)
class TokenSource:
    """The layers of a language model over fixed batches of tokens, pooled in their hooks."""

    network: nn.Module  # without its head
    batches: tuple[Batch, ...]
    plan: Plan
    taps: Mapping[str, Tap]
    sha256: str

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.taps)

    def read(self) -> Clouds:
        """Run the batches up to the deepest layer."""
        found = Collector(self.plan, deepest(self.taps))
        with undisturbed(self.network), hooked(*hooks_of(self.taps, found)):
            for batch in self.batches:
                found.begin(batch)
                with suppress(PassEnded):
                    self.network(**inputs(self.network, batch))
        return {layer: found.clouds[layer] for layer in self.taps}


@dataclass(frozen=True, slots=True, eq=False)
class ModuleSource:
    """The outputs of named modules of any network over fixed batches."""

    network: nn.Module
    batches: tuple[Any, ...]
    modules: Mapping[str, nn.Module]
    pooling: str
    sha256: str

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.modules)

    def read(self) -> Clouds:
        """Run the batches, on the device on which the network is now."""
        device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
        reader = Reader(self.network, self.modules, poolings[self.pooling], None, None)
        with undisturbed(self.network), reader.watching():
            for place, batch in enumerate(self.batches):
                reader.read(moved(batch, device), f"batch {place}")
        return {site: np.concatenate(points) for site, points in reader.pooled.items()}


@dataclass(frozen=True, slots=True, eq=False)
class ArraySource:
    """Arrays that functions give, such as a matrix of weights."""

    functions: Mapping[str, Callable[[], Any]]
    sha256: str = ""

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.functions)

    def read(self) -> Clouds:
        """Call each function and copy what it gives."""
        return {name: copied(function()) for name, function in self.functions.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Several sources as one."""

    parts: tuple[Source, ...]
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(layer for part in self.parts for layer in part.layers)
        if not names:
            raise InvalidInput(
                "nothing is watched: give texts or batches and layers, or arrays, as "
                "clouds={'embedding': lambda: model.embed.weight}"
            )
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidInput(f"{', '.join(twice)}: a layer and a cloud of one name; name the cloud otherwise")
        object.__setattr__(self, "names", names)

    @property
    def layers(self) -> tuple[str, ...]:
        return self.names

    @property
    def sha256(self) -> str:
        return "".join(part.sha256 for part in self.parts)

    def read(self) -> Clouds:
        """Read all of them."""
        return {name: points for part in self.parts for name, points in part.read().items()}


@dataclass(frozen=True, slots=True)
class Reading:
    """How inputs are read: which layers, how tokens become points, how many texts and tokens at most."""

    layers: str | Sequence[str] = "all"
    pooling: str = "mean"
    max_length: int = 128
    points: int = 200  # tokens, where each is a point
    seed: int = 42


def source_of(
    network: nn.Module,
    given: Any,
    how: Reading,
    *,
    tokenizer: Any = None,
    clouds: Mapping[str, Callable[[], Any]] | None = None,
) -> Joined:
    """Find out once how ``given`` is read: texts with a tokenizer, batches of tokens, or batches of any network."""
    parts: list[Source] = []
    if given is not None and not (isinstance(given, list | tuple) and not len(given)):
        refuse_sharded(network)
        with undisturbed(network):
            parts.append(source_of_inputs(network, given, how, tokenizer))
    if clouds:
        parts.append(ArraySource(dict(clouds)))
    return Joined(tuple(parts))


def source_of_inputs(network: nn.Module, given: Any, how: Reading, tokenizer: Any) -> Source:
    """The source of texts, or of batches."""
    if (texts := texts_of(given)) is not None:
        return source_of_texts(network, texts, how, tokenizer)
    batches = tuple(each_of(given))
    if getattr(bare(network), "config", None) is not None and all(map(is_of_tokens, batches)):
        return source_of_tokens(network, batches, how)
    return source_of_modules(network, batches, how)


def texts_of(given: Any) -> Texts | None:
    """The texts that were given; None for batches."""
    if isinstance(given, Texts):
        return given
    if isinstance(given, str):
        raise InvalidInput(f"one text was given, '{given[:40]}'; expected a list of texts, td.Texts, or batches")
    is_list = isinstance(given, list | tuple) and all(isinstance(one, str) for one in given)
    return Texts("texts", tuple(given)) if is_list else None


def source_of_texts(network: nn.Module, texts: Texts, how: Reading, tokenizer: Any) -> TokenSource:
    """Tokenise texts once, and find the layers of the model."""
    if tokenizer is None:
        raise InvalidInput(
            f"{len(texts)} texts need a tokenizer: td.Monitor(model, texts, tokenizer=tokenizer). "
            "Batches of input_ids need none"
        )
    model = adopt(network, tokenizer)
    chosen = choose(model, texts, samples=None, min_tokens=1, max_length=how.max_length)
    batching = Batching(together=model.probe.together)
    batches = tuple(batching.batches(chosen.encoded, pad_id(model), token_budget(model, with_logits=False), ""))
    return of_tokens(model.anatomy, batches, chosen, how, texts.sha256)


def of_tokens(
    found: Anatomy, batches: tuple[Batch, ...], chosen: ChosenTexts, how: Reading, digest: str
) -> TokenSource:
    """The layers of a model over batches of tokens."""
    pool = poolings[how.pooling]
    plan = plan_of_points(chosen, pool, how.points if pool.per_token else None, how.seed)
    return TokenSource(found.base, batches, plan, select_layers(found, how.layers, "block"), digest)


def is_of_tokens(batch: Any) -> bool:
    """Whether a batch is a mapping of token ids (b, t), with or without their mask."""
    ids = batch.get("input_ids") if isinstance(batch, Mapping) else None
    return isinstance(ids, Tensor) and ids.ndim == 2


def source_of_tokens(network: nn.Module, batches: Sequence[Mapping[str, Tensor]], how: Reading) -> TokenSource:
    """The layers of a language model over batches that are tokenised already; labels and the like are left out."""
    inner, _ = unwrapped(network, None)
    rows: list[EncodedText] = []
    padded: list[Batch] = []
    for batch in batches:
        own = [replace(row, index=len(rows) + i) for i, row in enumerate(rows_of(batch, how.max_length))]
        rows += own
        padded.append(pad(own, 0))
    digest = hashlib.sha256(b"".join(row.ids.tobytes() + b"\0" for row in rows)).hexdigest()
    chosen = ChosenTexts(tuple(rows), tuple(range(len(rows))), 0)
    return of_tokens(anatomy(inner), tuple(padded), chosen, how, digest)


def rows_of(batch: Mapping[str, Tensor], most: int) -> Iterator[EncodedText]:
    """The real tokens of each row of a batch, up to ``most``; a row without any is left out."""
    ids = batch["input_ids"].detach().cpu().numpy()
    mask = batch.get("attention_mask")
    real = np.ones_like(ids, dtype=bool) if mask is None else mask.detach().cpu().numpy().astype(bool)
    for row, own in zip(ids, real, strict=True):
        kept = row[own][:most].astype(np.int32)
        if len(kept):
            yield EncodedText(0, "", kept, np.zeros(len(kept), dtype=bool), None, int(own.sum()) > most)


def source_of_modules(network: nn.Module, batches: tuple[Any, ...], how: Reading) -> ModuleSource:
    """The named modules of any network."""
    inside = bare(network)
    if how.layers == "all":
        known = ", ".join([name for name, _ in inside.named_modules() if name][:12])
        raise InvalidInput(
            f"{type(inside).__name__} is no language model whose layers are known; name modules, as "
            f"layers=['encoder.3']. It has: {known or 'none'}"
        )
    given = how.layers.split(",") if isinstance(how.layers, str) else how.layers
    sites = modules_of(inside, [name.strip() for name in names_of(given)])
    kept = tuple(moved(batch, torch.device("cpu"), copy=True) for batch in batches)
    return ModuleSource(inside, kept, sites, how.pooling, digest_of(kept))


def bare(network: nn.Module) -> nn.Module:
    """The network inside the wrappers of `torch.compile` and of data parallelism."""
    inner: Any = network
    while type(inner).__name__ in WRAPPERS:
        inner = inner._orig_mod if hasattr(inner, "_orig_mod") else inner.module  # noqa: SLF001 - it has no other name
    return inner


def refuse_sharded(network: nn.Module) -> None:
    """Raise InvalidInput for a network whose passes need every process (FSDP, DeepSpeed ZeRO-3)."""
    named = any(type(module).__name__ == "FullyShardedDataParallel" for module in network.modules())
    if named or any(type(p).__name__ == "DTensor" or hasattr(p, "ds_id") for p in network.parameters()):
        raise InvalidInput(
            f"{type(network).__name__} cannot be watched: {SHARDED}. Measure its checkpoints instead: todacomm track"
        )


def moved(batch: Any, device: torch.device, *, copy: bool = False) -> Any:
    """A batch on a device; ``copy`` keeps it as it is now, whatever the training does with it."""
    if isinstance(batch, Tensor):
        return batch.detach().to(device, copy=copy)
    if isinstance(batch, Mapping):
        return {key: moved(value, device, copy=copy) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return tuple(moved(value, device, copy=copy) for value in batch)
    return batch


def digest_of(batches: Any) -> str:
    """The SHA-256 over every tensor of the batches."""
    digest = hashlib.sha256()
    for tensor in tensors_of(batches):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """Every tensor inside a batch, in order."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping | list | tuple):
        for one in batch.values() if isinstance(batch, Mapping) else batch:
            yield from tensors_of(one)


def copied(given: Any) -> Points:
    """Rows of a tensor or an array as float32 in main memory, which nobody else writes to."""
    return np.array(array_of(given), dtype=np.float32)

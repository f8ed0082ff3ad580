"""Texts to activations: one forward pass over each batch, each layer pooled in its hook, nothing kept but (n, d) a layer.

``embedding`` is what enters block 0, ``layer_i`` the residual stream after block i as it is (before any final norm, so
not always transformers' hidden_states), ``final`` the output of the final norm where the model has one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from todacomm.errors import InvalidCloud, InvalidInput, MissingExtra, UnknownName
from todacomm.pooling import Pooling, poolings
from todacomm.progress import Track, silent
from todacomm.types import Activations, Mask, Points, Texts, layer_key

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError:
    raise MissingExtra("torch", "models", "Extracting activations") from None

from todacomm.batching import (
    Batch,
    Batching,
    Chosen,
    Side,
    choose,
    inputs,
    longest,
    pad_id,
    token_budget,
    with_tokens_shuffled,
)
from todacomm.families import Anatomy, evaluating, hooked
from todacomm.language import (
    LanguageMetrics,
    Tally,
    causal_metrics,
    comes_in_pieces,
    masked_metrics,
    predicted,
    scores_at,
)
from todacomm.loading import LoadedModel

DEFAULT_POOLING = {"causal": "last", "masked": "cls"}
TOKENS_DRAWN = 1000  # points of the pooling "tokens" when no number is asked for


def extract(  # noqa: PLR0913 - every option of a reading, each a keyword with a default
    model: LoadedModel,
    texts: Texts,
    *,
    samples: int | None = None,
    pooling: str | None = None,
    layers: str | Sequence[str] = "all",
    site: str = "block",
    max_length: int = 128,
    min_tokens: int = 1,
    batch_size: int | Literal["auto"] = "auto",
    subsample: int | None = None,
    seed: int = 42,
    language: bool = True,
    padding: Side = "right",
    shuffled: int | None = None,
    track: Track = silent,
) -> tuple[Activations, LanguageMetrics | None]:
    """The activations of the first ``samples`` texts in each layer, and the language metrics of the same texts.

    The pooling defaults to ``last`` for causal and ``cls`` for masked models. With ``tokens``, ``subsample`` tokens
    (1000 if None) are drawn by ``seed`` before the forward pass, the same ones in each layer; other poolings give one
    point a text and take no subsample here. ``shuffled`` is a seed that puts the tokens of each text in random order. ``notes`` of the activations count texts skipped and truncated, and tokens.

    Raises `InvalidTexts` (too few texts), `UnknownName` (layer, pooling), `InvalidInput` (site, sizes) and
    `InvalidCloud` (NaN or infinity: which layer, how many texts).
    """
    batching = Batching(batch_size, padding, track)
    pool = poolings[pooling or DEFAULT_POOLING[model.kind]]
    sites = select_layers(model.anatomy, layers, site)
    chosen = choose(model, texts, samples=samples, min_tokens=min_tokens, max_length=max_length)
    if shuffled is not None:
        chosen = with_tokens_shuffled(chosen, shuffled)
    plan = _plan(chosen, pool, subsample, seed)
    with_logits = language and model.kind == "causal" and not model.headless
    in_pieces = with_logits and comes_in_pieces(model)
    budget = token_budget(model, with_logits=with_logits and not in_pieces)
    collected, tally = Collector(plan, "" if with_logits else deepest(sites)), Tally()
    with evaluating(model.network), hooked(*_hooks(sites, collected)):
        for batch in batching.batches(chosen.encoded, pad_id(model), budget, f"activations of {model.name}"):
            collected.begin(batch)
            if with_logits and len((targets := predicted(batch)).ids):
                tally.add(batch, targets, scores_at(model, batch, targets, in_pieces=in_pieces))
            else:
                with suppress(_Read):
                    model.base(**inputs(model.base, batch))
    found = {layer: collected.clouds[layer] for layer in sites}
    _require_finite(found, model.name, model.dtype)
    notes = _notes(model, chosen, plan, max_length)
    read = Activations(found, model.name, texts.take(chosen.places), pool.name, notes)
    if not language:
        return read, None
    return read, _language(model, chosen, tally, seed, batching)


@dataclass(frozen=True, slots=True, eq=False)
class Tap:
    """Where a layer is read: what enters or what leaves a module."""

    module: nn.Module
    entering: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Which tokens of which texts become points: for each text the places of its tokens, and the row of its first point."""

    pooling: Pooling
    places: tuple[Int[np.ndarray, " c"], ...]
    starts: Int[np.ndarray, " n"]
    points: int
    candidates: int

    def mask(self, batch: Batch) -> Mask:
        """The tokens of a batch that are pooled."""
        mask = np.zeros_like(batch.real)
        for i, (row, start) in enumerate(zip(batch.rows, batch.starts, strict=True)):
            mask[i, self.places[row.index] + start] = True
        return mask

    def rows(self, batch: Batch) -> Int[np.ndarray, " m"]:
        """The rows of the cloud that the points of a batch become, in the order in which the pooling gives them."""
        counts = [len(self.places[r.index]) if self.pooling.per_token else 1 for r in batch.rows]
        return np.concatenate(
            [self.starts[r.index] + np.arange(c) for r, c in zip(batch.rows, counts, strict=True)]
        ).astype(np.int64)


def _plan(chosen: Chosen, pool: Pooling, subsample: int | None, seed: int) -> Plan:
    places = [np.arange(len(e)) if pool.special_tokens else e.content for e in chosen.encoded]
    candidates = sum(map(len, places))
    if pool.per_token:
        places = _draw(places, candidates, TOKENS_DRAWN if subsample is None else subsample, seed)
    counts = np.array([len(p) if pool.per_token else 1 for p in places])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return Plan(pool, tuple(places), starts, int(counts.sum()), candidates)


def _draw(places: list[np.ndarray], candidates: int, k: int, seed: int) -> list[np.ndarray]:
    """``k`` of all (text, place) pairs without replacement; all of them where there are no more."""
    if k < 1:
        raise InvalidInput(f"a subsample of {k} tokens; expected 1 or more")
    kept = np.zeros(candidates, dtype=bool)
    kept[np.random.default_rng(seed).choice(candidates, min(k, candidates), replace=False)] = True
    pieces = np.split(kept, np.cumsum([len(p) for p in places])[:-1])
    return [p[piece] for p, piece in zip(places, pieces, strict=True)]


class _Read(Exception):
    """The deepest layer that was asked for has been read: the rest of the pass is left out."""


@dataclass(slots=True)
class Collector:
    """The clouds as they fill, one row a point; the hidden states themselves are never kept.

    After the layer called ``last`` the forward pass is ended; it runs to its end where that is empty.
    """

    plan: Plan
    last: str = ""
    clouds: dict[str, Points] = field(default_factory=dict)
    mask: Mask = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))
    rows: Int[np.ndarray, " m"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def begin(self, batch: Batch) -> None:
        """Say which batch the next hidden states belong to."""
        self.mask, self.rows = self.plan.mask(batch), self.plan.rows(batch)

    def taking(self, layer: str) -> Callable[[Tensor], None]:
        """The hook function that pools the hidden states of ``layer``, (b, t, d) or flattened (b·t, d)."""

        def take(hidden: Tensor) -> None:
            whole = hidden.detach().reshape(*self.mask.shape, -1)
            used = self.mask.any(axis=1)  # a text may have no token in the subsample
            chosen = whole if used.all() else whole[torch.from_numpy(used).to(whole.device)]
            points = self.plan.pooling(as_array(chosen), self.mask[used])
            if layer not in self.clouds:
                self.clouds[layer] = np.full((self.plan.points, points.shape[1]), np.nan, dtype=np.float32)
            self.clouds[layer][self.rows] = points
            if layer == self.last:
                raise _Read

        return take


def as_array(hidden: Tensor) -> Float[np.ndarray, "..."]:
    """A float32 array in main memory."""
    return hidden.float().cpu().numpy()


def select_layers(anatomy: Anatomy, layers: str | Sequence[str], site: str) -> dict[str, Tap]:
    """The layers asked for (``all``, a comma list or a sequence), in the order of depth, and where each is read.

    Raises `UnknownName` for a layer that the model does not have: with the sites ``attention`` and ``mlp`` there are
    only ``layer_i``, and post-norm models have no ``final``.
    """
    known = {f"layer_{i}": Tap(module) for i, module in enumerate(anatomy.outputs(site))}
    if site == "block":
        known["embedding"] = Tap(anatomy.blocks[0], entering=True)
        if anatomy.final_norm is not None:
            known["final"] = Tap(anatomy.final_norm)
    names = sorted(known, key=layer_key)
    asked = [name.strip() for name in (layers.split(",") if isinstance(layers, str) else layers)]
    chosen = names if asked == ["all"] else sorted(dict.fromkeys(asked), key=layer_key)
    for name in chosen:
        if name not in known:
            raise UnknownName("layer", name, names)
    if not chosen:
        raise InvalidInput(f"no layer was asked for; expected all, or some of {', '.join(names)}")
    return {name: known[name] for name in chosen}


def deepest(layers: Iterable[str]) -> str:
    """The layer of these that is read last."""
    return max(layers, key=layer_key)


Hooks = dict[nn.Module, Callable[[Tensor], None]]


def _hooks(taps: Mapping[str, Tap], collected: Collector) -> tuple[Hooks, Hooks]:
    before = {tap.module: collected.taking(layer) for layer, tap in taps.items() if tap.entering}
    after = {tap.module: collected.taking(layer) for layer, tap in taps.items() if not tap.entering}
    return before, after


def _language(model: LoadedModel, chosen: Chosen, tally: Tally, seed: int, batching: Batching) -> LanguageMetrics:
    if model.headless:
        return LanguageMetrics(model.kind, reason=model.headless)
    if model.kind == "causal":
        return causal_metrics(tally, chosen.encoded)
    return masked_metrics(model, chosen.encoded, seed=seed, batching=batching)


def _require_finite(found: Mapping[str, Points], name: str, dtype: str) -> None:
    for layer, points in found.items():
        broken = int((~np.isfinite(points)).any(axis=1).sum())
        if broken:
            cause = (
                "the weights themselves may hold NaN, or overflow"
                if dtype == "float32"
                else f"the model ran in {dtype}, whose range is smaller; try --dtype float32"
            )
            raise InvalidCloud(f"{layer} of {name}: {broken} of {len(points)} points hold NaN or infinity; {cause}")


def _notes(model: LoadedModel, chosen: Chosen, plan: Plan, max_length: int) -> dict[str, Any]:
    truncated = sum(e.truncated for e in chosen.encoded)
    notes: dict[str, Any] = {
        "texts": len(chosen.encoded),
        "skipped_texts": chosen.skipped,
        "content_tokens": sum(len(e.content) for e in chosen.encoded),
        "truncated_texts": truncated,
        "truncated_share": truncated / len(chosen.encoded),
        "max_length": longest(model, max_length),
    }
    if plan.pooling.per_token:
        notes["tokens"] = f"{plan.points} of {plan.candidates} tokens"
    return notes


Batches = Iterable[Tensor | Sequence[Any] | Mapping[str, Any]]


def activations(module: nn.Module, batches: Batches, sites: Sequence[str], *, pooling: str = "mean") -> Activations:
    """The outputs of any modules inside ``module``, by dotted name, one point a row of the batches, in their order.

    A batch is a tensor, a sequence of positional arguments, or a mapping of keyword arguments. An output (b, d) is taken
    as it is; (b, t, d) is pooled over the tokens, those of ``attention_mask`` where a batch names one; (b, c, h, w) is
    averaged over space. The module is not moved, and its mode and gradients are left as they were.

    Raises `UnknownName` for a site that is no module, `InvalidInput` for one that did not run just once a batch or
    whose output has another shape, and `InvalidCloud` for NaN or infinity.
    """
    inside, pool = {name: m for name, m in module.named_modules() if name}, poolings[pooling]
    for site in sites:
        if site not in inside:
            raise UnknownName("module", site, tuple(inside), hint=f"It is to be inside {type(module).__name__}.")
    outputs: dict[str, list[Tensor]] = {site: [] for site in sites}
    pooled: dict[str, list[Points]] = {site: [] for site in sites}
    with evaluating(module), hooked({}, {inside[site]: outputs[site].append for site in sites}):
        for batch in batches:
            _call(module, batch)
            for site, found in outputs.items():
                pooled[site].append(_points(site, found, batch, pool))
                found.clear()
    if not sites or not pooled[sites[0]]:
        raise InvalidInput("no site or no batch was given; expected at least one of each")
    found_at = {site: np.concatenate(points) for site, points in pooled.items()}
    _require_finite(found_at, type(module).__name__, str(next(module.parameters()).dtype).removeprefix("torch."))
    rows = tuple(f"row {i}" for i in range(len(found_at[sites[0]])))
    return Activations(found_at, type(module).__name__, Texts("batches", rows), pool.name)


def _call(module: nn.Module, batch: Tensor | Sequence[Any] | Mapping[str, Any]) -> None:
    if isinstance(batch, Mapping):
        module(**batch)
    else:
        module(*([batch] if isinstance(batch, Tensor) else batch))


def _points(site: str, outputs: Sequence[Tensor], batch: Any, pool: Pooling) -> Points:
    """The pooled output (b, d) of one site for one batch."""
    if len(outputs) != 1:
        raise InvalidInput(
            f"{site} gave {len(outputs)} tensors in one forward pass; expected one: does it run just once?"
        )
    hidden = as_array(outputs[0])
    if hidden.ndim == 3:
        given = batch.get("attention_mask") if isinstance(batch, Mapping) else None
        mask = np.ones(hidden.shape[:2], dtype=bool) if given is None else as_array(given).astype(bool)
        return pool(hidden, mask)
    if hidden.ndim not in (2, 4):
        raise InvalidInput(f"{site} gives shape {hidden.shape}; expected (b, d), (b, t, d) or (b, c, h, w)")
    return hidden if hidden.ndim == 2 else hidden.mean(axis=(2, 3))

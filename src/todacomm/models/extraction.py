"""Extract activations: one forward pass over all texts, each layer pooled on the fly, only (n, d) a layer is kept.

``embedding`` is what enters block 0, ``layer_i`` the residual stream after block i as it is (before any final norm, so
not always transformers' hidden_states), ``final`` the output of the final norm where the model has one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from todacomm.core.errors import InvalidCloud, InvalidInput, MissingExtra, UnknownName
from todacomm.core.progress import Track, silent
from todacomm.core.types import Activations, Points, Texts, TokenFacts, layer_key
from todacomm.models.pooling import poolings

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError:
    raise MissingExtra("torch", "models", "Extracting activations") from None

from todacomm.models.architecture.blocks_and_norms import Anatomy
from todacomm.models.architecture.causal_or_masked import BOTH_WAYS
from todacomm.models.architecture.forward_inputs import reading
from todacomm.models.architecture.hooks import Tap, evaluating, hooked
from todacomm.models.architecture.probing import Company, change_by_padding
from todacomm.models.batching import (
    Batch,
    Batching,
    ChosenTexts,
    EncodedText,
    Side,
    choose,
    inputs,
    longest,
    pad,
    pad_id,
    token_budget,
    with_tokens_shuffled,
)
from todacomm.models.blockwise import Decoder, Seen, decoder_of, stretches_of
from todacomm.models.checkpoints.loading import LoadedModel
from todacomm.models.collector import Collector, PassEnded, Plan, plan_of_points
from todacomm.models.perplexity import (
    LanguageMetrics,
    Tally,
    causal_metrics,
    comes_in_pieces,
    masked_metrics,
    predicted,
    reads_final,
    scores_at,
    scores_in_pieces,
)

DEFAULT_POOLING = {"causal": "last", "masked": "cls"}


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
    """Extract the activations of the first ``samples`` texts in each layer, and their language metrics.

    The pooling defaults to ``last`` for causal and ``cls`` for masked models. With ``tokens``, ``subsample`` tokens
    (1000 if None) are drawn by ``seed`` before the forward pass, the same ones in each layer; other poolings give one
    point a text and take no subsample here. ``shuffled`` is a seed that shuffles the tokens of each text. ``notes`` of
    the activations count texts skipped and truncated, and tokens.

    Raises `InvalidTexts` (too few texts), `UnknownName` (layer, pooling), `InvalidInput` (site, sizes) and
    `InvalidCloud` (NaN or infinity: which layer, how many texts).
    """
    batching = Batching(batch_size, padding, track, model.probe.together)
    pool = poolings[pooling or DEFAULT_POOLING[model.kind]]
    sites = select_layers(model.anatomy, layers, site)
    chosen = choose(model, texts, samples=samples, min_tokens=min_tokens, max_length=max_length)
    if shuffled is not None:
        chosen = with_tokens_shuffled(chosen, shuffled)
    plan = plan_of_points(chosen, pool, subsample, seed)
    with_logits = language and model.predicts_next
    way = way_of(model, batching, with_logits=with_logits, site=site, longest=(most := max(map(len, chosen.encoded))))
    if not way.decoder:  # a decoder pads no text
        batching = replace(batching, together=_together(model, padding, chosen.encoded))
    collected, tally = Collector(plan, "" if with_logits else deepest(sites)), Tally()
    passing = _Pass(model, chosen, batching, sites, collected, tally, way, with_logits)
    with evaluating(model.network), reading(model.network, f"texts of up to {most} tokens"):
        passing.by_blocks(way.decoder) if way.decoder else passing.by_batches()
    found = {layer: collected.clouds[layer] for layer in sites}
    require_finite(found, model.name, model.dtype)
    notes = _notes(model, chosen, plan, max_length, batching.together)
    metrics = _language(model, chosen, tally, seed, batching) if language else None
    facts = token_facts(chosen.encoded, tally)
    return Activations(found, model.name, texts.take(chosen.places), pool.name, notes, facts), metrics


def _together(model: LoadedModel, side: Side, rows: Sequence[EncodedText]) -> Company:
    """Which of the texts may share a batch: the model is asked again with the shortest and the longest of them."""
    allowed = model.probe.together
    short, long = (torch.from_numpy(f(rows, key=len).ids) for f in (min, max))
    if len(short) == len(long) or allowed == "none" or (side == "right" and allowed != "any"):
        return allowed
    with reading(model.network, f"a text of {len(long)} tokens"):
        return model.probe.allowed(change_by_padding(model.anatomy, short, long, side, model.tokenizer))


@dataclass(frozen=True, slots=True)
class Way:
    """How to run a model: block by block if ``decoder`` is set, else by batches; the head in pieces or whole."""

    decoder: Decoder | None
    in_pieces: bool
    budget: int


def way_of(model: LoadedModel, batching: Batching, *, with_logits: bool, site: str, longest: int) -> Way:
    """Choose the fastest way that is known to be right for texts up to this length; by batches if a size was given."""
    in_pieces = with_logits and comes_in_pieces(model)
    automatic = batching.size == "auto" and batching.side == "right"
    usable = automatic and site == "block" and in_pieces == with_logits
    decoder = decoder_of(model.anatomy, longest=longest) if usable else None
    if decoder and with_logits and not reads_final(model):
        decoder = None
    return Way(decoder, in_pieces, token_budget(model, with_logits=with_logits and not in_pieces))


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """The forward pass over the chosen texts, which fills clouds and tally."""

    model: LoadedModel
    chosen: ChosenTexts
    batching: Batching
    sites: Mapping[str, Tap]
    collected: Collector
    tally: Tally
    way: Way
    with_logits: bool

    def by_batches(self) -> None:
        """Run batch after batch through the whole network, each layer read in its hook."""
        read = self.batching.batches(self.chosen.encoded, pad_id(self.model), self.way.budget, self._said)
        with hooked(*hooks_of(self.sites, self.collected)):
            for batch in read:
                self.collected.begin(batch)
                if self.with_logits and len((targets := predicted(batch)).ids):
                    scores = scores_at(self.model, batch, targets, in_pieces=self.way.in_pieces)
                    self.tally.add(batch, targets, scores)
                else:
                    with suppress(PassEnded):
                        self.model.base(**inputs(self.model.base, batch))

    def by_blocks(self, decoder: Decoder) -> None:
        """Run block after block, each over the tokens of many batches."""
        stretches = stretches_of(self.batching.groups(self.chosen.encoded, self.way.budget))
        padding = pad_id(self.model)
        batches = ([pad(group, padding) for group in groups] for groups in stretches)
        seen: dict[str, Seen] = {layer: partial(self.collected.read, layer) for layer in self.sites}
        if self.with_logits:
            seen["final"] = self._scored
        needed = None if self.with_logits else self.collected.plan.mask
        steps, total = decoder.steps(batches, seen, needed), len(stretches) * decoder.steps_until(deepest(seen))
        for _ in self.batching.track(steps, self._said, total):
            pass

    def _scored(self, batch: Batch, final: Tensor) -> None:
        """Score the final stream (m, d) of the real tokens of a batch."""
        if "final" in self.sites:
            self.collected.read("final", batch, final)
        if len((targets := predicted(batch)).ids):
            row_of = np.cumsum(batch.real).reshape(batch.real.shape) - 1
            entering = final[torch.from_numpy(row_of[targets.rows, targets.columns])]
            self.tally.add(batch, targets, scores_in_pieces(self.model, entering, targets.ids))

    @property
    def _said(self) -> str:
        return f"activations of {self.model.name}"


def select_layers(anatomy: Anatomy, layers: str | Sequence[str], site: str) -> dict[str, Tap]:
    """The requested layers (``all``, a comma list or a sequence) in order of depth, and where each is read.

    Raises `UnknownName` for a layer that the model does not have: with the sites ``attention`` and ``mlp`` there are
    only ``layer_i``, and post-norm models have no ``final``.
    """
    known = {f"layer_{i}": tap for i, tap in enumerate(anatomy.outputs(site))}
    if site == "block":
        known["embedding"] = anatomy.embedding
        if anatomy.final is not None:
            known["final"] = anatomy.final
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
    """The deepest of these layers."""
    return max(layers, key=layer_key)


Hooks = dict[nn.Module, Callable[[Tensor], None]]


def hooks_of(taps: Mapping[str, Tap], collected: Collector) -> tuple[Hooks, Hooks]:
    """Hooks before and after each module, which read its layers by call number."""
    found: tuple[dict[nn.Module, dict[int, str]], ...] = ({}, {})
    for layer, tap in taps.items():
        found[not tap.entering].setdefault(tap.module, {})[tap.call] = layer
    axes = next(iter(taps.values())).axes
    before, after = ({m: collected.taking(layers, axes) for m, layers in one.items()} for one in found)
    return before, after


def _language(model: LoadedModel, chosen: ChosenTexts, tally: Tally, seed: int, batching: Batching) -> LanguageMetrics:
    if model.headless:
        return LanguageMetrics(model.kind, reason=model.headless)
    if model.kind == "causal":
        return causal_metrics(tally, chosen.encoded)
    return masked_metrics(model, chosen.encoded, seed=seed, batching=batching, tally=tally)


def token_facts(encoded: Sequence[EncodedText], tally: Tally) -> TokenFacts:
    """Count the content tokens of each text, and tell its last one and its loss."""
    content = [row.ids[row.content].tolist() for row in encoded]
    often = Counter(token for tokens in content for token in tokens)
    last = tuple(tokens[-1] for tokens in content)
    losses = tally.of_each(len(encoded)) if tally.nats else None
    return TokenFacts(tuple(map(len, content)), last, tuple(often[token] for token in last), losses)


def require_finite(found: Mapping[str, Points], name: str, dtype: str) -> None:
    """Raise InvalidCloud, with the likely cause, where a layer holds NaN or infinity."""
    for layer, points in found.items():
        broken = int((~np.isfinite(points)).any(axis=1).sum())
        if broken:
            cause = (
                "the weights themselves may hold NaN, or overflow"
                if dtype == "float32"
                else f"the model ran in {dtype}, whose range is smaller; try --dtype float32"
            )
            raise InvalidCloud(f"{layer} of {name}: {broken} of {len(points)} points hold NaN or infinity; {cause}")


def _notes(model: LoadedModel, chosen: ChosenTexts, plan: Plan, max_length: int, together: str) -> dict[str, Any]:
    truncated = sum(e.truncated for e in chosen.encoded)
    notes: dict[str, Any] = {
        "texts": len(chosen.encoded),
        "skipped_texts": chosen.skipped,
        "content_tokens": sum(len(e.content) for e in chosen.encoded),
        "truncated_texts": truncated,
        "truncated_share": truncated / len(chosen.encoded),
        "max_length": longest(model, max_length),
        "batches": together,
    }
    if model.headless == BOTH_WAYS:
        notes["reads"] = "reads both ways"
    if plan.pooling.per_token:
        notes["tokens"] = f"{plan.points} of {plan.candidates} tokens"
    return notes

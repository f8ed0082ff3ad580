"""Score how well a model predicts the texts: loss, perplexity, bits per byte, accuracy.

All are over content tokens; losses are in nats per predicted token. Seed and text draw masks and scored tokens, so
that neither batches nor the order of the texts change a number.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from todacomm.core.errors import InvalidInput
from todacomm.models.architecture.blocks_and_norms import probe_ids
from todacomm.models.architecture.forward_inputs import arguments, reading
from todacomm.models.architecture.hooks import evaluating, hooked
from todacomm.models.batching import Batch, Batching, EncodedText, inputs, pad_id, token_budget, vocabulary
from todacomm.models.checkpoints.loading import LoadedModel

MASKED_SHARE = 0.15
SCORED = 2  # tokens of each text that the pseudo-perplexity scores
NO_MASK = "the tokenizer has no mask token"
MASK_UNKNOWN = "the mask token of the tokenizer is not in the embedding of the model"
PIECE_BYTES = 32 * 2**20  # of logits: the C library reuses blocks of this size
PIECE_ROWS = 128  # at least: products of fewer rows are slower for each


@dataclass(frozen=True, slots=True)
class LanguageMetrics:
    """Language metrics of a model; None where one does not apply, and ``reason`` where none does.

    Causal: ``loss`` over ``tokens`` predicted tokens, ``perplexity`` = exp(loss), ``bits_per_byte`` = total nats / ln 2
    / ``bytes``, the UTF-8 bytes that were predicted. Masked: ``masked_loss`` and ``accuracy`` over ``tokens`` tokens
    (15 % of each text, masked together, at least one); ``pseudo_perplexity`` from ``scored_tokens`` tokens, each masked
    alone (Salazar et al. 2020, https://doi.org/10.18653/v1/2020.acl-main.240), weighted by the lengths of their texts:
    its logarithm is an unbiased estimate of the mean over all ``content_tokens`` tokens.
    """

    kind: Literal["causal", "masked"]
    loss: float | None = None
    perplexity: float | None = None
    bits_per_byte: float | None = None
    masked_loss: float | None = None
    pseudo_perplexity: float | None = None
    accuracy: float | None = None
    tokens: int | None = None
    bytes: int | None = None
    scored_tokens: int | None = None
    content_tokens: int | None = None
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The record, ready for JSON; an infinite number becomes None."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The positions of a batch that predict, and the ids that they should predict."""

    rows: Int[np.ndarray, " m"]
    columns: Int[np.ndarray, " m"]
    ids: Int[np.ndarray, " m"]


@dataclass(slots=True)
class Tally:
    """Sums over the tokens scored so far: nats by text, added exactly, and hits."""

    nats: dict[int, Float[np.ndarray, " m"]] = field(default_factory=dict)
    correct: int = 0
    tokens: int = 0

    def add(self, batch: Batch, targets: Targets, scores: tuple[np.ndarray, np.ndarray]) -> None:
        """Add one batch; ``scores`` are the nats and hits of its targets."""
        for row in np.unique(targets.rows):
            self.nats[batch.rows[row].index] = scores[0][targets.rows == row]
        self.correct += int(scores[1].sum())
        self.tokens += len(targets.ids)

    @property
    def mean(self) -> float | None:
        """Nats per token, summed in the order of the texts; None without a token."""
        values = [nats for index in sorted(self.nats) for nats in self.nats[index]]
        return math.fsum(values) / self.tokens if self.tokens else None

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.tokens if self.tokens else None

    def of_each(self, n: int) -> tuple[float | None, ...]:
        """Mean nats of each of ``n`` texts, to six digits; None where no token was scored or the mean is infinite."""
        means = [math.fsum(self.nats[i]) / len(self.nats[i]) if i in self.nats else None for i in range(n)]
        return tuple(round(mean, 6) if mean is not None and math.isfinite(mean) else None for mean in means)


def predicted(batch: Batch) -> Targets:
    """The targets of a causal model: each content token, predicted from the token before it, if any."""
    follows = batch.content[:, 1:] & batch.real[:, :-1]
    rows, columns = np.nonzero(follows)
    return Targets(rows, columns, batch.ids[rows, columns + 1])


def scored(logits: Float[Tensor, "m v"], ids: Int[np.ndarray, " m"]) -> tuple[np.ndarray, np.ndarray]:
    """Nats of each target and whether it is the most likely token; log-softmax in float32."""
    wanted = torch.from_numpy(ids).to(logits.device)
    nats = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
    likeliest = logits.max(dim=-1).indices  # on a CPU twice as fast as argmax; also takes the first of equals
    return nats.cpu().numpy(), (likeliest == wanted).cpu().numpy()


def scores_at(
    model: LoadedModel, batch: Batch, targets: Targets, *, in_pieces: bool
) -> tuple[Float[np.ndarray, " m"], Bool[np.ndarray, " m"]]:
    """Nats and hits of the targets, from one forward pass of the batch.

    ``in_pieces`` (see `comes_in_pieces`) runs the head on a few positions at a time, which bounds memory.
    """
    if not in_pieces:
        return scored(logits_at(model, batch, targets), targets.ids)
    return scores_in_pieces(model, _before_head(model, batch, targets), targets.ids)


def scores_in_pieces(
    model: LoadedModel, hidden: Float[Tensor, "m d"], ids: Int[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " m"], Bool[np.ndarray, " m"]]:
    """Nats and hits of the targets ``ids`` from the head's inputs at their positions."""
    head, size = _head(model), piece_rows(model)
    found = [
        scored(head(hidden[None, start : start + size])[0], ids[start : start + size])
        for start in range(0, len(ids), size)
    ]
    nats, hits = zip(*found, strict=True)
    return np.concatenate(nats), np.concatenate(hits)


def comes_in_pieces(model: LoadedModel) -> bool:
    """Whether a short text shows that the logits are exactly the outputs of the output embedding, position by position.

    False for models that change them afterwards (Gemma 2 caps them, ESM adds a bias) or never call it, and for a head
    whose weights are read from disk at each call.
    """
    head = _head(model)
    if any(parameter.is_meta for parameter in head.parameters()):
        return False
    called: list[Tensor] = []
    given = _short(model)
    with reading(model.network), evaluating(model.network), hooked({}, {head: called.append}):
        output = model.network(**given)
    asked = tuple(given["input_ids"].shape)
    if _logits(output).shape[:2] != asked:
        raise InvalidInput(
            f"{model.name}: the head of {type(model.network).__name__} gives scores of shape "
            f"{tuple(_logits(output).shape)} for {asked[1]} tokens, so it does not score the tokens of a text; "
            "leave the language metrics out (--no-language)"
        )
    return len(called) == 1 and torch.equal(called[0].float(), _logits(output).float())


def reads_final(model: LoadedModel) -> bool:
    """Whether a short text shows that the head's input is exactly the final norm's output."""
    norm = model.anatomy.final_norm
    if norm is None:
        return False
    left: list[Tensor] = []
    entered: list[Tensor] = []
    with evaluating(model.network), hooked({_head(model): entered.append}, {norm: left.append}):
        model.network(**_short(model))
    return len(left) == len(entered) == 1 and torch.equal(left[0], entered[0])


def _short(model: LoadedModel) -> dict[str, Any]:
    return arguments(model.network, probe_ids(model.network)[:1])


def piece_rows(model: LoadedModel) -> int:
    """How many positions the head runs on at a time."""
    return max(PIECE_ROWS, PIECE_BYTES // (4 * vocabulary(model)))


def logits_at(model: LoadedModel, batch: Batch, targets: Targets) -> Float[Tensor, "m v"]:
    """Run one forward pass in which the output embedding sees only the positions of ``targets``."""
    rows, columns = (torch.from_numpy(a) for a in (targets.rows, targets.columns))
    with _entering_head(model, lambda hidden: hidden[rows, columns][None]):
        logits = _logits(model.network(**inputs(model.network, batch)))
    # a model that multiplies by the embedding matrix without calling the module gives the logits of all positions
    return logits[0] if logits.shape[:2] == (1, len(rows)) else logits[rows, columns]


def _before_head(model: LoadedModel, batch: Batch, targets: Targets) -> Float[Tensor, "m d"]:
    """The inputs of the output embedding at the targets, from one forward pass that calls it on one position."""
    rows, columns = (torch.from_numpy(a) for a in (targets.rows, targets.columns))
    kept: list[Tensor] = []

    def first(hidden: Tensor) -> Tensor:
        kept.append(hidden[rows, columns])
        return hidden[:1, :1]

    with _entering_head(model, first):
        model.network(**inputs(model.network, batch))
    return kept[0]


@contextmanager
def _entering_head(model: LoadedModel, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    def hook(_module: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (change(args[0]), *args[1:])

    handle = _head(model).register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _head(model: LoadedModel) -> Any:
    return model.network.get_output_embeddings()  # type: ignore[operator]


def _logits(output: Any) -> Tensor:
    found: Tensor = output.logits if hasattr(output, "logits") else output[0]
    return found


def causal_metrics(tally: Tally, encoded: Sequence[EncodedText]) -> LanguageMetrics:
    """The metrics of a causal model from the sums over all batches."""
    loss = tally.mean
    content = sum(len(e.content) for e in encoded)
    if loss is None:
        return LanguageMetrics("causal", content_tokens=content, tokens=0, reason="no text has a token to predict")
    spans = [e.predicted_bytes for e in encoded]
    total = sum(s for s in spans if s is not None) if None not in spans else None
    bits = loss * tally.tokens / math.log(2) / total if total else None
    return LanguageMetrics(
        "causal",
        loss=loss,
        perplexity=_exp(loss),
        bits_per_byte=bits,
        accuracy=tally.accuracy,
        tokens=tally.tokens,
        bytes=total,
        content_tokens=content,
    )


def masked_metrics(
    model: LoadedModel,
    encoded: Sequence[EncodedText],
    *,
    seed: int,
    batching: Batching | None = None,
    tally: Tally | None = None,
) -> LanguageMetrics:
    """The metrics of a masked model: one pass with 15 % of the tokens masked, two with one token masked alone.

    The first of these is added to ``tally``.
    """
    if model.tokenizer.mask_token_id is None:
        return LanguageMetrics("masked", reason=NO_MASK)
    if model.tokenizer.mask_token_id >= vocabulary(model):
        return LanguageMetrics("masked", reason=MASK_UNKNOWN)
    joint, alone = _drawn(encoded, seed)
    batching = batching or Batching()
    together = _masked_pass(model, joint, "masked-token loss", batching, tally or Tally())
    scored_alone = _masked_pass(model, alone, "pseudo-perplexity", batching, Tally())
    content = sum(len(e.content) for e in encoded)
    return LanguageMetrics(
        "masked",
        masked_loss=together.mean,
        pseudo_perplexity=_exp(_mean_over_corpus(scored_alone, alone)),
        accuracy=together.accuracy,
        tokens=together.tokens,
        scored_tokens=scored_alone.tokens,
        content_tokens=content,
    )


@dataclass(frozen=True, slots=True, eq=False)
class MaskedText:
    """One text with the tokens at ``places`` masked."""

    encoded: EncodedText
    places: Int[np.ndarray, " m"]


def _drawn(encoded: Sequence[EncodedText], seed: int) -> tuple[list[MaskedText], list[MaskedText]]:
    """Each text with 15 % of its content masked, and each text once for each of its scored tokens."""
    joint: list[MaskedText] = []
    alone: list[MaskedText] = []
    for e in encoded:
        rng = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(e.text.encode()).digest()[:8])])
        content = e.content
        masked = rng.choice(content, max(1, round(MASKED_SHARE * len(content))), replace=False)
        single = rng.choice(content, min(SCORED, len(content)), replace=False)
        joint.append(MaskedText(e, np.sort(masked)))
        alone += [MaskedText(e, place[None]) for place in np.sort(single)]
    return joint, alone


def _mean_over_corpus(tally: Tally, alone: Sequence[MaskedText]) -> float:
    """Mean nats over the tokens of the corpus: the mean over the scored tokens of each text, weighted by its length."""
    texts: dict[int, list[float]] = {}
    for item, masked in enumerate(alone):
        texts.setdefault(masked.encoded.index, []).extend(tally.nats[item])
    lengths = {m.encoded.index: len(m.encoded.content) for m in alone}
    return math.fsum(lengths[i] * math.fsum(n) / len(n) for i, n in texts.items()) / sum(lengths.values())


def _masked_pass(
    model: LoadedModel, items: Sequence[MaskedText], description: str, batching: Batching, tally: Tally
) -> Tally:
    """Add nats and hits of the masked tokens to a tally, which counts ``items`` in place of texts."""
    mask_id, in_pieces = int(model.tokenizer.mask_token_id), comes_in_pieces(model)
    rows = [replace(m.encoded, index=i, ids=_with_mask(m, mask_id)) for i, m in enumerate(items)]
    with evaluating(model.network):
        for batch in batching.batches(rows, pad_id(model), token_budget(model, with_logits=False), description):
            targets = _masked_targets(batch, items)
            tally.add(batch, targets, scores_at(model, batch, targets, in_pieces=in_pieces))
    return tally


def _with_mask(masked: MaskedText, mask_id: int) -> Int[np.ndarray, " t"]:
    ids = masked.encoded.ids.copy()
    ids[masked.places] = mask_id
    return ids


def _masked_targets(batch: Batch, items: Sequence[MaskedText]) -> Targets:
    hidden = [items[row.index] for row in batch.rows]
    rows = np.repeat(np.arange(len(hidden)), [len(m.places) for m in hidden])
    columns = np.concatenate([m.places + start for m, start in zip(hidden, batch.starts, strict=True)])
    ids = np.concatenate([m.encoded.ids[m.places] for m in hidden]).astype(np.int64)
    return Targets(rows, columns, ids)


def _exp(loss: float) -> float:
    """exp, infinite on overflow."""
    return math.exp(loss) if loss < 700 else math.inf

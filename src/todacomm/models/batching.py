"""Tokenise texts, choose those that can be measured, sort by length, pad, and move to the device.

Padding is written here, so a tokenizer without a pad token (GPT-2) works and none is modified. A content token stands
for some of the text; the tokenizer's own additions ([CLS], </s>) are special.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import nn

from todacomm.core.errors import InvalidInput, InvalidTexts
from todacomm.core.progress import Track, silent
from todacomm.core.types import Mask, Texts
from todacomm.models.architecture.forward_inputs import arguments, padding_id, vocabulary_of, window_of
from todacomm.models.architecture.probing import Company
from todacomm.models.checkpoints.checkpoint_files import Tokenising, quietly
from todacomm.models.checkpoints.loading import LoadedModel

Side = Literal["right", "left"]
SANE_WINDOW = 10**9  # a tokenizer that knows no window reports 10^30
CHUNK = 512  # texts tokenised at a time, so that a large dataset is read only as far as needed
AUTO_TOKENS = {"cpu": 2048, "cuda": 16384, "mps": 4096}  # of an automatic batch, padding included
CACHED = 300_000  # numbers of one hidden state that stay in the cache of a core: 520 tokens of 576 numbers
FEWEST_TOKENS = 256  # below it a batch costs more than its tokens
LONG = 64  # letters a token: beyond them a text is tokenised in part
BEHIND = 64  # tokens that must follow those that are read, in a part of a text
LOGIT_BYTES = 512 * 2**20
SHOWN = 60  # characters of a text in a message


@dataclass(frozen=True, slots=True, eq=False)
class EncodedText:
    """One tokenised text; ``index`` is its position among the chosen texts.

    ``predicted_bytes`` are the UTF-8 bytes that a causal model predicts; None where the tokenizer has no offsets.
    """

    index: int
    text: str
    ids: Int[np.ndarray, " t"]
    special: Bool[np.ndarray, " t"]
    predicted_bytes: int | None
    truncated: bool

    @property
    def content(self) -> Int[np.ndarray, " c"]:
        """The positions of the content tokens."""
        return np.flatnonzero(~self.special)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class ChosenTexts:
    """The texts to measure, their ``places`` in the dataset, and how many were skipped."""

    encoded: tuple[EncodedText, ...]
    places: tuple[int, ...]
    skipped: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Texts padded to one length; ``real`` marks their tokens, ``content`` those that are not special."""

    rows: tuple[EncodedText, ...]
    ids: Int[np.ndarray, "b t"]
    real: Mask
    content: Mask

    @property
    def starts(self) -> list[int]:
        """The column of the first token of each row."""
        return [int(row.argmax()) for row in self.real]


def choose(model: LoadedModel, texts: Texts, *, samples: int | None, min_tokens: int, max_length: int) -> ChosenTexts:
    """Choose the first ``samples`` texts (None: all) with at least ``min_tokens`` content tokens, and truncate them.

    Raises `InvalidTexts`, with their number, where there are fewer, and `InvalidInput` for a token without an
    embedding.
    """
    if min_tokens < 1 or (samples is not None and samples < 1):
        raise InvalidInput(f"--min-tokens {min_tokens}, --samples {samples}: expected 1 or more")
    limit = longest(model, max_length)
    kept: list[EncodedText] = []
    places: list[int] = []
    read = 0
    for encoded in _encode(model.tokenizer, texts.items, limit):
        read = encoded.index + 1
        if len(encoded.content) >= min_tokens:
            places.append(encoded.index)
            kept.append(replace(encoded, index=len(kept)))
        if len(kept) == samples:
            break
    if not kept or (samples is not None and len(kept) < samples):
        raise InvalidTexts(
            f"{texts.name}: {len(kept)} of {len(texts)} texts have at least {min_tokens} content "
            f"token{'s' if min_tokens > 1 else ''} for {model.name}, but {_too_few(texts, places, samples)}"
        )
    for row, place in zip(kept, places, strict=True):
        _require_embedded(model, row, place)
    return ChosenTexts(tuple(kept), tuple(places), read - len(kept))


def _too_few(texts: Texts, places: list[int], samples: int | None) -> str:
    """Say what is missing and what to do; where all texts were requested, name the first that is too short."""
    if samples != len(texts):
        wanted = "at least one was" if samples is None else f"{samples} were"
        return f"{wanted} asked for; lower --samples or --min-tokens, or give more texts"
    short = next(i for i in range(len(texts)) if i not in set(places))
    shown = f"'{texts.items[short][:40]}'" if texts.items[short].strip() else "empty"
    return f"{samples} were asked for, which is all of them: text {short} is {shown}. Leave such texts out"


def _require_embedded(model: LoadedModel, row: EncodedText, place: int) -> None:
    size, largest = vocabulary(model), int(row.ids.max())
    if largest >= size:
        token = model.tokenizer.convert_ids_to_tokens(largest)
        shown = row.text if len(row.text) <= SHOWN else f"{row.text[:SHOWN]}…"
        raise InvalidInput(
            f"{model.name}: text {place} ({shown!r}) holds the token {token!r} of id {largest}, but the embedding has "
            f"{size} rows: the tokenizer is of another model, or has tokens for which the embedding was not enlarged "
            "(network.resize_token_embeddings(len(tokenizer)))"
        )


def with_tokens_shuffled(chosen: ChosenTexts, seed: int) -> ChosenTexts:
    """Shuffle the content tokens of each text; special tokens stay in place."""
    rng = np.random.default_rng(seed)

    def shuffled(row: EncodedText) -> EncodedText:
        ids = row.ids.copy()
        ids[row.content] = rng.permutation(ids[row.content])
        return replace(row, ids=ids)

    return replace(chosen, encoded=tuple(map(shuffled, chosen.encoded)))


def longest(model: LoadedModel, max_length: int) -> int:
    """The longest text in tokens: ``max_length``, or the model's window if smaller."""
    windows = (getattr(model.tokenizer, "model_max_length", SANE_WINDOW), window_of(model.network))
    limit = int(min(max_length, *(w for w in windows if isinstance(w, (int, float)) and w > 0)))
    added = model.tokenizer.num_special_tokens_to_add()
    if limit <= added:
        raise InvalidInput(
            f"--max-length {limit}: {model.name} adds {added} special tokens, so expected {added + 1} or more"
        )
    return limit


def token_budget(model: LoadedModel, *, with_logits: bool) -> int:
    """The tokens of an automatic batch: enough to fill the device, within the cache of a CPU.

    Fewer where the logits of all of them would be too large.
    """
    device = model.device.split(":")[0]
    most = AUTO_TOKENS.get(device, 2048)
    if device == "cpu":
        most = min(most, max(FEWEST_TOKENS, CACHED // model.anatomy.width))
    return max(1, min(most, LOGIT_BYTES // (4 * vocabulary(model)))) if with_logits else most


def vocabulary(model: LoadedModel) -> int:
    """The number of rows of the input embedding."""
    return vocabulary_of(model.network)


@dataclass(frozen=True, slots=True)
class Batching:
    """How to batch texts: ``size`` rows or a budget of tokens, padding ``side``, and which texts may share a batch."""

    size: int | Literal["auto"] = "auto"
    side: Side = "right"
    track: Track = silent
    together: Company = "any"

    def __post_init__(self) -> None:
        if self.size != "auto" and self.size < 1:
            raise InvalidInput(f"--batch-size {self.size}; expected 1 or more, or auto")

    def batches(self, encoded: Sequence[EncodedText], padding: int, budget: int, description: str) -> Iterator["Batch"]:
        """Yield padded batches of texts of similar length, longest first, so that memory runs out at once or never."""
        groups = self.groups(encoded, budget)
        for group in self.track(groups, description, len(groups)):
            yield pad(group, padding, self.side)

    def groups(self, encoded: Sequence[EncodedText], budget: int) -> list[list[EncodedText]]:
        """The rows of each batch, longest first."""
        return list(self._groups(encoded, budget))

    def _groups(self, encoded: Sequence[EncodedText], budget: int) -> Iterator[list[EncodedText]]:
        rows = sorted(encoded, key=lambda e: (-len(e), e.index))
        while rows:
            n = min(self._most(rows), self.size if self.size != "auto" else max(1, budget // len(rows[0])))
            yield rows[:n]
            rows = rows[n:]

    def _most(self, rows: Sequence[EncodedText]) -> int:
        """How many of the rows, longest first, may share a batch with the first."""
        if self.together == "any":
            return len(rows)
        return 1 if self.together == "none" else sum(len(row) == len(rows[0]) for row in rows)


def pad(rows: Sequence[EncodedText], pad_id: int, side: Side = "right") -> Batch:
    """One rectangular batch."""
    t = max(len(row) for row in rows)
    ids = np.full((len(rows), t), pad_id, dtype=np.int64)
    real, content = (np.zeros(ids.shape, dtype=bool) for _ in range(2))
    for i, row in enumerate(rows):
        place = slice(t - len(row), t) if side == "left" else slice(0, len(row))
        ids[i, place], real[i, place], content[i, place] = row.ids, True, ~row.special
    return Batch(tuple(rows), ids, real, content)


def pad_id(model: LoadedModel) -> int:
    """The padding id of a model."""
    return padding_id(model.network, model.tokenizer)


def inputs(module: nn.Module, batch: Batch) -> dict[str, Any]:
    """The keyword arguments of a forward pass over a batch."""
    return arguments(module, torch.from_numpy(batch.ids), torch.from_numpy(batch.real))


def _encode(tokenizer: Any, items: Sequence[str], limit: int) -> Iterator[EncodedText]:
    fast = bool(getattr(tokenizer, "is_fast", False))
    options = {"return_special_tokens_mask": True, "return_offsets_mapping": fast, "return_attention_mask": False}
    remaining = iter(items)
    place = 0
    while chunk := [_opening(tokenizer, text, limit) for text in islice(remaining, CHUNK)]:
        cut = _tokenised(tokenizer, chunk, truncation=True, max_length=limit, **options)
        longer = _longer(tokenizer, chunk, [i for i, ids in enumerate(cut["input_ids"]) if len(ids) == limit], limit)
        for i, text in enumerate(chunk):
            special = np.array(cut["special_tokens_mask"][i], dtype=bool)
            ids = np.array(cut["input_ids"][i], dtype=np.int32)
            spanned = _predicted_bytes(text, special, cut["offset_mapping"][i]) if fast else None
            yield EncodedText(place, items[place], ids, special, spanned, i in longer)
            place += 1


def _opening(tokenizer: Any, text: str, limit: int) -> str:
    """Return enough of a long text that the tokens to be read are those of the whole.

    Tokenising a line of ten million letters would take gigabytes.
    """
    letters = LONG * limit
    while len(text) > letters and getattr(tokenizer, "truncation_side", "right") == "right":
        part = text[:letters]
        if len(_tokenised(tokenizer, part, return_attention_mask=False)["input_ids"]) >= limit + BEHIND:
            return part
        letters *= 8
    return text


def _predicted_bytes(text: str, special: Bool[np.ndarray, " t"], offsets: Sequence[tuple[int, int]]) -> int:
    """UTF-8 bytes from the end of the given context to the end of the last content token; 0 without content.

    Offsets of single tokens may skip spaces or repeat a character, so the stretch is measured as a whole.
    """
    content = np.flatnonzero(~special)
    if not len(content):
        return 0
    free = content[0] == 0  # a first token has no context and is not predicted
    start = offsets[content[0]][1] if free else 0
    return len(text[start : offsets[content[-1]][1]].encode())


def _longer(tokenizer: Any, texts: Sequence[str], full: Sequence[int], limit: int) -> set[int]:
    """Which of the texts that fill the window are longer than it."""
    if not full:
        return set()
    whole = _tokenised(tokenizer, [texts[i] for i in full], truncation=False, return_attention_mask=False)["input_ids"]
    return {i for i, ids in zip(full, whole, strict=True) if len(ids) > limit}


def _tokenised(tokenizer: Any, texts: str | list[str], **options: Any) -> Any:
    """Tokenise texts without the tokenizer's own warning of long ones, which is reported once here."""
    with quietly(), Tokenising(str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)):
        return tokenizer(texts, **options)

"""How fast a model is on this machine: two of its blocks with random weights read some of the study's own texts."""

import statistics
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from todacomm.core.types import Texts
from todacomm.runs.plan.machine_rates import Clock, Rates, timed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from todacomm.models.batching import Batch, EncodedText
    from todacomm.models.blockwise import Decoder
    from todacomm.models.size_and_flops import Skeleton
    from todacomm.runs.config import Study

FLOPS = 6e9  # of a batch that is tried
BY_BLOCKS = 15e9  # of texts that are tried block by block, whose products have many rows
TRIALS = (2, 5)  # of a batch: at least, and at most within
WITHIN = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class ModelRate:
    """Seconds of a model: of a block for each token, padding included, by the length of the batch; of pooling one layer for
    each such token; of all else (embedding, norm, head, scores) for each such token; of laying out a block, once a stretch of
    tokens, where the model is read block by block. ``deepest`` is what the last block takes, over what the others do: less where
    it is run for the pooled tokens alone.
    """

    block: tuple[tuple[int, float], ...]
    pooling: float
    rest: float
    laying: float = 0.0
    deepest: float = 1.0

    def block_at(self, length: int) -> float:
        """Between lengths in proportion, beyond them as at the last."""
        lengths, seconds = zip(*sorted(self.block), strict=True)
        return float(np.interp(length, lengths, seconds))


def model_rate(
    model: "Skeleton", batches: "Sequence[Batch]", study: "Study", *, tokenising: float, rates: Rates, key: object
) -> ModelRate:
    """The rate of a model on its own batches; ``tokenising`` are the seconds a token that this takes, known already."""
    clock = rates.clock if model.cut.device == "cpu" else rates.wall
    found = rates.of(key, lambda: asdict(_model_rate(model, batches, study, tokenising, clock)))
    block = tuple((length, seconds) for length, seconds in found["block"])
    return ModelRate(block, found["pooling"], found["rest"], found["laying"], found["deepest"])


def _model_rate(
    model: "Skeleton", batches: "Sequence[Batch]", study: "Study", tokenising: float, clock: Clock
) -> ModelRate:
    plain, headed, middle = study.but(language=False), study, len(batches) // 2
    most = max(32, round(FLOPS / max(1, 4 * model.block)))
    trial(model, some_of(batches[-1:], 64), plain, clock)  # kernels are made ready here
    if by_blocks(model, study, batches):
        most = max(most, round(BY_BLOCKS / max(1, 4 * model.block)))
        tried = [trial(model, some_of(batches[i:], most), plain, clock, stepwise=True) for i in (0, middle)]
    else:
        tried = [trial(model, some_of(batches[i : i + 1], most), plain, clock) for i in (0, middle)]
    with_head = max(32, min(most, round(FLOPS / max(1, 2 * model.head))))
    last = trial(model, some_of(batches[middle:], with_head), headed, clock)
    block = dict(sorted((t.length, t.block) for t in tried))
    return ModelRate(
        tuple(block.items()),
        statistics.mean(t.pooling for t in tried),
        max(0.0, last.rest - tokenising),
        statistics.mean(t.laying for t in tried),
        statistics.mean(t.deepest for t in tried),
    )


def by_blocks(model: "Skeleton", study: "Study", batches: "Sequence[Batch]") -> "Decoder | None":
    """How the model is read block by block for this study, where it is."""
    from todacomm.models.batching import Batching
    from todacomm.models.extraction import way_of

    with_logits = study.language and model.cut.predicts_next
    longest = max(b.ids.shape[1] for b in batches)
    way = way_of(model.cut, Batching(study.batch_size), with_logits=with_logits, site=study.site, longest=longest)
    return way.decoder


def stretch() -> int:
    """The tokens that go through a block together where a model is read block by block."""
    from todacomm.models.blockwise import STRETCH

    return STRETCH


def some_of(batches: "Sequence[Batch]", tokens: int) -> "list[EncodedText]":
    """The first texts of the batches, as many as hold so many tokens with their padding, one at least."""
    held = [(row, b.ids.shape[1]) for b in batches for row in b.rows]
    ends = np.cumsum([length for _, length in held])
    return [row for row, _ in held[: max(1, int((ends <= tokens).sum()))]]


@dataclass(frozen=True, slots=True)
class Trial:
    """What one batch took, in seconds for each token with its padding; ``length`` is that of its longest text, ``deepest``
    what the last block took over the others.
    """

    length: int
    block: float
    pooling: float
    rest: float
    laying: float = 0.0
    deepest: float = 1.0


def trial(
    model: "Skeleton", rows: "Sequence[EncodedText]", study: "Study", clock: Clock, *, stepwise: bool = False
) -> Trial:
    """Extract the texts with the cut model several times, ``stepwise`` block by block; the fastest counts."""
    once = _trial_by_blocks if stepwise else _trial
    begun = time.perf_counter()
    found: list[Trial] = []
    while len(found) < TRIALS[0] or (time.perf_counter() - begun < WITHIN and len(found) < TRIALS[1]):
        found.append(once(model, rows, study, clock))
    return min(found, key=lambda t: t.block + t.rest)


def _trial(model: "Skeleton", rows: "Sequence[EncodedText]", study: "Study", clock: Clock) -> Trial:
    watch = Watch(clock, model.cut.device)
    with watch.on(model.cut.anatomy.blocks):
        whole = timed(lambda: _read(model, rows, study, batch_size=len(rows)), clock)
    pooled = len(model.layers) - model.depth + len(model.cut.anatomy.blocks)
    within = len(model.cut.anatomy.blocks) * watch.block + pooled * watch.pooling
    tokens = max(1, watch.most)
    return Trial(watch.length, watch.block / watch.tokens, watch.pooling / watch.tokens, (whole - within) / tokens)


def _trial_by_blocks(model: "Skeleton", rows: "Sequence[EncodedText]", study: "Study", clock: Clock) -> Trial:
    spent: dict[str, list[float]] = {}

    def track(steps: "Iterable[str]", _description: str, _total: int | None = None) -> "Iterator[str]":
        begun = clock()
        for step in steps:
            spent.setdefault(step, []).append(clock() - begun)
            yield step
            begun = clock()

    whole = timed(lambda: _read(model, rows, study, track=track), clock)
    blocks, tokens = len(model.cut.anatomy.blocks), sum(map(len, rows))
    laid, block, seen = (sum(spent[step]) for step in ("laid out", "block", "seen"))
    rest = (whole - laid - block - seen) / tokens
    last = sum(spent["block"][blocks - 1 :: blocks])  # of each stretch
    each = (block - last) / (blocks - 1) if blocks > 1 else block
    return Trial(max(map(len, rows)), each / tokens, seen / blocks / tokens, rest, laid / blocks, last / each)


def _read(model: "Skeleton", rows: "Sequence[EncodedText]", study: "Study", **options: Any) -> None:
    from todacomm.models.extraction import extract

    extract(
        model.cut,
        Texts("calibration", tuple(row.text for row in rows)),
        pooling=study.pooling[0] if study.pooling else None,
        site=study.site,
        max_length=study.max_length,
        subsample=study.subsample and max(1, study.subsample * len(rows) // study.samples),
        seed=study.seed,
        language=study.language,
        **options,
    )


@dataclass(slots=True)
class Watch:
    """The seconds of the last block, and those between it and the one before, where a layer is pooled."""

    clock: Clock
    device: str
    block: float = 0.0
    pooling: float = 0.0
    tokens: int = 0
    most: int = 0
    length: int = 0
    _entered: float = 0.0
    _left: float = 0.0

    @contextmanager
    def on(self, blocks: "Sequence[Any]") -> "Iterator[None]":
        """Hooks on the blocks while it watches."""
        handles = [
            blocks[0].register_forward_hook(self._after_first),
            blocks[-1].register_forward_pre_hook(self._before, with_kwargs=True),
            blocks[-1].register_forward_hook(self._after),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _now(self) -> float:
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize()
        return self.clock()

    def _after_first(self, *_: object) -> None:
        self._left = self._now()

    def _before(self, _module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        from todacomm.models.architecture.hooks import entering

        hidden = entering(args, kwargs)
        texts, length = hidden.shape[:2] if hidden is not None and hidden.ndim > 2 else (1, 1)
        self.tokens += texts * length
        self.most = max(self.most, texts * length)  # a head is tried on one token before the texts
        self.length = max(self.length, length)
        self._entered = self._now()
        if self._left:
            self.pooling += self._entered - self._left

    def _after(self, *_: object) -> None:
        self.block += self._now() - self._entered

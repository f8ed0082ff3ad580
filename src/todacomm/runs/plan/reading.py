"""Count exactly what a model will read, and time two of its blocks on a sample."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import torch

from todacomm.core.types import Texts
from todacomm.models.batching import Batch, Batching, EncodedText, choose, pad_id
from todacomm.models.blockwise import STRETCH, Decoder
from todacomm.models.collector import TOKENS_DRAWN
from todacomm.models.extraction import DEFAULT_POOLING, extract, select_layers, way_of
from todacomm.models.perplexity import MASKED_SHARE, SCORED, comes_in_pieces, piece_rows
from todacomm.runs.config import ALL
from todacomm.runs.experiment import Job
from todacomm.runs.plan.calibration import Clock, Rates, best
from todacomm.runs.plan.plan import JobPlan

if TYPE_CHECKING:
    from todacomm.models.size_and_flops import Skeleton

FLOPS = 6e9  # of what is tried
LAYING = 130  # tokens that laying out a block for a stretch takes as long as
FURTHER = 1 + SCORED  # passes over the texts for the metrics of a masked model, beside the one for the layers


@dataclass(frozen=True, eq=False)
class Counted:
    """The texts of a job as its model reads them: block by block where there is a ``decoder``, else in batches."""

    model: "Skeleton"
    job: Job
    rows: Sequence[EncodedText]
    places: Sequence[int]
    decoder: Decoder | None
    budget: int
    tokenising: float

    @cached_property
    def batches(self) -> list[Batch]:
        """The batches of the texts, longest first."""
        batching = Batching(self.job.study.batch_size, together=self.model.cut.probe.together)
        return list(batching.batches(self.rows, pad_id(self.model.cut), self.budget, ""))

    @property
    def weights(self) -> int:
        """Bytes of the weights in the precision of the model."""
        return self.model.parameters * int(getattr(torch, self.model.cut.dtype).itemsize)

    @property
    def content(self) -> int:
        return sum(len(row.content) for row in self.rows)

    @property
    def tokens(self) -> int:
        """The tokens that pass a block, with padding."""
        return sum(map(len, self.rows)) if self.decoder else sum(b.ids.size for b in self.batches)

    @property
    def flops(self) -> float:
        """FLOPs of one pass through all blocks."""
        shapes = [(1, len(row)) for row in self.rows] if self.decoder else [b.ids.shape for b in self.batches]
        return math.fsum(self.model.forward_flops(*shape) for shape in shapes)

    @property
    def work(self) -> float:
        """The FLOPs, plus those that take as long as packing the blocks."""
        laid = LAYING * math.ceil(self.tokens / STRETCH) if self.decoder else 0
        return self.flops + self.model.forward_flops(laid, 1)

    @property
    def language(self) -> bool:
        """Whether language metrics are computed."""
        return self.job.study.language and not self.model.cut.headless

    @property
    def further(self) -> int:
        """The number of passes for language metrics alone."""
        return FURTHER if self.language and self.model.cut.kind == "masked" else 0

    @property
    def head_flops(self) -> float:
        """FLOPs of the head where tokens are scored."""
        masked = MASKED_SHARE * self.content + SCORED * len(self.rows)
        return float(self.language and self.model.head_flops(round(masked if self.further else self.content)))

    @property
    def pooling(self) -> str:
        return self.job.pooling or DEFAULT_POOLING[self.model.cut.kind]

    @property
    def groups(self) -> tuple[str, ...] | None:
        """The article of each point."""
        texts = self.job.texts
        return None if self.pooling == "tokens" or texts.groups is None else texts.take(self.places).groups

    @property
    def layers(self) -> list[str]:
        """The layers that are measured."""
        return [x for x in self.model.layers if self.job.study.layers == ALL or x in self.job.study.layers]

    @property
    def share(self) -> float:
        """The fraction of the blocks that a pass for the layers runs: up to the deepest layer."""
        below = {"embedding": 0, **{f"layer_{i}": i + 1 for i in range(self.model.depth)}}
        return max(below.get(layer, self.model.depth) for layer in self.layers) / self.model.depth

    def some(self, tokens: float) -> "Counted":
        """Sample about so many tokens, in texts of all lengths."""
        rows = sorted(self.rows, key=len)
        step = min(len(rows), math.ceil(sum(map(len, rows)) / max(1, tokens)))
        return replace(self, rows=rows[step // 2 :: step])

    def bytes_of_a_batch(self) -> int:
        """Bytes of the largest batch, or of a stretch of tokens, within a block, and of the logits held at a time."""
        model, tokens = self.model, max(b.ids.size for b in self.batches)
        scored = tokens if self.language else 0
        if scored and comes_in_pieces(model.cut):
            scored = min(scored, piece_rows(model.cut))
        inner = max(6 * model.width, 3 * model.block // (3 * model.width))
        within: int = self.decoder.bytes_for(self.tokens) if self.decoder else tokens * inner * 4
        return within + scored * model.vocabulary * 4 * 2

    def plan(self) -> JobPlan:
        """The counts; ``points`` are read."""
        job, model, longest = self.job, self.model, max(map(len, self.rows))
        drawn = min(self.content, job.study.subsample or TOKENS_DRAWN)  # pooling of single tokens takes no special ones
        padded = [b.ids.size for b in self.batches]
        return JobPlan(
            job.source.name,
            job.dataset,
            self.pooling,
            texts=len(self.rows),
            content_tokens=self.content,
            padded_tokens=sum(padded),
            points=drawn if self.pooling == "tokens" else len(self.rows),
            layers=len(self.layers),
            width=model.width,
            blocks=model.depth,
            parameters=model.parameters,
            batch=max(padded) // longest,
            passes=1 + self.further,
        )


def count(model: "Skeleton", job: Job, clock: Clock) -> Counted:
    """Tokenise the texts of a job, and find how its model reads them."""
    study, begun = job.study, clock()
    limits = {"samples": study.samples, "min_tokens": study.min_tokens, "max_length": study.max_length}
    chosen, seconds = choose(model.cut, job.texts, **limits), clock() - begun
    with_logits, longest = study.language and model.cut.predicts_next, max(map(len, chosen.encoded))
    batching = Batching(study.batch_size)
    way = way_of(model.cut, batching, with_logits=with_logits, site=study.site, longest=longest)
    return Counted(model, job, chosen.encoded, chosen.places, way.decoder, way.budget, seconds)


class ModelRate(NamedTuple):
    """Seconds a FLOP of the blocks, and a token of all else, without and with language metrics."""

    flop: float
    token: float
    scored: float

    def layers(self, counted: Counted, share: float) -> float:
        """Seconds of one pass through this fraction of the blocks."""
        return max(0.0, self.flop * counted.work * share + self.token * counted.tokens)

    def language(self, counted: Counted) -> float:
        """Seconds of the language metrics beside a pass."""
        return max(0.0, self.flop * counted.work * counted.further + (self.scored - self.token) * counted.tokens)


def model_rate(counted: Counted, rates: Rates) -> ModelRate:
    """Time a model on its own texts."""
    model, study = counted.model, counted.job.study
    of_study = [study.site, study.language, study.dtype, study.max_length, study.batch_size, counted.job.pooling]
    key = ["model", asdict(counted.job.source), model.parameters, model.cut.device, *of_study]
    clock = rates.clock if model.cut.device == "cpu" else rates.wall
    return ModelRate(*rates.of(key, lambda: _tried(counted, clock)))


def _tried(counted: Counted, clock: Clock) -> ModelRate:
    """Time one block and two of the cut model on the same texts; the difference is that of a block."""
    model, kept = counted.model, len(counted.model.cut.anatomy.blocks)
    names = [name for name in select_layers(model.cut.anatomy, ALL, counted.job.study.site) if name != "final"]
    few = counted.some(FLOPS / (4 * max(1, model.block)))
    _seconds(few.some(64), names, clock)  # kernels are made ready here
    two = _seconds(few, names, clock)
    one = _seconds(few, names[:-1], clock) if kept > 1 else 0.0
    flop = max(two - one, 0.1 * two) / (few.work / model.depth)
    token = (two - flop * few.work * kept / model.depth) / few.tokens
    if not counted.language:
        return ModelRate(flop, token, token)
    scored = few.some(4 * FLOPS / max(1, 2 * model.head))
    blocks = flop * scored.work * (1 + scored.further) * kept / model.depth
    return ModelRate(flop, token, (_seconds(scored, ALL, clock, language=True) - blocks) / scored.tokens)


def _seconds(counted: Counted, layers: str | Sequence[str], clock: Clock, *, language: bool = False) -> float:
    """Time the extraction of these layers of the cut model."""
    study, many = counted.job.study, len(counted.rows)
    texts = Texts("calibration", tuple(row.text for row in counted.rows))
    reading = {**study.reading(), "pooling": counted.job.pooling, "layers": layers, "language": language}
    reading["subsample"] = study.subsample and max(1, study.subsample * many // study.samples)
    return best(partial(extract, counted.model.cut, texts, **reading), clock)

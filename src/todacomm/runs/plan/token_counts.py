"""The texts of a job as its model will read them: tokenised, counted and put into batches."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from todacomm.runs.experiment import Job
from todacomm.runs.plan.machine_rates import Clock

if TYPE_CHECKING:
    from todacomm.models.batching import Batch
    from todacomm.models.size_and_flops import Skeleton

SAMPLED = 4000  # texts beyond which half as many are tokenised


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """The texts of a job as its model reads them; ``scale`` is 1, or how many times as many there are."""

    pooling: str
    texts: int
    content: int
    padded: int
    points: int
    batches: "tuple[Batch, ...]"
    scale: float
    tokenising: float
    longest: int
    groups: tuple[str, ...] | None
    notes: tuple[str, ...] = ()


def count(model: "Skeleton", job: Job, clock: Clock) -> Counted:
    """Tokenise the texts of a job, the first of many thousands, and put them into the batches that they will make."""
    from todacomm.models.batching import Batching, choose, pad_id, token_budget
    from todacomm.models.collector import TOKENS_DRAWN
    from todacomm.models.extraction import DEFAULT_POOLING
    from todacomm.models.perplexity import comes_in_pieces

    study, cut = job.study, model.cut
    many = study.samples > SAMPLED
    tokenised = SAMPLED // 2 if many else study.samples
    begun = clock()
    chosen = choose(cut, job.texts, samples=tokenised, min_tokens=study.min_tokens, max_length=study.max_length)
    seconds = clock() - begun
    scale = study.samples / tokenised
    with_logits = study.language and cut.predicts_next
    budget = token_budget(cut, with_logits=with_logits and not comes_in_pieces(cut))
    batching = Batching(study.batch_size, together=cut.probe.together)
    batches = tuple(batching.batches(chosen.encoded, pad_id(cut), budget, ""))
    pooling = job.pooling or DEFAULT_POOLING[cut.kind]
    content = round(scale * sum(len(e.content) for e in chosen.encoded))
    candidates = content  # poolings of single tokens take no special ones
    drawn = min(candidates, TOKENS_DRAWN if study.subsample is None else study.subsample)
    return Counted(
        pooling,
        study.samples,
        content,
        round(scale * sum(b.ids.size for b in batches)),
        drawn if pooling == "tokens" else study.samples,
        batches,
        scale,
        scale * seconds,
        max(b.ids.shape[1] for b in batches),
        None if pooling == "tokens" or job.texts.groups is None else job.texts.take(chosen.places).groups,
        (f"tokens are counted on the first {tokenised} texts",) if many else (),
    )

"""Probe how a model reads: does a token see those after it, do padding or other texts change its hidden states?

Asked once on loading, with a short text: alone, with its first or its last token changed, and padded beside a longer
one. The model type does not tell: a Llama may read both ways, and FNet has no mask at all.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor, nn

from todacomm.core.errors import InvalidInput
from todacomm.models.architecture.blocks_and_norms import PROBE, Anatomy
from todacomm.models.architecture.forward_inputs import FOREIGN, padding_id, plain_ids, reading, window_of
from todacomm.models.architecture.hooks import trace, upright

Ids = Int[Tensor, " t"]
States = list[Tensor]
TINY = 1e-12
Company = Literal["any", "equal lengths", "none"]
ROUNDING = {torch.float32: 1e-5, torch.float16: 2e-2, torch.bfloat16: 5e-2}  # relative, from the order of sums
LONGER = 7  # tokens of padding beside the longer text


@dataclass(frozen=True, slots=True)
class Probe:
    """How a model reads a short text: the largest change of any hidden state, relative to its norm.

    A change of at most ``rounding`` counts as none.
    """

    earlier: float  # before the last token, when that is changed
    later: float  # after the first token, when that is changed
    padding: float  # by padding after the text
    company: float  # by other texts of the same length
    rounding: float

    @property
    def causal(self) -> bool:
        """Whether no token sees those after it."""
        return self.earlier <= self.rounding

    @property
    def only_backwards(self) -> bool:
        """Whether tokens see those before them and none after."""
        return self.causal and self.later > self.rounding

    @property
    def together(self) -> Company:
        """Which texts may share a batch, padded on the right, without changing each other."""
        return self.allowed(self.padding)

    def allowed(self, padding: float) -> Company:
        """Which texts may share a batch if padding makes this change."""
        if self.company > self.rounding:
            return "none"
        return "any" if padding <= self.rounding else "equal lengths"

    def as_dict(self) -> dict[str, Any]:
        """The record, ready for JSON."""
        changes = ("earlier", "later", "padding", "company", "rounding")
        return {
            "causal": self.causal,
            "batches": self.together,
            **{name: _finite(getattr(self, name)) for name in changes},
        }


def probe(found: Anatomy, tokenizer: Any) -> Probe:
    """Probe how a model reads by a few short passes.

    Raises `InvalidInput` for a model that cannot read a short text, or is not deterministic.
    """
    base, rounding = found.base, _rounding(found.base)
    text, longer, first, last = _texts(base)
    with reading(base):
        alone, beside = _states(found, text[None], 0), _states(found, torch.stack([text, first, last]))
        company = _change(_part(beside, 0), alone)
        if company > rounding and _change(_states(found, text[None], 0), alone) > rounding:
            raise InvalidInput(
                f"{type(base).__name__} gives other hidden states each time it reads the same text, so nothing "
                "measured of it would hold; where it draws random numbers, fix their seed in its configuration"
            )
        right = _padded(found, text, longer, "right", tokenizer)
    return Probe(
        earlier=_change(_part(beside, 2, slice(-1)), _part(beside, 0, slice(-1))),
        later=_change(_part(beside, 1, slice(1, None)), _part(beside, 0, slice(1, None))),
        padding=_change(right, alone),
        company=company,
        rounding=rounding,
    )


def change_by_padding(found: Anatomy, text: Ids, longer: Ids, side: str, tokenizer: Any) -> float:
    """The largest change of a hidden state when a text is padded beside a longer one; infinite if the model fails."""
    return _change(_padded(found, text, longer, side, tokenizer), _states(found, text[None], 0))


def _rounding(base: nn.Module) -> float:
    dtypes = (p.dtype for p in base.parameters() if p.is_floating_point())
    return ROUNDING.get(next(dtypes, torch.float32), ROUNDING[torch.float32])


def _texts(base: nn.Module) -> tuple[Ids, Ids, Ids, Ids]:
    """A short text, a longer one, and the short one with its first and its last token changed."""
    tokens = min(PROBE[1] + LONGER, window_of(base) or PROBE[1] + LONGER)
    ids = plain_ids(base, tokens + 2)
    text = ids[: tokens // 2 + 1]
    first, last = text.clone(), text.clone()
    first[0], last[-1] = ids[tokens], ids[tokens + 1]
    return text, ids[:tokens].flip(0), first, last


def _states(found: Anatomy, ids: Tensor, *part: int | slice, real: Tensor | None = None) -> States:
    """The stream before, between and after the blocks, and the final norm's output: (b, t, d) each, or a part."""
    taps = [t for t in (found.embedding, *found.outputs("block"), found.final) if t is not None]
    axes = {t.module: t.axes for t in taps}

    def wanted(module: nn.Module, hidden: Tensor) -> Tensor:
        return upright(hidden, axes[module], ids.shape[1])[part].float() if hidden.ndim == 3 else hidden[:0]

    seen = trace(found.base, list(axes), ids, real, wanted)
    return [(seen.entered if t.entering else seen.left)[t.module][t.call] for t in taps]


def _padded(found: Anatomy, text: Ids, longer: Ids, side: str, tokenizer: Any) -> States:
    """The states of a text padded beside a longer one; none where the model fails on padding at this side."""
    place = slice(len(longer) - len(text), None) if side == "left" else slice(len(text))
    ids = torch.full((2, len(longer)), padding_id(found.base, tokenizer))
    real = torch.zeros_like(ids, dtype=torch.bool)
    ids[0, place], ids[1], real[0, place], real[1] = text, longer, True, True
    with suppress(*FOREIGN):
        return _states(found, ids, 0, place, real=real)
    return []


def _part(states: States, row: int, tokens: slice = slice(None)) -> States:
    return [hidden[row, tokens] for hidden in states]


def _change(found: States, expected: States) -> float:
    """The largest change of a hidden state over its norm, or over the typical norm of its layer if larger."""
    if len(found) != len(expected):
        return math.inf
    changes = [0.0]
    for a, b in zip(found, expected, strict=True):
        norms, finite = b.norm(dim=-1), b.isfinite().all(dim=-1)
        if finite.any():
            change = (a - b).norm(dim=-1)[finite] / norms[finite].clamp(min=max(float(norms[finite].median()), TINY))
            changes.append(float(change.nan_to_num(nan=math.inf).amax()))
    return max(changes)


def _finite(change: float) -> float | None:
    return float(f"{change:.2g}") if math.isfinite(change) else None

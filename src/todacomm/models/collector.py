"""Pool hidden states as they pass into clouds: which tokens become points, in which rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from todacomm.core.errors import InvalidInput
from todacomm.core.types import Mask, Points
from todacomm.models.architecture.hooks import UPRIGHT, Axes, upright
from todacomm.models.batching import Batch, ChosenTexts
from todacomm.models.pooling import Pooling

TOKENS_DRAWN = 1000  # default number of points of the pooling "tokens"
ONLY = {"all": slice(None), "first": slice(1), "last": slice(-1, None)}


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Which tokens of which texts become points."""

    pooling: Pooling
    places: tuple[Int[np.ndarray, " c"], ...]  # the positions of each text's tokens
    starts: Int[np.ndarray, " n"]  # the row of its first point
    points: int
    candidates: int

    def mask(self, batch: Batch) -> Mask:
        """The tokens of a batch that the pooling reads."""
        mask = np.zeros_like(batch.real)
        for i, (row, start) in enumerate(zip(batch.rows, batch.starts, strict=True)):
            mask[i, self.places[row.index] + start] = True
        return mask

    def rows(self, batch: Batch) -> Int[np.ndarray, " m"]:
        """The rows of the cloud that a batch fills, in the order of the pooling."""
        counts = [len(self.places[r.index]) if self.pooling.per_token else 1 for r in batch.rows]
        return np.concatenate(
            [self.starts[r.index] + np.arange(c) for r, c in zip(batch.rows, counts, strict=True)]
        ).astype(np.int64)


def plan_of_points(chosen: ChosenTexts, pool: Pooling, subsample: int | None, seed: int) -> Plan:
    """Plan which tokens of the chosen texts a pooling takes; single tokens are drawn by the seed (``subsample``)."""
    places = [np.arange(len(e)) if pool.special_tokens else e.content for e in chosen.encoded]
    candidates = sum(map(len, places))
    if pool.per_token:
        places = _draw(places, candidates, TOKENS_DRAWN if subsample is None else subsample, seed)
    places = [p[ONLY[pool.only]] for p in places]
    counts = np.array([len(p) if pool.per_token else 1 for p in places])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return Plan(pool, tuple(places), starts, int(counts.sum()), candidates)


def _draw(places: list[np.ndarray], candidates: int, k: int, seed: int) -> list[np.ndarray]:
    """Draw ``k`` (text, position) pairs without replacement, or take all."""
    if k < 1:
        raise InvalidInput(f"a subsample of {k} tokens; expected 1 or more")
    kept = np.zeros(candidates, dtype=bool)
    kept[np.random.default_rng(seed).choice(candidates, min(k, candidates), replace=False)] = True
    pieces = np.split(kept, np.cumsum([len(p) for p in places])[:-1])
    return [p[piece] for p, piece in zip(places, pieces, strict=True)]


class PassEnded(Exception):
    """The deepest requested layer has been read; the rest of the pass is skipped."""


@dataclass(slots=True)
class Collector:
    """Clouds being filled, one row a point; hidden states are never kept.

    The forward pass ends after the layer ``last``; empty runs it to its end.
    """

    plan: Plan
    last: str = ""
    clouds: dict[str, Points] = field(default_factory=dict)
    mask: Mask = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))
    rows: Int[np.ndarray, " m"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    batch: int = 0

    def begin(self, batch: Batch) -> None:
        """Set the batch that the next hidden states belong to."""
        self.mask, self.rows = self.plan.mask(batch), self.plan.rows(batch)
        self.batch += 1

    def read(self, layer: str, batch: Batch, stream: Float[Tensor, "m d"]) -> None:
        """Pool a layer for the real tokens of a batch, text by text."""
        self.begin(batch)
        self._pool(layer, stream, self.mask[batch.real])

    def take(self, layer: str, hidden: Tensor, axes: Axes = UPRIGHT) -> None:
        """Pool ``layer`` from hidden states: (b, t, d) after permuting ``axes``, or flattened (b·t, d)."""
        stream = upright(hidden.detach(), axes, self.mask.shape[1])
        self._pool(layer, stream.reshape(self.mask.size, -1), self.mask.ravel())

    def _pool(self, layer: str, hidden: Float[Tensor, "m d"], looked_at: Bool[np.ndarray, " m"]) -> None:
        """Pool the tokens that are read; no others leave the device."""
        kept = torch.from_numpy(np.flatnonzero(looked_at)).to(hidden.device)
        counts = self.mask.sum(axis=1)
        inside = np.arange(counts.max()) < counts[counts > 0, None]  # a text may have no token in the subsample
        points = self.plan.pooling(_padded(as_array(hidden[kept]), inside), inside)
        if layer not in self.clouds:
            self.clouds[layer] = np.full((self.plan.points, points.shape[1]), np.nan, dtype=np.float32)
        self.clouds[layer][self.rows] = points

    def taking(self, layers: Mapping[int, str], axes: Axes = UPRIGHT) -> Callable[[Tensor], None]:
        """Return a hook that pools the calls in ``layers`` and ends the pass after the last."""
        calls = [self.batch, -1]  # the batch that is read, and the number of the call in it

        def take(hidden: Tensor) -> None:
            calls[:] = [self.batch, calls[1] + 1 if calls[0] == self.batch else 0]
            if (layer := layers.get(calls[1])) is None:
                return
            self.take(layer, hidden, axes)
            if layer == self.last:
                raise PassEnded

        return take


def _padded(hidden: Float[np.ndarray, "m d"], inside: Mask) -> Float[np.ndarray, "b t d"]:
    """The rows where ``inside`` (b, t) is true, zeros elsewhere."""
    if inside.all():
        return hidden.reshape(*inside.shape, hidden.shape[1])
    found = np.zeros((*inside.shape, hidden.shape[1]), hidden.dtype)
    found[inside] = hidden
    return found


def as_array(hidden: Tensor) -> Float[np.ndarray, "..."]:
    """Copy to a float32 array in main memory."""
    return hidden.float().cpu().numpy()

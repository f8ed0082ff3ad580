"""From the hidden states of a batch to points: (b, t, d) and a mask (b, t) give (m, d).

A pooling receives the mask of the tokens it may see: the content tokens (real and not special), or, for one registered
with ``special_tokens=True``, all real tokens. Padding is never seen. Left- and right-padded batches give the same points.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from todacomm.core.errors import InvalidInput
from todacomm.core.registry import Registry
from todacomm.core.types import Mask

Hidden = Float[np.ndarray, "b t d"]
Pooled = Float[np.ndarray, "m d"]
Only = Literal["all", "first", "last"]


@dataclass(frozen=True, slots=True)
class Pooling:
    """A registered pooling; calling it checks that each row has a token to pool.

    ``special_tokens`` says whether its mask includes tokens such as [CLS]; ``per_token`` whether each token of the mask
    becomes a point (m = tokens of the mask, row by row) instead of each text (m = b); ``only`` which tokens of the mask it looks
    at, so that no others need be computed for it.
    """

    name: str
    function: Callable[[Hidden, Mask], Pooled]
    special_tokens: bool = False
    per_token: bool = False
    only: Only = "all"

    def __call__(self, hidden: Hidden, mask: Mask) -> Pooled:
        """The points of one batch. A row whose mask is empty raises `InvalidInput`."""
        empty = np.flatnonzero(~mask.any(axis=1))
        if len(empty):
            kind = "" if self.special_tokens else "content "
            raise InvalidInput(
                f"pooling '{self.name}': {len(empty)} of {len(mask)} rows hold no {kind}token (the first is row "
                f"{empty[0]}); leave out texts without one, as --min-tokens 1 does"
            )
        return self.function(hidden, mask)


poolings: Registry[Pooling] = Registry("pooling")


def pooling(
    name: str, *, special_tokens: bool = False, per_token: bool = False, only: Only = "all"
) -> Callable[[Callable[[Hidden, Mask], Pooled]], Pooling]:
    """Register a function ``(hidden, mask) -> points`` as the pooling ``name``; see `Pooling` for the options."""
    return lambda function: poolings.add(name, Pooling(name, function, special_tokens, per_token, only))


@pooling("last", only="last")
def last(hidden: Hidden, mask: Mask) -> Pooled:
    """The last content token of each text."""
    t = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    return hidden[np.arange(len(hidden)), t]


@pooling("cls", special_tokens=True, only="first")
def cls(hidden: Hidden, mask: Mask) -> Pooled:
    """The first real token of each text: [CLS] where the tokenizer writes one."""
    return hidden[np.arange(len(hidden)), mask.argmax(axis=1)]


@pooling("mean")
def mean(hidden: Hidden, mask: Mask) -> Pooled:
    """The mean of the content tokens of each text, summed in float64 so that padding does not change it."""
    total = np.where(mask[:, :, None], hidden, 0).sum(axis=1, dtype=np.float64)
    return (total / mask.sum(axis=1, keepdims=True)).astype(hidden.dtype)


@pooling("max")
def maximum(hidden: Hidden, mask: Mask) -> Pooled:
    """The greatest value of each coordinate over the content tokens of each text."""
    pooled: Pooled = np.where(mask[:, :, None], hidden, -np.inf).max(axis=1).astype(hidden.dtype)
    return pooled


@pooling("tokens", per_token=True)
def tokens(hidden: Hidden, mask: Mask) -> Pooled:
    """Every content token a point, text by text in the order of reading."""
    return hidden[mask]

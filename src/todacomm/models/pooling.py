"""Pool the hidden states of a batch into points: (b, t, d) and a mask (b, t) give (m, d).

The mask marks content tokens (real and not special), or all real tokens for a pooling with ``special_tokens=True``.
Padding is never seen: left- and right-padded batches give the same points.
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
    """A registered pooling; a call checks that each row has a token to pool.

    ``special_tokens``: its mask includes tokens such as [CLS]. ``per_token``: each token of the mask becomes a point
    (m = tokens of the mask, row by row) instead of each text (m = b). ``only`` marks the tokens of the mask that it
    reads, so that others need not be computed.
    """

    name: str
    function: Callable[[Hidden, Mask], Pooled]
    special_tokens: bool = False
    per_token: bool = False
    only: Only = "all"

    def __call__(self, hidden: Hidden, mask: Mask) -> Pooled:
        """Pool one batch. A row with an empty mask raises `InvalidInput`."""
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
    """Take the last content token of each text."""
    t = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    return hidden[np.arange(len(hidden)), t]


@pooling("cls", special_tokens=True, only="first")
def cls(hidden: Hidden, mask: Mask) -> Pooled:
    """Take the first real token of each text: [CLS] where the tokenizer writes one."""
    return hidden[np.arange(len(hidden)), mask.argmax(axis=1)]


@pooling("mean")
def mean(hidden: Hidden, mask: Mask) -> Pooled:
    """Average the content tokens of each text, in float64 so that padding does not change the mean."""
    total = np.where(mask[:, :, None], hidden, 0).sum(axis=1, dtype=np.float64)
    return (total / mask.sum(axis=1, keepdims=True)).astype(hidden.dtype)


@pooling("max")
def maximum(hidden: Hidden, mask: Mask) -> Pooled:
    """Take the maximum of each coordinate over the content tokens of each text."""
    pooled: Pooled = np.where(mask[:, :, None], hidden, -np.inf).max(axis=1).astype(hidden.dtype)
    return pooled


@pooling("tokens", per_token=True)
def tokens(hidden: Hidden, mask: Mask) -> Pooled:
    """Take every content token as a point, text by text in reading order."""
    return hidden[mask]

"""What a model is, as a record tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is, read from the model itself: ``kind`` is causal (no token sees those after it) or masked (each
    token sees all), ``norm_place`` pre-LN (a norm reads the stream before a sublayer), post-LN (after it), or other
    (only what a sublayer adds is normalised). ``probe`` is how it read a short text when it was loaded: whether it is
    causal, which texts may share a batch, and the changes that say so. ``adapter`` was merged into the weights;
    ``tokenizer_from`` is set where it is not the model's own.
    """

    name: str
    kind: Literal["causal", "masked"]
    norm_place: Literal["pre-LN", "post-LN", "other"]
    parameters: int
    blocks: int
    width: int
    revision: str
    weights_sha256: str
    adapter: str = ""
    tokenizer_from: str = ""
    probe: Mapping[str, Any] = field(default_factory=dict, hash=False)

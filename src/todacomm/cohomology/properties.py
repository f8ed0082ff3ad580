"""What can be told of texts without a model: lengths, signs, last words, places, and the norms of their points."""

import math
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

SHARES: dict[str, Callable[[str], bool]] = {
    "punctuation": lambda letter: letter in string.punctuation,
    "digits": str.isdigit,
    "capitals": str.isupper,
}


def properties_of(texts: Sequence[str], points: Float[np.ndarray, "n d"]) -> dict[str, Sequence[Any]]:
    """Name to values of what runs around a loop, perhaps: of the texts in their order, and of their points."""
    last = [(text.split() or [""])[-1] for text in texts]
    counts = Counter(last)
    found: dict[str, Sequence[Any]] = {
        "place in the corpus": list(range(len(texts))),
        "letters": [len(text) for text in texts],
        "words": [len(text.split()) for text in texts],
        "last word": last,
        "last letter": [text.rstrip()[-1:] for text in texts],
        "how usual the last word is": [math.log(counts[word]) for word in last],
    }
    found |= {
        f"share of {name}": [sum(map(of_kind, text)) / max(1, len(text)) for text in texts]
        for name, of_kind in SHARES.items()
    }
    return found | {"norm of the activation": np.linalg.norm(points.astype(np.float64), axis=1).tolist()}

"""Recipes of training drawn at random, so that no single setting explains what differs between them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from todacomm.core.errors import InvalidInput
from todacomm.training.presets import settings_of

NETWORKS = ("mlp", "transformer")  # in turn, so that both are there
DRAWN: Mapping[str, tuple[float, ...]] = {  # the ends of a range on a log scale
    "learning_rate": (1e-3, 4e-3),
    "weight_decay": (0.1, 2.0),
}
CHOSEN: Mapping[str, tuple[Any, ...]] = {
    "train_fraction": (0.5, 0.6, 0.7),
    "width": (32, 64, 128),
    "hidden": (64, 128),
    "batch": (64, 128),
}


def random_recipes(count: int, given: Mapping[str, Any], *, seed: int) -> list[dict[str, Any]]:
    """Settings of ``count`` recipes; what is given stays as it is, the rest of the table above is drawn.

    Networks alternate, beginning with the perceptron. Raises InvalidInput for fewer than two recipes.
    """
    if count < 2:
        raise InvalidInput(f"--recipes {count}: expected 2 or more, as recipes are compared with each other")
    rng = np.random.default_rng([seed, 5])
    return [settings_of("quick", {**drawn(NETWORKS[i % 2], rng), **given}) for i in range(count)]


def drawn(network: str, rng: np.random.Generator) -> dict[str, Any]:
    """One recipe; numbers have two digits, as they are told so."""
    logs = {name: np.exp(rng.uniform(*np.log(ends))) for name, ends in DRAWN.items()}
    chosen = {name: values[rng.integers(len(values))] for name, values in CHOSEN.items()}
    return {"network": network, **{name: float(f"{value:.2g}") for name, value in logs.items()}, **chosen}

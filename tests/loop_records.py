"""Loops in a planted run of four layers: noise, a circle, the same turned with another beside it, and the other."""

from functools import cache

import numpy as np

from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud
from todacomm.runs.loops.find_loops import Source, find_loops, record_of

N = 90
HOURS = 2 * np.pi * np.random.default_rng(0).uniform(size=N)
OTHER = 2 * np.pi * np.random.default_rng(1).uniform(size=N)
TEXTS = tuple(f"{'w' * int(9 + 8 * np.cos(a))} <b>{i}</b> $x$" for i, a in enumerate(HOURS))


def clouds():
    """Layer → its points in eight dimensions."""
    rng = np.random.default_rng(2)

    def placed(*angles):
        flat = np.hstack([np.c_[np.cos(a), np.sin(a)] for a in angles])
        turned = np.pad(flat, ((0, 0), (0, 8 - flat.shape[1]))) @ np.linalg.qr(rng.normal(size=(8, 8)))[0]
        return turned + 0.05 * rng.normal(size=(N, 8))

    noise = 0.4 * rng.normal(size=(N, 8))
    return {"embedding": noise, "layer_0": placed(HOURS), "layer_1": placed(HOURS), "layer_2": placed(OTHER)}


@cache
def planted(texts=TEXTS):
    """The record of these layers."""
    layers = {name: PointCloud(points, Address("clock", "hours", name)) for name, points in clouds().items()}
    letters = {"letters": [len(text.split()[0]) for text in TEXTS]}
    source = Source("clock", "hours", layers, Recipe(), tuple(texts), properties=letters)
    return record_of(find_loops(source, draws=39, top=3, number=1), "todacomm loops clock")

"""Runs of stability, made without a training."""

from functools import cache

import numpy as np

from todacomm.report.stability.stability_findings import StabilityFindings
from todacomm.stability.association import associations
from todacomm.stability.stability import Copying, Stability
from todacomm.stability.symmetry import Matched
from todacomm.training.presets import settings_of

NAMES = ("weights", "angle", "group/embed", "angle/embed", "group/head", "angle/head", "function")


def stable_run(rng, *, seed=46, network="mlp", rate=0.002, windows=20, generalises=True):
    """Copies that part at about ``rate`` a step, beside an H1 that rises from 0.1 to 0.4."""
    copying = Copying(copies=6, checkpoints=10)
    ends = 50 + 25 * np.arange(1, windows + 1)
    growths = 25 * rate + 0.01 * rng.normal(size=(len(NAMES), windows, len(copying.roles)))
    first = np.full((len(NAMES), 1, len(copying.roles)), 0.05) * np.array(copying.epsilons) / 1e-3
    free = np.concatenate([first, first * np.exp(np.cumsum(growths, axis=1))], axis=1)
    brought_back = np.concatenate([first, first * np.exp(growths)], axis=1)
    runs_free = np.array([role == "free" for role in copying.roles])
    c = 10
    rising = np.repeat([0.1, 0.1 + 150 * abs(rate)], c // 2)
    measured = {
        "train_accuracy": np.linspace(0, 1, c),
        "test_accuracy": np.linspace(0, 1 if generalises else 0.1, c),
        "embedding/sphere/H1_max_lifetime": rising,
        "embedding/sphere/H1_total_persistence": 10 * rising,
        "embedding/sphere/H0_total_persistence": 60 - 50 * rising,
        "sharpness": np.geomspace(1, 100, c),
        "preconditioned_sharpness": np.geomspace(100, 5000, c),
    }
    return Stability(
        name=f"seed_{seed}",
        seed=seed,
        settings=settings_of("quick", {"network": network, "prime": 59}),
        copying=copying,
        parameters=60_000,
        start=50,
        names=NAMES,
        ends=ends.astype(np.int64),
        growths=growths,
        distances=np.where(runs_free, free, brought_back),
        weight_norms=np.full(windows + 1, 50.0),
        steps=np.linspace(50, ends[-1], c).astype(np.int64),
        measured=tuple(measured),
        values=np.array(list(measured.values())),
        matched=(Matched(0.4, 0.4, 0), Matched(0.5, 0.2, 12)),
        complaints=(),
    )


@cache
def stable_findings(failures=()):
    """Eight recipes with three seeds each; the first grows most, every other one shrinks."""
    rng = np.random.default_rng(3)
    runs = []
    for recipe in range(8):
        network, rate = ("transformer", -0.001) if recipe % 2 else ("mlp", 0.002 - 0.0002 * recipe)
        runs += [
            (f"recipe_{recipe + 1}", stable_run(rng, seed=46 + seed, network=network, rate=rate, generalises=seed > 0))
            for seed in range(3)
        ]
    return StabilityFindings(tuple(runs), tuple(associations(runs)), {one: one for one in failures})

"""Directories of every kind, as the commands write them, small: for tests of what lies on disk."""

import contextlib
import sys
from pathlib import Path

import numpy as np

from every_command import run as run_command

FEW = ("--resamples", "20", "--null-draws", "19")
NONE = ("--null-draws", "0")
TINY = ("--samples", "24", "--layers", "embedding,layer_0,layer_2", "--pool", "mean", *FEW)
MODELS = "tiny-preln-decoder,tiny-preln-encoder,tiny-postln-decoder"
NETWORK = ("--prime", "23", "--layers", "1", "--points", "20", "--test-pairs", "100", "--jobs", "1", "--hidden", "64")
GROKKING = (  # one run generalises, its controls memorise
    *("--train-fraction", "0.7", "--weight-decay", "1", "--width", "32", "--learning-rate", "0.01", "--batch", "128"),
    *("--steps", "2400", "--every", "80", "--seeds", "46", "--controls", "1"),
)
COMMANDS = {
    "measure": ("measure", "layers.npz", *FEW, "--output", "measured"),
    "other": ("measure", "layers.npz", *FEW, "--output", "other"),
    "landmarks": ("measure", "layers.npz", *NONE, "--landmarks", "20", "--scale", "rms", "--output", "few"),
    "medians": ("measure", "layers.npz", *NONE, "--scale", "median", "--output", "by_median"),
    "run": ("run", "--models", MODELS, *TINY, "--nulls", "text", "--null-runs", "2", "--name", "three"),
    "compare": ("compare", "measured", "other", "--fail-if", "H0_count:abs>0", "--name", "gated"),
    "ablate": ("ablate", "layers.npz", "--components", "2,none", "--points", "0.5,all", "--seeds", "42"),
    "grok": ("grok", *NETWORK, *GROKKING),
    "stability": ("stability", *NETWORK, "--steps", "120", "--copies", "3", "--scan", "none",
        "--renormalise", "10", "--recipes", "2", "--seeds", "46"),
    "loops": ("loops", "ring.npy", "--null-draws", "39", "--components", "none"),
    "probe": ("probe", "months", "--model", "tiny-preln-decoder", "--placebos", "19", "--layers", "layer_0"),
    "track": ("track", "tiny-preln-decoder", "tiny-preln-encoder", *TINY, "--name", "tracked"),
}  # fmt: skip


def write_inputs(place: Path) -> None:
    """Arrays with a circle, with and without noise."""
    rng = np.random.default_rng(0)
    by = 2 * np.pi * rng.uniform(size=48)
    ring = np.c_[np.cos(by), np.sin(by)]
    np.save(place / "ring.npy", ring + 0.03 * rng.normal(size=ring.shape))
    clouds = {f"layer_{i}": (i + 1) * rng.normal(size=(40, 5)) for i in range(2)}
    np.savez(place / "layers.npz", embedding=rng.normal(size=(40, 5)), **clouds)


def monitored(place: Path) -> None:
    """A monitor of three steps of a training."""
    import torch

    import todacomm as td

    torch.manual_seed(0)
    table = torch.nn.Embedding(30, 5)
    with td.Monitor(table, directory=place, clouds={"embedding": lambda: table.weight}, every=1, budget=1.0) as monitor:
        for step in range(3):
            monitor.step(step, loss=1.0 / (step + 1))


def make(place: Path, *names: str) -> dict[str, int]:
    """Run these commands in a directory, one after the other; gives the exit code of each."""
    write_inputs(place)
    with contextlib.chdir(place), contextlib.ExitStack() as after:
        after.callback(setattr, sys, "argv", sys.argv)
        return {name: ended(COMMANDS[name]) for name in names}


def ended(arguments: tuple[str, ...]) -> int:
    """The exit code of a command; what it printed is told where it could not do its work."""
    code, out, err = run_command(arguments, "utf-8")
    assert code in {0, 1, None}, f"{arguments}: {out}{err}"
    return code or 0

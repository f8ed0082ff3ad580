"""Directories of experiments of training that no network has trained, for tests of what is read from them."""

import math
from dataclasses import dataclass

import numpy as np

from todacomm.circles.causal_test import Turned
from todacomm.records.files.io import to_json, write_arrays
from todacomm.records.training import (
    ABOUT_RECORD,
    TURNED_RECORD,
    WEIGHTS,
    Cyclic,
    RunDescription,
    RunEnd,
    TurnedRecord,
    digest_of_weights,
    read_run,
    write_done,
    write_observation,
)
from todacomm.training.fourier import PairTask, additive_characters, places_of
from todacomm.training.observe import watch
from todacomm.training.signature import signature
from todacomm.training.turned_run import Moved, Named, TurnedLoop, TurnedRun

P, WIDTH, EVERY, COUNT, TURN = 19, 8, 10, 20, 9
FREQUENCIES = (3, 5)
FOLLOWED = "embedding/sphere/H1_max_lifetime"
GROUP = additive_characters(P)
PAIRS = np.array([(a, b) for a in range(P) for b in range(P)])
TRAIN = np.arange(0, len(PAIRS), 3)
TASK = PairTask(GROUP, places_of(PAIRS, GROUP, 1), PAIRS.sum(axis=1) % P, TRAIN)


@dataclass(frozen=True)
class Seen:
    """A checkpoint of no network."""

    step: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    clouds: dict
    logits: np.ndarray
    pairs: PairTask | None
    weight_norm: float
    embedding_norm: float | None


def circles(rng, characters=GROUP, classes=P, frequencies=FREQUENCIES):
    """Rows whose members stand at the hours of these frequencies, in directions drawn at random."""
    directions = np.linalg.qr(rng.normal(size=(WIDTH, 2 * len(frequencies))))[0]
    rows = np.zeros((classes, WIDTH))
    rows[characters.members] = characters.waves(frequencies, characters.places) @ directions.T
    return rows


def checkpoint(i, rng, turned, rows, *, fourier=True, embedded=True):
    """A checkpoint ``turned`` (0 to 1) of the way from noise to circles; memorised from the third on."""
    logits = turned * 8 * np.eye(P)[TASK.labels] + 0.5 * rng.normal(size=(len(PAIRS), P))
    hidden = rng.normal(size=(40, 4)) * [1, 1, 1 - turned, 1 - turned] + 1
    clouds = {"embedding": rows.astype(np.float32)} if embedded else {}
    return Seen(
        step=i * EVERY,
        train_loss=2.0 if i < 3 else 0.05,
        train_accuracy=0.1 if i < 3 else 1.0,
        test_loss=4 - 3.9 * turned,
        test_accuracy=round(turned, 3),
        clouds={**clouds, "layer_0": hidden.astype(np.float32)},
        logits=logits.astype(np.float32),
        pairs=TASK if fourier else None,
        weight_norm=50 - 20 * turned,
        embedding_norm=10.0,
    )


def write_run(directory, name, kind, seed, *, grokked, count=COUNT, complaint="", **how):
    """The directory of a run as the laboratory leaves it."""
    fourier, embedded = how.get("fourier", True), how.get("embedded", True)
    place, rng = directory / "runs" / name, np.random.default_rng(seed + 100 * (kind != "run"))
    place.mkdir(parents=True)
    why = "" if fourier else "no characters diagonalise it"
    steps = EVERY * ((COUNT if complaint else count) - 1)
    settings, model, data = {"network": "mlp", "steps": steps}, f"mlp, seed {seed}", f"add_p{P}, 0.3"
    followed = FOLLOWED if embedded else "layer_0/sphere/H1_max_lifetime"
    characters = Cyclic("residue", P) if fourier else None
    beside = {"task": f"add mod {P}", "warnings": [f"{P} points are few"]}
    about = RunDescription(name, kind, seed, settings, model, data, followed, characters, why, beside)
    ABOUT_RECORD.write(place, about)
    noise, ideal = rng.normal(size=(P, WIDTH)), circles(rng)
    for i in range(count):
        turned = 1 / (1 + math.exp(-(i - TURN) / 0.8)) if grokked else 0.0
        rows = (1 - turned) * noise + turned * ideal + 0.01 * rng.normal(size=noise.shape)
        seen = checkpoint(i, rng, turned, rows, fourier=fourier, embedded=embedded)
        write_observation(place, watch(seen, model=model, data=data))
    if not complaint:
        first = np.concatenate([rng.normal(size=(12, WIDTH)), np.zeros((12, WIDTH))], axis=1)
        write_arrays(place / WEIGHTS, {"weight/embed.weight": ideal, "weight/layers.0.weight": first}, {})
    write_done(place, RunEnd(complaint, 1.5))
    return {"name": name, "kind": kind, "seed": seed, "settings": settings}


def write_cell(directory, cell="", *, grokked=True, **how):
    prefix = f"{cell}/" if cell else ""
    rows = [write_run(directory, f"{prefix}seed_{s}", "run", s, grokked=grokked, **how) for s in (1, 2)]
    rows += [
        write_run(directory, f"{prefix}{kind.replace(' ', '_')}_1", kind, s, grokked=False, **how)
        for s, kind in enumerate(("permuted labels", "no weight decay"), 1)
    ]
    return [{"cell": cell, **row} for row in rows]


def write_plan(directory, rows):
    plan = {"schema": 1, "base": {"task": "add", "prime": P}, "runs": rows, "versions": {"todacomm": "1"}}
    (directory / "experiment.json").write_text(to_json(plan))


def write_training(directory, **how):
    """Two runs that grok and two controls under one plan; its rows."""
    rows = write_cell(directory, **how)
    write_plan(directory, rows)
    return rows


def turned_loop(frequency, *, found, slope, share=0.3):
    """A loop whose answers turn by ``slope`` times the angle."""
    by = 2 * np.pi * np.arange(12) / 12
    uses = slope > 0.5
    one = Turned(
        psi=tuple((slope * by).tolist()),
        slope=slope,
        direction=1,
        alignment=0.95 if uses else 0.02,
        swap=0.96,
        ceiling=0.97,
        tested=0.94 if uses else 0.02,
        placebos=(0.01,) * 19,
        placebo_slopes=(0.02, -0.03) * 9 + (0.0,),
        placebo_psi=((0.0, 0.01, 0.0, -0.01, 0.02),) * 19,
        moved=None,
        accuracy=1.0,
        harmonics=1,
    )
    p = 0.05 if uses else 0.5
    return TurnedLoop(Named(frequency, 1, 0.997), pow(frequency, -1, P), share, found, one, p, *one.verdict(p))


TURNED_LOOPS = (
    turned_loop(7, found=True, slope=0.0, share=0.0),
    turned_loop(3, found=True, slope=1.0),
    turned_loop(5, found=False, slope=0.98),
)


def write_turned(place, loops=TURNED_LOOPS):
    """What came of turning these loops of a finished run; its training took 1.5 seconds."""
    moved = (Moved(1, 1.0), Moved(5, 0.98)) if any(loop.used for loop in loops) else ()
    found = TurnedRun(place.name, loops, moved)
    TURNED_RECORD.write(place, TurnedRecord(found, 19, 42, digest_of_weights(place), 0.3, {"todacomm": "1"}))


def judged(directory, rows):
    """The signature of runs that are all on disk."""
    courses = [read_run(directory / "runs" / row["name"]).course for row in rows]
    return signature(
        [c for c in courses if c.kind == "run"], controls=[c for c in courses if c.kind != "run"], follow=FOLLOWED
    )

"""Directories as todacomm writes them, made quickly without a model: runs, comparisons, ablations."""

import hashlib
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from grok_directories import write_training
from todacomm.ablation.judge import Ablation, Rerun, ablation
from todacomm.ablation.settings import Setting
from todacomm.circles import probed
from todacomm.circles.causal_test import Turned
from todacomm.circles.order import Order
from todacomm.circles.probes import Probe, Question
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.recipe import Recipe
from todacomm.core.types import Activations, Profile, Texts
from todacomm.profiles.from_arrays import measure_arrays
from todacomm.records.runs import Record, write_record
from todacomm.records.texts import TEXTS_RECORD, texts_to_keep
from todacomm.report.training import all_figures
from todacomm.runs.training_results import concluded

POINTS, LAYERS = 24, ("embedding", "layer_0", "layer_1")
TEXTS = Texts("notes", tuple(f"text {i} <b>" for i in range(POINTS)))
NOTHING, OF_TEXTS = InferenceSettings(resamples=0, null_draws=0), Recipe(pooling="last")
LANGUAGE = {"bits_per_byte": 1.25, "perplexity": 30.0, "accuracy": 0.5}
KEPT = tempfile.TemporaryDirectory(prefix="todacomm_test_stored_")
MADE_AGAIN = ("visualizations", "reports", "report.html", "comparison.md", "ablation.md", "tda_interpretation.md")


def layers_of(seed: int, growth: float = 2.0) -> dict[str, np.ndarray]:
    """Clouds that grow with depth."""
    rng = np.random.default_rng(seed)
    return {name: (growth**i * rng.normal(size=(POINTS, 6))).astype(np.float32) for i, name in enumerate(LAYERS)}


@cache
def profile_of(model: str, seed: int, *, claims: bool = False) -> Profile:
    """A profile with a language model's numbers, and with claims where they are asked for."""
    asked = InferenceSettings(resamples=20, null_draws=19) if claims else NOTHING
    found, _ = measure_arrays(layers_of(seed), name=model, recipe=Recipe(pooling="last", components=4), asked=asked)
    return replace(found, language=LANGUAGE, texts_sha256=TEXTS.sha256)


def write_run(directory: Path, profile: Profile, seed: int, *, texts: bool = True) -> Path:
    """A run as it lies on disk, without figures."""
    manifest = {"command": f"todacomm run --model {profile.model}", "versions": {"todacomm": "1"}}
    if texts:
        TEXTS_RECORD.write(directory, texts_to_keep(TEXTS, whole=True))
    write_record(
        directory, Record(profile, manifest), Activations(layers_of(seed), profile.model, TEXTS, profile.recipe.pooling)
    )
    return directory


def write_experiment(directory: Path, profiles: list[Profile]) -> Path:
    """An experiment with a run for each profile; their seeds are 0, 1 …"""
    for i, profile in enumerate(profiles):
        write_run(directory / "runs" / f"run_{i}", profile, i)
    (directory / "experiment_config.yaml").write_text("samples: 24\n", encoding="utf-8")
    return directory


def unhurried(patch: pytest.MonkeyPatch) -> None:
    """No correlations and no onsets: their resampling is what takes time in a signature."""
    for slow in ("rank_correlation", "onset_of"):
        patch.setattr(f"todacomm.training.signature.{slow}", lambda *_, **__: None)


@cache
def a_training() -> Path:
    """An experiment of training with its signature and report: two runs that grok and two controls. To be copied."""
    with pytest.MonkeyPatch.context() as patch:
        unhurried(patch)
        patch.setattr(all_figures, "write_grok_figures", lambda *_: [])
        directory = Path(KEPT.name) / "grok_add_p19_20260101_000000"
        directory.mkdir()
        write_training(directory)
        concluded(directory, {}, command="todacomm grok --prime 19")
    return directory


def an_ablation() -> Ablation:
    """Three settings of one small model."""
    base = Setting(components=4, pooling="last")
    settings = [base, Setting(components=2, pooling="last"), Setting(components=4, scale="median", pooling="last")]
    runs = [
        Rerun(s, "a", measure_arrays(layers_of(0), name="a", recipe=s.recipe(OF_TEXTS, POINTS), asked=NOTHING)[0])
        for s in settings
    ]
    return ablation(settings, runs)


def records(directory: Path) -> dict[str, str]:
    """Every file that a report must leave alone, with its digest."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not set(path.relative_to(directory).parts) & set(MADE_AGAIN)
    }


def a_probe() -> probed.Probed:
    """Six words on a circle at one layer of two, which the model uses."""
    words = ("a", "b", "c", "d", "e", "f")
    question = Question("after {} comes")
    angles = [2 * np.pi * i / 6 for i in range(6)]
    turned = Turned(
        psi=tuple(0.95 * angle for angle in angles),
        slope=0.95,
        direction=1,
        alignment=0.9,
        swap=0.95,
        ceiling=0.95,
        tested=0.88,
        placebos=tuple(0.3 * (i + 1) / 19 for i in range(19)),
        placebo_slopes=(0.0,) * 19,
        placebo_psi=((0.0, 0.1, 0.0, -0.1, 0.0),) * 19,
        moved=0.5,
        accuracy=5 / 6,
        harmonics=1,
    )
    orders = {
        "layer_0": Order(0.9, 0.3, 0.3, 0.01, 0.4, 0.2),
        "layer_1": Order(0.2, 0.1, -0.1, 0.6, 0.5, 1.2),
    }
    return probed.Probed(
        model="m",
        probe=Probe("letters", words, ("see {}", "say {}"), (question,)),
        orders=orders,
        plane=tuple((float(np.cos(a)), float(np.sin(a))) for a in angles),
        bar=(1.0, 1.2),
        accuracy={question.text: 5 / 6},
        asked=probed.Asked(question, {"layer_0": turned}, {"layer_0": 0.05}, "layer_0", *turned.verdict(0.05)),
        notes=(),
    )

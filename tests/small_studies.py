"""Studies small enough for a test, and what is compared of them."""

import json

from todacomm.runs.config import Study
from todacomm.runs.run_study import execute

DECODER, ENCODER = "tiny-preln-decoder", "tiny-postln-encoder"
RECORDS = ("tda_summaries.json", "metrics.json", "diagrams.safetensors", "tda_claims.json", "claims.safetensors")
SEVERAL = Study(
    models=(DECODER, ENCODER),
    samples=20,
    pooling=("mean", "last"),
    layers=("embedding", "layer_1", "layer_4"),
    resamples=20,
    null_draws=19,
)


def one_line(text):
    return " ".join(text.split())


def one_job(**settings):
    """A study of one job."""
    return Study(**{"models": (DECODER,), "samples": 12, "pooling": ("mean",), "null_draws": 19, **settings})


def records(outcome):
    """The bytes of every record of a study, or of experiments, by model, run and name."""
    assert not [failure.details for failure in getattr(outcome, "failures", {}).values()]
    return {
        (experiment.name.split("_tda_")[0], run.name, name): (run / name).read_bytes()
        for experiment in getattr(outcome, "experiments", outcome)
        for run in sorted((experiment / "runs").iterdir())
        for name in RECORDS
    }


def manifests(outcome):
    """The manifests of the runs of a study, in their order."""
    paths = (path for experiment in outcome.experiments for path in sorted(experiment.glob("runs/*/manifest.json")))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def made_by_one_process(place, patch):
    """The records of SEVERAL as one process alone makes them, without a cache and without figures."""
    patch.setattr("todacomm.runs.run_study.write_figures", lambda *_: [])
    return records(execute(SEVERAL.but(cache=False, output_dir=str(place))))

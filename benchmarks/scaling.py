"""Print what one job costs, stage by stage, and from it what a large study costs. One thread; CPU seconds.

    OMP_NUM_THREADS=1 python benchmarks/scaling.py [MODEL ...]

A model is a name of `todacomm list-models` or a directory; without one it is a model that ships. docs/scaling.md holds
the tables of a shipped model and of SmolLM2-135M-Instruct (``python -c "import real_weights;
print(real_weights.decoder())"`` in tests/ says where that is).
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

from todacomm.profiles.measure import Task, measure_task
from todacomm.runs import jobs
from todacomm.runs import run_study as execution
from todacomm.runs.cache.entries import find_reading, keep_measured, keep_reading
from todacomm.runs.cache.keys import checkpoint_of
from todacomm.runs.cache.store import Cache
from todacomm.runs.config import Study
from todacomm.runs.experiment import load, read, recipe_of

MODELS, CHECKPOINTS, TEXTS = 100, 150, 500


def cpu(function, *arguments, **settings):
    """What a function gives, and the CPU seconds that it took."""
    begun = time.process_time()
    return function(*arguments, **settings), time.process_time() - begun


def size(paths):
    return sum(path.stat().st_size for path in paths if path.is_file())


def stages(model, place):
    """Each stage of one job: CPU seconds, bytes and counts."""
    study = Study(models=(model,), samples=TEXTS, pooling=("mean",), language=False, output_dir=str(place / "out"))
    (job,) = jobs.jobs_of(study)
    cache = Cache(place / "cache")
    checkpoint, hashing = cpu(checkpoint_of, job.source, cache)
    load("tiny-preln-decoder", study.but(models=("tiny-preln-decoder",)))  # imports
    loaded, loading = cpu(load, model, study, weights_sha256=checkpoint.weights_sha256)
    reading, forward = cpu(read, loaded, job.texts, study, pooling="mean")
    _, keeping = cpu(keep_reading, reading, job, cache)
    served, finding = cpu(find_reading, job, cache)
    recipe, clouds = recipe_of(study, reading.activations), list(reading.activations.clouds())
    measure_task(Task(clouds[0], recipe, check=True))  # compiles
    found = [cpu(measure_task, Task(cloud, recipe)) for cloud in clouds]
    checks = [cpu(measure_task, Task(cloud, recipe, check=True))[1] for cloud in clouds[::8]]
    for (one, _), cloud in zip(found, clouds, strict=True):
        keep_measured(one, served.digests[cloud.address.layer], cache)
    outcome = execution.execute(study)
    draw, execution.figure_files = execution.figure_files, lambda _: {}
    _, rest = min((cpu(execution.execute, study) for _ in range(3)), key=lambda one: one[1])
    execution.figure_files = draw
    _, figures = cpu(draw, outcome.profiles[0])
    layer = median(seconds for _, seconds in found)
    return {
        "parameters": reading.card.parameters,
        "layers": len(clouds),
        "width": reading.card.width,
        "tokens": reading.activations.notes["content_tokens"],
        "hash the weights, s": hashing,
        "load, s": loading,
        "forward pass, s": forward,
        "keep the activations, s": keeping,
        "find them again, s": finding,
        "a layer, s": layer,
        "confirm a layer, s": median(checks) - layer,
        "figures, s": figures,
        "the rest of a run, s": rest,
        "activations, MB": size((cache.root / "activations").rglob("*")) / 1e6,
        "measurements, MB": size((cache.root / "measurements").rglob("*")) / 1e6,
        "records and figures, MB": size(
            path for path in outcome.experiments[0].rglob("*") if path.parent.name != "activations"
        )
        / 1e6,
    }


def study_of(one):
    """A study of MODELS × CHECKPOINTS such jobs: CPU hours of the workers, of the program, and gigabytes."""
    number, confirmed = MODELS * CHECKPOINTS, max(1, round(one["layers"] / 10))
    reading = sum(one[f"{name}, s"] for name in ("hash the weights", "load", "forward pass", "keep the activations"))
    measuring = one["layers"] * one["a layer, s"] + confirmed * one["confirm a layer, s"]
    return {
        "loads and forward passes, h": number * reading / 3600,
        "measurements, h": number * measuring / 3600,
        "figures, h": number * one["figures, s"] / 3600,
        "the program itself, h": number * one["the rest of a run, s"] / 3600,
        "activations, GB": number * one["activations, MB"] / 1e3,
        "measurements, GB": number * one["measurements, MB"] / 1e3,
        "runs, GB": number * one["records and figures, MB"] / 1e3,
    }


def table(columns, head):
    """Rows of a Markdown table: one a quantity, one column a model."""
    print(f"| {head} | " + " | ".join(columns) + " |\n|---|" + "---:|" * len(columns))
    for name in next(iter(columns.values())):
        values = [column[name] for column in columns.values()]
        print(f"| {name} | " + " | ".join(f"{v:,}" if isinstance(v, int) else f"{v:.3g}" for v in values) + " |")


def main(models):
    found = {}
    for model in models:
        with tempfile.TemporaryDirectory() as place:
            os.environ["TODACOMM_CACHE"] = str(Path(place) / "cache")
            found[Path(model).name] = stages(model, Path(place))
    table(found, f"one job, {TEXTS} texts")
    print()
    table({name: study_of(one) for name, one in found.items()}, f"{MODELS} models × {CHECKPOINTS} checkpoints")


if __name__ == "__main__":
    main(sys.argv[1:] or ["tiny-preln-decoder"])

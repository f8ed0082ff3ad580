"""Print what the plan of six different runs said, and what then happened.

python benchmarks/plan.py               # about three minutes; add --wall on a machine that does nothing else

Each run is a process of its own, which plans and then runs as ``todacomm run`` does, on one thread, without a cache.
Times are CPU seconds of the process from the plan to the end, predicted by rates that were measured in CPU seconds too,
so that other work on the machine disturbs little; memory is the largest resident size of the process. Medians of
several runs. SmolLM2-135M-Instruct is fetched once, as for the slow tests; the run of it is left out where it is not
there.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
DECODER = Path(os.environ.get("TODACOMM_TEST_CACHE", Path(tempfile.gettempdir()) / "todacomm_real_weights"))
DECODER /= "SmolLM2-135M-Instruct_Q4_1"
RUNS = {
    "tiny decoder, 500 texts": {"models": ["tiny-preln-decoder"]},
    "four shipped models, two poolings": {"shipped": "encoder-decoder"},
    "SmolLM2-135M (GGUF), 100 texts": {"models": [str(DECODER)], "samples": 100},
    "the same without language metrics": {"models": [str(DECODER)], "samples": 100, "language": False},
    "masked model, language metrics": {"models": ["tiny-postln-encoder"], "pooling": ["mean"]},
    "arrays, 4 of 3000 × 50": {"arrays": [3000, 50, 4]},
    "untrained networks and shuffled tokens, 5 runs each": {
        "models": ["tiny-preln-decoder"],
        "nulls": "text,untrained",
    },
    "encoder, the same": {"models": ["tiny-preln-encoder"], "pooling": ["mean"], "nulls": "text,untrained"},
    "2000 single tokens": {"models": ["tiny-preln-decoder"], "pooling": ["tokens"], "subsample": 2000},
    "H2, 300 texts, no language metrics": {
        "models": ["tiny-preln-decoder"],
        "maxdim": 2,
        "samples": 300,
        "language": False,
    },
}


def once(settings, clock):
    """Plan and run in this process; gives predicted and measured seconds and bytes."""
    return of_arrays(*settings["arrays"], clock) if "arrays" in settings else of_study(settings, clock)


def of_study(settings, clock):
    from todacomm.core import memory
    from todacomm.runs import run_study as execution
    from todacomm.runs.config import Study
    from todacomm.runs.config_files import load_shipped
    from todacomm.runs.plan.calibration import Rates
    from todacomm.runs.plan.memory_limit import fitted

    with tempfile.TemporaryDirectory() as place:
        asked = {"output_dir": place, "cache": False, "jobs": 1}
        name = settings.pop("shipped", None)
        study = load_shipped(name).but(**asked) if name else Study(**settings, **asked)
        planned = []

        def planning(jobs, cache, _rates):
            jobs, plan = fitted(jobs, cache, Rates(None, clock))
            planned.append((plan, clock()))
            return jobs, plan

        execution.fitted = planning
        outcome = execution.execute(study)
        (plan, begun), ended = planned[0], clock()
        if outcome.failures:
            sys.exit(str(dict(outcome.failures)))
    return plan.seconds, ended - begun, plan.memory, memory.peak(), dict(plan.stages)


def of_arrays(n, d, count, clock):
    import numpy as np

    from todacomm.core import memory
    from todacomm.core.inference_types import InferenceSettings
    from todacomm.core.recipe import Recipe
    from todacomm.profiles.from_arrays import measure_arrays
    from todacomm.runs.jobs import CachedEach
    from todacomm.runs.plan.calibration import Rates
    from todacomm.runs.plan.memory_limit import plan_of_arrays

    rng, recipe, asked = np.random.default_rng(0), Recipe(), InferenceSettings()
    layers = {f"layer_{i}": rng.normal(size=(n, d)) * (1 + rng.random(d)) for i in range(count)}
    shapes = {layer: array.shape for layer, array in layers.items()}
    plan = plan_of_arrays(shapes, recipe, name="arrays", asked=asked, jobs=1, max_memory=None, rates=Rates(None, clock))
    begun = clock()
    measure_arrays(layers, name="arrays", recipe=recipe, asked=asked, each=CachedEach(None, 1))
    return plan.seconds, clock() - begun, plan.memory, memory.peak(), dict(plan.stages)


def in_own_process(settings, *, wall):
    command = [sys.executable, __file__, "--one", json.dumps(settings), *(["--wall"] if wall else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def print_runs(rounds, *, wall):
    print(f"| run | planned s | took s ({'wall' if wall else 'CPU'}) | ratio | planned MiB | peak MiB | ratio |")
    print("|---|---|---|---|---|---|---|")
    for name, settings in RUNS.items():
        if settings.get("models") == [str(DECODER)] and not DECODER.is_dir():
            print(f"| {name} | left out: {DECODER} is not there |")
            continue
        found = [in_own_process(settings, wall=wall) for _ in range(rounds)]
        planned, took, memory, peak = (statistics.median(column) for column in list(zip(*found, strict=True))[:4])
        ratios = [statistics.median(f[0] / f[1] for f in found), statistics.median(f[2] / f[3] for f in found)]
        cells = [f"{planned:.1f}", f"{took:.1f}", f"{ratios[0]:.2f}", f"{memory / 2**20:.0f}", f"{peak / 2**20:.0f}"]
        print("|", " | ".join([name, *cells, f"{ratios[1]:.2f}"]), "|", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="processes for each run (default 3)")
    parser.add_argument("--wall", action="store_true", help="wall time in place of CPU time")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        clock = time.perf_counter if given.wall else time.process_time
        print(json.dumps(once(json.loads(given.one), clock)))
    else:
        print_runs(given.rounds, wall=given.wall)


if __name__ == "__main__":
    main()

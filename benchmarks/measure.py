"""What the benchmarks of whole processes share: what a process costs, how growth is fitted, how a table is printed."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clouds import lines, machine

HERE = Path(__file__).parent
LIBRARIES = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMBA")


def environment(threads, **more):
    """The variables of a process that computes with so many threads and asks no hub."""
    return {**os.environ, **{f"{name}_NUM_THREADS": str(threads) for name in LIBRARIES}, "HF_HUB_OFFLINE": "1", **more}


@dataclass(frozen=True)
class Cost:
    """CPU and wall seconds of a process from its start to its end, and the most memory it held."""

    cpu: float
    wall: float
    mebibytes: float


def cost(command, *, env):
    """Run a command to its end; where it fails, so does this, with what it said."""
    with tempfile.TemporaryFile("w+") as said:
        begun = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{said.read()}")
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)


def answer(script, *arguments, env):
    """The JSON that a script of this directory prints last, run in a process of its own."""
    command = [sys.executable, HERE / script, *map(str, arguments)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def resident_mebibytes():
    """What this process holds now, which counts as its peak so far (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) / 1024 for line in lines("/proc/self/status") if line.startswith("VmRSS"))


def fit(x, y):
    """The exponent a of y ~ x^a by least squares over the logarithms, and its standard error (nan for two points)."""
    u, v = np.log(x), np.log(y)
    u -= u.mean()
    slope = u @ v / (u @ u)
    left = v - v.mean() - slope * u
    spare = len(u) - 2
    return slope, (left @ left / spare / (u @ u)) ** 0.5 if spare else np.nan


def print_head(*packages):
    """The machine, the versions and the command."""
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    print(f"{os.cpu_count()} cores, {machine(*packages)}. `{command}`\n")


def print_row(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def print_header(*cells):
    print_row(*cells)
    print("|" + "---|" * len(cells), flush=True)

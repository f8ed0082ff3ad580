"""Whether two commits make the same records: run a few commands, keep what they write, compare two such makings.

    python tests/equality.py make before           # on one commit: three minutes of one core
    python tests/equality.py make after            # on the other
    python tests/equality.py compare before after  # exit code 1 where anything differs, and what

Everything goes through ``python -m todacomm``, so that modules may move. A fresh cache, one thread, no network.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from differing import differences
from normalised import RECORDS, REPORTS, keep

ROOT = Path(__file__).resolve().parents[1]
DIGESTS = "digests.json"
WORDS = "river stone under cold bright sky birds sing and water falls on green hills"
SMALL = "--max-length 48 --null-draws 39 --resamples 20 --jobs 1"
TRAINING = (  # in 1,600 steps a run generalises early enough to be judged, and controls memorise
    "--prime 23 --train-fraction 0.7 --weight-decay 1 --width 32 --hidden 64 --layers 1 --learning-rate 0.01 "
    "--batch 128 --points 20 --test-pairs 100 --jobs 1"
)


@dataclass(frozen=True)
class Step:
    """A command; what it prints is kept as ``printed/NAME.PRINTS``. ``@NAME`` stands for the directory NAME_<time>."""

    name: str
    command: str
    prints: str = "txt"
    code: int = 0


PAIR = "tiny-preln-decoder,tiny-preln-encoder"
STEPS = (
    # two models with intervals (of whole articles), every null, and the comparison of both
    Step("run", f"run --models {PAIR} --samples 60 --shuffle --pool mean --nulls text,untrained --null-runs 2 "
                f"--output both {SMALL}"),
    Step("third", f"run --model tiny-postln-decoder --samples 60 --shuffle --pool mean --output third --csv {SMALL}",
         "csv"),
    # what they leave out: squad, a cloud that is one point, voids, cosine, no texts; landmarks, a sublayer, tokens
    Step("squad", "run --model tiny-postln-encoder --dataset squad --samples 24 --layers embedding,layer_2,layer_5 "
                  f"--maxdim 2 --distance cosine --scale median --no-texts --json --output squad {SMALL}", "json"),
    Step("tokens", "run --model tiny-preln-decoder --dataset texts.txt --samples 24 --pool tokens,last --landmarks 30 "
                   f"--site mlp --pca 8 --nulls text --null-runs 2 --output tokens {SMALL}"),
    Step("three", "compare @both_tiny-preln-decoder @both_tiny-preln-encoder @third --against all --blocks 10 --json "
                  f"--group pre={PAIR} --group post=tiny-postln-decoder --fail-if H1_total_persistence:rel>0.01 "
                  "--output three", "json", 1),
    Step("measure", "measure layers.npz --null-draws 39 --output measured"),
    Step("measure_json", "measure cloud.npy --maxdim 2 --scale rms --null-draws 19 --json", "json"),
    Step("measure_csv", "measure cloud.csv --landmarks 30 --engine ripser --null-draws 19 --csv", "csv"),
    Step("precomputed", "measure distances.npy --distance precomputed --null-draws 0 --output precomputed"),
    Step("ablate", "ablate --model tiny-preln-decoder --samples 40 --components 10,none --points 0.5,all "
                   "--scale none,rms --seeds 42,43 --pool last,mean --max-length 32 --claim expansion>2 "
                   "--claim H1_count@layer_3>=1 --output ablated"),
    Step("ablate_arrays", "ablate layers.npz --components 3,none --points 0.5,all --seeds 42 --null-draws 39 "
                          "--claim H1_loop@ring:p<=0.05 --json --output arrays", "json"),
    Step("grok", f"grok {TRAINING} --steps 1600 --every 50 --seeds 46,47 --controls 1 --output trained"),
    Step("sweep", f"grok {TRAINING} --steps 700 --every 35 --sweep weight_decay=0.5,1 --seeds 46 --controls 1 --json "
                  "--output swept", "json"),
    Step("page", "report @both_tiny-preln-decoder @both_tiny-preln-encoder @squad measured --output overview.html"),
    Step("show_run", "show @both_tiny-preln-decoder --json", "json"),
    Step("show_comparison", "show @comparison_three --json", "json"),
    Step("show_ablation", "show @ablation_ablated --json", "json"),
    Step("show_training", "show @trained --json", "json"),
    Step("show_measured", "show measured --json", "json"),
    Step("show", "show @both_tiny-preln-decoder @third"),
    Step("init", "init study.yaml"),
)  # fmt: skip
AGAIN = ("@both_tiny-preln-decoder", "@comparison_three", "@ablation_ablated", "@trained", "@tokens", "measured")


# ---- make


def write_inputs(place: Path) -> None:
    """Arrays and texts to measure: a ring, a blob, two clusters; drawn by a seed, with points that lie far and near."""
    rng = np.random.default_rng(14)
    angles = rng.uniform(0, 2 * np.pi, 60)
    ring = np.pad(np.c_[np.cos(angles), np.sin(angles)], ((0, 0), (0, 6))) + 0.05 * rng.normal(size=(60, 8))
    blob = rng.normal(size=(60, 8))
    clusters = blob + 6.0 * (np.arange(60) % 2)[:, None]
    np.save(place / "cloud.npy", ring)
    np.savetxt(place / "cloud.csv", blob, delimiter=",", header=",".join("abcdefgh"), comments="")
    np.savez(place / "layers.npz", blob=blob, ring=ring, clusters=clusters)
    np.save(place / "distances.npy", np.linalg.norm(ring[:, None] - ring[None], axis=2))
    (place / "texts.txt").write_text("".join(" ".join(rng.permutation(WORDS.split())[:9]) + ".\n" for _ in range(24)))


def surroundings(source: Path, cache: Path) -> dict[str, str]:
    """The environment: one thread, an empty cache, no network; hash seeds stay random, so that orders of sets show."""
    fixed = {
        "PYTHONPATH": str(source), "TODACOMM_CACHE": str(cache), "COLUMNS": "160", "NO_COLOR": "1", "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
        **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"), "1"),
    }  # fmt: skip
    return {**os.environ, **fixed}


def version_of(source: Path, environment: dict[str, str]) -> str:
    """The version of todacomm under ``source``, after a look whether that is what Python imports."""
    asked = "import todacomm; print(todacomm.__file__, todacomm.__version__)"
    told = subprocess.run(
        [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True
    ).stdout
    path, version = told.rsplit(maxsplit=1)
    if not Path(path).resolve().is_relative_to(source):
        raise SystemExit(f"{path} is imported, not todacomm under {source}; give --source the directory that holds it")
    return version


def newest(place: Path, word: str) -> str:
    """``@NAME`` → the one directory ``experiments/NAME_<time>`` under a place; any other word as it is."""
    if not word.startswith("@"):
        return word
    found = [
        path
        for path in (place / "experiments").glob(f"{word[1:]}_*")
        if re.fullmatch(r"\d{8}_\d{6}", path.name[len(word) :])
    ]
    if len(found) != 1:
        raise SystemExit(
            f"{len(found)} directories are called {word[1:]}_<time> in {place / 'experiments'}; expected one"
        )
    return f"experiments/{found[0].name}"


def perform(step: Step, place: Path, environment: dict[str, str]) -> None:
    """Run a command in a place; what it prints goes to ``printed/``. Leaves where it ends otherwise than it should."""
    words = [newest(place, word) for word in step.command.split()]
    started = children_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "todacomm", *words], cwd=place, env=environment, capture_output=True, check=False
    )
    say(f"{children_seconds() - started:6.1f} s  todacomm {' '.join(words)}")
    if done.returncode != step.code:
        raise SystemExit(f"exit code {done.returncode}, expected {step.code}:\n{done.stderr.decode()}")
    printed = place / "printed" / f"{step.name}.{step.prints}"
    printed.parent.mkdir(exist_ok=True)
    printed.write_bytes(done.stdout)


def children_seconds() -> float:
    """CPU seconds of the commands that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def files_of(place: Path) -> set[Path]:
    """All files under a place."""
    return {path for path in place.rglob("*") if path.is_file()}


def make_again(made: Path, environment: dict[str, str]) -> set[Path]:
    """Reports made again from copies of the records that hold no report; gives the files that are new."""
    place = made / "again"
    left_out = shutil.ignore_patterns("visualizations", "reports", "*.html", "*.md", "printed", "again")
    shutil.copytree(made, place, ignore=left_out)
    before = files_of(place)
    for directory in AGAIN:
        perform(Step(f"report_{directory.lstrip('@')}", f"report {directory}"), place, environment)
    return files_of(place) - before


def make(directory: Path, source: Path) -> None:
    """Run every step into a new directory, and keep its digests."""
    if directory.exists():
        raise SystemExit(f"{directory} is there already; name a new directory")
    made, cache = directory / "made", directory / "cache"
    made.mkdir(parents=True)
    environment, started = surroundings(source, cache), children_seconds()
    version = version_of(source, environment)
    write_inputs(made)
    inputs = files_of(made)
    for step in STEPS:
        perform(step, made, environment)
    paths = (files_of(made) - inputs) | make_again(made, environment)
    files = keep(directory, sorted(paths), version)
    shutil.rmtree(cache)
    told = {"source": str(source), "version": version, "seconds": round(children_seconds() - started), "files": files}
    (directory / DIGESTS).write_text(json.dumps(told, indent=1) + "\n")
    say(f"{len(files)} files in {told['seconds']} s of one core: {directory / DIGESTS}")


# ---- compare


def read(directory: Path) -> dict[str, Any]:
    """The digests of a making. Leaves where there are none."""
    try:
        return json.loads((directory / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise SystemExit(
            f"{directory / DIGESTS} cannot be read: {problem}. Make it: equality.py make {directory}"
        ) from problem


def compared(first: Path, second: Path, of: str, limit: int) -> list[str]:
    """What differs among the records, or the reports: a line a file, and under it the first few places."""
    before, after = (
        {name: told["sha256"] for name, told in read(directory)["files"].items() if told["of"] == of}
        for directory in (first, second)
    )
    lines = [f"missing: {name}" for name in before if name not in after]
    lines += [f"new: {name}" for name in after if name not in before]
    for name in before:
        if after.get(name, before[name]) != before[name]:
            texts = [(directory / "kept" / name).read_bytes().decode() for directory in (first, second)]
            found = list(differences(name, *texts)) or ["the same values in other bytes"]
            more = [f"    and {len(found) - limit} more"] if len(found) > limit else []
            lines += [f"differs: {name}", *(f"    {told}" for told in found[:limit]), *more]
    return lines


def compare(first: Path, second: Path, *, limit: int, classes: Sequence[str]) -> int:
    """Print what differs between two makings, records first; 1 where anything does, else 0."""
    found = {of: compared(first, second, of, limit) for of in classes}
    for of, lines in found.items():
        number = sum(told["of"] == of for told in read(first)["files"].values())
        say(
            f"{of}: {len([line for line in lines if line[0] != ' '])} of {number} files differ, are missing or new"
            if lines
            else f"{of}: all {number} files are equal"
        )
        for line in lines:
            say(f"  {line}")
    return int(any(found.values()))


# ---- the command line


def say(line: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="make|compare")
    making = commands.add_parser(
        "make", help="run the set into a new directory",
        description=f"Run {len(STEPS)} commands, and {len(AGAIN)} reports again. DIR/made holds what they wrote, "
        f"DIR/kept what is compared of it, DIR/{DIGESTS} the SHA-256 of that. Masked are moments, durations, memory of "
        "the process, DIR, the version of todacomm, and seals.",
    )  # fmt: skip
    making.add_argument("directory", metavar="DIR", type=Path, help="a directory that is not there yet")
    making.add_argument(
        "--source",
        metavar="SRC",
        type=Path,
        default=ROOT / "src",
        help="where todacomm is imported from (default %(default)s)",
    )
    comparing = commands.add_parser(
        "compare", help="say what differs between two",
        description="Records (JSON, JSONL, CSV, safetensors) and reports (Markdown, text, YAML, words and data of "
        "pages, which figures there are) are listed apart. Exit code 0: all is equal; 1: something differs, is missing "
        "or new.",
    )  # fmt: skip
    comparing.add_argument("first", metavar="DIR_A", type=Path, help="made on the commit before")
    comparing.add_argument("second", metavar="DIR_B", type=Path, help="made on the commit after")
    comparing.add_argument(
        "--limit", metavar="N", type=int, default=5, help="differences shown of a file (default %(default)s)"
    )
    comparing.add_argument(
        "--records", action="store_true", help="leave the reports out: for changes that mean to change words"
    )
    return parser.parse_args()


def main() -> int:
    """Make or compare; the exit code."""
    asked = arguments()
    if asked.command == "make":
        make(asked.directory.resolve(), asked.source.resolve())
        return 0
    return compare(
        asked.first, asked.second, limit=asked.limit, classes=(RECORDS,) if asked.records else (RECORDS, REPORTS)
    )


if __name__ == "__main__":
    sys.exit(main())

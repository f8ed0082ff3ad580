"""Plant small bugs, one at a time, and say which of them no test notices.

As a program: ``mutants.py [--only NAME] [--list]`` copies the sources, plants each bug of ``mutants.toml`` in the copy,
runs the tests that are named for it, and prints those that pass all the same; the exit code is 1 where there are any. A
bug counts as noticed where a test fails; one that cannot be imported, or does not come to an end, counts as none.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

TESTS = Path(__file__).parent
ROOT = TESTS.parent
SOURCES = ROOT / "src"
JOBS = 2
LONGEST = 300  # seconds for the tests of one bug
PASSED, FAILED, NOT_IMPORTED = 80, 81, 90  # exit codes, none of which Python itself has
VERDICTS = {PASSED: "survives", FAILED: "noticed", NOT_IMPORTED: "cannot be imported"}
RUN = f"""
import importlib, sys, pytest
code = pytest.main(sys.argv[2:])
try:
    importlib.import_module(sys.argv[1])
except Exception:
    sys.exit({NOT_IMPORTED})
sys.exit({PASSED} + code)
"""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: ``find``, which occurs once in ``file``, becomes ``replace``; one of ``tests`` must fail."""

    name: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]

    @property
    def module(self) -> str:
        return ".".join(Path("todacomm", self.file).with_suffix("").parts).removesuffix(".__init__")

    def planted(self, text: str) -> str:
        """The source with the bug. Raises ValueError where ``find`` does not occur once, or the result is no Python."""
        if (times := text.count(self.find)) != 1:
            raise ValueError(f"{self.name}: expected '{self.find}' once in {self.file}, found it {times} times")
        changed = text.replace(self.find, self.replace)
        compile(changed, self.file, "exec")
        return changed


def mutants() -> list[Mutant]:
    """All bugs of the list, in its order."""
    listed = tomllib.loads((TESTS / "mutants.toml").read_text(encoding="utf-8"))
    return [Mutant(name, **{**entry, "tests": tuple(entry["tests"])}) for name, entry in listed.items()]


# One bug in one copy of the sources


def copy_of_sources(place: Path) -> Path:
    """A copy of the sources with what Python and numba have compiled of them."""
    shutil.copytree(SOURCES, place)
    return place


@contextmanager
def planted(mutant: Mutant, copy: Path) -> Iterator[None]:
    """The bug stands in the copy; afterwards the file is as it was."""
    path = copy / "todacomm" / mutant.file
    text, kept = path.read_text(encoding="utf-8"), path.stat()
    try:
        path.write_text(mutant.planted(text), encoding="utf-8")
        os.utime(path, (1, 1 + len(mutant.name) + sum(mutant.name.encode())))  # compiled code is told by time and size
        yield
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def passed(copy: Path, module: str, tests: Sequence[str], *options: str, seconds: float = LONGEST) -> int | None:
    """The exit code of the tests on a copy of the sources; None where they did not come to an end."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-c",
        RUN,
        module,
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
        *options,
        *tests,
    ]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, timeout=seconds, capture_output=True, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.returncode


def verdict(mutant: Mutant, copies: "SimpleQueue[Path]") -> str:
    """What becomes of one bug."""
    copy = copies.get()
    try:
        with planted(mutant, copy):
            code = passed(copy, mutant.module, mutant.tests)
    finally:
        copies.put(copy)
    return "does not end" if code is None else VERDICTS.get(code, f"exit code {code}")


# All bugs


def main() -> int:
    options = arguments()
    chosen = [m for m in mutants() if options.only in (None, m.name)]
    if options.list or not chosen:
        print("\n".join(f"{m.file}: {m.name}" for m in mutants()))
        return 0 if chosen else 2
    with tempfile.TemporaryDirectory(prefix="todacomm_mutants_") as place:
        copies = [copy_of_sources(Path(place) / str(i)) for i in range(JOBS)]
        if code := sound(copies[0], chosen):
            return code
        return told(chosen, copies)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="plant this bug alone")
    parser.add_argument("--list", action="store_true", help="print the bugs")
    return parser.parse_args()


def sound(copy: Path, chosen: Sequence[Mutant]) -> int:
    """0 where the named tests pass without any bug; else nothing could be said of bugs."""
    tests = sorted({test for m in chosen for test in m.tests})
    apart = ["-n", str(JOBS), "--dist", "loadfile"] if importlib.util.find_spec("xdist") else []
    code = passed(copy, "todacomm", tests, *apart, seconds=4 * LONGEST)
    if code != PASSED:
        print(f"without any bug the tests do not pass (exit code {code}): python -m pytest {' '.join(tests)}")
    return 0 if code == PASSED else 2


def told(chosen: Sequence[Mutant], copies: Sequence[Path]) -> int:
    """Plant them all, print what becomes of each; 1 where any is not noticed."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)
    missed = 0
    with ThreadPoolExecutor(len(copies)) as workers:
        for mutant, found in zip(chosen, workers.map(lambda m: verdict(m, free), chosen), strict=True):
            print(f"{found:<10} {mutant.file}: {mutant.name}", flush=True)
            missed += found != "noticed"
    print(f"{len(chosen)} planted, {len(chosen) - missed} noticed, {missed} survive")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

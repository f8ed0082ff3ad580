"""End the command line: exit codes, error messages, and signals treated as Ctrl-C."""

import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType

from todacomm.cli.terminal import console
from todacomm.core.errors import MissingExtra, TodacommError

OPTION, VARIABLE = "--traceback", "TODACOMM_TRACEBACK"
ENDING = ("SIGTERM", "SIGHUP")  # what a scheduler or a closed terminal sends
EXTRAS = {  # module → its package, and the extra that brings it
    "torch": ("torch", "models"),
    "transformers": ("transformers", "models"),
    "tokenizers": ("tokenizers", "models"),
    "huggingface_hub": ("huggingface-hub", "models"),
    "datasets": ("datasets", "models"),
    "pandas": ("pandas", "models"),
    "gguf": ("gguf", "gguf"),
    "accelerate": ("accelerate", "large"),
    "distributed": ("distributed", "cluster"),
    "dask": ("distributed", "cluster"),
}


def exit_code(command: Callable[[Sequence[str]], object], arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; errors are one paragraph, with a traceback only on request."""
    given = [one for one in arguments if one != OPTION]
    traced = len(given) < len(arguments) or os.environ.get(VARIABLE, "0") not in ("", "0")
    with interruptible() as signals:
        try:
            code = left_with(command, given)
            sys.stdout.flush()
        except KeyboardInterrupt:
            code = console.INTERRUPTED
        except BaseException as problem:  # noqa: BLE001 - the last net: other libraries raise what they like
            if traced:
                sys.stderr.write("".join(traceback.format_exception(problem)))
            console.tell(problem if isinstance(problem, TodacommError) else foreign(problem, given))
            return console.WRONG_INPUT
    if code == console.INTERRUPTED:
        console.err.tell("interrupted:", "yellow", "what was finished stays, nothing is half-written")
    return 128 + signals[0] if signals else code


def left_with(command: Callable[[Sequence[str]], object], arguments: Sequence[str]) -> int:
    """The exit code of a command."""
    try:
        command(arguments)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Treat the signals of ENDING as Ctrl-C and list those that came; ignored ones, as under nohup, stay ignored."""
    came: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        came.append(number)
        signal.signal(number, signal.SIG_DFL)  # another one ends the program at once
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    ours = [n for n in numbers if signal.getsignal(n) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield came
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


# What was not foreseen


def foreign(problem: BaseException, arguments: Sequence[str]) -> TodacommError:
    """Convert an unforeseen error to one that says what to do."""
    command = next((one for one in arguments if not one.startswith("-")), "")
    if isinstance(problem, ModuleNotFoundError) and (missing := missing_extra(problem, command)):
        return missing
    if isinstance(problem, OSError) and problem.filename is not None:
        return TodacommError(f"{problem.filename}: {problem.strerror or problem}")
    if isinstance(problem, MemoryError):
        return TodacommError(
            f"memory ran out{where(problem.__traceback__)}; fewer points or layers at a time need less"
        )
    text = " ".join(str(problem).split())
    told = f"{type(problem).__name__}{f': {text}' if text else ''}{where(problem.__traceback__)}"
    return TodacommError(f"{told}. Nobody foresaw this: {OPTION} or {VARIABLE}=1 shows where it comes from")


def missing_extra(problem: ModuleNotFoundError, command: str) -> MissingExtra | None:
    """The extra that installs a missing module, if any."""
    named = problem.name or next(iter(re.findall(r"'([\w.]+)'", str(problem))), "")
    if (module := named.split(".")[0]) not in EXTRAS:
        return None
    package, extra = EXTRAS[module]
    return MissingExtra(package, "grok" if (command, module) == ("grok", "torch") else extra, f"todacomm {command}")


def where(trace: TracebackType | None) -> str:
    """The last line of todacomm in a traceback, in brackets; empty without one."""
    frames = [f for f in traceback.extract_tb(trace) if "todacomm" in Path(f.filename).parts]
    return f" (in {Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""

"""Make standard streams robust: narrow encodings, closed streams, full disks, broken pipes."""

import codecs
import csv
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from todacomm.core.errors import CannotWrite
from todacomm.report.terminal.plain_text import CONTROLS, cell, plain, visible

HANDLER = "todacomm"  # of characters that an encoding does not hold


def replaced(problem: UnicodeError) -> tuple[str, int]:
    """The error handler of our streams."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    return "".join(map(plain, problem.object[problem.start : problem.end])), problem.end


codecs.register_error(HANDLER, replaced)


def encodable(text: str) -> str:
    """A text as standard output can encode it, for what writes past our streams."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, HANDLER).decode(encoding)


def print_json(content: object) -> None:
    """Print JSON; escape control characters and what the encoding lacks."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(content, indent=2)
    sys.stdout.write(CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def print_csv(rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Print CSV with cells that no terminal or spreadsheet interprets."""
    writer = csv.DictWriter(sys.stdout, [cell(name) for name in columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows({cell(name): cell(row.get(name, "")) for name in columns} for row in rows)


# What cannot be written


class Output:
    """Standard output; a failure to write raises CannotWrite, once."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> Any:
        return self._done(self._stream.write, text)

    def flush(self) -> Any:
        return self._done(self._stream.flush)

    def _done(self, act: Callable[..., Any], *arguments: str) -> Any:
        try:
            return act(*arguments)
        except OSError as problem:
            drop(self._stream)
            return self.failed("it is closed" if isinstance(problem, io.UnsupportedOperation) else problem.strerror)

    def failed(self, reason: str | None) -> None:
        """Handle a failure."""
        raise CannotWrite(f"standard output cannot be written: {reason}") from None


class Messages(Output):
    """Standard error; failures to write are ignored."""

    def failed(self, reason: str | None) -> None:
        """Nothing."""


def drop(stream: Any) -> None:
    """Drop the buffer of a broken stream, so that it is not flushed again on exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def guarded() -> Iterator[None]:
    """Encode all that is printed, and report what cannot be written."""
    before, formatted = (sys.stdout, sys.stderr), warnings.formatwarning
    occupy()
    warnings.formatwarning = lambda *told, **how: visible(formatted(*told, **how))  # of figures, say, with their texts
    sys.stdout, sys.stderr = (kind(prepared(stream)) for kind, stream in zip((Output, Messages), before, strict=True))
    try:
        yield
    finally:
        (sys.stdout, sys.stderr), warnings.formatwarning = before, formatted


def occupy() -> None:
    """Open the null device for closed standard streams, lest a record take their file descriptors."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def prepared(stream: Any) -> Any:
    """Give a stream our error handler; a closed one refuses to be written."""
    if stream is None:
        return open(os.devnull, encoding="utf-8")  # noqa: PTH123 - lives as long as the program
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=HANDLER)
    return stream

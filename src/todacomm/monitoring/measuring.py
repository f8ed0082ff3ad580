"""Hand clouds to the measuring process and collect its answers, without ever waiting for it."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from todacomm.core.recipe import Recipe
from todacomm.monitoring.worker import frame

Clouds = Mapping[str, np.ndarray]
WAITING, BYTES = 32, 256 * 2**20  # measurements, and what their points take, that may wait for the process
RESTARTS = 3  # of a process that died
LINGER = 1.0  # seconds in which a process or a thread that is ending ends
DROPPED = "dropped: earlier measurements are still waiting; measure less often, or fewer layers and points"
GIVEN_UP = f"the measuring process died {RESTARTS + 1} times and is not started again"
NOT_IN_TIME = "the measuring process did not answer before the monitor was closed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of one step: numbers by layer and complaints, or why there are none."""

    step: int
    layers: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()
    seconds: float = 0.0
    missing: str = ""


class Measuring:
    """One process that measures, and the thread that talks to it.

    `offer` hands over the clouds of a step or says why not, `answers` gives what is finished; neither waits. The
    process is started by its name alone: it runs no code of the user's, and torch is never forked.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.process: subprocess.Popen[bytes] | None = None
        self.deaths, self.closing = 0, False
        self._jobs: queue.Queue[tuple[int, Clouds] | None] = queue.Queue(maxsize=WAITING)
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._open: dict[int, int] = {}  # step that was handed over and is not answered → bytes of its points
        self._start()
        self._thread = threading.Thread(target=self._talk, name="todacomm monitor", daemon=True)
        self._thread.start()

    def offer(self, step: int, clouds: Clouds) -> str:
        """Hand over the clouds of a step; return why they were not taken, or nothing."""
        if self.deaths > RESTARTS:
            return GIVEN_UP
        size = sum(points.nbytes for points in clouds.values())
        if self._jobs.full() or (self._open and size + sum(self._open.values()) > BYTES):
            return DROPPED
        self._open[step] = size
        self._jobs.put_nowait((step, clouds))
        return ""

    def answers(self) -> Iterator[Answer]:
        """The answers since the last call."""
        with suppress(queue.Empty):
            while True:
                found = self._answers.get_nowait()
                self._open.pop(found.step, None)
                yield found

    def close(self, timeout: float) -> Iterator[Answer]:
        """Wait for the answers up to ``timeout`` seconds, end the process, and yield them, the missing ones too."""
        with suppress(queue.Full):
            self._jobs.put(None, timeout=timeout)
        self._thread.join(timeout)
        self.closing = True  # it is not started again
        self._end()
        self._thread.join(LINGER)
        yield from self.answers()
        yield from (Answer(step, missing=NOT_IN_TIME) for step in self._open)
        self._open.clear()

    def _start(self) -> None:
        program = [
            sys.executable,
            "-m",
            "todacomm.monitoring.worker",
            json.dumps(asdict(self.recipe)),
            str(os.getpid()),
        ]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.process = subprocess.Popen(  # noqa: S603 - our own module
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **threads}
        )

    def _end(self) -> None:
        """End the process, however it is, and close both pipes."""
        if self.process is None:
            return
        with suppress(OSError):
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def _talk(self) -> None:
        """Send one job after the other and wait for its answer, in a thread of its own."""
        while (job := self._jobs.get()) is not None:
            self._answers.put(self._asked(*job))

    def _asked(self, step: int, clouds: Clouds) -> Answer:
        if self.closing or self.deaths > RESTARTS:
            return Answer(step, missing=NOT_IN_TIME if self.closing else GIVEN_UP)
        try:
            return self._answered(step, clouds)
        except (OSError, ValueError, KeyError, TypeError) as problem:  # a broken pipe, or half an answer
            return Answer(step, missing=self._died(problem))

    def _answered(self, step: int, clouds: Clouds) -> Answer:
        """Send a frame and read its answer. Raises OSError or ValueError where the process is gone."""
        if self.process is None or self.process.stdin is None or self.process.stdout is None:
            raise BrokenPipeError("it is not running")
        self.process.stdin.write(frame(step, clouds))
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return Answer(step, found["layers"], tuple(found["complaints"]), found["seconds"])

    def _died(self, problem: Exception) -> str:
        """Start the process again, unless it died too often, and say how it ended."""
        if self.closing:
            return NOT_IN_TIME
        self.deaths += 1
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):  # so that its own exit code is known
                self.process.wait(LINGER)
        self._end()
        code = None if self.process is None else self.process.returncode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}, {type(problem).__name__}"
        if self.deaths <= RESTARTS:
            self._start()
        return f"the measuring process died ({how})"

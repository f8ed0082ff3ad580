"""Run tasks in threads, in processes, or on the workers of a cluster, all by joblib.

Another scheduler that joblib has a backend for is one more line in `pool`.
"""

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

from todacomm.core.errors import ClusterUnavailable, InvalidInput, MissingExtra
from todacomm.core.threads import one_thread as one_thread  # noqa: PLC0414  (for everybody)

T = TypeVar("T")
R = TypeVar("R")
Number = Literal["auto"] | int
PATIENCE = 2  # how often all tasks are retried after a worker was lost; then each is tried alone
SECONDS = 5  # for a scheduler to answer
FIRST_WORKER = 30  # seconds for the first of its workers to come, as they are often started together


def in_threads(function: Callable[[T], R], tasks: Sequence[T], *, number: Number = "auto") -> Generator[R]:
    """Map ``function`` over the tasks, in order, on ``number`` threads; "auto" is one a core.

    Faster only for functions that release the GIL, as the engines do.
    """
    from joblib import Parallel, cpu_count, delayed

    at_once = min(cpu_count() if number == "auto" else number, len(tasks))
    with one_thread:
        if at_once < 2:
            yield from map(function, tasks)
        else:
            parallel = Parallel(n_jobs=at_once, backend="threading", return_as="generator")
            yield from parallel(delayed(function)(task) for task in tasks)


@dataclass(frozen=True, slots=True)
class LostTask:
    """The result of a task whose worker was killed at every try."""

    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Processes that tasks are sent to; a function and its tasks must pickle.

    ``backend`` gives joblib's backend, ``sees`` tells whether every worker sees a path of this machine, ``everywhere``
    calls a function in each worker, ``lost`` is raised where a worker was killed; ``check`` then raises
    ClusterUnavailable where no other worker can come.
    """

    number: int
    backend: Callable[[], Any]
    sees: Callable[[str], bool]
    everywhere: Callable[[Callable[[], Any]], object]
    lost: tuple[type[BaseException], ...]
    check: Callable[[], None] = lambda: None

    def each(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[tuple[int, R | LostTask]]:
        """Yield the index and the result of each task, as they finish.

        A killed worker costs only the task in hand, which is retried. After PATIENCE losses the remaining tasks run
        one by one until one is `LostTask` for good; then the others go on together.
        """
        left, losses = dict(enumerate(tasks)), 0
        while left:
            alone = losses >= PATIENCE
            batch = dict(islice(left.items(), 1 if alone else None))
            try:
                for place, found in self._once(function, batch):
                    del left[place]
                    yield place, found
            except self.lost as problem:
                self.check()
                losses += 1
                if alone:
                    place, losses = next(iter(batch)), 0
                    del left[place]
                    yield place, LostTask(str(problem).split("\n", 1)[0])

    def _once(self, function: Callable[[T], R], tasks: Mapping[int, T]) -> Iterator[tuple[int, R]]:
        from joblib import Parallel, delayed

        numbered = partial(_numbered, function)
        parallel = Parallel(
            n_jobs=self.number,
            backend=self.backend(),
            return_as="generator_unordered",
            batch_size=1,
            pre_dispatch="all",
        )
        yield from parallel(delayed(numbered)(place, task) for place, task in tasks.items())


def _numbered(function: Callable[[T], R], place: int, task: T) -> tuple[int, R]:
    return place, function(task)


@contextmanager
def pool(backend: str, *, number: Number = "auto", scheduler: str | None = None) -> Iterator[Pool | None]:
    """Hold the processes of a backend while they are needed; None for ``threading``, which has none.

    Raises InvalidInput for options that exclude each other, MissingExtra for dask where it is not installed, and
    ClusterUnavailable where its scheduler does not answer.
    """
    check_options(backend, number, scheduler)
    if scheduler is not None:
        with _dask(scheduler) as found:
            yield found
    elif backend == "loky":
        with _loky(number) as found:
            yield found
    else:
        yield None


def in_processes(
    act: Callable[[T], R], tasks: Sequence[T], *, number: Number = "auto"
) -> Iterator[tuple[T, "R | LostTask"]]:
    """Apply a function to tasks, some at a time in processes, one alone in this one; yield each as it ends."""
    if number == 1 or len(tasks) == 1:
        yield from ((task, act(task)) for task in tasks)
        return
    with _loky(number) as workers:
        yield from ((tasks[place], found) for place, found in workers.each(act, list(tasks)))


def check_options(backend: str, number: Number, scheduler: str | None) -> None:
    """Raise InvalidInput where backend, number of workers and scheduler exclude each other."""
    if scheduler is not None and backend not in ("auto", "dask"):
        raise InvalidInput(f"--scheduler is dask's, and --backend {backend} has none; leave one of them out")
    if backend == "dask" and scheduler is None:
        raise InvalidInput(
            "--backend dask needs --scheduler tcp://host:port, which `dask scheduler` prints when it starts; "
            "for the processes of this machine alone use --backend loky"
        )
    if scheduler is not None and number != "auto":
        raise InvalidInput(f"--jobs {number}: a scheduler knows its own workers; start as many of them as you want")


@contextmanager
def _loky(number: Number) -> Iterator[Pool]:
    from joblib import cpu_count, parallel_config
    from joblib.externals.loky import get_reusable_executor

    def backend() -> Any:
        with parallel_config("loky", initializer=end_with, initargs=(os.getpid(),)) as settings:
            return settings["backend"]

    at_once = cpu_count() if number == "auto" else number
    with warnings.catch_warnings():
        # loky replaces a worker that has grown by a model; nothing is lost by it
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
        try:
            yield Pool(at_once, backend, lambda _: True, lambda function: function(), (BrokenExecutor,))
        finally:  # the processes hold models
            get_reusable_executor(max_workers=at_once, reuse=True).shutdown(kill_workers=True)


def end_with(parent: int) -> None:
    """End this process when its parent was killed; otherwise it would wait for ever, holding a model."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _dask(scheduler: str) -> Iterator[Pool]:
    try:
        from distributed import Client
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker
    except ModuleNotFoundError:
        raise MissingExtra("distributed", "cluster", "--scheduler") from None
    with _unlogged("distributed"):
        client = _client(Client, scheduler)
        try:
            workers = sum(client.nthreads().values())
            yield Pool(
                workers,
                lambda: _telling(client),
                lambda path: all(client.run(os.path.exists, path).values()),
                lambda function: client.run(function, on_error="return"),
                (KilledWorker, FutureCancelledError),
                lambda: _check(client, scheduler),
            )
        finally:
            client.close(timeout=SECONDS)


def _client(kind: Any, scheduler: str) -> Any:
    """Connect to the scheduler, or raise ClusterUnavailable within seconds."""
    from_file = scheduler.endswith(".json")
    if from_file and not Path(scheduler).is_file():
        raise ClusterUnavailable(f"there is no scheduler file {scheduler}: `dask scheduler --scheduler-file` writes it")
    asked = {"scheduler_file" if from_file else "address": scheduler}
    try:
        client = kind(**asked, timeout=SECONDS, set_as_default=False)
    except (OSError, ValueError) as problem:
        reason = " ".join(str(problem).split())
        raise ClusterUnavailable(
            f"no scheduler answers at {scheduler} ({reason}). Expected an address such as tcp://host:8786, which "
            "`dask scheduler` prints when it starts, or the file of its --scheduler-file"
        ) from problem
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER)
    except TimeoutError as problem:
        client.close()
        raise ClusterUnavailable(
            f"the scheduler at {scheduler} has no workers. Start some: dask worker {scheduler}"
        ) from problem
    try:
        client.run(version, "todacomm")
    except PackageNotFoundError as problem:
        client.close()
        raise ClusterUnavailable(
            f"a worker of the scheduler at {scheduler} has no todacomm: install on its machine what is installed here"
        ) from problem
    return client


def _check(client: Any, scheduler: str) -> None:
    if client.status != "running":
        raise ClusterUnavailable(
            f"the scheduler at {scheduler} was lost. What was finished is kept: run again to go on"
        )


def _telling(client: Any) -> Any:
    """Return joblib's dask backend with two changes.

    It reports a lost task (by itself it waits for ever), and it leaves tasks to the workers where there is at most
    one at the moment (by itself it then runs them in this process).
    """
    from joblib import parallel_config

    with parallel_config("dask", client=client, wait_for_workers_timeout=0) as settings:
        backend = settings["backend"]
    submit, configure = backend.submit, backend.configure

    def telling(function: Any, callback: Any = None) -> Any:
        future = submit(function, callback)
        future.add_done_callback(lambda done: callback(done.exception()) if done.exception() else None)
        return future

    backend.submit = telling
    backend.configure = lambda **options: max(2, configure(**options))
    return backend


@contextmanager
def _unlogged(name: str) -> Iterator[None]:
    """Silence the logs of another library whose faults are raised here as errors."""
    logs = [logging.getLogger(one) for one in (name, *logging.root.manager.loggerDict) if one.split(".")[0] == name]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)

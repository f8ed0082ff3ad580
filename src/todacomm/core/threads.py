"""Linear algebra on one thread, at every public door: as a context, or as a decorator of a function."""

import sys
import threading
from contextlib import ContextDecorator
from functools import lru_cache
from typing import Any


class _OneThread(ContextDecorator):
    """While entered, by any number of threads, linear algebra uses one thread a caller; afterwards as many as before.

    The last bits of a product depend on the number of threads, and parallel tasks use the cores. Small products on
    many threads mostly wait: beside other work they take twenty times as long.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._limits: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limits = _pools(len(sys.modules)).limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limits.restore_original_limits()


@lru_cache(maxsize=1)
def _pools(_modules: int) -> Any:
    """The loaded thread pools; searched again (milliseconds) only when more modules are loaded."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


one_thread = _OneThread()

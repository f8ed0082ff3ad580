"""A clock for the stages of a run. Nothing but the standard library, so that any environment can use it."""

import json
import time
from contextlib import contextmanager
from pathlib import Path


class Stages:
    """Stage → CPU seconds of this process; the time before the first stage is that of starting Python."""

    def __init__(self):
        self.seconds = {"start": time.process_time()}

    @contextmanager
    def __call__(self, name):
        begun = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - begun

    def write(self, path, **facts):
        Path(path).write_text(json.dumps({"seconds": self.seconds, **facts}), encoding="utf-8")

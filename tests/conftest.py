"""Fixtures shared by all tests; those parametrised by a registry enrol whatever registers."""

import os
import tempfile
import uuid
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models: two threads that wait for each other are slower than one
CACHES = tempfile.TemporaryDirectory(prefix="todacomm_test_cache_")
os.environ["TODACOMM_CACHE"] = str(Path(CACHES.name) / "shared")  # of fixtures that serve many tests

import numpy as np
import pytest
from hypothesis import settings

from todacomm.homology.engines import engines
from todacomm.homology.metrics import metrics

settings.register_profile("todacomm", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("todacomm")


@pytest.fixture(autouse=True)
def cache_place(monkeypatch):
    """An empty place for the cache of each test; the user's own is never touched."""
    place = Path(CACHES.name) / uuid.uuid4().hex
    monkeypatch.setenv("TODACOMM_CACHE", str(place))
    return place


@pytest.fixture
def no_figures(monkeypatch):
    """Most of the time of a small run is spent on figures; for tests that ask for everything else."""
    monkeypatch.setattr("todacomm.runs.run_study.write_figures", lambda *_: [])
    monkeypatch.setattr("todacomm.report.document.drawings.save", lambda _, path: path)


@pytest.fixture
def rng():
    return np.random.default_rng(20260)


@pytest.fixture(params=sorted(engines))
def engine(request):
    return request.param


@pytest.fixture(params=sorted(metrics))
def metric(request):
    return metrics[request.param]


@pytest.fixture
def todacomm(capsys, monkeypatch, tmp_path):
    """Run the command line in this process, in an empty directory; gives its exit code and what it printed."""
    from todacomm.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["todacomm", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as left:
            code = left.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def chromium():
    """A real browser; only tests that are skipped without one ask for it."""
    from pages import browser

    with browser() as opened:
        yield opened


@pytest.fixture
def stable():
    """A run whose copies were followed, made without a training."""
    from stable_runs import stable_run

    return stable_run(np.random.default_rng(0))

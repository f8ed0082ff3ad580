"""One process at a time in a directory: a second is kept out, a killed one keeps nobody out."""

import subprocess
import sys
import threading

import pytest

from todacomm.core.errors import CannotWrite
from todacomm.records.files.locks import LOCK, alone_in

HOLDER = """
import sys
from pathlib import Path
from todacomm.records.files.locks import alone_in
with alone_in(Path(sys.argv[1])) as alone:
    print(alone, flush=True)
    sys.stdin.read()
"""


def holder(directory):
    """Another process that holds the lock until its input ends."""
    arguments = [sys.executable, "-c", HOLDER, str(directory)]
    made = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert made.stdout.readline().strip() == "True"
    return made


def test_the_second_is_kept_out_and_nothing_is_left(tmp_path):
    with alone_in(tmp_path) as first, alone_in(tmp_path) as second:
        assert (first, second) == (True, False)
    assert list(tmp_path.iterdir()) == []
    with alone_in(tmp_path) as again:
        assert again


def test_another_process_keeps_it_until_it_is_killed(tmp_path):
    other = holder(tmp_path)
    with alone_in(tmp_path) as alone:
        assert not alone
    other.kill()
    other.communicate()
    assert (tmp_path / LOCK).exists()  # nobody could remove it
    with alone_in(tmp_path) as alone:
        assert alone
    assert not (tmp_path / LOCK).exists()


def test_one_that_waits_has_it_when_the_other_ends(tmp_path):
    other, got = holder(tmp_path), []

    def waiting():
        with alone_in(tmp_path, wait=True) as alone:
            got.append(alone)

    thread = threading.Thread(target=waiting)
    thread.start()
    assert not got
    other.communicate("")
    thread.join(30)
    assert got == [True]
    assert not (tmp_path / LOCK).exists()


def test_an_error_inside_lets_go(tmp_path):
    with pytest.raises(ZeroDivisionError), alone_in(tmp_path):
        raise ZeroDivisionError
    with alone_in(tmp_path) as alone:
        assert alone


def test_a_place_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CannotWrite, match="Choose another place"), alone_in(tmp_path / "nothing"):
        pass

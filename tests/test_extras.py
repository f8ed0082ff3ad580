"""What an installation with extras brings."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def packages(extra):
    """The names of the packages of an extra, with those of the extras that it names."""
    for requirement in EXTRAS[extra]:
        if inner := re.fullmatch(r"todacomm\[(.+)\]", requirement):
            for other in inner[1].split(","):
                yield from packages(other)
        else:
            yield re.match(r"[\w.-]+", requirement)[0]


def test_dev_brings_what_a_developer_needs():
    """As the quick start has it: pip install -e ".[dev]"."""
    assert {"torch", "transformers", "datasets", "peft", "scikit-learn", "pytest", "ruff", "mypy"} <= set(
        packages("dev")
    )


def test_all_is_every_extra_that_a_user_may_want():
    wanted = {package for extra in EXTRAS if extra not in ("docs", "test", "dev") for package in packages(extra)}
    assert set(packages("all")) == wanted


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_versions_that_tests_pass_with_are_pinned(extra):
    pinned = {re.split("[=<>]", line)[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {package.lower() for package in packages(extra)} <= pinned


def test_make_test_installs_it():
    assert "'.[dev]'" in (ROOT / "Makefile").read_text(encoding="utf-8")

"""Every public name is documented: what it is, what it takes and gives, and an example that runs."""

import dataclasses
import doctest
import inspect
import re
from pathlib import Path

import pytest

import todacomm as td

ROOT = Path(__file__).parents[1]
FEWEST_WORDS = 40
DOORS = {"todacomm": td, "todacomm.plots": td.plots, "todacomm.grokking": td.grokking}
PUBLIC = {
    f"{door}.{name}": getattr(module, name)
    for door, module in DOORS.items()
    for name in module.__all__
    if inspect.isclass(getattr(module, name)) or inspect.isfunction(inspect.unwrap(getattr(module, name)))
}
AS_ELSEWHERE = re.compile(r"^\s+As in `\w+`", re.MULTILINE)


def sections_of(text):
    """NumPy-style sections: heading → lines."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def described(body):
    """The names that a section of parameters or attributes describes."""
    heads = re.findall(r"^(\*{0,2}\w[\w*, ]*?)(?: :|$)", body, re.MULTILINE)
    return {name.strip(" *") for head in heads for name in head.split(",")}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_says_what_it_is_takes_and_gives(name):
    thing = PUBLIC[name]
    text = inspect.getdoc(thing) or ""
    found = sections_of(text)
    assert len(text.split()) >= FEWEST_WORDS
    assert ">>>" in found["Examples"]
    if dataclasses.is_dataclass(thing):
        assert described(found["Attributes"]) == {f.name for f in dataclasses.fields(thing)}
    elif inspect.isfunction(inspect.unwrap(thing)) or name.endswith(".Run"):
        code = inspect.unwrap(thing.__init__ if inspect.isclass(thing) else thing).__code__
        taken = code.co_varnames[
            : code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARKEYWORDS)
        ]
        assert described(found["Parameters"]) == set(taken) - {"self"}
    if inspect.isfunction(inspect.unwrap(thing)):
        assert {"Returns", "Yields"} & found.keys()


@pytest.mark.parametrize("name", PUBLIC)
def test_the_example_of_a_public_name_runs(name, cache_place):
    thing = PUBLIC[name]
    globs = dict(vars(inspect.getmodule(inspect.unwrap(thing))))
    [test] = doctest.DocTestFinder(recurse=False).find(thing, name, globs=globs, module=False)
    failed, tried = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.FAIL_FAST).run(test)
    assert tried
    assert not failed


def test_the_reference_has_every_public_name():
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").glob("*.md"))
    of_plots = "::: todacomm.plots\n"
    missing = {
        n
        for n in PUBLIC
        if f"::: {n}\n" not in pages + "\n" and not (n.startswith("todacomm.plots.") and of_plots in pages)
    }
    assert not missing

"""Probes as YAML files: those that ship, and a user's own."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from todacomm.circles.probes import Probe, Question, shipped_probes
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.runs.plain_yaml import Loader

KEYS = {"name": str, "words": list, "templates": list, "questions": list, "expected": str}
NEEDED = ("words", "templates")
EXPECTED = ("circle", "line", "none")


def load_probe(name: str) -> Probe:
    """Read a probe by its name, or from a file of one's own. Raises InvalidInput that says what is wrong in it."""
    if name in shipped_probes():
        text = (files("todacomm.probes") / f"{name}.yaml").read_text(encoding="utf-8")
        return probe_of(text, f"{name}.yaml")
    if not name.endswith((".yaml", ".yml")):
        raise UnknownName("probe", name, shipped_probes(), hint="One of your own: the path of a YAML file.")
    try:
        text = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidInput(f"there is no file '{name}'. Probes that ship: {', '.join(shipped_probes())}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidInput(f"{name} cannot be read: {problem}") from problem
    return probe_of(text, name)


def probe_of(text: str, where: str) -> Probe:
    """The probe of a YAML text."""
    try:
        found = Loader(text).get_single_data()
    except yaml.YAMLError as problem:
        raise InvalidInput(f"{where}: not YAML ({' '.join(str(problem).split())})") from None
    if not isinstance(found, Mapping):
        raise InvalidInput(f"{where}: expected the keys {', '.join(KEYS)}, found {type(found).__name__}")
    for key, value in found.items():
        if key not in KEYS:
            raise InvalidInput(f"{where}: unknown key '{key}'; expected {', '.join(KEYS)}")
        if not isinstance(value, KEYS[key]):
            kind = "a list" if KEYS[key] is list else "a text"
            raise InvalidInput(f"{where}: {key} is {value!r}; expected {kind}")
    if missing := [key for key in NEEDED if key not in found]:
        raise InvalidInput(
            f"{where} lacks {', '.join(missing)}; expected words in their order, and templates with {{}}"
        )
    if found.get("expected", "circle") not in EXPECTED:
        raise InvalidInput(f"{where}: expected is '{found['expected']}'; it is one of {', '.join(EXPECTED)}")
    return Probe(
        name=found.get("name", Path(where).stem),
        words=tuple(map(str, found["words"])),
        templates=tuple(map(str, found["templates"])),
        questions=tuple(question_of(one, where) for one in found.get("questions", ())),
        expected=found.get("expected", "circle"),
    )


def question_of(given: Any, where: str) -> Question:
    """A question as a text, or as a text with a step."""
    if isinstance(given, str):
        return Question(given)
    if isinstance(given, Mapping) and set(given) <= {"text", "step"} and isinstance(given.get("text"), str):
        step = given.get("step", 1)
        if isinstance(step, int) and not isinstance(step, bool):
            return Question(given["text"], step)
    raise InvalidInput(f"{where}: the question {given!r}; expected a text, or text and step (a whole number)")

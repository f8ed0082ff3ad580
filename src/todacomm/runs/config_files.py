"""Read and write studies as YAML; list those that ship with the package."""

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from todacomm.core.errors import InvalidStudy, UnknownName
from todacomm.runs.config import DEFAULT_STUDY, OLD, OPTIONS, RefusedKeys, Study
from todacomm.runs.fields import NONE, Option
from todacomm.runs.plain_yaml import Dumper, Loader

SWITCHES = {"yes": True, "on": True, "no": False, "off": False}


def load_study(path: str | Path) -> Study:
    """Read a study from YAML; InvalidStudy names key and line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        shipped = ", ".join(shipped_studies())
        raise InvalidStudy(
            f"there is no study file '{path}'. Studies that ship: {shipped}. Write one with: todacomm init study.yaml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidStudy(f"the study file '{path}' cannot be read: {error}") from error
    return _parsed(text, str(path))


def _parsed(text: str, where: str) -> Study:
    try:
        lines, values = _keys_and_values(text, where)
    except yaml.YAMLError as error:
        raise InvalidStudy(f"{where}{_mark(error)}: not YAML ({_reason(error)})") from None
    except RecursionError:
        raise InvalidStudy(f"{where}: brackets within brackets, too deep; a key takes a value or a list") from None
    try:
        return Study(**values)
    except RefusedKeys as refused:
        problems = refused.problems
    except UnknownName as unknown:
        problems = {unknown.key: f"{unknown.key}: {unknown}"}
    raise InvalidStudy("\n".join(f"{where}, line {lines[key]}: {problem}" for key, problem in problems.items()))


def _mark(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f", line {mark.line + 1}"


def _reason(error: yaml.YAMLError) -> str:
    return " ".join(str(getattr(error, "problem", None) or error).split())


def _keys_and_values(text: str, where: str) -> tuple[dict[str, int], dict[str, Any]]:
    """The line and the value of each key."""
    loader = Loader(text)
    root = loader.get_single_node()
    if not isinstance(root, yaml.MappingNode):
        found = "nothing" if root is None else "a list" if isinstance(root, yaml.SequenceNode) else f"'{root.value}'"
        raise InvalidStudy(f"{where}: expected keys and values such as 'samples: 500', found {found}")
    lines: dict[str, int] = {}
    values: dict[str, Any] = {}
    for key, value in root.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InvalidStudy(f"{where}, line {line}: a key is a name; found a list or a mapping")
        name = OLD.get(str(key.value), str(key.value))
        if name in lines:
            raise InvalidStudy(f"{where}, line {line}: '{name}' stands twice, first in line {lines[name]}")
        lines[name] = line
        values[name] = _said(name, loader.construct_object(value, deep=True))
    return lines, values


def _said(key: str, value: Any) -> Any:
    """Read ``yes``, ``on``, ``no`` and ``off`` as booleans where the key is one; elsewhere they are words."""
    switch = key in OPTIONS and OPTIONS[key].kind.switch and isinstance(value, str)
    return SWITCHES.get(value.lower(), value) if switch else value


def dump_study(study: Study, *, version: str) -> str:
    """Write a study as YAML with every key, to be run again; ``version`` is todacomm's."""
    head = (
        f"# Written by todacomm {version}: everything that was asked for.\n# Run it again: todacomm run --config FILE\n"
    )
    return head + "".join(_entry(key, value) for key, value in study)


def template() -> str:
    """A study file that gives what `todacomm run` gives by itself, with every key and what it means."""
    head = (
        "# A study for `todacomm run --config FILE`. As it stands it is what `todacomm run` does without options:\n"
        "# keep the keys that you change.\n"
    )
    plain = dict(load_shipped(DEFAULT_STUDY))
    return head + "".join(f"\n{_comment(told)}{_entry(key, plain[key])}" for key, told in OPTIONS.items())


def _comment(told: Option) -> str:
    """The help sentence, and choices that it does not name."""
    choices = ", ".join(told.kind.choices)
    unnamed = [word for word in told.kind.choices if not re.search(rf"\b{word}\b", told.help)]
    return f"# {told.help}{f' ({choices})' if unnamed else ''}\n"


def _entry(key: str, value: object) -> str:
    plain = NONE if value is None else list(value) if isinstance(value, tuple) else value
    # PyYAML folds the line ends of Unicode (U+0085) into blanks unless it escapes them
    readable = all(str(part).isprintable() for part in (plain if isinstance(plain, list) else [plain]))
    return yaml.dump({key: plain}, Dumper=Dumper, allow_unicode=readable, width=1000)


# Study files that ship


def shipped_studies() -> Mapping[str, str]:
    """Name → description (the first comment line) of each study file that ships."""
    found = (entry for entry in files("todacomm").joinpath("studies").iterdir() if entry.name.endswith(".yaml"))
    texts = {entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8") for entry in found}
    return {name: texts[name].split("\n", 1)[0].lstrip("# ") for name in sorted(texts)}


def load_shipped(name: str) -> Study:
    """Load the study that ships under this name."""
    known = shipped_studies()
    if name not in known:
        raise UnknownName("study", name, known, hint="Or give the path of a study file.")
    text = files("todacomm").joinpath("studies", f"{name}.yaml").read_text(encoding="utf-8")
    return _parsed(text, f"{name}.yaml")


def open_study(source: str | Path) -> Study:
    """Open the argument of ``--config``: the name of a study that ships, or the path of a study file."""
    return load_shipped(source) if isinstance(source, str) and source in shipped_studies() else load_study(source)

"""YAML 1.2's core schema, as people read it: ``0500`` is 500, ``1e-3`` a number, ``no`` and ``12:30`` are words.

PyYAML follows YAML 1.1, where they are 320, a string, false and 750. What is written here reads alike in both.
"""

import re
from typing import Any

from yaml import SafeDumper
from yaml.composer import Composer
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.nodes import ScalarNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

TAG = "tag:yaml.org,2002:"
WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
DECIMAL = re.compile(r"[-+]?[0-9]+")
RADIX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
FORMS = {  # the first that fits
    "bool": (re.compile("true|True|TRUE|false|False|FALSE"), "true or false"),
    "int": (re.compile(f"{DECIMAL.pattern}|{RADIX.pattern}"), "a whole number"),
    "float": (REAL, "a number"),
    "null": (re.compile("~|null|Null|NULL|"), "nothing"),
}


class Resolver(BaseResolver):
    """Which plain words are numbers, true, false or nothing."""


class Dumper(SafeDumper):
    """Puts into quotes what either version of YAML takes for something else than a string."""


for _name, (_form, _) in FORMS.items():
    for _kind in (Resolver, Dumper):
        _kind.add_implicit_resolver(f"{TAG}{_name}", re.compile(f"(?:{_form.pattern})$"), None)


class Constructor(SafeConstructor):
    """Strings, numbers, true, false, nothing, lists and mappings; whatever else a tag asks for is refused."""

    yaml_constructors = {  # noqa: RUF012 - as PyYAML has it
        tag: construct
        for tag, construct in SafeConstructor.yaml_constructors.items()
        if tag is None or tag.removeprefix(TAG) in ("str", "seq", "map")
    }

    def scalar(self, node: ScalarNode) -> Any:
        """What a word stands for, or a ConstructorError where a tag asks for another kind of thing."""
        form, expected = FORMS[node.tag.removeprefix(TAG)]
        value = self.construct_scalar(node)
        if not form.fullmatch(value):
            raise ConstructorError(None, None, f"expected {expected}, found '{value[:40]}'", node.start_mark)
        try:
            return number_of(value) if node.tag in (f"{TAG}int", f"{TAG}float") else WORDS[value.lower()]
        except ValueError:
            raise ConstructorError(None, None, f"a number of {len(value)} digits", node.start_mark) from None


Constructor.yaml_constructors |= {f"{TAG}{name}": Constructor.scalar for name in FORMS}


class Loader(Reader, Scanner, Parser, Composer, Constructor, Resolver):
    """Reads one document."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        for part in (Scanner, Parser, Composer, Constructor, Resolver):
            part.__init__(self)


def number_of(text: str) -> int | float:
    """The number that a word writes; digits are decimal, whatever zeros stand before them."""
    if DECIMAL.fullmatch(text):
        return int(text)
    return int(text, 0) if RADIX.fullmatch(text) else float(re.sub(r"\.(?=inf|nan)", "", text.lower()))

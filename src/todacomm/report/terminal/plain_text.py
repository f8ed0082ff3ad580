"""Text from outside, as a terminal, a spreadsheet and a narrow encoding can take it."""

import re
from typing import Any

PLAIN = {
    "…": "...", "·": "|", "×": "x", "→": "->", "↔": "<->", "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "±": "+/-",
    "∓": "-/+", "–": "-", "—": "-", "−": "-", "○": "o", "●": "*", "√": "sqrt", "∞": "inf", "“": '"', "”": '"',
    "’": "'", "‘": "'", "²": "^2",
    **dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True)),
}  # fmt: skip
# C0 but tab and line feed, DEL, C1, and what turns the direction of a line round
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
FORMULA = re.compile(r"\s*[=+\-@]")  # what a spreadsheet would compute


def plain(character: str) -> str:
    r"""The ASCII that is read in place of a character, or its escape.

    >>> plain("→"), plain("é")
    ('->', '\\xe9')
    """
    return PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode()


def visible(text: str) -> str:
    r"""Text with escapes for what a terminal would obey.

    >>> visible("layer\x1b[31m")
    'layer\\x1b[31m'
    """
    return CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def cell(value: Any) -> Any:
    """A value of a CSV file; a text that a spreadsheet would take for a formula begins with an apostrophe.

    >>> cell("=cmd|' /C calc'!A0"), cell("layer_0"), cell(-1.5)
    ("'=cmd|' /C calc'!A0", 'layer_0', -1.5)
    """
    if not isinstance(value, str):
        return value
    return f"'{visible(value)}" if FORMULA.match(value) else visible(value)

"""Words in a known order, sentences to read them in, and questions whose answer is the next of them."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from todacomm.core.errors import InvalidInput

BLANK = "{}"
FEWEST_WORDS = 6  # five have 12 cyclic orders, so that no p is below 0.08
FEWEST_TEMPLATES = 2


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence with a place for a word, after which the word ``step`` places further is the right answer."""

    text: str
    step: int = 1


@dataclass(frozen=True, slots=True)
class Probe:
    """Words in an order, the sentences in which a model reads them, and what it is asked about them.

    The means of the words over the sentences are tested for a circle or a line; the questions show whether the model
    answers by that order. Eleven probes ship, four of them controls; ``todacomm probe --help`` names them.

    Attributes
    ----------
    name : str
        What reports call it.
    words : tuple of str
        In their order, 6 or more.
    templates : tuple of str
        Sentences with ``{}`` in place of a word, up to which they are read; the words' states are means over them.
    questions : tuple of Question
        For the causal test; empty where nothing follows from the order.
    expected : str
        What the words are known to lie on: *circle*, *line* or *none*. A probe that is no circle is a control.

    Raises
    ------
    InvalidInput
        For fewer than 6 words or 2 templates, a word that stands twice, and a sentence without a place for a word.

    Examples
    --------
    >>> import todacomm as td
    >>> moods = td.Probe("moods", ("sad", "glum", "calm", "fine", "glad", "happy"), ("I am {}", "she is {}"))
    >>> len(moods.words)
    6

    """

    name: str
    words: tuple[str, ...]
    templates: tuple[str, ...]
    questions: tuple[Question, ...] = ()
    expected: Literal["circle", "line", "none"] = "circle"

    def __post_init__(self) -> None:
        def refuse(what: str) -> InvalidInput:
            return InvalidInput(f"the probe '{self.name}' {what}")

        if len(self.words) < FEWEST_WORDS:
            raise refuse(f"has {len(self.words)} words, whose orders decide nothing; expected {FEWEST_WORDS} or more")
        if twice := [word for word in self.words if self.words.count(word) > 1]:
            raise refuse(f"has the word '{twice[0]}' twice; expected every word once")
        if len(self.templates) < FEWEST_TEMPLATES:
            raise refuse(f"has {len(self.templates)} templates; expected {FEWEST_TEMPLATES} or more, better twelve")
        for text in (*self.templates, *(question.text for question in self.questions)):
            if text.count(BLANK) != 1:
                raise refuse(f"has the sentence '{text}'; expected {BLANK} once, where the word stands")


def shipped_probes() -> tuple[str, ...]:
    """The names of the probes that ship."""
    return tuple(
        sorted(Path(one.name).stem for one in files("todacomm.probes").iterdir() if one.name.endswith(".yaml"))
    )

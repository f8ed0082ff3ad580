"""Settings for writing figures: formats, with or without words."""

from dataclasses import dataclass

from todacomm.core.errors import InvalidInput, UnknownName

FORMATS = ("png", "pdf", "svg")


@dataclass(frozen=True, slots=True)
class Figures:
    """The ``formats`` of the files, PNG always among them, which the Markdown shows; ``bare`` is for a paper.

    Bare figures have no heading and no small print, and are as wide as one or two columns of a journal; their words are
    in a text file beside them. Raises UnknownName for another format.
    """

    formats: tuple[str, ...] = FORMATS[:1]
    bare: bool = False

    def __post_init__(self) -> None:
        for name in self.formats:
            if name not in FORMATS:
                raise UnknownName("format of figures", name, FORMATS)
        object.__setattr__(self, "formats", tuple(f for f in FORMATS if f in (FORMATS[0], *self.formats)))

    @classmethod
    def read(cls, text: str, *, bare: bool = False) -> "Figures":
        """The figures of ``--figures``: formats with commas between. Raises InvalidInput for an empty list."""
        names = tuple(name for part in text.split(",") if (name := part.strip()))
        if not names:
            raise InvalidInput(f"--figures '{text}': expected {', '.join(FORMATS)}, with commas between")
        return cls(names, bare)


PNG = Figures()  # what is drawn where nothing is asked for

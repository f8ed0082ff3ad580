"""Print docs/glossary.md from the terms of the reports.

python docs/make_glossary.py > docs/glossary.md
"""

from collections.abc import Iterator

from todacomm.report.document.loop_example import told
from todacomm.report.words.glossary import GLOSSARY


def page() -> Iterator[str]:
    """The lines of docs/glossary.md."""
    yield "# Glossary\n"
    yield "Every term that todacomm prints, in one sentence."
    yield "Made by `python docs/make_glossary.py`; a test fails when it is stale.\n"
    yield "![A loop, drawn: its birth, its death and its bar](figures/loop.svg)\n"
    yield f"*{told()}*\n".replace(". ", ".\n")
    for term, meaning in GLOSSARY.items():
        yield f"**{term}**\n: {meaning[0].upper()}{meaning[1:]}\n"


if __name__ == "__main__":
    print("\n".join(page()), end="")

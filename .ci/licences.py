"""Print docs/licences.md: the licence of every package that todacomm installs, and of every file that it ships.

    python .ci/licences.py > docs/licences.md

Packages are those of `todacomm[all]` in this environment, licences as their metadata states them.
"""

import sys
from importlib.metadata import distribution

from pins import closure

LONGEST = 60  # characters: some packages put the whole text where the name belongs
SHIPPED = {
    "report/vendor/LICENSE-plotly.txt": ("plotly.js, a part of it, for the pages", "MIT"),
    "data/LICENSE-wikitext2.txt": ("WikiText-2, a sample of it", "CC-BY-SA-3.0"),
    "data/LICENSE-squad.txt": ("SQuAD, a sample of it", "CC-BY-SA-4.0"),
    "zoo/LICENSE-models.txt": ("the four shipped models", "CC-BY-SA-3.0"),
}
HEAD = """# Licences

todacomm itself is under the MIT licence. No package below is changed or copied: `pip` installs them.

## Shipped in the wheel

| file | what it is of | licence |
|---|---|---|
"""
PACKAGES = """
## Installed beside it

`todacomm[all]`, as installed with `constraints.txt`; written by `python .ci/licences.py > docs/licences.md`.

| package | version | licence |
|---|---|---|
"""


def licence_of(name):
    """The licence that a package states: the expression, the field, or its classifiers."""
    about = distribution(name).metadata
    if expression := about.get("License-Expression"):
        return expression
    stated = about.get("License") or ""
    classes = [one.split(" :: ")[-1] for one in about.get_all("Classifier", ()) if one.startswith("License ::")]
    return stated if 0 < len(stated) <= LONGEST and "\n" not in stated else ", ".join(classes)


def main():
    """Print the page."""
    rows = [f"| `{name}` | {what} | {licence} |" for name, (what, licence) in SHIPPED.items()]
    listed = []
    for name in closure(("todacomm", ("all",))):
        if not (licence := licence_of(name)):
            sys.exit(f"{name} states no licence")
        listed.append(f"| {name} | {distribution(name).version} | {licence} |")
    sys.stdout.write(HEAD + "\n".join(rows) + "\n" + PACKAGES + "\n".join(listed) + "\n")


if __name__ == "__main__":
    main()

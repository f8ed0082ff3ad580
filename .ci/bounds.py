"""Print the lowest versions that the extras ``all`` and ``test`` allow, as constraints; torch as in constraints.txt.

Torch is no lower, for the index holds its older versions as builds for CUDA alone, which are gigabytes.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {name: given for name, given in PROJECT["optional-dependencies"].items() if name not in ("dev", "docs")}
TORCH = re.search(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)[1]

for requirement in (*PROJECT["dependencies"], *(one for given in EXTRAS.values() for one in given)):
    if found := re.match(r"([\w.-]+)>=([\w.]+)", requirement):
        name, lowest = found.groups()
        print(f"{name}=={TORCH if name == 'torch' else lowest}")

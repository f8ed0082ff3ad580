"""Write .ci/requirements.txt: every package of the tests and the documentation with the SHA-256 of its files.

    .venv/bin/python .ci/pins.py

Versions are those installed here, digests those that PyPI gives for the files that this Python can install on this kind
of machine; of torch that of PyTorch's own CPU build, which has to lie in a directory of PIP_FIND_LINKS.
"""

import hashlib
import json
import os
import sys
from importlib.metadata import distribution
from pathlib import Path
from urllib.request import Request, urlopen

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

PLACE = Path(__file__).with_name("requirements.txt")
HEAD = "# What CI installs on Python 3.11 and Linux, each file by its SHA-256; written by .ci/pins.py.\n"
EXTRAS = ("dev", "docs")
BUILD = ("hatchling", ())
INDEX = "https://pypi.org/simple/{}/"
HERE = frozenset(sys_tags())
KIND = "application/vnd.pypi.simple.v1+json"


def needed(name, extras=()):
    """The requirements of an installed package with some of its extras, by canonical name."""
    for text in distribution(name).requires or ():
        one = Requirement(text)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield canonicalize_name(one.name), tuple(sorted(one.extras))


def closure(*given):
    """Every package that these pairs of a package and its extras install, todacomm left out."""
    found, ahead = set(), list(given)
    while ahead:
        if (one := ahead.pop()) not in found:
            found.add(one)
            ahead += needed(*one)
    return sorted({name for name, _ in found} - {"todacomm"})


def digests(name, version):
    """The SHA-256 of the files of a version that this interpreter can install; of a local build alone, if there is."""
    return list(builds(name, version)) or [
        one["hashes"]["sha256"] for one in files_of(name) if installs(one["filename"], version)
    ]


def builds(name, version):
    """The SHA-256 of builds such as torch-2.13.0+cpu in directories of files."""
    for place in os.environ.get("PIP_FIND_LINKS", "").split():
        for path in Path(place).glob(f"{name.replace('-', '_')}-{version}+*.whl"):
            yield hashlib.sha256(path.read_bytes()).hexdigest()


def files_of(name):
    """What PyPI says of each file of a package."""
    with urlopen(Request(INDEX.format(name), headers={"Accept": KIND})) as answer:  # noqa: S310 - https
        return json.load(answer)["files"]


def installs(filename, version):
    """Whether a file is of this version, and a source archive or a wheel for this interpreter and machine."""
    try:
        if filename.endswith(".whl"):
            _, found, _, tags = parse_wheel_filename(filename)
            return str(found) == version and not HERE.isdisjoint(tags)
        return filename.endswith(".tar.gz") and str(parse_sdist_filename(filename)[1]) == version
    except (InvalidSdistFilename, InvalidWheelFilename):
        return False


def lines():
    """One requirement a package."""
    for name in closure(("todacomm", EXTRAS), BUILD):
        version = distribution(name).version.partition("+")[0]
        found = sorted(set(digests(name, version)))
        if not found:
            sys.exit(f"{name} {version}: PyPI has no file of it")
        yield f"{name}=={version}" + "".join(f" \\\n    --hash=sha256:{one}" for one in found) + "\n"


if __name__ == "__main__":
    PLACE.write_text(HEAD + "".join(lines()), encoding="utf-8")

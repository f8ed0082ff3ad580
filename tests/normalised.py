"""Files as equality.py compares them: as text, without what a second making on the same commit changes."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from differing import joined

TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)|(?<=_)\d{8}_\d{6}\b")
# the key of the cache, by which the copy of activations is called: it moves with the source of the modules
KEY = re.compile(r"(?<=\bactivations/)([0-9a-f]{64}|[0-9a-f]{16}(?=\.safetensors))")
SPENT = re.compile(r"\d+(?= over \d+ runs \(wall clock)")  # seconds, in the reports of training
MASKED = (  # file, path of the value within it
    ("manifest.json", r"seconds\.[^.]+"),  # how long it took
    ("manifest.json", r"peak_memory"),  # of the process, with what libraries hold
    ("manifest.json", r"plan\.(stages\.\d+\.)?seconds"),  # predicted from the speed of this machine
    ("manifest.json", r"plan\.memory"),  # with what the process held before
    ("finished.json", r"seconds"),
    # digests of what holds a time or a key; all other digests of files stay
    (r".*\.json", r"(.*\.)?seal"),
    ("manifest.json", r"files\.activations/.*"),
    (r"[0-9a-f]{16}\.safetensors", "sha256"),
)


@dataclass(frozen=True)
class Mask:
    """Replaces what no two makings share: moments, directories, the version, keys of the cache, and MASKED values."""

    directory: Path
    version: str
    name: str = ""  # of the file that is read

    def text(self, text: str) -> str:
        """A text without moments, durations, keys, directory and version."""
        text = SPENT.sub("SPENT", KEY.sub("KEY", TIME.sub("TIME", text))).replace(str(self.directory), "DIRECTORY")
        return re.sub(rf"(?<![\w.]){re.escape(self.version)}(?![\w.])", "VERSION", text)

    def value(self, value: Any, path: str = "") -> Any:
        """A value of JSON, masked by its path and as text."""
        if any(re.fullmatch(names, self.name) and re.fullmatch(keys, path) for names, keys in MASKED):
            return "MASKED"
        if isinstance(value, dict):
            return {self.text(key): self.value(under, joined(path, key)) for key, under in value.items()}
        if isinstance(value, list):
            return [self.value(under, joined(path, i)) for i, under in enumerate(value)]
        return self.text(value) if isinstance(value, str) else value


FORMS: tuple[dict[str, Any], ...] = (
    {"indent": 2, "ensure_ascii": False},
    {"indent": 2},
    {"ensure_ascii": False},
    {},
    {"ensure_ascii": False, "separators": (",", ":")},
)


def kept_json(text: str, mask: Mask) -> str:
    """JSON as it was written, byte for byte; where something is masked, in the form that it was written in."""
    value = json.loads(text)
    hidden = mask.value(value)
    if json.dumps(hidden) == json.dumps(value):
        return text
    form = next((form for form in FORMS if json.dumps(value, **form) == text.rstrip("\n")), FORMS[0])
    return json.dumps(hidden, **form) + text[len(text.rstrip("\n")) :]


def kept_lines(text: str, mask: Mask) -> str:
    """JSONL, line by line."""
    return "\n".join(kept_json(line, mask) if line else "" for line in text.split("\n"))


def kept_arrays(data: bytes, mask: Mask) -> str:
    """A safetensors file: its metadata (several stand in any order), its tensors, and the digest of the whole."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    told = sorted(header.pop("__metadata__", {}).items())
    metadata = {key: json.loads(text) if text.startswith("{") else text for key, text in told}
    tensors = {
        name: f"{one['dtype']} {one['shape']} {digest(data[start:][slice(*one['data_offsets'])])[:16]}"
        for name, one in header.items()
    }
    hidden = mask.value(metadata)
    whole = digest(data) if hidden == metadata and len(told) <= 1 else "MASKED"
    return json.dumps({"metadata": hidden, "tensors": tensors, "whole": whole}, indent=1)


def kept_page(text: str, mask: Mask) -> str:
    """A page: its words, line by line, and the data of its charts; scripts, styles and pictures are left out."""
    data = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    words = [line for line in re.sub(r"<wbr>", "", shown).splitlines() if "Content-Security-Policy" not in line]
    lines = [line.strip() for line in re.sub(r"<[^>]*>", "\n", "\n".join(words)).splitlines() if line.strip()]
    content = {"words": [mask.text(line) for line in lines], "data": mask.value(json.loads(data[1])) if data else None}
    return json.dumps(content, indent=1, ensure_ascii=False)


@dataclass(frozen=True)
class Kind:
    """How files of a suffix are kept, and where their differences are listed: among the records or the reports."""

    of: str
    keep: Callable[[bytes, Mask], str]


def texts(keep: Callable[[str, Mask], str]) -> Callable[[bytes, Mask], str]:
    """The same for bytes."""
    return lambda data, mask: keep(data.decode(), mask)


def masked(text: str, mask: Mask) -> str:
    """Any text."""
    return mask.text(text)


RECORDS, REPORTS = "records", "reports"
KINDS = {
    ".json": Kind(RECORDS, texts(kept_json)),
    ".jsonl": Kind(RECORDS, texts(kept_lines)),
    ".safetensors": Kind(RECORDS, kept_arrays),
    ".csv": Kind(RECORDS, texts(masked)),
    ".yaml": Kind(REPORTS, texts(masked)),
    ".md": Kind(REPORTS, texts(masked)),
    ".txt": Kind(REPORTS, texts(masked)),
    ".html": Kind(REPORTS, texts(kept_page)),
    # that they are there, and no more: they are drawn from what is compared
    ".png": Kind(REPORTS, lambda _data, _mask: "a figure"),
    ".gif": Kind(REPORTS, lambda _data, _mask: "a figure"),
}
OTHER = Kind(RECORDS, lambda data, _mask: digest(data))


def digest(data: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(data).hexdigest()


def keep(directory: Path, paths: Sequence[Path], version: str) -> dict[str, dict[str, str]]:
    """Keep what is compared of each file under ``directory/kept``; gives the digests of that."""
    found = {}
    for path in sorted(paths):
        kind, mask = KINDS.get(path.suffix, OTHER), Mask(directory, version, path.name)
        name = mask.text(path.relative_to(directory / "made").as_posix())
        text = kind.keep(path.read_bytes(), mask)
        if name in found:
            raise SystemExit(f"two files are called {name}; give the steps that make them other names")
        place = directory / "kept" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", newline="")
        found[name] = {"of": kind.of, "sha256": digest(text.encode())}
    return found

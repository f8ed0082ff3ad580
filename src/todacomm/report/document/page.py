"""Write a document and its explorers as one self-contained page: figures, data and scripts inside, no network."""

import base64
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.report.document.chart import Chart
from todacomm.report.document.page_renderer import page_of
from todacomm.report.document.pieces import Document, Part, Picture, Piece, Table

Explorer = Mapping[str, Any]

# a name, or one of several of that name: those that answer the question and warn stand above all that explains
OPENING = re.compile(r"(answer|left-out|comparison|comparison-warnings|comparison-failures)(-\d+)?")
BESIDE = "a-loop"  # the part that explains what the opening tells of
HEADINGS = {"layers": "Along the layers", "grok": "Along the training", "frames": "In motion"}
SHARED = {"core", "tables"}  # scripts that are no explorers
PLOTLY = "vendor/plotly-cartesian.min.js"
# JSON within a script element: nothing that ends the element or a line of it
SHIELDED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def to_html(document: Document, explorers: Sequence[Explorer] = ()) -> str:
    """One page: what answers the question, then the explorers, then the rest of the document; all text is escaped.

    ``explorers`` are payloads for the scripts in templates/, chosen by their ``kind``; figures that they ``show`` are
    left out. Nothing is loaded from elsewhere, and a content security policy forbids it; a page without explorers,
    charts and sortable tables holds no script at all.

    Raises InvalidInput where the data hold NaN or infinity, UnknownName for an explorer that has no script.
    """
    charts, parts = named(shown(document.parts, shown_by(explorers)))
    kinds = [str(explorer["kind"]) for explorer in explorers]
    drawing = scripts_of(kinds) if explorers or charts else ()
    scripts = (*drawing, *sorting(parts))
    return str(
        _template("report.html.j2").render(
            document=document,
            opening=[part for i, part in enumerate(parts) if opens(part, i)],
            aside=[part for part in parts if part.name == BESIDE],
            rest=by_run([part for i, part in enumerate(parts) if not opens(part, i) and part.name != BESIDE]),
            explorers=[(f"explorer-{i}", heading_of(explorer)) for i, explorer in enumerate(explorers)],
            data=page_data(explorers, charts) if drawing else "",
            scripts=scripts,
            style=_resource("templates/page.css"),
            policy=policy(scripts),
        )
    )


def opens(part: Part, place: int) -> bool:
    """Whether a part stands on the first screen."""
    return place == 0 or OPENING.fullmatch(part.name) is not None


def by_run(parts: Sequence[Part]) -> list[tuple[str, list[Part]]]:
    """The parts of each run together, which a page shows one run at a time; those of no run under no name."""
    return [(run, list(of)) for run, of in groupby(parts, key=lambda part: part.run)]


def heading_of(explorer: Explorer) -> str:
    """The heading of an explorer: its own, or that of its kind."""
    return str(explorer.get("heading") or HEADINGS.get(explorer["kind"], explorer["kind"]))


def shown_by(explorers: Sequence[Explorer]) -> set[str]:
    """The figures that explorers let be read off."""
    return {name for explorer in explorers for name in explorer.get("shows", ())}


def shown(parts: Sequence[Part], explored: Collection[str]) -> Iterator[Part]:
    """The parts without the figures that an explorer shows, and without those that are then empty."""
    for part in parts:
        left = tuple(piece for piece in part.pieces if name_of(piece) not in explored)
        if left:
            yield replace(part, pieces=left)


def name_of(piece: Piece) -> str:
    """The name of a chart or of the file of a figure; of any other piece none."""
    return piece.name if isinstance(piece, Chart) else Path(piece.path).stem if isinstance(piece, Picture) else ""


def named(parts: Iterator[Part]) -> tuple[dict[str, Chart], list[Part]]:
    """The charts by names that are unique on the page, and the parts with these names."""
    met: Counter[str] = Counter()
    charts: dict[str, Chart] = {}
    found = [replace(part, pieces=tuple(_unique(p, met) for p in part.pieces)) for part in parts]
    for part in found:
        charts |= {p.name: p for p in part.pieces if isinstance(p, Chart)}
    return charts, found


def _unique(piece: Any, met: Counter[str]) -> Any:
    if not isinstance(piece, Chart):
        return piece
    met[piece.name] += 1
    return piece if met[piece.name] == 1 else replace(piece, name=f"{piece.name}-{met[piece.name]}")


def page_data(explorers: Sequence[Explorer], charts: Mapping[str, Chart]) -> str:
    """Encode the data of the scripts as JSON that is safe in a script element."""
    drawn = {name: page_of(chart) for name, chart in charts.items()}
    try:
        text = json.dumps(
            {"explorers": list(explorers), "charts": drawn}, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except ValueError as error:
        raise InvalidInput(
            f"the data of the page hold a number that JSON does not know ({error}): give None where a number is "
            "undefined or infinite"
        ) from error
    return text.translate(SHIELDED)


def scripts_of(kinds: Sequence[str]) -> tuple[str, ...]:
    """Plotly, the core, and the scripts of each kind of explorer: ``KIND.js`` and every ``KIND_*.js`` of templates/."""
    kind_of = {name: name.removesuffix(".js").split("_")[0] for name in _scripts()}
    known = sorted({*kind_of.values()} - SHARED)
    if unknown := [kind for kind in kinds if kind not in known]:
        raise UnknownName("explorer", unknown[0], known)
    own = [name for kind in dict.fromkeys(kinds) for name, of in kind_of.items() if of == kind]
    return tuple(_resource(name) for name in (PLOTLY, "templates/core.js", *(f"templates/{name}" for name in own)))


def sorting(parts: Sequence[Part]) -> tuple[str, ...]:
    """The script that sorts tables, where there is one to sort."""
    tables = [piece for part in parts for piece in part.pieces if isinstance(piece, Table)]
    return (_resource("templates/tables.js"),) if any(table.sortable for table in tables) else ()


def policy(scripts: Sequence[str]) -> str:
    """The content security policy: nothing but what is inside, scripts by their hash, no eval."""
    hashes = [f"'sha256-{base64.b64encode(sha256(s.encode()).digest()).decode()}'" for s in scripts]
    allowed = [
        "default-src 'none'",
        "img-src data: blob:",
        "style-src 'unsafe-inline'",
        *(["script-src " + " ".join(hashes)] if hashes else []),
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(allowed)


def embedded(path: Path) -> str:
    """A PNG or a GIF as a data URI."""
    return f"data:image/{Path(path).suffix.removeprefix('.')};base64," + base64.b64encode(
        Path(path).read_bytes()
    ).decode("ascii")


def breakable(text: str) -> Sequence[str]:
    """Split a text where a narrow screen may break it: after slashes and in long digests, never in an interval."""
    whole = re.sub(r"(\[[^\]\[,]+,) (?=[^\]\[,]+\])", "\\1\u00a0", text)
    return re.findall(r"[^/ \t\r\n]{1,24}/?|/|[ \t\r\n]+", whole)


@cache
def _scripts() -> tuple[str, ...]:
    names = (entry.name for entry in files("todacomm.report").joinpath("templates").iterdir())
    return tuple(sorted(name for name in names if name.endswith(".js")))


@cache
def _resource(name: str) -> str:
    return files("todacomm.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("todacomm.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(embedded=embedded, breakable=breakable)
    return environment.get_template(name)

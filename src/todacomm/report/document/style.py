"""One palette, one style and one way to label layers for every figure; loads no matplotlib by itself.

The style is the file paper.mplstyle of the package, which users of matplotlib have as ``todacomm.paper``.
"""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from todacomm.core.types import Profile, layer_key
from todacomm.report.document.figure_formats import PNG, Figures

# Okabe and Ito 2008, https://jfly.uni-koeln.de/color/ : distinct for all common colour vision; grey replaces yellow,
# which is too pale for a line.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
HOMOLOGY = ("#0072B2", "#D55E00", "#009E73")  # H0, H1, H2
GREY, PALE = "#6E6E6E", "#CFCFCF"  # lines of no change; lines between rows
DEPTH = "cividis"  # embedding dark, last layer bright; perceptually uniform
COLUMN, WIDTH = 3.5, 7.2  # inches: one column of a journal; two, or the one of a report
DPI = 200
LINE_STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

EQUAL = (2.0, 1.0, 0.5, 0.25, 0.2, 0.1, 0.05, 0.025, 0.02, 0.01, 0.005, 0.002, 0.001)  # steps of a short log axis
SHORT, FEWEST_TICKS = 8.0, 3  # from one end of a log axis to the other

PAPER = "todacomm.paper"  # the style file, by the name under which matplotlib finds it

_asked: ContextVar[Figures] = ContextVar("figures", default=PNG)


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's defaults with our style on top, whatever the reader's own settings; restored afterwards."""
    from matplotlib import style

    with style.context(["default", PAPER]):
        yield


@contextmanager
def for_files() -> Iterator[None]:
    """The settings that are read when a figure is written: fonts and names in PDF and SVG; all others as they are."""
    from matplotlib import rcParams, style

    with styled():
        ours = {key: rcParams[key] for key in ("pdf.fonttype", "svg.fonttype", "svg.hashsalt")}
    with style.context(ours):
        yield


@contextmanager
def drawn_as(figures: Figures) -> Iterator[None]:
    """Figures that are drawn and saved within are of these formats, bare or with their words."""
    before = _asked.set(figures)
    try:
        yield
    finally:
        _asked.reset(before)


def asked() -> Figures:
    """The present settings for drawing and saving."""
    return _asked.get()


def width(panels: int) -> float:
    """The width in inches of a figure with so many panels side by side; a bare single panel has one column."""
    return COLUMN if asked().bare and panels == 1 else WIDTH


def words(height: float) -> float:
    """The height in inches of heading and small print; 0 for a bare figure."""
    return 0.1 if asked().bare else height


def cut(text: str, most: int) -> str:
    """A text that fits, cut in the middle."""
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most // 2) :]}"


def short(layer: str) -> str:
    """The tick label of a layer: emb, 0 … L-1, final; any other name is cut in the middle."""
    if layer == "embedding":
        return "emb"
    return layer.removeprefix("layer_") if re.fullmatch(r"layer_\d+", layer) else cut(layer, 14)


def step_of(count: int, most: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50 … that leaves at most ``most`` of ``count`` labels."""
    magnitude = 1
    while True:
        for step in (magnitude, 2 * magnitude, 5 * magnitude):
            if count <= step * most:
                return step
        magnitude *= 10


def _numbered(layers: Sequence[str], most: int) -> list[int]:
    """The positions of the blocks that get a label: multiples of a round number, clear of embedding and final."""
    step = step_of(len(layers), most)
    blocks = [(x, layer_key(layer)[1]) for x, layer in enumerate(layers) if layer_key(layer)[0] == 1]
    room = 0.6 * step
    ends = [x for x, layer in enumerate(layers) if layer_key(layer)[0] in (0, 2)]
    wanted = [x for x, number in blocks if number % step == 0 or step == 1]
    return [x for x in wanted if step == 1 or all(abs(x - end) > room for end in ends)]


def layer_ticks(layers: Sequence[str], *, most: int) -> tuple[list[int], list[str]]:
    """Positions and labels along the depth: embedding and final always, the blocks thinned to about ``most``."""
    if any(layer_key(layer)[0] == 3 for layer in layers):
        kept = list(range(0, len(layers), step_of(len(layers), most)))
    else:
        ends = [x for x, layer in enumerate(layers) if layer_key(layer)[0] in (0, 2)]
        kept = sorted({*ends, *_numbered(layers, most)})
    return kept, [short(layers[x]) for x in kept]


def log_ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """At most ``most`` round ticks of a log axis, 1 among them where it is there.

    In equal steps where the axis is short, else 1, 2, 5 or powers of ten.

    >>> log_ticks(0.9, 1.1), log_ticks(0.5, 2.9), log_ticks(0.1, 20)
    ([0.9, 1.0, 1.1], [0.5, 1.0, 1.5, 2.0, 2.5], [0.1, 0.5, 1.0, 5.0, 10.0])
    """
    around = low <= 1 <= high
    unit = 10.0 ** math.floor(math.log10(high))
    for step in EQUAL if high / low < SHORT else ():
        first, last = math.ceil(low / (step * unit) - 1e-9), math.floor(high / (step * unit) + 1e-9)
        found = [float(f"{i * step * unit:.10g}") for i in range(first, last + 1)] if last - first < most else []
        if len(found) >= FEWEST_TICKS and (1.0 in found or not around):
            return found
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for leading in ((1, 2, 5), (1, 5), (1,)):
        found = [tick for k in decades for lead in leading if low <= (tick := float(f"{lead}e{k}")) <= high]
        if len(found) <= most:
            return found
    one, every = found.index(1.0) if around else 0, math.ceil(len(found) / most)
    return [tick for i, tick in enumerate(found) if (i - one) % every == 0]


def distance_unit(profile: Profile) -> str:
    """The unit of a degree-1 number of this profile, for an axis label."""
    scale = profile.recipe.scale
    return f"scale-free, / {scale}" if scale in ("median", "rms") else raw_distance_unit(profile)


def raw_distance_unit(profile: Profile) -> str:
    """The unit of a distance before the recipe divides by the median or RMS distance."""
    if profile.recipe.distance != "euclidean":
        return {"cosine": "1 − cosine", "precomputed": "unit of the given distances"}[profile.recipe.distance]
    return "on the unit sphere" if profile.recipe.scale == "sphere" else "activation units"

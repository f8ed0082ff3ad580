"""Populations whose points come in groups, as texts do in articles: what benchmarks/intervals.py measures coverage on.

What is random in a cloud are its groups and their points: a fresh cloud is of other articles, of the same lengths.
"""

import zlib
from dataclasses import dataclass

import numpy as np

import todacomm as td
from todacomm.models.checkpoints.loading import load_model
from todacomm.models.extraction import extract
from todacomm.models.names import resolve

WIKITEXT = (14, 57, 38, 54, 20, 18, 88, 56, 125, 19, 11)  # lines of each article among the first 500 of WikiText-2 test
D = 20


@dataclass(frozen=True)
class Articles:
    """Groups of ``lengths``, in proportion, in `D` dimensions, in two layers: the points, and a fixed bend of them.

    The centre of each group is ``effect`` times N(0, I), its width the exponential of ``widths`` times N(0, 1), its
    points are those of ``kind``; ``repeated`` is the share of points that are one point of their group again and again.
    """

    lengths: tuple
    effect: float = 0.7
    widths: float = 0.0
    kind: str = "Gaussian"
    repeated: float = 0.0

    def labels(self, n):
        """Which group each point is from."""
        ends = np.cumsum(self.lengths) / sum(self.lengths)
        return np.searchsorted(ends, (np.arange(n) + 0.5) / n)

    def __call__(self, n, rng):
        points = self.points(n, rng)
        return [points, np.tanh(points @ bend() / 2)], self.labels(n).astype(str).tolist()

    def points(self, n, rng):
        groups, label = len(self.lengths), self.labels(n)
        within = rng.normal(size=(n, D)) * np.exp(self.widths * rng.normal(size=groups))[label, None]
        if self.kind == "power law":
            within /= np.arange(1, D + 1) ** 0.5
        if self.kind == "Student t":
            within /= np.sqrt(rng.chisquare(3, size=(n, 1)) / 3)
        if self.repeated:
            again = rng.random(n) < self.repeated
            within[again] = rng.normal(size=(groups, D))[label[again]]
        return self.effect * rng.normal(size=(groups, D))[label] + within


def bend():
    return np.random.default_rng(zlib.crc32(b"articles")).normal(size=(D, D)) / D**0.5


@dataclass(frozen=True)
class Lines:
    """The lines of a corpus, ``layers`` of a model on all of them, its articles in random order: its first n lines."""

    layers: list
    groups: list

    def __call__(self, n, rng):
        names = list(dict.fromkeys(self.groups))
        places = {name: [i for i, group in enumerate(self.groups) if group == name] for name in names}
        order = [i for k in rng.permutation(len(names)) for i in places[names[k]]][:n]
        return [layer[order] for layer in self.layers], [self.groups[i] for i in order]


def shipped_layers():
    """Layers of the shipped models on all lines of WikiText-2, by name, and the article of each line.

    The last token of an embedding is one of few: there a third of the points are distinct.
    """
    texts = td.texts("wikitext2")
    found = {}
    for name, pooling, layers in SHIPPED_LAYERS:
        read, _ = extract(
            load_model(resolve(name), device="cpu"), texts, pooling=pooling, language=False, layers=layers
        )
        found |= {f"{name}, {pooling}, {layer}": np.asarray(read.layers[layer]) for layer in layers}
    return found, list(texts.groups)


SHIPPED_LAYERS = (
    ("tiny-postln-encoder", "last", ["embedding"]),
    ("tiny-postln-encoder", "mean", ["embedding", "layer_4"]),
    ("tiny-preln-decoder", "last", ["embedding", "layer_4"]),
    ("tiny-preln-encoder", "mean", ["embedding"]),
)
GROUPED = {
    "11 articles as in WikiText-2": Articles(WIKITEXT),
    "11 articles as in WikiText-2, little apart": Articles(WIKITEXT, effect=0.3),
    "11 articles as in WikiText-2, far apart": Articles(WIKITEXT, effect=2.0),
    "11 articles as in WikiText-2, of several widths": Articles(WIKITEXT, widths=0.3),
    "11 articles as in WikiText-2, independent texts": Articles(WIKITEXT, effect=0.0),
    "11 articles as in WikiText-2, repeated lines": Articles(WIKITEXT, repeated=0.15),
    "5 equal groups": Articles((1,) * 5),
    "8 equal groups, power law": Articles((1,) * 8, kind="power law"),
    "30 equal groups": Articles((1,) * 30),
    "30 equal groups, Student t": Articles((1,) * 30, kind="Student t"),
    "60 groups, one to ten times as long": Articles(tuple(np.linspace(1, 10, 60))),
}

"""A probe and a model → how its words lie at each layer, and whether the model answers by their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int
from scipy.spatial.distance import pdist

from todacomm.circles.causal_test import LEAST_ACCURACY, Answers, Turned, curve_of, p_values, turn
from todacomm.circles.order import means_of_words, order_test
from todacomm.circles.probed import Asked, Probed, roundest
from todacomm.circles.probes import BLANK, Probe, Question
from todacomm.clouds.planes_and_clusters import evenly
from todacomm.core.errors import InvalidInput
from todacomm.core.progress import Track, silent
from todacomm.homology.engines import persistence
from todacomm.runs.loops.probe_files import load_probe

if TYPE_CHECKING:
    from todacomm.models.checkpoints.loading import LoadedModel
    from todacomm.models.turned_states import Kept, Prompts

States = Mapping[str, Float64[np.ndarray, "templates words d"]]  # layer → the word's last token in each template
TURNED_LAYERS = 10  # of the lower half: above it a layer acts through the head alone


@dataclass(frozen=True, slots=True)
class HowTested:
    """Draws of orders, placebos, the seed of both, and the layers that are turned (None: ten of the lower half)."""

    draws: int = 9999
    placebos: int = 99
    seed: int = 42
    layers: tuple[str, ...] | None = None


def probe_model(
    model: "LoadedModel", probe: Probe, how: HowTested | None = None, *, turning: bool = True, track: Track = silent
) -> Probed:
    """Read every word in every template, test the order at all layers, then turn the circle under one question."""
    from todacomm.models.extraction import select_layers

    how = how or HowTested()
    layers = [layer for layer in select_layers(model.anatomy, "all", "block") if layer != "final"]
    states = word_states(model, probe, layers)
    means = {layer: means_of_words(found) for layer, found in states.items()}
    orders = order_test(means, draws=how.draws, rng=np.random.default_rng(how.seed))
    questions, notes = questioned(model, probe) if turning else ({}, [])
    best = max(questions.values(), key=lambda one: one.accuracy, default=None)
    words = means[roundest(orders)]
    return Probed(
        model=model.name,
        probe=probe,
        orders=orders,
        plane=plane_of(words),
        bar=longest_bar(words),
        accuracy={text: one.accuracy for text, one in questions.items()},
        asked=None if best is None else turned(model, best, means, how, layers, track=track),
        notes=(*notes_of(model, probe), *notes),
    )


def angles_of(words: int) -> Float64[np.ndarray, " words"]:
    """The places of words in a cyclic order on the circle."""
    return 2 * np.pi * np.arange(words) / words


def plane_of(means: Float64[np.ndarray, "words d"]) -> tuple[tuple[float, float], ...]:
    """Each word on the two directions of the first harmonic of the order, made orthonormal, in units of the states."""
    directions = curve_of(means, angles_of(len(means)), 1).coefficients[1:]
    flat = means @ np.linalg.qr(directions.T)[0]
    return tuple((float(x), float(y)) for x, y in flat)


def longest_bar(means: Float64[np.ndarray, "words d"]) -> tuple[float, float] | None:
    """Birth and death of the longest H1 bar of the words, by the engine; None without a bar."""
    bars = persistence(pdist(means).astype(np.float32), maxdim=1).finite[1]
    if not len(bars):
        return None
    birth, death = bars[np.argmax(bars[:, 1] - bars[:, 0])]
    return float(birth), float(death)


def lower_half(layers: Sequence[str]) -> list[str]:
    """Ten layers of the lower half, evenly spaced, the first among them."""
    half = list(layers[: max(1, (len(layers) + 1) // 2)])
    return [half[i] for i in evenly(len(half), TURNED_LAYERS)]


def word_states(model: "LoadedModel", probe: Probe, layers: Sequence[str]) -> States:
    """The state of each word's last token in each template, which is read up to the word."""
    from todacomm.models.turned_states import kept, prompts_of

    before = [template.partition(BLANK)[0] + BLANK for template in probe.templates]
    parts: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for template in before:
        passes = [kept(model, one, layers) for one in prompts_of(model.tokenizer, [template], probe.words)]
        for layer in layers:
            parts[layer].append(by_word(passes, layer))
    return {layer: np.stack(found) for layer, found in parts.items()}


def by_word(passes: Sequence["Kept"], layer: str) -> Float64[np.ndarray, "words d"]:
    """The state of each word's last token, in the order of the words, from prompts that have each word once."""
    states = np.concatenate([one.at_words(layer) for one in passes])
    return states[np.argsort(np.concatenate([one.prompts.words.numpy() for one in passes]))]


@dataclass(frozen=True, slots=True, eq=False)
class Questioned:
    """A question put about every word: its prompts, the tokens of the answers, and the share answered rightly."""

    question: Question
    prompts: "Sequence[Prompts]"
    answers: Sequence[int]
    right: Int[np.ndarray, " m"]
    accuracy: float


def questioned(model: "LoadedModel", probe: Probe) -> tuple[dict[str, Questioned], list[str]]:
    """Every question of a probe, put about every word with nothing turned; and why any of them cannot be put."""
    from todacomm.models.turned_states import why_silent

    if not probe.questions:
        return {}, []
    if why := why_silent(model):
        return {}, [f"Whether the model uses the order was not asked: {why}."]
    found: dict[str, Questioned] = {}
    notes = []
    for question in probe.questions:
        try:
            found[question.text] = put(model, probe, question)
        except InvalidInput as problem:
            notes.append(f"\u201c{question.text}\u201d was not asked: {problem}.")
    return found, notes


def put(model: "LoadedModel", probe: Probe, question: Question) -> Questioned:
    """Put a question about every word, with nothing turned."""
    from todacomm.models.turned_states import answers_of, prompts_of, scores

    ending, answers = answers_of(model.tokenizer, question.text, probe.words)
    prompts = prompts_of(model.tokenizer, [question.text], probe.words, ending)
    words = np.concatenate([one.words.numpy() for one in prompts])
    right = (words + question.step) % len(probe.words)
    found = np.concatenate([scores(model, one, answers) for one in prompts]).argmax(axis=1)
    return Questioned(question, prompts, answers, right, float((found == right).mean()))


def turned(
    model: "LoadedModel",
    asked: Questioned,
    means: Mapping[str, Float64[np.ndarray, "words d"]],
    how: HowTested,
    layers: Sequence[str],
    *,
    track: Track,
) -> Asked:
    """Turn the circle layer by layer; without placebos where too few answers are right to decide anything."""
    from todacomm.models.turned_states import kept

    chosen = how.layers or lower_half(layers)
    passes = [kept(model, one, chosen) for one in asked.prompts]
    how = replace(how, placebos=how.placebos if asked.accuracy >= LEAST_ACCURACY else 0)
    found = {
        layer: turned_at(model, asked, passes, layer, means=means[layer], how=how)
        for layer in track(chosen, "turning", len(chosen))
    }
    p = p_values(found)
    layer = min(found, key=lambda one: (p[one], -found[one].alignment))
    return Asked(asked.question, found, p, layer, *found[layer].verdict(p[layer]))


def turned_at(
    model: "LoadedModel",
    asked: Questioned,
    passes: "Sequence[Kept]",
    layer: str,
    *,
    means: Float64[np.ndarray, "words d"],
    how: HowTested,
) -> Turned:
    """Turn the circle of the words at one layer of those that the passes have kept."""
    from todacomm.models.turned_states import scores_of

    angles = angles_of(len(means))
    return turn(
        means,
        angles,
        Answers(partial(scores_of, model, passes, layer, asked.answers), angles, asked.right),
        own=by_word(passes, layer),
        steps=len(means),
        draws=how.placebos,
        rng=np.random.default_rng(how.seed),
    )


def notes_of(model: "LoadedModel", probe: Probe) -> tuple[str, ...]:
    """What a reader must know of how the words were read."""
    from todacomm.models.turned_states import tokens_of

    start = len(tokens_of(model.tokenizer, "a"))
    several = [word for word in probe.words if len(tokens_of(model.tokenizer, f"a {word}")) > start + 1]
    if not several:
        return ()
    return (f"Words of several tokens are read at their last one: {', '.join(several)}.",)


def probe(  # noqa: PLR0913 - every option of the tests, each a keyword with a default
    model: Any,
    words: str | Path | Probe,
    *,
    tokenizer: Any = None,
    turn: bool = True,
    placebos: int = 99,
    draws: int = 9999,
    layers: Sequence[str] | None = None,
    seed: int = 42,
    track: Track = silent,
) -> Probed:
    """Ask whether a model holds words in a known order on a circle, and whether it uses that circle.

    Every word is read in a dozen sentences. The order test says *circle*, *line* or *neither*; the causal test turns
    the angle of each word inside the network and watches the answers to a question.

    Parameters
    ----------
    model : str, Path or network
        A name, a directory, or a network of transformers that you hold.
    words : str, Path or Probe
        ``"months"`` or another probe that ships, a YAML file, or a `Probe` of your own.
    tokenizer : tokenizer or str, optional
        Of a network that you hold.
    turn : bool, default True
        Whether the causal test is made.
    placebos : int, default 99
        Displacements of equal length at each layer; fewer than 19 decide nothing.
    draws : int, default 9999
        Orders of more than 8 words that are drawn.
    layers : sequence of str, optional
        Where the circle is turned; ten layers of the lower half by default.
    seed : int, default 42
        Of orders and placebos.
    track : callable, optional
        Wraps an iterable with a progress bar.

    Returns
    -------
    Probed
        ``shape``, the order at each layer, and ``asked``: the verdict *used*, *represented, not used* or *not
        decidable*.

    Raises
    ------
    UnknownName, InvalidInput, ModelUnavailable
        For a probe or a model that cannot be had, and for words that decide nothing.

    Examples
    --------
    >>> import todacomm as td
    >>> found = td.probe("tiny-preln-decoder", "nouns", draws=99)
    >>> found.shape
    'neither'

    References
    ----------
    Engels et al. 2024, https://arxiv.org/abs/2405.14860

    """
    from todacomm.runs.config import Study
    from todacomm.runs.experiment import load

    asked = words if isinstance(words, Probe) else load_probe(str(words))
    how = HowTested(draws, placebos, seed, None if layers is None else tuple(layers))
    return probe_model(load(model, Study(), tokenizer=tokenizer), asked, how, turning=turn, track=track)

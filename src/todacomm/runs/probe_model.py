"""A probe and a model → how its words lie at each layer, and whether the model answers by their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, get_args

import numpy as np
from jaxtyping import Float64, Int

from todacomm.circles.order import Order, Shape, means_of_words, order_test
from todacomm.circles.probes import BLANK, Probe, Question
from todacomm.circles.turning import LEAST_ACCURACY, Answers, Turned, Verdict, p_values, turn
from todacomm.core.progress import Track, silent
from todacomm.core.value_types import by_value

if TYPE_CHECKING:
    from todacomm.models.checkpoints.loading import LoadedModel
    from todacomm.models.turned_states import Kept, Prompts

States = Mapping[str, Float64[np.ndarray, "templates words d"]]  # layer → the word's last token in each template
TURNED_LAYERS = 10  # of the lower half: above it a layer acts through the head alone


@dataclass(frozen=True, slots=True)
class HowTested:
    """Draws of the order test, placebos of the causal test, the seed of both, and the layers that are turned (None: ten of the lower half)."""

    draws: int = 9999
    placebos: int = 99
    seed: int = 42
    layers: tuple[str, ...] | None = None


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What came of the question that the model answers best: the turn at each layer, and its p-value over all layers.

    ``layer`` is the one of the best alignment against its placebos, which the verdict is of.
    """

    question: Question
    turned: Mapping[str, Turned]
    p: Mapping[str, float]
    layer: str
    verdict: Verdict
    why: str


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Probed:
    """A model under a probe: the order of its words at each layer, and whether its answers turn with them.

    ``accuracy`` is the share of right answers to each question; ``asked`` is None where nothing was asked.
    """

    model: str
    probe: Probe
    orders: Mapping[str, Order]
    accuracy: Mapping[str, float]
    asked: Asked | None
    notes: tuple[str, ...]

    @property
    def layer(self) -> str:
        """The layer whose words are most a circle rather than a line."""
        return max(self.orders, key=lambda layer: self.orders[layer].above_line)

    @property
    def shape(self) -> Shape:
        """*circle* where any layer is one, else *line* where any is, else *neither*; p-values are over all layers."""
        found = {one.shape for one in self.orders.values()}
        return next((shape for shape in get_args(Shape) if shape in found), "neither")


def probe_model(
    model: "LoadedModel", probe: Probe, how: HowTested | None = None, *, turning: bool = True, track: Track = silent
) -> Probed:
    """Read every word in every template, test the order at all layers, then turn the circle under one question."""
    from todacomm.models.extraction import select_layers
    from todacomm.models.turned_states import require_decoder

    how = how or HowTested()
    layers = [layer for layer in select_layers(model.anatomy, "all", "block") if layer != "final"]
    states = word_states(model, probe, layers)
    means = {layer: means_of_words(found) for layer, found in states.items()}
    orders = order_test(means, draws=how.draws, rng=np.random.default_rng(how.seed))
    questions: dict[str, Questioned] = {}
    if turning and probe.questions:
        require_decoder(model)
        questions = {one.text: questioned(model, probe, one) for one in probe.questions}
    best = max(questions.values(), key=lambda one: one.accuracy, default=None)
    return Probed(
        model=model.name,
        probe=probe,
        orders=orders,
        accuracy={text: one.accuracy for text, one in questions.items()},
        asked=None if best is None else turned(model, best, means, how, layers, track=track),
        notes=notes_of(model, probe),
    )


def lower_half(layers: Sequence[str]) -> list[str]:
    """Ten layers of the lower half, evenly spaced, the first among them."""
    half = list(layers[: max(1, (len(layers) + 1) // 2)])
    places = np.unique(np.linspace(0, len(half) - 1, min(TURNED_LAYERS, len(half))).round().astype(int))
    return [half[i] for i in places]


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


def questioned(model: "LoadedModel", probe: Probe, question: Question) -> Questioned:
    """Put a question about every word, with nothing turned."""
    from todacomm.models.turned_states import answers_of, prompts_of, scores

    prompts = prompts_of(model.tokenizer, [question.text], probe.words)
    answers = answers_of(model.tokenizer, question.text, probe.words)
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
    chosen = how.layers or lower_half(layers)
    draws = how.placebos if asked.accuracy >= LEAST_ACCURACY else 0
    found = {
        layer: turned_at(model, asked, layer, means[layer], replace(how, placebos=draws))
        for layer in track(chosen, "turning", len(chosen))
    }
    p = p_values(found)
    layer = min(found, key=lambda one: (p[one], -found[one].alignment))
    return Asked(asked.question, found, p, layer, *found[layer].verdict(p[layer]))


def turned_at(
    model: "LoadedModel", asked: Questioned, layer: str, means: Float64[np.ndarray, "words d"], how: HowTested
) -> Turned:
    """Turn the circle of the words at one layer."""
    from todacomm.models.turned_states import kept, scores_of

    passes = [kept(model, one, [layer]) for one in asked.prompts]
    angles = 2 * np.pi * np.arange(len(means)) / len(means)
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

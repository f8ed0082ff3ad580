"""Add something to the hidden state of one token, run the blocks above it again, and read the scores of some answers.

What the blocks below gave is kept from one pass. Works for any decoder of transformers whose blocks form one chain;
blocks that need not run are passed over, so masks, positions and the head stay those of the network itself.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from todacomm.circles.causal_test import Displacements, Scores
from todacomm.circles.probes import BLANK
from todacomm.core.errors import InvalidInput
from todacomm.core.types import layer_key
from todacomm.models.architecture.forward_inputs import arguments, reading
from todacomm.models.architecture.hooks import UPRIGHT, entering, evaluating, hidden_of
from todacomm.models.checkpoints.loading import LoadedModel

TOKENS = 4096  # of the texts that run at the same time
ONLY_LAST = ("logits_to_keep", "num_logits_to_keep")  # how networks are told to score the last token alone


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """Texts of equal length in tokens: their ids (m, t), the place of the word's last token, and which word it is."""

    ids: Tensor
    places: Tensor
    words: Tensor


def prompts_of(
    tokenizer: Any, templates: Sequence[str], words: Sequence[str], ending: Sequence[int] = ()
) -> list[Prompts]:
    """Every word in every template, by length; a word of several tokens is read at its last one.

    ``ending`` are tokens that every prompt ends with.
    """
    found: dict[int, list[tuple[list[int], int, int]]] = {}
    for template in templates:
        before, sign, _ = template.partition(BLANK)
        if not sign:
            raise InvalidInput(f"'{template}' has no place for the word; expected {BLANK} where it stands")
        for i, word in enumerate(words):
            ids = [*tokens_of(tokenizer, template.replace(BLANK, word)), *ending]
            place = len(tokens_of(tokenizer, before + word)) - 1
            found.setdefault(len(ids), []).append((ids, place, i))
    return [Prompts(*(torch.tensor(column) for column in zip(*rows, strict=True))) for _, rows in sorted(found.items())]


def tokens_of(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text as the tokenizer gives them, without special ones at the end, after which no answer comes."""
    ids = [int(i) for i in tokenizer(text)["input_ids"]]
    special = set(tokenizer.all_special_ids)
    while ids and ids[-1] in special:
        ids.pop()
    return ids


def answers_of(tokenizer: Any, template: str, words: Sequence[str]) -> tuple[list[int], list[int]]:
    """The tokens that all answers begin with, which end the prompt, and the next token of each.

    Raises InvalidInput where two answers have the same.
    """
    prompt = template.replace(BLANK, words[0])
    start = len(tokens_of(tokenizer, prompt))
    answers = [tokens_of(tokenizer, f"{prompt} {word}")[start:] for word in words]
    alike = shared(answers)
    ids = [answer[alike] for answer in answers]
    same = [word for word, i in zip(words, ids, strict=True) if ids.count(i) > 1]
    if same:
        raise InvalidInput(
            f"the answers {', '.join(same)} begin with the same token for this model, so that the token that it gives "
            "next does not tell them apart"
        )
    return answers[0][:alike], ids


def shared(answers: Sequence[Sequence[int]]) -> int:
    """How many tokens all answers begin with, the last of each aside."""
    most = min(map(len, answers)) - 1
    return next((i for i in range(most) if len({answer[i] for answer in answers}) > 1), max(most, 0))


def why_silent(model: LoadedModel) -> str:
    """Why a model cannot be asked in this way; empty where it can."""
    if not model.predicts_next:
        return f"{model.name} gives no answer to a prompt: {model.headless or 'it is no causal model'}"
    if model.anatomy.axes != UPRIGHT or len(set(model.anatomy.blocks)) < len(model.anatomy.blocks):
        return f"{model.name}: its blocks are not one chain of modules of their own, so that none can be passed over"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The hidden states (m, t, d) of some prompts at each layer, and what kind of output each block gave."""

    prompts: Prompts
    states: Mapping[str, Tensor]
    several: Mapping[str, int]

    def at_words(self, layer: str) -> Float64[np.ndarray, "m d"]:
        """The state of each word's last token."""
        found = self.states[layer][torch.arange(len(self.prompts.ids)), self.prompts.places]
        return found.double().cpu().numpy()


def kept(model: LoadedModel, prompts: Prompts, layers: Sequence[str]) -> Kept:
    """One pass over prompts that keeps the stream at ``embedding`` and after blocks."""
    states: dict[str, Tensor] = {}
    several: dict[str, int] = {}

    def after(layer: str) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            states[layer] = required(hidden_of(output), layer)
            several[layer] = len(output) if isinstance(output, tuple) else 0

        return hook

    def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states["embedding"] = required(entering(args, kwargs), "embedding")

    blocks = model.anatomy.blocks
    with ExitStack() as stack:
        for layer in layers:
            if layer == "embedding":
                handle = blocks[0].register_forward_pre_hook(before, with_kwargs=True)
            else:
                handle = blocks[number_of(layer)].register_forward_hook(after(layer))
            stack.callback(handle.remove)
        with reading(model.network), evaluating(model.network):
            model.network(**given(model, prompts.ids))
    return Kept(prompts, states, several)


def required(hidden: Tensor | None, layer: str) -> Tensor:
    """The stream at a layer; raises InvalidInput where it is no (texts, tokens, features)."""
    if hidden is None or hidden.ndim != 3:
        raise InvalidInput(f"{layer} gives no hidden states of texts × tokens × features, so that none can be turned")
    return hidden.detach()


def number_of(layer: str) -> int:
    """The block of ``layer_<i>``."""
    return layer_key(layer)[1]


def given(model: LoadedModel, ids: Tensor) -> dict[str, Any]:
    """The arguments of a pass that scores, where the network can do so, the last token alone."""
    accepted = inspect.signature(model.network.forward).parameters
    last = next((name for name in ONLY_LAST if name in accepted), None)
    return arguments(model.network, ids) | ({last: 1} if last else {})


def scores(model: LoadedModel, prompts: Prompts, answers: Sequence[int]) -> Float64[np.ndarray, "m options"]:
    """The scores of the answers after each prompt, with nothing added."""
    with reading(model.network), evaluating(model.network):
        logits = model.network(**given(model, prompts.ids)).logits[:, -1]
    return logits[:, list(answers)].double().cpu().numpy()


def scores_of(
    model: LoadedModel, of: Sequence[Kept], layer: str, answers: Sequence[int], added: Displacements
) -> Scores:
    """The scores of the answers after each prompt (turns, m, options); ``added[turn, word]`` joins the word's state."""
    return np.concatenate([in_parts(model, one, layer, answers, added) for one in of], axis=1)


def in_parts(model: LoadedModel, of: Kept, layer: str, answers: Sequence[int], added: Displacements) -> Scores:
    """The scores (turns, m, options) of prompts of one length, as many turns at a time as make a good batch."""
    size = max(1, TOKENS // of.prompts.ids.numel())
    parts = [added[i : i + size] for i in range(0, len(added), size)]
    return np.concatenate([turned_scores(model, of, layer, answers, part) for part in parts])


def turned_scores(model: LoadedModel, of: Kept, layer: str, answers: Sequence[int], added: Displacements) -> Scores:
    """The scores of all prompts under some turns, in one pass."""
    prompts, turns, m = of.prompts, len(added), len(of.prompts.ids)
    hidden = of.states[layer].repeat(turns, 1, 1)
    extra = torch.from_numpy(added).to(hidden)[:, prompts.words].flatten(0, 1)
    hidden[torch.arange(turns * m), prompts.places.repeat(turns)] += extra
    with passing_over(model, layer, hidden, of.several.get(layer, 0)), evaluating(model.network):
        logits = model.network(**given(model, prompts.ids.repeat(turns, 1))).logits[:, -1]
    return logits[:, list(answers)].double().cpu().numpy().reshape(turns, m, len(answers))


@contextmanager
def passing_over(model: LoadedModel, layer: str, stream: Tensor, several: int) -> Iterator[None]:
    """Let the blocks up to ``layer`` return at once, the last of them with this stream."""
    blocks = model.anatomy.blocks
    if layer == "embedding":
        handle = blocks[0].register_forward_pre_hook(
            lambda _, args, kwargs: replaced(args, kwargs, stream), with_kwargs=True
        )
        try:
            yield
        finally:
            handle.remove()
        return
    output = (stream, *[None] * (several - 1)) if several else stream
    passed = blocks[: number_of(layer) + 1]
    for block in passed:
        block.forward = lambda *_, **__: output
    try:
        yield
    finally:
        for block in passed:
            del block.forward


def replaced(args: tuple[Any, ...], kwargs: dict[str, Any], stream: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a block with another stream."""
    return ((stream, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": stream})

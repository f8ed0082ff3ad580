"""Turn loops of the embedding of a trained network, and see whether its answers turn.

The first token of each pair gets a row of its own, so that a turns and b stays. A network that computes with
frequency k answers as if a were further: the k-th Fourier phase of its logits turns as far as the loop. Nanda et al.
2023, https://arxiv.org/abs/2301.05217
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64, Int

from todacomm.circles.causal_test import Answers, Displacements, Scores, Turned, curve_of, turn
from todacomm.core.errors import InvalidInput
from todacomm.training.fourier import Characters
from todacomm.training.networks import Network
from todacomm.training.tasks import Pairs, Task
from todacomm.training.turned_run import Named

STEPS = 12  # turns around the circle
PAIRS = 500  # of the test set

Angles = Float64[np.ndarray, " order"]  # of the members of the group, as `Characters.members` has them


def named(angles: Angles, characters: Characters) -> Named:
    """Name an angle of the members by the frequency that it follows best."""
    turns = (angles_of(k, characters) for k in characters.frequencies)
    found = np.abs([[np.exp(1j * (angles - g * turn)).mean() for g in (1, -1)] for turn in turns])
    k, side = np.unravel_index(int(found.argmax()), found.shape)
    return Named(int(characters.frequencies[k]), (1, -1)[int(side)], float(found[k, side]))


def angles_of(frequency: int, characters: Characters) -> Angles:
    """The angle of each member on the circle of a frequency."""
    return 2 * np.pi * frequency * characters.places / characters.order


def turned(
    network: Network,
    task: Task,
    angles: Angles,
    frequency: int,
    *,
    draws: int,
    rng: np.random.Generator,
    pairs: int = PAIRS,
) -> Turned:
    """Turn the loop with these angles on pairs of the test set, and follow the phase of the logits at a frequency.

    Raises InvalidInput for a task without characters or a network without an embedding.
    """
    characters, embedding = characters_of(task), table_of(network)
    tested = tested_pairs(task, characters, pairs, rng)
    states = embedding[characters.members]

    def gives(added: Displacements) -> Scores:
        return logits(network, tested, spread(added, characters, len(embedding)))[:, :, characters.members]

    answers = Answers(
        gives, angles_of(frequency, characters), members_of(task, tested, characters), weigh=about_their_mean
    )
    return turn(states, angles, answers, own=states, steps=STEPS, draws=draws, rng=rng)


def share_moved(
    network: Network, task: Task, frequencies: Sequence[int], step: int, *, rng: np.random.Generator, pairs: int = PAIRS
) -> float:
    """The share of test pairs whose answer becomes that of a + ``step`` when all these planes turn by it."""
    characters, embedding = characters_of(task), table_of(network)
    tested = tested_pairs(task, characters, pairs, rng)
    states = embedding[characters.members]
    added = np.zeros_like(states)
    for k in frequencies:
        angles = angles_of(k, characters)
        added += curve_of(states, angles, 1).turned(angles, 2 * np.pi * k * step / characters.order)
    found = logits(network, tested, spread(added[None], characters, len(embedding)))[0].argmax(axis=-1)
    place = dict(zip(characters.members.tolist(), characters.places.tolist(), strict=True))
    member = {at: one for one, at in place.items()}
    moved = [[member[(place[a] + step) % characters.order], b] for a, b in tested.tolist()]
    return float((found == task.answers_to(np.array(moved))).mean())


def characters_of(task: Task) -> Characters:
    """The characters of the task. Raises InvalidInput where it has none."""
    if task.characters is None:
        raise InvalidInput(f"{task}: {task.without_fourier}, so there is no frequency to turn")
    return task.characters


def table_of(network: Network) -> Float64[np.ndarray, "tokens d"]:
    """The embedding in double precision. Raises InvalidInput for a network of pixels."""
    if network.embed is None:
        raise InvalidInput("a network of pixels has no embedding of tokens, so no loop of it can be turned")
    return network.embed.weight.detach().double().numpy()


def tested_pairs(task: Task, characters: Characters, number: int, rng: np.random.Generator) -> Pairs:
    """So many pairs of the test set, or all, with both inputs in the group."""
    inside = np.flatnonzero(np.isin(task.pairs, characters.members).all(axis=-1))
    chosen = np.setdiff1d(inside, task.train)
    return task.pairs[np.sort(rng.permutation(chosen)[:number])]


def members_of(task: Task, pairs: Pairs, characters: Characters) -> Int[np.ndarray, " m"]:
    """Which member of the group is the right answer to each pair."""
    return np.searchsorted(characters.members, task.answers_to(pairs))


def spread(added: Displacements, characters: Characters, tokens: int) -> Displacements:
    """Displacements of the members as those of all tokens; the others stay."""
    found = np.zeros((len(added), tokens, added.shape[-1]))
    found[:, characters.members] = added
    return found


def logits(network: Network, pairs: Pairs, added: Displacements) -> Scores:
    """The logits of pairs, (turns, m, classes); ``added[turn, a]`` joins the embedding of the first token alone."""
    own = torch.from_numpy(table_of(network)).to(next(network.parameters()))
    inputs = torch.from_numpy(pairs) + torch.tensor([len(own), 0])
    tables = (torch.cat([own, own + torch.from_numpy(turn).to(own)]) for turn in added)
    with torch.inference_mode():
        found = [torch.func.functional_call(network, {"embed.weight": table}, (inputs,)) for table in tables]
    return torch.stack(found).double().numpy()


def about_their_mean(scores: Scores) -> Scores:
    """Logits about their mean, which says nothing of the answer."""
    return scores - scores.mean(axis=-1, keepdims=True)

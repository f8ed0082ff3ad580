"""Tell a permutation of hidden units from a difference: match the units of two networks, and measure again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

Weights = Mapping[str, Float[np.ndarray, "..."]]
ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Units:
    """Hidden units that may change places: (parameter, axis) pairs along which each unit has one entry."""

    places: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Matched:
    """The distance of a copy from the unperturbed network as it is, and after the best permutation found."""

    distance: float
    permuted: float
    moved: int

    @property
    def share(self) -> float:
        """What is left of the distance once hidden units are matched: 1 where none had changed places."""
        return self.permuted / self.distance if self.distance else 1.0


def match_units(reference: Weights, copy: Weights, blocks: Sequence[Units]) -> Matched:
    """Match hidden units layer by layer until none moves: Ainsworth et al. 2023, https://arxiv.org/abs/2209.04836."""
    found, moved = dict(copy), 0
    orders = [np.arange(copy[block.places[0][0]].shape[block.places[0][1]]) for block in blocks]
    for _ in range(ROUNDS):
        changed = False
        for i, block in enumerate(blocks):
            order = best_order(reference, found, block)
            if not np.array_equal(order, np.arange(len(order))):
                changed, orders[i] = True, orders[i][order]
                found |= {name: np.take(found[name], order, axis=axis) for name, axis in block.places}
        if not changed:
            break
    moved = sum(int((order != np.arange(len(order))).sum()) for order in orders)
    return Matched(distance(reference, copy), distance(reference, found), moved)


def best_order(reference: Weights, copy: Weights, block: Units) -> Int[np.ndarray, " units"]:
    """Which unit of the copy to put in each place, so that the weights of the block agree most."""
    agreement = sum(rows(reference[name], axis) @ rows(copy[name], axis).T for name, axis in block.places)
    return linear_sum_assignment(agreement, maximize=True)[1]


def rows(weight: Float[np.ndarray, "..."], axis: int) -> Float[np.ndarray, "units rest"]:
    """One row a unit."""
    return np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1).astype(np.float64)


def distance(a: Weights, b: Weights) -> float:
    """The Euclidean distance of two sets of weights."""
    return float(np.sqrt(sum(float(np.square(a[name].astype(np.float64) - b[name]).sum()) for name in a)))


def hidden_units(names: Sequence[str]) -> tuple[Units, ...]:
    """The units of the laboratory's networks that may change places, from the names of their parameters.

    Hidden layers of a perceptron, feed-forward layers of a transformer; heads and the residual stream are left alone.
    """
    known = set(names)
    if "up" in known and "down" in known:
        return (Units((("up", 1), ("up_bias", 0), ("down", 0))),)
    forward = [name.removesuffix(".linear1.weight") for name in names if name.endswith(".linear1.weight")]
    if forward:
        return tuple(
            Units(((f"{at}.linear1.weight", 0), (f"{at}.linear1.bias", 0), (f"{at}.linear2.weight", 1)))
            for at in forward
        )
    layers = [
        name for name in names if name.startswith("layers.") and name.endswith(".weight") and name.count(".") == 2
    ]
    after = [*layers[1:], "head.weight"] if layers else []
    return tuple(
        Units(((one, 0), (one.replace("weight", "bias"), 0), (following, 1)))
        for one, following in zip(layers, after, strict=True)
        if {one, one.replace("weight", "bias"), following} <= known
    )

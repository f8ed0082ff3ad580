"""How far copies are from the unperturbed network: weights, angles, groups of parameters, outputs."""

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
from jaxtyping import Float64
from torch import Tensor

from todacomm.core.errors import InvalidInput, TrainingFailed
from todacomm.stability.copies import Batches, Copies, groups_of
from todacomm.stability.follow import STATE, Distances

ANGLE, FUNCTION, GROUP, ANGLE_OF = "angle", "function", "group/", "angle/"
Squares = Mapping[str, Float64[np.ndarray, " n"]]


class TrainedCopies:
    """Copies in training, as `follow` needs them: they take the batches in turn, and their distances are measured."""

    def __init__(self, copies: Copies, batches: Batches, held_out: Tensor | None, *, step: int = 0) -> None:
        self.copies, self.held_out, self.step = copies, held_out, step
        self._batches = iter(batches)
        self.lost: dict[int, int] = {}  # copy → the step by which its loss was no finite number any more

    def advance(self, steps: int) -> None:
        """Train. Raises InvalidInput where batches end, TrainingFailed where the unperturbed loss is not finite."""
        batches = list(islice(self._batches, steps))
        if len(batches) < steps:
            raise InvalidInput(
                f"the batches ended after step {self.step + len(batches)}, before the last step that was asked for; "
                "expected one for each step"
            )
        losses = self.copies.train(batches)
        self.step += steps
        if not np.isfinite(losses[0]):
            raise TrainingFailed(
                f"the loss of the unperturbed network is no finite number any more by step {self.step}, so there is "
                "nothing to measure distances from. Try a smaller learning rate"
            )
        for copy in np.flatnonzero(~np.isfinite(losses)):
            self.lost.setdefault(int(copy), self.step)

    def distances(self) -> Distances:
        """Weights, angle, the same by group of parameters, and outputs for the held-out inputs."""
        apart, norms = self.copies.squares()
        found = dict(named_distances(apart, norms))
        return found if self.held_out is None else {**found, FUNCTION: distance_of_outputs(self.copies, self.held_out)}

    def rescale(self, factors: Float64[np.ndarray, " k"]) -> None:
        """Rescale weights and moments of each copy."""
        self.copies.rescale(factors)

    @property
    def weight_norm(self) -> float:
        """The Euclidean norm of the unperturbed network's weights."""
        return float(np.sqrt(sum(squares[0] for squares in self.copies.squares()[1].values())))


def named_distances(apart: Squares, norms: Squares) -> Iterator[tuple[str, Float64[np.ndarray, " k"]]]:
    """Distance and angle of all weights, then of each group of parameters, in the order of the network."""
    groups = {"": list(apart), **{name: of for name, of in groups_of(list(apart)).items() if len(apart) > 1}}
    for group, names in groups.items():
        squares, lengths = (np.sum([of[name] for name in names], axis=0) for of in (apart, norms))
        yield (GROUP + group if group else STATE), np.sqrt(squares)
        yield (ANGLE_OF + group if group else ANGLE), angles(squares, lengths)


def angles(apart: Float64[np.ndarray, " k"], norms: Float64[np.ndarray, " c"]) -> Float64[np.ndarray, " k"]:
    """The angle of each copy to the first, in radians, from squared distances and squared norms; NaN without norm."""
    first, others = np.sqrt(norms[0]), np.sqrt(norms[1:])
    chord = np.maximum(apart - (others - first) ** 2, 0.0)  # 2 |a| |b| (1 - cos)
    scale = 4 * first * others
    half = np.sqrt(np.divide(chord, scale, out=np.full(len(chord), np.nan), where=scale > 0))
    return 2 * np.arcsin(np.minimum(half, 1.0))


def distance_of_outputs(copies: Copies, inputs: Tensor) -> Float64[np.ndarray, " k"]:
    """The root mean square, over inputs, of the distance between the outputs of each copy and of the first."""
    found = copies.outputs(inputs)
    return np.linalg.norm(found[1:] - found[0], axis=1) / np.sqrt(len(inputs))

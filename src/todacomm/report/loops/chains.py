"""Follow loops through layers: which loop goes on as which, where one is born and where it dies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from todacomm.cohomology.passages import Passage
from todacomm.records.loops import LoopsRecord

Node = tuple[int, int]  # place of the layer, place of the loop in it
State = Literal["goes on", "is born", "dies", "is there alone"]


@dataclass(frozen=True, slots=True)
class Chain:
    """A loop through consecutive layers, with the passages between them, in a ``row`` of its own."""

    nodes: tuple[Node, ...]
    passages: tuple[Passage, ...]
    row: int

    @property
    def begin(self) -> int:
        """The place of its first layer."""
        return self.nodes[0][0]

    @property
    def end(self) -> int:
        """The place of its last layer."""
        return self.nodes[-1][0]

    def state(self, i: int, last: int) -> State:
        """What the loop does at its i-th layer; ``last`` is the place of the last layer of all."""
        born, dies = i == 0 and self.begin > 0, i == len(self.nodes) - 1 and self.end < last
        if born and dies:
            return "is there alone"
        return "is born" if born else "dies" if dies else "goes on"


def followed(record: LoopsRecord) -> bool:
    """Whether the loops of this record were followed from layer to layer: several layers, of the same points."""
    return len(record.layers) > 1 and len({len(one.angles) for layer in record.layers for one in layer.loops}) == 1


def continued(record: LoopsRecord) -> dict[Node, Passage]:
    """Loop → the passage by which it goes on; each goes on as one, the surest first, and none is gone on to twice."""
    found: dict[Node, Passage] = {}
    taken: set[Node] = set()
    for one in sorted((p for p in record.passages if p.winding), key=lambda p: (p.p, -abs(p.share))):
        here, there = (one.layer, one.source), (one.layer + 1, one.target)
        if here not in found and there not in taken:
            found[here] = one
            taken.add(there)
    return found


def chains(record: LoopsRecord) -> list[Chain]:
    """Every loop of every layer in one chain, by layer, each in the lowest row that is free."""
    on = continued(record)
    reached = {(one.layer + 1, one.target) for one in on.values()}
    nodes = ((i, j) for i, layer in enumerate(record.layers) for j in range(len(layer.loops)))
    found: list[Chain] = []
    for first in nodes:
        if first not in reached:
            passages = list(from_(first, on))
            path = (first, *((one.layer + 1, one.target) for one in passages))
            found.append(Chain(path, tuple(passages), free_row(found, first[0])))
    return found


def from_(first: Node, on: Mapping[Node, Passage]) -> Iterable[Passage]:
    """The passages by which a loop goes on and on."""
    here = first
    while here in on:
        yield on[here]
        here = (here[0] + 1, on[here].target)


def free_row(found: Sequence[Chain], begin: int) -> int:
    """The lowest row in which no chain is at a layer or right before it."""
    taken = {chain.row for chain in found if chain.end >= begin - 1}
    return next(row for row in range(len(found) + 1) if row not in taken)


def others(record: LoopsRecord) -> list[Passage]:
    """The passages between loops that no chain has: a loop that goes on as a second, or two as one."""
    kept = set(continued(record).values())
    return [one for one in record.passages if one.winding and one not in kept]

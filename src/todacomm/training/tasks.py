"""Tasks of two inputs and one answer: all pairs of a finite structure, split into training and test set.

Power et al. 2022, https://arxiv.org/abs/2201.02177. A task is fixed by its name, size, fraction and seeds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Literal

import numpy as np
from jaxtyping import Int

from todacomm.core.errors import InvalidInput
from todacomm.core.registry import Registry
from todacomm.training.fourier import Characters, additive_characters, is_prime, multiplicative_characters
from todacomm.training.train_test_split import Labels, Split

Pairs = Int[np.ndarray, "m 2"]
SMALLEST, SMALL = 5, 80  # below the first there is nothing to measure; below the second controls rise too
S5 = 120  # permutations of five letters


@dataclass(frozen=True, slots=True)
class Operation:
    """A binary operation on residues.

    ``argument``: the answer depends on a + b or a − b of residues or of their logarithms; None where the characters of
    no single group describe it, for the reason ``why``.
    """

    name: str
    formula: str
    answer: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
    argument: tuple[Literal["residue", "logarithm"], Literal[1, -1]] | None = None
    needs_prime: bool = False
    without_zero: bool = False
    why: str = ""


operations: Registry[Operation] = Registry("task")


def _inverse(b: np.ndarray, p: int) -> np.ndarray:
    return np.array([pow(int(x), -1, p) for x in b.tolist()], dtype=np.int64)


for _operation in (
    Operation("add", "a + b mod p", lambda a, b, p: (a + b) % p, ("residue", 1)),
    Operation("sub", "a − b mod p", lambda a, b, p: (a - b) % p, ("residue", -1)),
    Operation("mul", "a · b mod p", lambda a, b, p: a * b % p, ("logarithm", 1), needs_prime=True),
    Operation(
        "div",
        "a / b mod p",
        lambda a, b, p: a * _inverse(b, p) % p,
        ("logarithm", -1),
        needs_prime=True,
        without_zero=True,
    ),
    Operation(
        "quadratic",
        "a² + ab + b² mod p",
        lambda a, b, p: (a * a + a * b + b * b) % p,
        why="a² + ab + b² is no operation of a group, so no characters diagonalise it",
    ),
):
    operations.add(_operation.name, _operation)


def _compositions() -> Int[np.ndarray, "120 120"]:
    """Number x ∘ y for the permutations x, y of five letters, in lexicographic order."""
    elements = np.array(list(permutations(range(5))))
    codes = elements @ (5 ** np.arange(4, -1, -1))
    return np.searchsorted(codes, elements[:, elements] @ (5 ** np.arange(4, -1, -1)))


operations.add(
    "s5",
    Operation(
        "s5",
        "x ∘ y in S5",
        lambda a, b, _: _compositions()[a, b],
        why="S5 does not commute: its representations have more than one dimension, and no characters diagonalise it",
    ),
)


@dataclass(frozen=True)
class Task(Split):
    """An algorithmic task: pairs, their answers, and which of the pairs are trained on.

    The pairs are all of Z/p × Z/p (or S5 × S5); a random fraction is the training set, the rest the test set.

    Attributes
    ----------
    operation : str, default "add"
        The rule, a name from ``todacomm grok --help``: ``"add"``, ``"mul"``, ``"s5"`` and others.
    prime : int, default 113
        The modulus p; multiplication and division need a prime.
    train_fraction : float, default 0.3
        Share of the pairs that are trained on.
    permuted : float, default 0
        Fraction of the training answers that are permuted among themselves: a control that can only be memorised.
        Test answers stay right.
    seed : int, default 46
        Draws the split and the permutation.

    Raises
    ------
    UnknownName, InvalidInput
        For a rule that does not exist, a modulus that does not suit it, and a split that leaves too few pairs.

    Examples
    --------
    >>> import todacomm as td
    >>> task = td.grokking.Task("add", 7, train_fraction=0.5)
    >>> task.count, task.classes
    (49, 7)

    References
    ----------
    Power et al. 2022, https://arxiv.org/abs/2201.02177

    """

    operation: str = "add"
    prime: int = 113
    train_fraction: float = 0.3
    permuted: float = 0.0
    seed: int = 46

    def __post_init__(self) -> None:
        rule = operations[self.operation]
        if self.operation != "s5" and self.prime < SMALLEST:
            raise InvalidInput(f"--prime {self.prime}: {self.prime} points have no shape; expected {SMALLEST} or more")
        if rule.needs_prime and not is_prime(self.prime):
            raise InvalidInput(
                f"--prime {self.prime} is not prime, and {rule.formula} needs inverses of all residues but 0; "
                f"expected a prime, such as {next_prime(self.prime)}"
            )
        self.check_shares()
        learned, tested = self.learned, self.count - self.learned
        if min(learned, tested) < 2:
            raise InvalidInput(
                f"--train-fraction {self.train_fraction} of {self.count} pairs leaves {learned} to learn from and "
                f"{tested} to test on; expected two or more of each"
            )

    def __str__(self) -> str:
        group = "s5" if self.operation == "s5" else f"{self.operation} mod {self.prime}"
        return f"{group}, {self.told_shares()}"

    @property
    def classes(self) -> int:
        """The number of answers, and of different inputs."""
        return S5 if self.operation == "s5" else self.prime

    @property
    def size(self) -> int:
        """The number of tokens."""
        return self.classes

    @property
    def count(self) -> int:
        """The number of pairs."""
        return self.classes * (self.classes - operations[self.operation].without_zero)

    @cached_property
    def pairs(self) -> Pairs:
        """(a, b) in lexicographic order."""
        first, second = np.divmod(np.arange(self.classes**2), self.classes)
        found = np.column_stack([first, second])
        return found[second > 0] if operations[self.operation].without_zero else found

    @property
    def inputs(self) -> Pairs:
        """The pairs."""
        return self.pairs

    @property
    def answers(self) -> Labels:
        """The result of the operation for each pair."""
        return self.answers_to(self.pairs)

    def answers_to(self, pairs: Pairs) -> Labels:
        """The result of the operation for some pairs."""
        return operations[self.operation].answer(pairs[:, 0], pairs[:, 1], self.prime).astype(np.int64)

    @property
    def argument(self) -> tuple[Literal["residue", "logarithm"], Literal[1, -1]] | None:
        """What decides the answer: a sum (1) or difference (−1) of residues or logarithms; None without characters."""
        return operations[self.operation].argument

    @cached_property
    def characters(self) -> Characters | None:
        """The Fourier basis in which the task is diagonal, if there is one."""
        if self.argument is None:
            return None
        make = additive_characters if self.argument[0] == "residue" else multiplicative_characters
        return make(self.prime)

    @property
    def sign(self) -> int:
        """1 where a sum decides the answer, −1 where a difference does."""
        return 1 if self.argument is None else self.argument[1]

    @property
    def without_fourier(self) -> str:
        """Why the task has no Fourier basis; empty where it has one."""
        return operations[self.operation].why

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about this size."""
        found = []
        if self.operation != "s5" and not is_prime(self.prime):
            found.append(
                f"{self.prime} is not prime: residues that share a factor with it are alike; "
                f"{next_prime(self.prime)} is prime"
            )
        if self.classes < SMALL:
            found.append(
                f"{self.classes} points are few: H1 of small clouds drifts up without any generalisation "
                f"(at p = 59 to 0.15 to 0.20 in controls); prefer 97 or more"
            )
        return tuple(found)


def next_prime(number: int) -> int:
    """The smallest prime above ``number``."""
    number += 1
    while not is_prime(number):
        number += 1
    return number

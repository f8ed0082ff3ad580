"""Settings of a training run besides its task, and of what is measured in it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from todacomm.core.errors import InvalidInput
from todacomm.training.networks import Shape


@dataclass(frozen=True, slots=True)
class Training:
    """Settings of a training run besides its task: network, optimiser (AdamW), length.

    Attributes
    ----------
    network : str, default "mlp"
        ``"mlp"``, ``"transformer"`` or another registered network.
    shape : Shape
        Its size.
    steps : int, default 4000
        Optimiser steps.
    batch : int, optional
        Training pairs a step, 512 by default; None takes all of them.
    learning_rate, weight_decay : float
        Of AdamW, 0.003 and 1.0 by default. Without weight decay most tasks are memorised and never generalised.
    betas : tuple of two floats
        Of AdamW.
    epsilon : float
        Of AdamW.
    warm_up : int, default 10
        Steps over which the learning rate rises to its value.
    initial_scale : float, default 1
        Factor on the initial weights.
    every : int, optional
        Steps from one checkpoint to the next; a hundredth of the run by default.
    seed : int, default 46
        Draws weights and batches.

    Raises
    ------
    InvalidInput
        For a number out of its range.

    Examples
    --------
    >>> import todacomm as td
    >>> td.grokking.Training(steps=200).checkpoints[:3]
    [0, 2, 4]

    References
    ----------
    Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101

    """

    network: str = "mlp"
    shape: Shape = field(default_factory=Shape)
    steps: int = 4000
    batch: int | None = 512
    learning_rate: float = 3e-3
    weight_decay: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-6
    warm_up: int = 10
    initial_scale: float = 1.0
    every: int | None = None
    seed: int = 46

    def __post_init__(self) -> None:
        for name, least in (("steps", 10), ("warm_up", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise InvalidInput(f"--{name.replace('_', '-')} {getattr(self, name)}; expected {least} or more")
        for name in ("batch", "every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInput(f"--{name} {value}; expected 1 or more")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InvalidInput(f"--learning-rate {self.learning_rate}; expected a number above 0, such as 0.001")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise InvalidInput(f"--weight-decay {self.weight_decay}; expected 0 or more")

    @property
    def interval(self) -> int:
        """Steps from one checkpoint to the next."""
        return self.every or max(1, self.steps // 100)

    @property
    def checkpoints(self) -> list[int]:
        """The steps at which the run is measured: before the first, then every ``interval``, and after the last."""
        return sorted({*range(0, self.steps + 1, self.interval), self.steps})


@dataclass(frozen=True, slots=True)
class Measured:
    """Settings of what is measured in a run besides its losses: which inputs make the clouds, which are evaluated.

    The training inputs are always evaluated, all of them.

    Attributes
    ----------
    points : int, default 500
        Test inputs, drawn once, whose hidden states make the clouds.
    test_pairs : int, optional
        Test inputs, drawn once, that are evaluated; all of them by default.
    seed : int, default 0
        Draws both.

    Examples
    --------
    >>> import todacomm as td
    >>> td.grokking.Measured(points=100).points
    100

    """

    points: int = 500
    test_pairs: int | None = None
    seed: int = 0


def trained_with(training: Training, settings: Mapping[str, Any]) -> Training:
    """Replace settings of a training. Raises InvalidInput for an unknown one."""
    unknown = sorted(set(settings) - set(Training.__dataclass_fields__))
    if unknown:
        known = ", ".join(Training.__dataclass_fields__)
        raise InvalidInput(f"'{unknown[0]}' is no setting of a training; expected one of {known}")
    return replace(training, **settings)

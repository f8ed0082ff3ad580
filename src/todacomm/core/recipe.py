"""How a cloud is prepared and measured; equal digests mean comparable numbers."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypedDict, TypeVar

from todacomm.core.errors import InvalidInput, UnknownName

DISTANCES = ("euclidean", "cosine")  # of points
GIVEN = (*DISTANCES, "precomputed")
SCALES = ("none", "median", "rms", "sphere")
FEWEST_POINTS = 3  # what a cloud needs
MANY_POINTS = 10_000  # from here on landmarks are worth a word
F = TypeVar("F", bound=Callable[..., Any])
# Where two recipes must agree: for their numbers to be of the same thing, or else for the gate to compare them
NUMBERS, GATE, NOWHERE = "numbers", "gate", "nowhere"


# What others call a setting of ours
CALLED = {
    "pool": "pooling", "pca": "components", "n_components": "components", "dimensions": "components",
    "points": "subsample", "n_points": "subsample", "max_points": "subsample", "max_dim": "maxdim",
    "metric": "distance", "n_landmarks": "landmarks", "random_state": "seed", "output": "name",
}  # fmt: skip


def called_here(key: str) -> str:
    """What a setting that others call ``key`` is called here, as a hint; empty for one that nobody has."""
    return f"What others call {key} is called {CALLED[key]} here." if key in CALLED else ""


def _alike(where: str, *, default: Any) -> Any:
    return field(default=default, metadata={"alike": where})


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a cloud is prepared and measured; equal recipes on equal data give comparable numbers.

    Steps are applied in this order: subsample, merge duplicates, centre, project on the sphere (if asked), project on
    principal components, choose landmarks (if asked), divide by the median or root mean square distance (if asked).

    Attributes
    ----------
    pooling : str, optional
        How tokens became one point; None where arrays were given.
    site : str
        Where a block was read, ``"block"`` for its output.
    max_length : int, optional
        Tokens after which a text is cut.
    centre : bool
        Subtract the mean.
    scale : {"none", "median", "rms", "sphere"}
        What the cloud is normalised by; ``"sphere"`` divides each point by its norm.
    components : int, optional
        Principal components that are kept; None keeps every dimension.
    distance : {"euclidean", "cosine", "precomputed"}
        Distance between points. ``"precomputed"``: the array holds distances, and nothing is centred or projected.
    subsample : int, optional
        Measure a random subsample of so many points.
    seed : int
        Seed of every random choice.
    engine : str
        Engine of persistent homology.
    maxdim : {0, 1, 2}
        Highest homology dimension.
    threshold : float, optional
        Longest edge of the filtration; None stops at the enclosing radius, after which no homology changes.
    landmarks : int, optional
        Measure so many maxmin landmarks.

    Raises
    ------
    UnknownName, InvalidInput
        For a setting that is not one of those above.

    Examples
    --------
    >>> import todacomm as td
    >>> td.Recipe(components=None, maxdim=2).digest == td.Recipe(components=None, maxdim=2).digest
    True

    """

    pooling: str | None = _alike(GATE, default=None)
    site: str = _alike(GATE, default="block")
    max_length: int | None = _alike(GATE, default=None)
    centre: bool = _alike(NUMBERS, default=True)
    scale: Literal["none", "median", "rms", "sphere"] = _alike(NUMBERS, default="none")
    components: int | None = _alike(GATE, default=50)
    distance: Literal["euclidean", "cosine", "precomputed"] = _alike(NUMBERS, default="euclidean")
    subsample: int | None = _alike(GATE, default=None)
    seed: int = _alike(GATE, default=42)
    engine: str = _alike(NOWHERE, default="bitlink")
    maxdim: int = _alike(NOWHERE, default=1)
    threshold: float | None = _alike(NUMBERS, default=None)
    landmarks: int | None = _alike(GATE, default=None)

    def __post_init__(self) -> None:
        if self.distance not in GIVEN:
            raise UnknownName("distance", str(self.distance), GIVEN)
        if self.scale not in SCALES:
            raise UnknownName("scale", str(self.scale), SCALES)
        if self.distance == "precomputed":
            self._without_points()
        if self.maxdim not in (0, 1, 2):
            raise InvalidInput(f"maxdim is {self.maxdim}; expected 0 (clusters), 1 (and loops) or 2 (and voids)")
        if self.components is not None and self.components < 1:
            raise InvalidInput(
                f"{self.components} principal components; expected 1 or more, or none to keep every dimension"
            )
        if self.seed < 0:
            raise InvalidInput(f"seed {self.seed}; expected 0 or more")
        if self.threshold is not None and not self.threshold > 0:
            raise InvalidInput(
                f"a threshold of {self.threshold}; expected a distance above 0, or none for the enclosing radius"
            )
        if self.subsample is not None and self.subsample < FEWEST_POINTS:
            raise InvalidInput(f"a subsample of {self.subsample} points; expected at least {FEWEST_POINTS}")
        if self.landmarks is not None and self.landmarks < FEWEST_POINTS:
            raise InvalidInput(f"{self.landmarks} landmarks; expected at least {FEWEST_POINTS}")

    def _without_points(self) -> None:
        """Distances that are given have no directions to project on, and no sphere."""
        if self.scale == "sphere":
            raise InvalidInput("distances that are given have no sphere; expected scale none, median or rms")
        object.__setattr__(self, "components", None)

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the recipe as sorted JSON."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


class RecipeSettings(TypedDict, total=False):
    """The fields of a recipe as keywords."""

    pooling: str | None
    site: str
    max_length: int | None
    centre: bool
    scale: Literal["none", "median", "rms", "sphere"]
    components: int | None
    distance: Literal["euclidean", "cosine", "precomputed"]
    subsample: int | None
    seed: int
    engine: str
    maxdim: int
    threshold: float | None
    landmarks: int | None


def alike(where: str) -> tuple[str, ...]:
    """The fields in which two recipes must agree, in their order."""
    return tuple(one.name for one in fields(Recipe) if one.metadata["alike"] == where)


def with_keywords(settings: type, defaults: Mapping[str, Any]) -> Callable[[F], F]:
    """Replace ``**settings`` in a signature by the keys of a TypedDict."""

    def decorated(function: F) -> F:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        more = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=defaults[key], annotation=hint)
            for key, hint in settings.__annotations__.items()
        ]
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return function

    return decorated

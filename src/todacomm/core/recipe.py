"""How a cloud is made and measured: frozen, and with a digest, so that two numbers can be known to be comparable."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from todacomm.core.errors import InvalidInput, UnknownName

DISTANCES = ("euclidean", "cosine")  # of points
GIVEN = (*DISTANCES, "precomputed")
SCALES = ("none", "median", "rms", "sphere")
FEWEST_POINTS = 3  # what a cloud needs
MANY_POINTS = 10_000  # from here on landmarks are worth a word


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a cloud is made and measured; equal recipes on equal data give comparable numbers.

    The order is: subsample, copies of a point as one, centre, sphere (if asked), project, landmarks (if asked), then median or rms
    (if asked). ``distance`` "precomputed": the array holds the distances themselves, and nothing is centred or projected.
    ``components`` None keeps every dimension; ``threshold`` None stops at the enclosing radius, after which no
    homology changes; ``pooling`` None means that the arrays were given.
    """

    pooling: str | None = None
    site: str = "block"
    max_length: int | None = None
    centre: bool = True
    scale: Literal["none", "median", "rms", "sphere"] = "none"
    components: int | None = 50
    distance: Literal["euclidean", "cosine", "precomputed"] = "euclidean"
    subsample: int | None = None
    seed: int = 42
    engine: str = "bitlink"
    maxdim: int = 1
    threshold: float | None = None
    landmarks: int | None = None

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

"""Train perturbed copies of a network beside it: do small differences grow, and how fast?"""

__all__ = [
    "association",
    "exponents",
    "follow",
    "laboratory",
    "measure",
    "recipes",
    "stability",
]

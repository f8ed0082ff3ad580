"""Training settings: presets, checks, and the runs and controls they give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.training.digit_images import Images
from todacomm.training.networks import Shape, layer_names, networks, parameters_of
from todacomm.training.run_settings import Measured, Training
from todacomm.training.tasks import Task, operations
from todacomm.training.training_loop import ROWS

Settings = Mapping[str, Any]

# G: arXiv:2605.06352, the recipe as published. Nanda: arXiv:2301.05217. quick: the perceptron of G, narrower and with
# ten times the weight decay, so that it groks in seconds.
DEFAULTS: dict[str, Any] = {
    "task": "add",
    "prime": 113,
    "train_fraction": 0.3,
    "permuted": 0.0,
    "images": "auto",
    "network": "mlp",
    "width": 128,
    "hidden": 256,
    "layers": 3,
    "heads": 4,
    "activation": "gelu",
    "steps": 3000,
    "batch": 1024,
    "learning_rate": 3e-3,
    "weight_decay": 1.0,
    "epsilon": 1e-6,
    "warm_up": 10,
    "initial_scale": 1.0,
    "every": None,
    "points": 200,
    "test_pairs": 1000,
}
_PAPER = {"batch": 512, "weight_decay": 0.1, "steps": 60_000, "every": 500, "points": 1000, "test_pairs": None}
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "quick": ("a perceptron that groks addition mod 113 in half a minute on one core", {}),
    "paper-transformer": (
        "the transformer of arXiv:2605.06352: two layers, 60,000 steps",
        {"network": "transformer", "layers": 2, **_PAPER},
    ),
    "paper-mlp": ("the perceptron of arXiv:2605.06352: three layers of 512, 60,000 steps", {"hidden": 512, **_PAPER}),
    "nanda": (
        "one layer of attention, all training pairs at each step (arXiv:2301.05217)",
        {
            "network": "nanda",
            "layers": 1,
            "hidden": 512,
            "activation": "relu",
            "batch": None,
            "learning_rate": 1e-3,
            "epsilon": 1e-8,
            "steps": 25_000,
            "every": 250,
            "points": 1000,
            "test_pairs": None,
        },
    ),
    "one-hidden-layer": (
        "one layer of 512 rectified units, which generalises by many frequencies at once",
        {"layers": 1, "hidden": 512, "activation": "relu", "steps": 6000},
    ),
    "images": (
        "a perceptron on images of digits: a task without a cyclic structure",
        {
            "task": "images",
            "network": "pixels",
            "activation": "relu",
            "batch": 200,
            "learning_rate": 1e-3,
            "weight_decay": 0.1,
            "initial_scale": 3.0,
            "steps": 12_000,
            "points": 300,
            "test_pairs": None,
        },
    ),
}
# Settings that belong to a network. With another network than the preset's, those in which the two differ change too:
# at the learning rate of the perceptron the training of a transformer is unstable.
_TOKENS = {"batch": 1024, "weight_decay": 1.0, "initial_scale": 1.0}
RECIPES: dict[str, dict[str, Any]] = {
    "mlp": {**_TOKENS, "layers": 3, "activation": "gelu", "learning_rate": 3e-3},
    "transformer": {**_TOKENS, "layers": 2, "activation": "gelu", "learning_rate": 1e-3},
    "nanda": {**_TOKENS, "layers": 1, "activation": "relu", "learning_rate": 1e-3, "batch": None},
    "pixels": {
        key: {**DEFAULTS, **PRESETS["images"][1]}[key] for key in (*_TOKENS, "layers", "activation", "learning_rate")
    },
}
CONTROLS: dict[str, dict[str, Any]] = {"permuted labels": {"permuted": 1.0}, "no weight decay": {"weight_decay": 0.0}}
LARGEST_PRIME = 100_000


@dataclass(frozen=True)
class RunPlan:
    """One run: its name (and directory), what it is, its seed, and its settings."""

    name: str
    kind: str
    seed: int
    settings: Settings

    @property
    def task(self) -> "Task | Images":
        s = self.settings
        if s["task"] == "images":
            return Images(s["images"], s["train_fraction"], s["permuted"], self.seed)
        return Task(s["task"], s["prime"], s["train_fraction"], s["permuted"], self.seed)

    @property
    def shape(self) -> Shape:
        return Shape(**{key: self.settings[key] for key in Shape.__dataclass_fields__})

    @property
    def training(self) -> Training:
        given = {key: self.settings[key] for key in Training.__dataclass_fields__ if key in self.settings}
        return Training(**given, shape=self.shape, seed=self.seed)

    @property
    def measured(self) -> Measured:
        return Measured(self.settings["points"], self.settings["test_pairs"], self.seed)

    @property
    def followed(self) -> str:
        """The number whose rise is the signature: of the embedding, or of the deepest layer without one."""
        if self.settings["task"] != "images":
            return "embedding/sphere/H1_max_lifetime"
        return f"{layer_names(self.settings['network'], self.shape)[-1]}/sphere/H1_max_lifetime"


def settings_of(preset: str = "quick", given: Settings | None = None) -> dict[str, Any]:
    """Merge given settings into those of a preset. Raises UnknownName and InvalidInput."""
    if preset not in PRESETS:
        raise UnknownName("preset", preset, PRESETS)
    for key in given or {}:
        check_key(key)
    found = {**DEFAULTS, **PRESETS[preset][1], **recipe_of(preset, given or {}), **(given or {})}
    if found["task"] == "images":
        found["network"] = "pixels"
    if found["task"] != "images":
        operations[found["task"]]
        if found["network"] == "pixels":
            raise InvalidInput(
                "the network 'pixels' reads images; for pairs of residues take transformer, mlp or nanda"
            )
    networks[found["network"]]
    check(found)
    return found


def recipe_of(preset: str, given: Settings) -> dict[str, Any]:
    """The settings that belong to the network rather than to the preset; images take the network 'pixels'."""
    own = {**DEFAULTS, **PRESETS[preset][1]}
    network = "pixels" if given.get("task", own["task"]) == "images" else given.get("network", own["network"])
    recipe, of_own = RECIPES.get(network, {}), RECIPES[own["network"]]
    return {key: value for key, value in recipe.items() if value != of_own[key]}


def hint_of(preset: str, given: Settings) -> str:
    """Tell which settings of the preset the network replaced, and which presets are made for it; empty for none."""
    taken = [
        f"{key.replace('_', ' ')} {_plain(value)}"
        for key, value in recipe_of(preset, given).items()
        if key not in given
    ]
    if not taken:
        return ""
    network = settings_of(preset, given)["network"]
    made_for = [name for name, (_, of) in PRESETS.items() if of.get("network", DEFAULTS["network"]) == network]
    settings = f"the network {network} is trained with {', '.join(taken)} where not given otherwise"
    return f"{settings}; made for it: --preset {' or '.join(made_for)}"


def check_key(key: str) -> None:
    """Raise UnknownName for an unknown setting."""
    if key not in DEFAULTS:
        raise UnknownName("setting", key, DEFAULTS)


def check(settings: Settings) -> None:
    """Build what the settings describe, without data, so that every wrong value is refused before any work."""
    if settings["task"] not in ("images", "s5") and settings["prime"] > LARGEST_PRIME:
        raise InvalidInput(
            f"--prime {settings['prime']}: all {settings['prime']}² pairs are held; expected at most {LARGEST_PRIME}"
        )
    plan = RunPlan("check", "run", 0, settings)
    _ = plan.task, plan.training  # each raises what is wrong with it
    for name in ("points", "test_pairs"):
        if settings[name] is not None and settings[name] < 10:
            raise InvalidInput(f"--{name.replace('_', '-')} {settings[name]}; expected 10 or more")


def memory_of(settings: Settings) -> int:
    """Estimate the bytes of a run: weights, gradients, moments, and a pass over the evaluated inputs and a batch."""
    classes = 10 if settings["task"] == "images" else 120 if settings["task"] == "s5" else settings["prime"]
    inputs = 784 if settings["task"] == "images" else classes
    pairs = 10_000 if settings["task"] == "images" else classes**2
    train = round(settings["train_fraction"] * pairs)
    tested = min(settings["test_pairs"] or pairs, pairs - train)
    shape = Shape(**{key: settings[key] for key in Shape.__dataclass_fields__})
    weights = parameters_of(settings["network"], inputs=inputs, classes=classes, shape=shape)
    state = 8 * max(shape.hidden, 3 * shape.width) * (shape.layers + 1)
    batch = min(settings["batch"] or train, train)
    data = pairs * (inputs * 4 if settings["task"] == "images" else 24 + 16)
    logits = (train + tested) * classes * 24  # twice while they are put together, sorted, and sorted in float64
    return 16 * weights + data + logits + ROWS * state + batch * (4 * state + 12 * classes)


def plans_of(settings: Settings, seeds: Sequence[int], *, controls: int = 2, prefix: str = "") -> list[RunPlan]:
    """Plan a run for each seed, and ``controls`` of each kind with the first seeds."""
    check_seeds(seeds)
    found = [RunPlan(f"{prefix}seed_{seed}", "run", seed, dict(settings)) for seed in seeds]
    for kind, changed in CONTROLS.items():
        for seed in (seeds[i % len(seeds)] + 1000 * (i // len(seeds)) for i in range(controls)):
            name = f"{prefix}{kind.replace(' ', '_')}_{seed}"
            found.append(RunPlan(name, kind, seed, {**settings, **changed}))
    return found


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise InvalidInput for no seeds or a repeated one."""
    if not seeds or len(set(seeds)) != len(seeds):
        raise InvalidInput(
            f"seeds {', '.join(map(str, seeds)) or 'none'}; expected one or more, each once, such as 46-48"
        )


@dataclass(frozen=True)
class Cell:
    """One combination of a sweep: its name, and the settings that differ."""

    name: str
    changed: Settings


def cells_of(sweep: Mapping[str, Sequence[Any]]) -> list[Cell]:
    """Every combination of the values of a sweep; one nameless cell for none."""
    for key in sweep:
        check_key(key)
    keys = list(sweep)
    return [
        Cell(
            ",".join(f"{key}={_plain(value)}" for key, value in zip(keys, values, strict=True)),
            dict(zip(keys, values, strict=True)),
        )
        for values in product(*sweep.values())
    ]


def _plain(value: Any) -> str:
    """Format a value as it is typed."""
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def read_value(key: str, text: str) -> Any:
    """Parse the value of a setting. Raises UnknownName for the key, InvalidInput for the value."""
    check_key(key)
    if text in ("none", "all") and key in ("batch", "every", "test_pairs"):
        return None
    default = DEFAULTS[key]
    kind = int if key in ("batch", "every", "test_pairs") else type(default)
    try:
        return kind(text)
    except ValueError:
        expected = {int: "a whole number", float: "a number"}[kind]
        raise InvalidInput(f"{key}={text}: expected {expected}") from None


def seeds_of(text: str) -> list[int]:
    """Parse ``46-50``, ``46,48`` or one number.

    >>> seeds_of("46-48"), seeds_of("1,5")
    ([46, 47, 48], [1, 5])
    """
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()) or (last and int(last) < int(first)):
            raise InvalidInput(f"--seeds {text}: expected numbers or ranges such as 46-50 or 46,48,50")
        found += range(int(first), int(last or first) + 1)
    check_seeds(found)
    return found


def describe_settings(settings: Settings) -> str:
    """Describe the settings in a line."""
    what = "images" if settings["task"] == "images" else f"{settings['task']} mod {settings['prime']}"
    if settings["task"] == "s5":
        what = "composition in S5"
    return (
        f"{what}, {settings['train_fraction']:g} to learn from, {settings['network']}, "
        f"weight decay {settings['weight_decay']:g}, learning rate {settings['learning_rate']:g}, "
        f"{settings['steps']:,} steps"
    )

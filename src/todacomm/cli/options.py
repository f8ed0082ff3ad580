"""Make options from the fields of a study; options that several commands share."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import wraps
from typing import Annotated, Any

import typer

from todacomm.core.errors import InvalidInput
from todacomm.runs.config import OPTIONS, OUTPUT_PANEL
from todacomm.runs.fields import INFERENCE, MEASURING, Kind, Option

LONG = 4  # defaults of so many values are told by the sentence
GIVEN = "given"  # the parameter by which a command gets what was typed of a study
OF_MODELS_ALONE = {"pooling", "site", "max_length", "null_runs"}
OF_ARRAYS = tuple(  # the fields that say something of arrays
    key
    for key, told in OPTIONS.items()
    if (told.bears_on & {MEASURING, INFERENCE} and key not in OF_MODELS_ALONE)
    or key in ("jobs", "max_memory", "cache", "figures", "figures_bare")
)


def own(panel: str, sentence: str, shape: str = "", *words: str) -> Any:
    """Declare an option of a single command."""
    return typer.Option(*words, metavar=shape or None, help=sentence, rich_help_panel=panel)


Csv = Annotated[bool, own(OUTPUT_PANEL, "Print one CSV row per layer instead of the table.", "", "--csv")]
Json = Annotated[bool, own(OUTPUT_PANEL, "Print JSON instead of the table.", "", "--json")]
Quiet = Annotated[bool, own(OUTPUT_PANEL, "Show no progress bars and no table.", "", "--quiet", "-q")]
Written = Annotated[
    list[str],
    typer.Argument(
        help="Directories of results, directories of models that were run, or names of models: the newest runs, "
        "with the same texts if several are named.",
        metavar="DIR...",
    ),
]


def retold(key: str, sentence: str, **changes: Any) -> Option:
    """Restate a field of a study for one command."""
    return replace(OPTIONS[key], help=sentence, **changes)


def with_options(
    options: Mapping[str, Option] | Iterable[str], **changed: Option
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add these options before a command's own; ``given`` has the values of those that were typed.

    ``options`` are fields of a study or others, ``changed`` those that mean something else here.
    """
    made = dict(options) if isinstance(options, Mapping) else {key: OPTIONS[key] for key in options}
    made |= changed

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        own = [one for name, one in inspect.signature(command).parameters.items() if name != GIVEN]

        @wraps(command)
        def called(**values: Any) -> None:
            typed = {name: value for name, value in values.items() if name not in {one.name for one in own}}
            command(**{one.name: values[one.name] for one in own}, **{GIVEN: given_of(made, typed)})

        parameters = [*(p for key in made for p in parameters_of(key, made[key])), *own]
        called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [one.replace(kind=one.KEYWORD_ONLY) for one in sorted(parameters, key=is_option)]
        )
        called.__annotations__ = {one.name: one.annotation for one in parameters}
        return called

    return decorated


def is_option(parameter: inspect.Parameter) -> bool:
    """Whether a parameter is an option, not a leading argument."""
    return not any(isinstance(one, typer.models.ArgumentInfo) for one in parameter.annotation.__metadata__)


def parameters_of(key: str, told: Option) -> Iterator[inspect.Parameter]:
    """The options of one field: those for a single value, and its own."""
    for name, (shape, sentence) in told.single.items():
        yield parameter_of(name, [dashed(name)], replace(told, default=None, help=sentence), shape)
    names = [dashed(name) for name in (key, *told.old)]
    if told.kind.switch:
        names = [f"{name}/--no-{name[2:]}" for name in names]
    yield parameter_of(key, names, told, told.kind.shape)


def parameter_of(name: str, words: list[str], told: Option, shape: str) -> inspect.Parameter:
    """Make one option, None unless given."""
    made = typer.Option(
        *words,
        metavar=shape or None,
        help=f"{told.help}.",
        rich_help_panel=told.panel,
        show_default=default_of(told) or False,
        autocompletion=completed(told.kind) if told.kind.choices else None,
    )
    kind = bool | None if told.kind.switch else str | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, made])


def dashed(name: str) -> str:
    """The option of a field."""
    return f"--{name.replace('_', '-')}"


def default_of(told: Option) -> str:
    """The default as typed; empty for none."""
    if told.kind.switch:
        return "on" if told.default else "off"
    if isinstance(told.default, tuple):
        return ",".join(told.default) if len(told.default) < LONG else ""
    return "" if told.default is None else str(told.default)


def completed(kind: Kind) -> Callable[[str], list[str]]:
    """The completions of a word, or of the last one in a list."""

    def choices(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{word}" for word in kind.choices if word.startswith(last)]

    return choices


def given_of(made: Mapping[str, Option], typed: Mapping[str, Any]) -> dict[str, Any]:
    """Field → value of the given options. Raises InvalidInput for two options of one field."""
    singles = {name: key for key, told in made.items() for name in told.single}
    found: dict[str, Any] = {}
    said: dict[str, str] = {}
    for name, value in typed.items():
        if value is None:
            continue
        key = singles.get(name, name)
        if key in said:
            raise InvalidInput(f"{said[key]} and {dashed(name)} both name the {key}; give one of them")
        said[key] = dashed(name)
        read = value if isinstance(value, bool) else made[key].kind.read(value)
        found[key] = (value,) if name in singles else read
    return found


def refuse_of_models(path: object, given: Mapping[str, Any], taken: Iterable[str] = OF_ARRAYS) -> None:
    """Raise InvalidInput for an option that does not apply to arrays."""
    beside = [key for key in given if key not in taken]
    if beside:
        raise InvalidInput(f"{path} and {dashed(beside[0])}: arrays need no model and no texts; give one of them")

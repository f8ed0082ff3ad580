"""The revisions of a model on the hub that are steps of its training, and the choice of some of them."""

import math
import re
from collections.abc import Sequence

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.models.checkpoints.checkpoint_files import explained, quietly
from todacomm.models.names import ModelSource

ALL, LOG = "all", "log:"
OF_A_STEP = re.compile(r"step[-_]?(\d+)", re.IGNORECASE)


def step_of(name: str) -> int | None:
    """The step in a name: the number after ``step``, else the last number; None without one.

    >>> step_of("step1000-tokens4B"), step_of("checkpoint-500"), step_of("main")
    (1000, 500, None)
    """
    numbers = OF_A_STEP.findall(name) or re.findall(r"\d+", name)[-1:]
    return int(numbers[0]) if numbers else None


def hub_steps(source: ModelSource) -> dict[int, str]:
    """Step → the branch or tag of a hub model that holds it, by step. Raises ModelUnavailable, InvalidInput."""
    from huggingface_hub import HfApi

    with quietly(), explained(source):
        refs = HfApi().list_repo_refs(source.location)
    found: dict[int, str] = {}
    for name in (ref.name for ref in (*refs.branches, *refs.tags)):
        if (step := step_of(name)) is not None:
            found.setdefault(step, name)
    if not found:
        raise InvalidInput(
            f"{source.location} has no branch or tag with a number in its name; expected revisions such as step1000"
        )
    return dict(sorted(found.items()))


def chosen(select: str, known: dict[int, str], where: str) -> dict[int, str]:
    """Step → name of what ``select`` takes of the known ones: ``all``, ``log:N``, or names or numbers in a list.

    Raises UnknownName for one that is not there, InvalidInput for what is no number.
    """
    if select == ALL:
        return known
    if select.startswith(LOG):
        steps = spread(tuple(known), number_in(select))
        return {step: known[step] for step in steps}
    by_name = {name: step for step, name in known.items()} | {str(step): step for step in known}
    found = {}
    for word in words_of(select):
        if word not in by_name:
            raise UnknownName(f"checkpoint of {where}", word, known.values())
        found[by_name[word]] = known[by_name[word]]
    return dict(sorted(found.items()))


def named(select: str) -> dict[int, str]:
    """Step → revision of a list of revisions, by step; the hub is not asked. Raises InvalidInput."""
    found: dict[int, str] = {}
    for word in words_of(select):
        step = step_of(word)
        if step is None or step in found:
            reason = "holds no number of a step" if step is None else f"is of the same step as {found[step]}"
            raise InvalidInput(f"--revisions: '{word}' {reason}; expected names such as step0,step512, all, or log:12")
        found[step] = word
    return dict(sorted(found.items()))


def words_of(select: str) -> list[str]:
    """The words of a list. Raises InvalidInput for an empty one."""
    words = [word.strip() for word in select.split(",") if word.strip()]
    if not words:
        raise InvalidInput("--revisions is empty; expected names such as step0,step512, all, or log:12")
    return words


def is_list(select: str) -> bool:
    """Whether revisions are named one by one."""
    return select != ALL and not select.startswith(LOG)


def number_in(select: str) -> int:
    """The number of ``log:N``. Raises InvalidInput."""
    word = select.removeprefix(LOG)
    if not word.isdecimal() or int(word) < 2:
        raise InvalidInput(f"--revisions {select}; expected a number of at least 2, such as log:12")
    return int(word)


def spread(steps: Sequence[int], number: int) -> list[int]:
    """So many of the steps, evenly over log(1 + step), the first and the last among them.

    >>> spread([0, 1, 2, 4, 8, 16, 32, 64], 4)
    [0, 4, 16, 64]
    """
    if number >= len(steps):
        return list(steps)
    logs = [math.log1p(step - steps[0]) for step in steps]
    places: list[int] = []
    for i in range(number):
        wanted = logs[-1] * i / (number - 1)
        first = places[-1] + 1 if places else 0
        free = range(first, len(steps) - (number - 1 - i))
        places.append(min(free, key=lambda place: abs(logs[place] - wanted)))
    return [steps[place] for place in places]

"""Give frozen types value semantics: equality by content, arrays included; pickling and copying."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

Kind = TypeVar("Kind", bound=type)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Missing:
    """What stands where a value cannot be given, and why.

    Functions whose value may be absent return it, such as `Profile.interval` for a layer whose cloud is too small to be
    halved: test with ``isinstance(found, Missing)``, and print ``found.reason``. A test or an interval that exists, but
    has no number, says why in its ``note``.

    Attributes
    ----------
    reason : str
        Why there is no value, in words.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> small = td.measure(np.random.default_rng(0).normal(size=(12, 3)), null_draws=0)
    >>> small.interval("H1_count", layer="cloud")
    Missing(reason='12 points are too few, at least 20 are needed')

    """

    reason: str


def or_missing(value: T | None, reason: str) -> T | Missing:
    """The value, or for None why there is none."""
    return Missing(reason) if value is None else value


class ReadOnly(dict[str, Any]):
    """A mapping that is never written to, and, unlike ``types.MappingProxyType``, can be pickled and copied."""

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("this mapping is read-only; make your own with dict(…)")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type["ReadOnly"], tuple[dict[str, Any]]]:
        return type(self), (dict(self),)


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written to; the array itself stays as it is."""
    view = array.view()
    view.flags.writeable = False
    return view


def by_value(kind: Kind) -> Kind:
    """Give a frozen dataclass with ``eq=False`` equality by its fields; pickle and copy it by its constructor.

    NaN equals NaN, so that a copy equals its original.
    """
    methods: dict[str, Callable[..., Any]] = {"__eq__": _equal, "__hash__": _hash, "__reduce__": _reduce}
    for name, method in methods.items():
        setattr(kind, name, method)
    return kind


def _equal(self: Any, other: Any) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    return self is other or all(same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))


def _hash(self: Any) -> int:
    plain = (value for f in fields(self) if isinstance(value := getattr(self, f.name), str | int | None))
    return hash((type(self), *plain))


def _reduce(self: Any) -> tuple[type, tuple[Any, ...]]:
    return type(self), tuple(getattr(self, f.name) for f in fields(self))


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, arrays by numbers and dtype."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return same_arrays(np.asarray(a), np.asarray(b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b or (a != a and b != b))  # noqa: PLR0124 - NaN alone differs from itself


def same_arrays(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have one type, one shape and the same numbers."""
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")

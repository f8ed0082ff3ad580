"""Compile the loops of the engine; importing this module needs numba."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numba.core import types
from numba.extending import intrinsic

ONE = np.uint64(1)
VERTEX = np.uint64(0xFFFF)

# These functions borrow arrays and allocate none, so reference counting, an atomic operation a call, is switched off:
# three times faster.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}


LOOPS: list[Any] = []  # everything that `jit` compiled


def jit(function: Callable[..., Any], *, into_callers: bool = False) -> Callable[..., Any]:
    """Compile at the first call; cache the code where the user can write, if anywhere."""
    plain = inspect.unwrap(function)  # without the type checks that tests wrap around functions
    try:
        LOOPS.append(njit(cache=True, forceinline=into_callers, **OPTIONS)(plain))
    except RuntimeError:  # numba found no directory to write to
        LOOPS.append(njit(forceinline=into_callers, **OPTIONS)(plain))
    return LOOPS[-1]


def anything_compiled() -> bool:
    """Whether this process compiled a loop, or is compiling one, rather than loading it."""
    return any(loop.stats.cache_misses for loop in LOOPS)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jit` for a small function of many arrays, which would cost more to pass than to use."""
    return jit(function, into_callers=True)


@intrinsic
def first_bit(_context: Any, _word: Any) -> Any:
    """The index of the lowest set bit."""

    def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, 1))

    return types.int64(types.uint64), codegen


@intrinsic
def bits_set(_context: Any, _word: Any) -> Any:
    """The number of set bits."""

    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), codegen


@intrinsic
def float_of(_context: Any, _bits: Any) -> Any:
    """The float32 with these bits."""

    def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        low = builder.trunc(arguments[0], context.get_value_type(types.uint32))
        return builder.bitcast(low, context.get_value_type(types.float32))

    return types.float32(types.int64), codegen


@intrinsic
def bits_of(_context: Any, _number: Any) -> Any:
    """The bits of a float32."""

    def codegen(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.uint32))

    return types.uint32(types.float32), codegen


@inlined
def ends(key: int) -> tuple[int, int]:
    """The two vertices of an edge."""
    return np.int64((key >> np.uint64(16)) & VERTEX), np.int64(key & VERTEX)


@inlined
def join(rows: np.ndarray, u: int, v: int, offset: int) -> None:
    """Set the two bits of the pair, ``offset`` words into the rows."""
    rows[u, offset + (v >> 6)] |= ONE << np.uint64(v & 63)
    rows[v, offset + (u >> 6)] |= ONE << np.uint64(u & 63)


@inlined
def unmark(rows: np.ndarray, u: int, v: int) -> None:
    """Clear the mark of uv: its annotation is zero."""
    width = rows.shape[1] // 2
    rows[u, width + (v >> 6)] &= ~(ONE << np.uint64(v & 63))
    rows[v, width + (u >> 6)] &= ~(ONE << np.uint64(u & 63))

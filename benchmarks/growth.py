"""Print how CPU time and peak memory grow with points, texts, layers and the size of the model.

python benchmarks/growth.py
python benchmarks/growth.py --quick          # fewer and smaller sizes: under a minute

Exponents a of y ~ x^a by least squares over logarithms, with their standard error, and the exponent of the last step
alone: a cost that does not grow, as that of a figure, hides growth at small sizes. One thread; each size in a process
of its own, the median of three calls or more, of slow ones fewer. Memory is the peak above what the process held before
the call, when everything had been imported, compiled and used once. Texts are drawn from WikiText-2; models are GPT-2
of random weights and 4096 tokens.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import answer, environment, fit, print_head, print_header, print_row, resident_mebibytes

from clouds import cloud, peak_mebibytes

MODEL = {"layers": 6, "width": 128, "texts": 250}  # where nothing else is said
CALLS, ENOUGH, PATIENCE = 3, 0.5, 8.0  # so many calls at least, or seconds of them; none after PATIENCE seconds
WARM = 16  # texts
LEAST, FEWEST = 2.0, 3  # MiB that count, and how many values make an exponent


# In a process of its own: what is called, ready to be called


def distances(n=2000, k=50):
    from todacomm.clouds.distances import pairwise

    points = np.random.default_rng(0).normal(size=(n, k))
    pairwise(points[:200])
    return lambda: pairwise(points)


def homology(n, kind="Gaussian"):
    from todacomm.clouds.distances import pairwise
    from todacomm.homology import bitlink

    bitlink.ready()
    condensed = pairwise(cloud(kind, n))
    return lambda: bitlink.homology(condensed)


def extraction(place, **size):
    from todacomm.models.extraction import extract
    from todacomm.runs.config import Study
    from todacomm.runs.experiment import load

    size = {**MODEL, **size}
    loaded = load(str(saved(place, size)), Study())
    extract(loaded, texts(WARM), pooling="mean", language=False)
    given = texts(size["texts"])
    return lambda: extract(loaded, given, pooling="mean", language=False)


def run(place, **size):
    from todacomm.runs.run_study import execute

    size = {**MODEL, **size}
    execute(study(saved(place, size), WARM))
    asked = study(saved(place, size), size["texts"])
    return lambda: execute(asked)


def study(model, samples):
    from todacomm.runs.config import Study

    return Study(
        models=(str(model),),
        samples=samples,
        shuffle=True,
        pooling=("mean",),
        jobs=1,
        cache=False,
        output_dir=tempfile.mkdtemp(dir=model),
    )


def texts(count):
    import todacomm as td

    return td.texts("wikitext2", count, shuffle=True)


def saved(place, size):
    """The directory of a GPT-2 of this many layers and this width, made where it is not there."""
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel
    from transformers.utils.logging import disable_progress_bar

    from todacomm.models.names import resolve

    disable_progress_bar()

    model = Path(place) / f"gpt2-{size['layers']}-{size['width']}"
    if not model.exists():
        tokenizer = AutoTokenizer.from_pretrained(resolve("tiny-preln-decoder").location)
        shape = {"n_layer": size["layers"], "n_embd": size["width"], "n_head": size["width"] // 32}
        special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
        GPT2LMHeadModel(GPT2Config(vocab_size=4096, n_positions=512, **shape, **special)).save_pretrained(model)
        tokenizer.save_pretrained(model)
    return model


MEASURED = {function.__name__: function for function in (distances, homology, extraction, run)}


def measured(name, settings):
    """CPU seconds, the median, and the peak of memory above that before, of the first call."""
    call = MEASURED[name](**settings)
    before, seconds, peak = resident_mebibytes(), [], 0.0
    while (len(seconds) < CALLS or sum(seconds) < ENOUGH) and sum(seconds) < PATIENCE:
        begun = time.process_time()
        call()
        seconds.append(time.process_time() - begun)
        peak = peak or peak_mebibytes() - before
    return statistics.median(seconds), peak


# What is measured


@dataclass(frozen=True)
class Growth:
    """One thing measured at several values of one setting, the others fixed."""

    said: str
    name: str
    axis: str
    values: tuple[int, ...]
    fixed: dict


def growths(quick):
    points = (250, 500, 1000) if quick else (500, 1000, 2000, 4000, 8000)
    count = (100, 200, 400) if quick else (250, 500, 1000, 2000)
    deep = (2, 4, 8) if quick else (2, 4, 8, 16)
    wide = (64, 128, 256) if quick else (64, 128, 256, 384)
    yield Growth("distances, 50-D", "distances", "n", points, {})
    if not quick:
        yield Growth("distances, 2000 points", "distances", "k", (16, 64, 256, 1024), {})
    for kind in ("Gaussian", "noisy circle"):
        yield Growth(f"H0 and H1, {kind}, 50-D", "homology", "n", points, {"kind": kind})
    for name, said in (("extraction", "extraction"), ("run", "`todacomm run`")):
        for axis, values in (("texts", count), ("layers", deep), ("width", wide)):
            if not quick or (name, axis) == ("extraction", "texts"):
                yield Growth(said, name, axis, values, {})


AXES = {"n": "points", "k": "dimensions", "width": "parameters of the blocks"}


def sizes(growth):
    """The values that the exponent is about: of a width, the parameters of all blocks."""
    if growth.axis == "width":
        return [12 * MODEL["layers"] * width**2 for width in growth.values]
    return list(growth.values)


def measure(growth, place):
    settings = {"place": place} if growth.name in ("extraction", "run") else {}
    for value in growth.values:
        asked = {**settings, **growth.fixed, growth.axis: value}
        yield answer(Path(__file__).name, "--one", growth.name, json.dumps(asked), env=environment(1))


def print_growth(growth, place):
    x, found = sizes(growth), list(measure(growth, place))
    seconds, mebibytes = ([one[i] for one in found] for i in (0, 1))
    row = [growth.said, AXES.get(growth.axis, growth.axis), f"{x[0]:,} to {x[-1]:,}"]
    print_row(*row, *exponents(x, seconds), *exponents(x, mebibytes, least=LEAST))


def exponents(x, y, *, least=0.0):
    """Cells: the first and the last value, the exponent of those that are not tiny, and that of the last step."""
    ends = f"{rounded(y[0])} to {rounded(y[-1])}"
    pairs = [(one, value) for one, value in zip(x, y, strict=True) if value >= least]
    if len(pairs) < FEWEST:
        return ends, "", ""
    slope, error = fit(*zip(*pairs, strict=True))
    return ends, f"{slope:.2f} ± {error:.2f}", f"{fit(*zip(*pairs[-2:], strict=True))[0]:.2f}"


def rounded(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller sizes: under a minute")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "JSON"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.one[0], json.loads(arguments.one[1]))))
        return
    print_head("numpy", "torch", "transformers", "numba")
    print_header("of", "with", "from", "CPU s", "exponent", "last step", "peak, MiB", "exponent", "last step")
    with tempfile.TemporaryDirectory() as place:
        for growth in growths(arguments.quick):
            print_growth(growth, place)


if __name__ == "__main__":
    main()

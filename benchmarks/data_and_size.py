"""Train what two questions need: does the shape follow the corpus, and does it follow the size of the model?

    python benchmarks/corpora.py corpora --english wt2_valid.txt --music music21-10.5.1-py3-none-any.whl
    python benchmarks/data_and_size.py corpora models
    python benchmarks/data_and_size.py corpora models --own wt2_valid.txt     # the training of the shipped models, too

One pre-LN decoder for each corpus and seed, and one for each size and seed, all on 600 batches of 2,048 tokens. With
``--own`` the four shipped models are trained as they were, and kept at thirteen steps. A model that is finished is not
trained again, so the command goes on where it was stopped. Two hours of CPU time; half as much more with ``--own``.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

CORPORA = ("english", "shuffled", "python", "music")
WIDTHS = (16, 48, 96, 192, 344)  # 0.09, 0.4, 1.1, 3.5 and 10 million parameters
SEEDS = (1, 2, 3)
STEPS = 600
CELLS = ("preln-decoder", "postln-decoder", "preln-encoder", "postln-encoder")
KEPT = (0, 25, 50, 100, 150, 200, 300, 400, 600, 900, 1300, 2000, 3200)  # steps of the shipped models' own training


def preln_decoder(corpus, seed):
    kept = ["--one-form", "--cell", "preln-decoder", "--steps", str(STEPS), "--seed", str(seed)]
    return [corpus / "train.jsonl", *kept]


def corpora(texts):
    for seed in SEEDS:
        for corpus in CORPORA:
            yield f"{corpus}-{seed}", preln_decoder(texts / corpus, seed)


def sizes(texts):
    for seed in SEEDS:
        for width in WIDTHS:
            yield f"width-{width}-{seed}", [*preln_decoder(texts / "english", seed), "--width", str(width)]


def own(text):
    for cell in CELLS:
        yield f"own-{cell}", [text, "--cell", cell, "--seed", "1", "--checkpoints", ",".join(map(str, KEPT))]


def train(place, arguments):
    """Train one model in a process of its own, unless it is there."""
    if (place / "model.safetensors").exists():
        return
    command = [sys.executable, "-m", "todacomm.zoo.train", *map(str, arguments), "--output", str(place)]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path, help="what benchmarks/corpora.py wrote")
    parser.add_argument("models", type=Path, help="the directory of the models")
    parser.add_argument("--own", type=Path, help="the text on which the shipped models were trained")
    given = parser.parse_args()
    runs = [*corpora(given.corpora), *sizes(given.corpora), *(own(given.own) if given.own else ())]
    for name, arguments in runs:
        print(name, flush=True)
        train(given.models / name, arguments)


if __name__ == "__main__":
    main()

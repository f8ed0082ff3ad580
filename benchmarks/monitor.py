"""Print what `todacomm.Monitor` and `todacomm.TopologyCallback` cost: a training with them over one without.

python benchmarks/monitor.py                        # a plain loop and the Trainer of transformers, in turn, five rounds
python benchmarks/monitor.py --steps 400 --rounds 9 --budget 0.02

A shipped model trains on batches of 8 × 32 tokens, with 50 texts of up to 64 tokens as probe. With and without are
trained in turn, in one process and on one thread; of each round the ratio over all steps is taken, of the time on the
wall and of the CPU time of the training process, which other work on the machine disturbs less. What is needed once
(loading, tokenising, starting the measuring process, waiting for its last answer) is told beside it.
"""

import argparse
import statistics
import time
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

BATCH, LENGTH, PROBES, LONGEST = 8, 32, 50, 64
MODEL = "tiny-preln-decoder"


def prepared():
    """The model, its batches, and the texts that it is probed with."""
    import torch

    import todacomm as td
    from todacomm.models.checkpoints.loading import load_model
    from todacomm.models.names import resolve

    torch.set_num_threads(1)
    model = load_model(resolve(MODEL))
    ids = [i for text in td.texts("wikitext2", 1500).items for i in model.tokenizer(text)["input_ids"]]
    rows = torch.tensor(ids[: len(ids) // LENGTH * LENGTH]).reshape(-1, LENGTH)
    return model, rows, td.texts("wikitext2", PROBES)


def plain_loop(model, rows, steps, monitor=None):
    """Seconds that the steps of a plain training loop took, on the wall and of the CPU."""
    import torch

    network = model.network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-5)
    torch.manual_seed(0)
    begun = now()
    for step in range(1, steps + 1):
        batch = rows[torch.randint(0, len(rows), (BATCH,))]
        loss = network(input_ids=batch, labels=batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if monitor is not None:
            monitor.step(step, loss=loss)
    return since(begun)


def now():
    """Seconds on the wall, and of the CPU time of this process."""
    return time.perf_counter(), time.process_time()


def since(begun):
    return tuple(b - a for a, b in zip(begun, now(), strict=True))


class Watched:
    """A monitor in a plain loop: how long its steps, its beginning and its end took."""

    def __init__(self, model, rows, texts, chosen):
        self.model, self.rows, self.texts, self.chosen = model, rows, texts, chosen

    def without(self):
        return plain_loop(self.model, self.rows, self.chosen.steps)

    def with_it(self, directory):
        import todacomm as td

        begun = time.perf_counter()
        monitor = td.Monitor(
            self.model.network,
            self.texts,
            tokenizer=self.model.tokenizer,
            every=self.chosen.every,
            total_steps=self.chosen.steps,
            budget=self.chosen.budget,
            max_length=LONGEST,
            directory=directory,
        )
        ready = time.perf_counter()
        took = plain_loop(self.model, self.rows, self.chosen.steps, monitor)
        closing = time.perf_counter()
        monitor.close()
        return took, ready - begun + time.perf_counter() - closing


class Trained(Watched):
    """The same by the Trainer of transformers, whose own clock is around its steps."""

    def _trained(self, directory, callbacks):
        import transformers as hf

        arguments = hf.TrainingArguments(
            str(directory),
            max_steps=self.chosen.steps,
            per_device_train_batch_size=BATCH,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
            learning_rate=1e-5,
        )
        data = [{"input_ids": row, "labels": row} for row in self.rows]
        clock = steps_clock(hf)
        callbacks = [*callbacks, clock]
        with redirect_stdout(StringIO()):
            hf.Trainer(self.model.network, arguments, train_dataset=data, callbacks=callbacks).train()
        return tuple(b - a for a, b in zip(clock.begun, clock.ended, strict=True))

    def without(self):
        with TemporaryDirectory() as place:
            return self._trained(place, [])

    def with_it(self, directory):
        import todacomm as td

        callback = td.TopologyCallback(
            self.texts,
            tokenizer=self.model.tokenizer,
            every=self.chosen.every,
            budget=self.chosen.budget,
            max_length=LONGEST,
        )
        begun = time.perf_counter()
        took = self._trained(Path(directory).parent, [callback])
        return took, time.perf_counter() - begun - took[0]


def steps_clock(hf):
    """A callback that notes when the first step begins and the last one ends, behind all other callbacks."""

    class Clock(hf.TrainerCallback):
        begun = ended = (0.0, 0.0)

        def on_train_begin(self, *_, **__):
            self.begun = now()

        def on_step_end(self, *_, **__):
            self.ended = now()

    return Clock()


def row_of(name, kind, chosen, given):
    """Both in turn, several times, as a row of the table."""
    from todacomm.records.monitoring import read_monitored

    one, ratios, once, shares, measured = kind(*given, chosen), [], [], [], []
    one.without()  # warm
    for number in range(chosen.rounds):
        with TemporaryDirectory() as place:
            alone = one.without() if number % 2 else None  # each is first in half of the rounds
            watched, beside = one.with_it(Path(place) / "topology")
            alone = alone or one.without()
            summary = read_monitored(Path(place) / "topology").about.summary
        ratios.append([a / b for a, b in zip(watched, alone, strict=True)])
        once.append(beside)
        shares.append(summary["share_of_time"])
        measured.append(summary["measured"])
    of_wall, of_cpu = zip(*ratios, strict=True)
    own = (f"{statistics.median(shares):.1%}", f"{statistics.median(measured):.0f}", f"{statistics.median(once):.1f}")
    return f"| {name} | {' | '.join((told(of_wall), told(of_cpu), *own))} |"


def told(ratios):
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--every", default="1%")
    parser.add_argument("--budget", type=float, default=0.05)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| training | time | CPU time of the training | share by its own clock | measurements | once, s |")
    print("|---|---|---|---|---|---|")
    given = prepared()
    for name, kind in (("plain loop", Watched), ("Trainer", Trained)):
        print(row_of(name, kind, chosen, given), flush=True)


if __name__ == "__main__":
    main()

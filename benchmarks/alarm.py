"""Print when the rules of `todacomm.Monitor` fire: that of loops over grokking runs and their controls, and that of a
collapse over fine-tuned models.

python benchmarks/alarm.py loop DIRECTORY …      # directories that `todacomm grok` has written
python benchmarks/alarm.py collapse --seeds 10  # a shipped model, with and without a penalty on its tokens

The onset is that of H1 max of the embedding, as `todacomm grok` finds it.
"""

import argparse
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.numpy import load_file

from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud
from todacomm.monitoring.alerts import Watch, rule_of
from todacomm.monitoring.numbers import names_recorded, numbers_of
from todacomm.records.training import read_run
from todacomm.training.signature import tell

WITHIN = 300  # steps of the onset
RULES = {"H1_screen > 1": "embedding:H1_screen>1", "loop": "embedding:loop"}


def alarms(run):
    """The step at which each rule fires first over the checkpoints of a run; None where it never does."""
    names = names_recorded(Recipe())
    watches = {name: Watch(rule_of(rule, "flag", None, ("embedding",), names)) for name, rule in RULES.items()}
    found = dict.fromkeys(RULES)
    for path in sorted((run / "checkpoints").iterdir()):
        step = int(path.stem.removeprefix("step_"))
        cloud = PointCloud(load_file(path)["embedding_rows"], Address("run", "task", "embedding", step))
        layers = {"embedding": numbers_of(cloud, Recipe())}
        for name, watch in watches.items():
            if watch.look(step, layers, {}) and found[name] is None:
                found[name] = step
    return found


def told(step):
    return "none" if step is None else f"{step:,}"


def of_loops(directories):
    """Print a row a run, and what the rules make of all."""
    print(f"| run | generalises | onset | {' | '.join(RULES)} |\n|---|---|---|{'---|' * len(RULES)}")
    rows = []
    for run in sorted(place for directory in directories for place in (directory / "runs").iterdir()):
        stored = read_run(run)
        summary = tell(stored.course, stored.about.followed)
        onset = summary.onset and summary.onset.step
        found = alarms(run)
        rows.append((stored.about.kind, onset, found))
        cells = [told(summary.milestones.generalised_at), told(onset), *map(told, found.values())]
        print(f"| {run.name} | {' | '.join(cells)} |", flush=True)
    print()
    for name in RULES:
        print(f"- `{name}`: {judged(rows, name)}.")


def judged(rows, name):
    """In how many runs a rule fired near the onset, and in how many controls it fired at all."""
    runs = [(onset, found[name]) for kind, onset, found in rows if kind == "run" and onset is not None]
    controls = [found[name] for kind, onset, found in rows if kind != "run" and onset is None]
    near = sum(step is not None and abs(step - onset) <= WITHIN for onset, step in runs)
    return (
        f"within {WITHIN} steps of the onset in {near} of {len(runs)} runs, "
        f"at all in {sum(step is not None for step in controls)} of {len(controls)} controls"
    )


def of_collapses(seeds):
    """Print when the rule fires in models whose tokens are pulled together from a step on, and in those without."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    import collapsing

    warnings.simplefilter("ignore")
    print(f"| seed | with the penalty, after step {collapsing.BEGINS} | without |\n|---|---|---|")
    for seed in range(seeds):
        with TemporaryDirectory() as place:
            firsts = []
            for collapse in (True, False):
                monitor = collapsing.fine_tuned(Path(place) / str(collapse), seed, collapse=collapse)
                firsts.append(monitor.fired[0] if monitor.fired else None)
        shown = ["none" if one is None else f"{one.step:,} ({one.layer})" for one in firsts]
        print(f"| {seed} | {' | '.join(shown)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("loop").add_argument("directories", nargs="+", type=Path)
    commands.add_parser("collapse").add_argument("--seeds", type=int, default=10)
    chosen = parser.parse_args()
    if chosen.command == "loop":
        of_loops(chosen.directories)
    else:
        of_collapses(chosen.seeds)


if __name__ == "__main__":
    main()

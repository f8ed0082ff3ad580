"""Print which loops of finished training runs are found without labels, and which of them the networks use.

todacomm grok --seeds 46-50 --name add113                  # a quarter of an hour on two cores
python benchmarks/turning.py experiments/add113_*/runs/*   # a few seconds a run
"""

import argparse

import todacomm as td

HEAD = ("run", "frequency", "|r|", "share", "loop", "slope", "R", "swap", "placebo slope", "p", "verdict")


def row(run, loop):
    name, turned = loop.name, loop.turned
    largest = max(map(abs, turned.placebo_slopes), default=float("nan"))
    told = (f"{name.correlation:.3f}", f"{loop.share:.3f}", "found" if loop.found else "plane", f"{turned.slope:.3f}")
    rest = (f"{turned.alignment:.2f}", f"{turned.swap:.2f}", f"{largest:.3f}", f"{loop.p:.2f}", loop.verdict)
    return (run, str(name.frequency), *told, *rest)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="directories of finished runs")
    parser.add_argument("--placebos", type=int, default=99)
    given = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for directory in given.runs:
        found = td.grokking.turn_run(directory, placebos=given.placebos)
        for loop in found.loops:
            print(f"| {' | '.join(row(found.run, loop))} |", flush=True)
        if found.moved:
            steps = ", ".join(f"{one.step}: {one.share:.1%}" for one in found.moved)
            print(f"| {found.run} | all used | | | | | | | | | answers moved by {steps} |", flush=True)


if __name__ == "__main__":
    main()

"""Print the CPU seconds of starting todacomm, each command in a process of its own, the median of five.

python benchmarks/startup.py
"""

import resource
import statistics
import subprocess
import sys

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import todacomm'": [sys.executable, "-c", "import todacomm"],
    "todacomm --help": [sys.executable, "-m", "todacomm", "--help"],
    "todacomm run --help": [sys.executable, "-m", "todacomm", "run", "--help"],
}


def cpu_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    print("| command | CPU seconds |\n|---|---|")
    for name, command in COMMANDS.items():
        print(f"| `{name}` | {statistics.median(cpu_seconds(command) for _ in range(5)):.2f} |")


if __name__ == "__main__":
    main()

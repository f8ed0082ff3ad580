"""Run command lines (a JSON list of lists on standard input) under several encodings; print code, stdout, stderr."""

import io
import json
import sys

from todacomm.cli import main


def run(arguments, encoding):
    """One command line with standard streams of an encoding."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2)]
    sys.argv, before = ["todacomm", *arguments], (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = streams
    try:
        main()
        code = 0
    except SystemExit as left:
        code = left.code
    finally:
        sys.stdout, sys.stderr = before
    return [code, *(stream.buffer.getvalue().decode(encoding) for stream in streams)]


if __name__ == "__main__":
    commands = json.load(sys.stdin)
    found = [[encoding, command, *run(command, encoding)] for encoding in sys.argv[1:] for command in commands]
    json.dump(found, sys.stdout)

"""`python -m tests.servers`: the programs of the tests, made where they are not; exit 1 when one cannot be had."""

import sys

from tests.servers.parts import PARTS, missing

if __name__ == "__main__":
    wanting = missing(PARTS, lambda line: print(line, flush=True))
    print("".join(f"{line}\n" for line in wanting), end="", file=sys.stderr)
    sys.exit(1 if wanting else 0)

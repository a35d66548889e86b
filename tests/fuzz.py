"""`python -m tests.fuzz MINUTES`: every parser with other garbage each time (S-17), until the time is over.

Ends with exit 1 at the first exception that escapes; what hypothesis prints then shows the smallest garbage that does
it, and the seed with which it is found again.
"""

import random
import subprocess
import sys
import time

PROFILE = "fuzz"


def main(minutes: float) -> int:
    end, rounds = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < end:
        seed = random.randrange(1 << 32)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-n",
            "2",
            "--dist",
            "worksteal",
            "--no-header",
            "--timeout=0",
        ]
        command += [f"--hypothesis-seed={seed}", f"--hypothesis-profile={PROFILE}", "--promise=S-17", "tests"]
        if subprocess.run(command, check=False).returncode:
            print(f"round {rounds + 1}, seed {seed}: see above", file=sys.stderr)
            return 1
        rounds += 1
    print(f"{rounds} rounds in {minutes:g} min, and nothing escaped")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))

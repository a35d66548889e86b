"""Ports that tests listen on, where several runs of tests look for some at once."""

import subprocess
import sys

ASKS = """
from bridge.testing.ports import free_port
print(*(free_port() for _ in range(300)), flush=True)
input()
"""


def test_what_one_process_was_given_no_other_is_while_it_runs() -> None:
    them = [
        subprocess.Popen([sys.executable, "-c", ASKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    try:
        given = [port for one in them if one.stdout for port in one.stdout.readline().split()]
    finally:
        for one in them:
            one.communicate("\n", timeout=90)
    assert len(set(given)) == len(given) == 4 * 300

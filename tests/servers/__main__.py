"""`python -m tests.servers`: the servers and tools of the tests, built where they are not; exit 1 when that fails."""

import sys

from tests.golang import NoProgramError
from tests.servers.consul import readers
from tests.servers.consul import server as consul
from tests.servers.deploy import Tools
from tests.servers.kubernetes.binaries import find


def main() -> int:
    try:
        find(print)
        consul.find(print)
        consul.find18(print)
        readers.find_reader(print)
        Tools(print)
    except NoProgramError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

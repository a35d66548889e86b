"""`python -m tests.servers.kubernetes`: etcd and kube-apiserver, built where they are not; exit 1 when that fails."""

import sys

from tests.golang import NoProgramError
from tests.servers.kubernetes.binaries import find


def main() -> int:
    try:
        print("\n".join(map(str, find(print))))
    except NoProgramError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

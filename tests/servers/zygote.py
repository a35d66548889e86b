"""`python -m tests.servers.zygote CONFIG LOG`: bridges that are there at once, to be killed.

Everything is imported once; a line on stdin is a new process that runs the bridge, whose pid is said on stdout.
"""

import os
import sys
from pathlib import Path

import aiohttp
import consul.base
import kazoo.client
import kubernetes.aio.client
import watchfiles

import adapters.consul.settings
import adapters.consul.spread
import adapters.kubernetes.settings
import adapters.static.settings
import adapters.zookeeper.settings
import bridge.admin.log
import bridge.app
import bridge.cli.running

READY = (
    adapters.consul.settings,
    adapters.kubernetes.settings,
    adapters.static.settings,
    adapters.zookeeper.settings,
    aiohttp,
    bridge.admin.log,
    bridge.app,
    consul.base,
    kazoo.client,
    kubernetes.aio.client,
    watchfiles,
)
"""What each bridge would import first."""

EACH = "INSTANCES_A_NODE"
"""The variable of the environment that says for how many instances a node of Consul has room, so that few fill some."""


def main(config: Path, log: Path) -> None:
    assert all(READY)
    adapters.consul.spread.EACH = int(os.environ.get(EACH, adapters.consul.spread.EACH))
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            with log.open("ab") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
            try:
                bridge.cli.running.run.main(["--config", str(config)], standalone_mode=False)
            finally:
                os._exit(3)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

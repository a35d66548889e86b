"""Our xDS server under test, filled with made-up services: the flags and the control port of `peers/server`.

Changes come in as catalogs, where the peers' come in as resources: the stamp is taken when the new one is handed over.
So the view and its encoding are in our times, and the making of a resource is not in the peers'.
"""

import argparse
import asyncio
import signal
import time
from dataclasses import replace
from typing import Any

from bridge.errors import ConfigError
from bridge.merge import EMPTY, Catalog, Group, Merged
from bridge.model import Endpoint, Port, ServiceName, SourceName
from bridge.runtime.clock import SystemClock
from bridge.runtime.garbage import Garbage
from bridge.table import Table
from bridge.traffic import ClusterPolicy, Policy
from bridge.xds.names import Names
from bridge.xds.resources import Resources
from bridge.xds.server import Server, ServerSettings

SOURCE = SourceName("bench")
POLICY = Policy(None, ClusterPolicy(1.0, "round_robin", None))
PORTS = (Port("", 8080),)


def name_of(service: int) -> ServiceName:
    """The name that every server under test gives the service."""
    return ServiceName("bench", f"s{service:05d}")


def merged(service: int, endpoints: int) -> Merged:
    """A service as the peers make it, its endpoints sorted by address."""
    return Merged(
        name_of(service),
        (
            Group(
                SOURCE,
                tuple(
                    Endpoint(f"10.{100 + service % 100}.{100 + i // 100}.{100 + i % 100}", PORTS)
                    for i in range(endpoints)
                ),
            ),
        ),
    )


class Subject(asyncio.Protocol):
    """The control port: `set SERVICE VALUE` gives the first endpoint of a service the port VALUE."""

    catalog: Catalog
    server: Server
    resources: Resources
    garbage: Garbage

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        _, service, value = data.split()
        kind = type(self)
        name = name_of(int(service))
        old = kind.catalog.services[name]
        first, *others = old.groups[0].endpoints
        changed = Endpoint(first.address, (Port("", int(value)),))
        new = Merged(name, (Group(SOURCE, (changed, *others)),))
        kind.catalog = Catalog(kind.catalog.services.with_({name: new}), frozenset(), EMPTY.uses)
        at = time.monotonic_ns()
        kind.server.publish(kind.resources.publish(kind.catalog))
        kind.garbage.grew(1)
        # The answer waits its turn behind the streams' writers, as the peers' goes beside theirs.
        asyncio.get_running_loop().call_soon(self._transport.write, b"ok %d\n" % at)


async def serve(flags: argparse.Namespace) -> None:
    """Fill the server, say that it is ready, and take changes until told to end."""
    services = {name_of(i): merged(i, flags.endpoints) for i in range(flags.services)}
    Subject.catalog = replace(EMPTY, services=Table(services))
    Subject.resources = Resources(Names(), lambda _: POLICY)
    Subject.resources.publish(Subject.catalog)
    host, port = flags.xds.rsplit(":", 1)
    settings = ServerSettings((host, int(port)), insecure=False, tls=None, max_names=20_000, max_streams=1_000_000)
    Subject.server = Server(Subject.resources, settings, SystemClock(), "bench")
    Subject.garbage = Garbage(SystemClock())
    await Subject.server.start()
    host, port = flags.control.rsplit(":", 1)
    loop = asyncio.get_running_loop()
    control = await loop.create_server(Subject, host, int(port))
    garbage = asyncio.create_task(Subject.garbage.run())
    await asyncio.sleep(0)
    Subject.garbage.grew(flags.services)  # as the engine says it of a catalog
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    print("ready", flush=True)
    await ended.wait()
    control.close()
    garbage.cancel()
    await Subject.server.stop(0)


def main() -> None:
    flags = argparse.ArgumentParser()
    for name in ("--services", "--endpoints"):
        flags.add_argument(name, type=int, required=True)
    for name in ("--xds", "--control"):
        flags.add_argument(name, required=True)
    flags.add_argument("--uvloop", action="store_true")
    asked = flags.parse_args()
    if asked.uvloop:
        import uvloop

        uvloop.run(serve(asked))
    else:
        asyncio.run(serve(asked))


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        raise SystemExit(str(error)) from None

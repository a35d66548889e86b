"""The load client where there is no Go: the flags and the answer of `peers/client`, with figures of its own weight.

Python asks and Python reads, on the cores that the server needs too, so its times are for comparing runs of ours
with each other and with nothing else.
"""

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from statistics import quantiles
from typing import Any

import grpc
import psutil
from envoy.config.core.v3 import base_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.service.discovery.v3 import discovery_pb2

EDS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"


class Client:
    """The streams of one run, what they count, and the change that they are waiting for."""

    def __init__(self, delta: bool) -> None:
        self.delta = delta
        self.awaited = ("", 0)
        self.hits: asyncio.Queue[int] = asyncio.Queue()
        self.synced: asyncio.Queue[int] = asyncio.Queue()
        self.responses = self.bytes = 0

    async def run(self, channel: grpc.aio.Channel, names: Sequence[str]) -> None:
        """Subscribe to `names` and acknowledge what comes, until cancelled."""
        answers: asyncio.Queue[Any] = asyncio.Queue()
        answers.put_nowait(self._first(names))

        async def requests() -> AsyncIterator[Any]:
            while True:
                yield await answers.get()

        call = channel.stream_stream(
            ADS + ("DeltaAggregatedResources" if self.delta else "StreamAggregatedResources"),
            request_serializer=lambda message: message.SerializeToString(),
        )(requests())
        missing = set(names)
        async for data in call:
            at = time.monotonic_ns()
            kind = discovery_pb2.DeltaDiscoveryResponse if self.delta else discovery_pb2.DiscoveryResponse
            response = kind.FromString(data)
            self.responses += 1
            self.bytes += len(data)
            for resource in response.resources:
                held = resource.resource if self.delta else resource
                assignment = endpoint_pb2.ClusterLoadAssignment.FromString(held.value)
                first = assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address
                if self.awaited == (assignment.cluster_name, first.port_value):
                    self.hits.put_nowait(at)
                if missing:
                    missing.discard(assignment.cluster_name)
                    if not missing:
                        self.synced.put_nowait(1)
            answers.put_nowait(self._acknowledge(names, response))

    def _first(self, names: Sequence[str]) -> Any:
        node = base_pb2.Node(id="bench", cluster="bench")
        if self.delta:
            return discovery_pb2.DeltaDiscoveryRequest(node=node, type_url=EDS, resource_names_subscribe=names)
        return discovery_pb2.DiscoveryRequest(node=node, type_url=EDS, resource_names=names)

    def _acknowledge(self, names: Sequence[str], response: Any) -> Any:
        if self.delta:
            return discovery_pb2.DeltaDiscoveryRequest(type_url=EDS, response_nonce=response.nonce)
        return discovery_pb2.DiscoveryRequest(
            type_url=EDS, resource_names=names, version_info=response.version_info, response_nonce=response.nonce
        )


def spread(nanoseconds: Sequence[int]) -> dict[str, float]:
    """Percentiles in milliseconds."""
    times = sorted(nanoseconds) if len(nanoseconds) > 1 else [*nanoseconds] * 2
    cuts = quantiles(times, n=100, method="inclusive")
    return {"p50": cuts[49] / 1e6, "p99": cuts[98] / 1e6, "max": times[-1] / 1e6, "n": len(nanoseconds)}


async def measure(ask: argparse.Namespace) -> dict[str, Any]:
    """One run: the initial sync, then one change at a time."""
    client, patience = Client(ask.delta == "true"), 60.0
    server = psutil.Process(ask.pid)
    subscribers: Counter[int] = Counter()
    options = (("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1))
    channels = [grpc.aio.insecure_channel(ask.xds, options=options) for _ in range(ask.streams)]
    async with asyncio.timeout(patience):
        for channel in channels:
            await channel.channel_ready()
    async with asyncio.TaskGroup() as streams:  # a stream that fails ends the run
        begun = time.monotonic_ns()
        running = []
        for number, channel in enumerate(channels):
            asked = [(number * ask.names + n) % ask.services for n in range(ask.names)]
            subscribers.update(asked)
            running.append(streams.create_task(client.run(channel, [f"bench/s{n:05d}" for n in asked])))
        async with asyncio.timeout(patience):
            for _ in running:
                await client.synced.get()
        result = {"sync_ms": (time.monotonic_ns() - begun) / 1e6, "sync_bytes": client.bytes}
        await asyncio.sleep(0.3)
        result |= await changes(client, ask, subscribers, server)
        for stream in running:
            stream.cancel()
    return result


async def changes(
    client: Client, ask: argparse.Namespace, subscribers: Counter[int], server: psutil.Process
) -> dict[str, Any]:
    """One change at a time, each until all its subscribers have it."""
    host, port = ask.control.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    before, responses, bytes_ = sum(server.cpu_times()[:2]), client.responses, client.bytes
    latency, roundtrip, last = [], [], []
    choose = random.Random(1)
    for number in range(ask.changes):
        service, value = choose.randrange(min(ask.services, ask.streams * ask.names)), 10_000 + number % 40_000
        client.awaited = (f"bench/s{service:05d}", value)
        sent = time.monotonic_ns()
        writer.write(b"set %d %d\n" % (service, value))
        async with asyncio.timeout(60):
            received = [await client.hits.get() for _ in range(subscribers[service])]
            answer = (await reader.readline()).split()
        stamp = int(answer[1])
        latency += [at - stamp for at in received]
        roundtrip += [at - sent for at in received]
        last.append(max(received) - stamp)
        await asyncio.sleep(ask.gap / 1e3)
    await asyncio.sleep(0.3)
    writer.close()
    return {
        "rss_bytes": server.memory_info().rss,
        "latency_ms": spread(latency),
        "roundtrip_ms": spread(roundtrip),
        "last_ms": spread(last),
        "changes": ask.changes,
        "responses": client.responses - responses,
        "needless": client.responses - responses - len(latency),
        "bytes": client.bytes - bytes_,
        "server_cpu_ms_per_change": (sum(server.cpu_times()[:2]) - before) * 1e3 / ask.changes,
    }


def main() -> None:
    flags = argparse.ArgumentParser()
    for name in ("-xds", "-control", "-delta"):
        flags.add_argument(name, required=True)
    for name in ("-pid", "-services", "-streams", "-names", "-changes"):
        flags.add_argument(name, type=int, required=True)
    flags.add_argument("-gap", type=lambda text: float(text.removesuffix("ms")), required=True)
    print(json.dumps(asyncio.run(measure(flags.parse_args()))))


if __name__ == "__main__":
    main()

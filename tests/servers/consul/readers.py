"""Consul's own readers: a resolver that asks its DNS, its command, and a program of its Go client."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dns.asyncresolver import Resolver
from dns.rdatatype import RdataType

from tests.golang import build
from tests.servers.consul.hand import Hand
from tests.servers.consul.server import ROOT, Agent

PATIENCE = 90.0


def find_reader(say: Callable[[str], None] = lambda _: None) -> Path:
    """The program of the Go client, which is built once; raises NoProgramError."""
    return build(Path(__file__).parent / "reader", {"reader": "."}, say)["reader"]


async def resolved(agent: Agent, name: str, kind: RdataType) -> set[str]:
    """What a resolver is answered, as text; raises what dnspython does where there is nothing."""
    resolver = Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], agent.dns
    return {str(one) for one in await resolver.resolve(name, kind, lifetime=PATIENCE)}


async def allow_everybody(hand: Hand) -> None:
    """DNS asks without a token: let it read."""
    await hand.policy("dns", 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }')
    anonymous = next(one for one in await hand.get("acl/tokens") if one["Description"] == "Anonymous Token")
    await hand.put(f"acl/token/{anonymous['AccessorID']}", {"Policies": [{"Name": "dns"}]})


async def said_by(program: Path, agent: Agent, *arguments: str) -> list[list[str]]:
    """What `consul …` says, as rows of words."""
    process = await asyncio.create_subprocess_exec(
        str(program), *arguments, f"-http-addr={agent.url}", f"-token={ROOT}", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0
    return [line.split() for line in said.decode().splitlines()]


class Reader:
    """The program while it watches; `catalog` is what it listed first."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.catalog: dict[str, list[str]] = {}

    async def line(self) -> dict[str, Any]:
        """The next one."""
        assert self._process.stdout is not None
        line: dict[str, Any] = json.loads(await asyncio.wait_for(self._process.stdout.readline(), PATIENCE))
        return line

    async def until(self, service: str, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Read on until the instances of a service are so; which they are."""
        while True:
            line = await self.line()
            if line["service"] == service and holds(line["instances"]):
                found: list[dict[str, Any]] = line["instances"]
                return found


@asynccontextmanager
async def reading(program: Path, agent: Agent, *services: str) -> AsyncIterator[Reader]:
    """It runs, and watches these."""
    process = await asyncio.create_subprocess_exec(
        str(program), agent.url, *services, stdout=asyncio.subprocess.PIPE, env={"CONSUL_HTTP_TOKEN": ROOT}
    )
    try:
        made = Reader(process)
        made.catalog = (await made.line())["catalog"]
        yield made
    finally:
        process.kill()
        await process.wait()

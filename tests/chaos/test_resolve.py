"""Names against a real name server on the loopback, and against the machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from bridge.runtime.clock import SystemClock
from bridge.runtime.lookup import MACHINE_TTL, SystemLookup
from bridge.runtime.resolve import Resolver
from tests.builders import endpoint, name, service, services
from tests.engines import until


class NameServer(asyncio.DatagramProtocol):
    """Answers from `records`: (name, type) to (time to live, texts); `rcode` for everything when it is not NOERROR."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self.rcode = dns.rcode.NOERROR
        self.silent = False
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.silent and self.transport is not None:
            self.transport.sendto(self.answer(dns.message.from_wire(data)).to_wire(), addr)

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        reply.set_rcode(self.rcode)
        if self.rcode != dns.rcode.NOERROR:
            return reply
        asked = query.question[0]
        where, kind = asked.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(asked.rdtype)
        if (alias := self.records.get((where, "CNAME"))) is not None:
            reply.answer.append(dns.rrset.from_text(asked.name, alias[0], "IN", "CNAME", f"{alias[1][0]}."))
            where = alias[1][0]
        if not any(known == where for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif (where, kind) in self.records:
            ttl, texts = self.records[where, kind]
            reply.answer.append(dns.rrset.from_text(f"{where}.", ttl, "IN", kind, *texts))
        return reply


@asynccontextmanager
async def name_server() -> AsyncIterator[tuple[NameServer, SystemLookup]]:
    server = NameServer()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, ("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    try:
        yield server, SystemLookup(resolver)
    finally:
        transport.close()


@pytest.mark.promise("R-33")
async def test_both_families_of_a_name_come_with_the_shortest_time_to_live() -> None:
    async with name_server() as (server, lookup):
        server.records["vm7.test", "A"] = 60, ["10.0.0.8", "10.0.0.7"]
        server.records["vm7.test", "AAAA"] = 20, ["2001:db8::7"]
        assert await lookup("vm7.test") == (("10.0.0.7", "10.0.0.8"), ("2001:db8::7",), 20.0, "")
        server.records["vm7.test", "A"] = 5, ["10.0.0.9"]
        assert (await lookup("vm7.test")).v4 == ("10.0.0.9",)


async def test_an_alias_counts_with_its_own_time_to_live() -> None:
    async with name_server() as (server, lookup):
        server.records["www.test", "CNAME"] = 7, ["vm7.test"]
        server.records["vm7.test", "A"] = 60, ["10.0.0.7"]
        assert await lookup("www.test") == (("10.0.0.7",), (), 7.0, "")


@pytest.mark.promise("R-33")
async def test_a_name_that_does_not_exist_is_another_thing_than_a_server_that_does_not_know() -> None:
    async with name_server() as (server, lookup):
        gone = await lookup("nowhere.invalid")
        assert (gone.v4, gone.v6, gone.why) == ((), (), "there is no such name")
        server.rcode = dns.rcode.SERVFAIL
        failed = await lookup("nowhere.invalid")
        assert (failed.v4, failed.v6) == (None, None)
        assert failed.why.startswith("cannot be resolved: ")


async def test_what_dns_does_not_know_is_asked_of_the_machine() -> None:
    async with name_server() as (_, lookup):
        answer = await lookup("localhost")  # in /etc/hosts, or made up by nsswitch
        assert {*(answer.v4 or ()), *(answer.v6 or ())} <= {"127.0.0.1", "::1"}
        assert answer.v4 or answer.v6
        assert answer.ttl == MACHINE_TTL


@pytest.mark.promise("R-33")
async def test_a_followed_name_moves_and_keeps_its_last_address_when_the_server_fails() -> None:
    async with name_server() as (server, lookup):
        server.records["vm7.invalid", "A"] = 1, ["10.0.0.7"]
        moves: list[None] = []
        resolver = Resolver(SystemClock(), lookup, lambda: moves.append(None))
        said = services(service("shop/web", endpoint("vm7.invalid:80")))
        task = asyncio.create_task(resolver.run())
        await asyncio.sleep(0)

        def now() -> list[str]:
            return [str(one.id) for one in resolver.resolve(said)[name("shop/web")].endpoints]

        await until(lambda: now() == ["10.0.0.7:80"])
        server.records["vm7.invalid", "A"] = 1, ["10.0.0.8"]
        await until(lambda: now() == ["10.0.0.8:80"])
        server.rcode = dns.rcode.SERVFAIL
        await until(lambda: bool(now()) and any("its last addresses stand" in str(one) for one in resolver.problems))
        assert now() == ["10.0.0.8:80"]
        server.rcode = dns.rcode.NOERROR
        await until(lambda: bool(now()) and resolver.problems == ())
        task.cancel()
        await asyncio.wait((task,))

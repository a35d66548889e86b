"""What DNS, or failing that the machine itself, says of a name."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

from bridge.kit.address import parse

MACHINE_TTL = 30.0
"""Seconds for which an answer of the machine (its hosts file, its own resolvers) is taken; it names none itself."""

AT_ONCE = 32
"""Names that are asked for side by side."""

TIMEOUT = 5.0
"""Seconds after which DNS has not answered."""


class Answer(NamedTuple):
    """The addresses of a name, sorted, good for `ttl` seconds.

    A family is () when the name has none of it, and None when that could not be found out; `why` then says why, and
    why there is none at all.
    """

    v4: tuple[str, ...] | None
    v6: tuple[str, ...] | None
    ttl: float
    why: str = ""


Lookup = Callable[[str], Awaitable[Answer]]
"""Asks once for one name; does not raise for what a name server may say."""


class SystemLookup:
    """DNS as /etc/resolv.conf says; what it does not know is asked of the machine (/etc/hosts, nsswitch)."""

    def __init__(self, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        """`resolver` instead of that of /etc/resolv.conf."""
        self._resolver = resolver or _configured()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(2, "getaddrinfo")  # it may hang for long: nobody else's threads

    async def __call__(self, host: str) -> Answer:
        """Both families of `host`."""
        async with self._slots:
            answer = await self._dns(host)
            if answer.v4 or answer.v6:
                return answer
            return await self._machine(host) or answer

    async def _dns(self, host: str) -> Answer:
        if self._resolver is None:
            return Answer(None, None, MACHINE_TTL, "no name server is configured in /etc/resolv.conf")
        resolver = self._resolver
        v4, v6 = await asyncio.gather(_ask(resolver, host, "A"), _ask(resolver, host, "AAAA"))
        ttls = [one.ttl for one in (v4, v6) if one.addresses]
        return Answer(v4.addresses, v6.addresses, min(ttls, default=0.0), v4.why or v6.why)

    async def _machine(self, host: str) -> Answer | None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _getaddrinfo, host)
        except OSError:
            return None
        addresses = sorted({parse(address) for address in found})
        v6 = tuple(one for one in addresses if ":" in one)
        return Answer(tuple(one for one in addresses if ":" not in one), v6, MACHINE_TTL)


class _Family(NamedTuple):
    addresses: tuple[str, ...] | None
    ttl: float
    why: str = ""


def _configured() -> dns.asyncresolver.Resolver | None:
    try:
        return dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return None


async def _ask(resolver: dns.asyncresolver.Resolver, host: str, kind: str) -> _Family:
    try:
        answer = await resolver.resolve(host, kind, search=True, raise_on_no_answer=False, lifetime=TIMEOUT)
    except dns.resolver.NXDOMAIN:
        return _Family((), 0.0, "there is no such name")
    except (dns.exception.DNSException, OSError) as error:
        return _Family(None, 0.0, f"cannot be resolved: {error}")
    ttl = float(answer.chaining_result.minimum_ttl)
    return _Family(tuple(sorted(one.address for one in answer.rrset or ())), ttl)


def _getaddrinfo(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(where[0]).partition("%")[0] for _, _, _, _, where in found]

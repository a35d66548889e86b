"""What a sink promises of the records that it makes."""

from dataclasses import replace

import pytest

from bridge.adapter import Holding, Put
from bridge.model import Endpoint, Health, Locality, Port, Service, ServiceName
from bridge.testing.conformance.bench import Bench, sink_of
from bridge.testing.conformance.samples import API, OURS, WEB, service
from bridge.testing.conformance.views import told
from bridge.testing.conformance.wrote import writing

HTTP = (Port("http", 8080),)
ODD = (
    service("none"),
    Service.of(ServiceName("shop", "six"), [Endpoint("2001:db8::1", HTTP), Endpoint("10.0.0.1", HTTP)]),
    Service.of(ServiceName("shop", "ports"), [Endpoint("10.0.0.1", (Port("", 80), Port("admin", 81, "UDP")))]),
    Service.of(
        ServiceName("shop", "rich"),
        [
            Endpoint("10.0.0.1", HTTP, Health.DRAINING, Locality("eu", "dc1", "r7"), "lan", 3, "other"),
            Endpoint("10.0.0.2", HTTP, Health.UNHEALTHY, metadata=(("version", "2"), ("with blank", 'a "b" \\ ü,; #'))),
        ],
    ),
    Service.of(
        ServiceName("shop", "injects"),
        [
            Endpoint("10.0.0.1", HTTP, metadata=(("\x00", "\x1b[31m"), ("a", "b\nc: d\r\n"))),
            Endpoint("10.0.0.2", HTTP, network="x\ny", locality=Locality("\n", "../..", "'")),
        ],
    ),
    Service.of(ServiceName("x" * 63, "y" * 63), [Endpoint("10.0.0.1", (Port("p" * 63, 65535),))]),
    Service.of(ServiceName("..", "passwd"), [Endpoint("10.0.0.1", HTTP)]),
    Service.of(ServiceName("shop", "../../etc/passwd\n"), [Endpoint("10.0.0.1", HTTP)]),
)
"""Services that ask much of a format, some of them more than any should give."""

ALIKE = (
    ServiceName("a", "b-c"),
    ServiceName("a-b", "c"),
    ServiceName("a", "b--c"),
    ServiceName("a--b", "c"),
    ServiceName("b", "a-c"),
    ServiceName("a-b-c", "a"),
    ServiceName("b-c", "a"),
)
"""Names that a careless spelling makes into one."""


@pytest.mark.asyncio
class Fitting:
    """Promises of `Sink.fit`."""

    async def test_fit_is_pure(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            holding = await wrote.say(WEB)
            before = repr((WEB, holding))
            for given in (holding, Holding(), replace(holding, records=())):
                once = wrote.sink.fit(wrote.target, WEB, given)
                wrote.sink.fit(wrote.target, API, Holding())
                assert wrote.sink.fit(wrote.target, WEB, given) == once
                other = sink_of(bench.open(OURS))
                assert other.fit(wrote.target, WEB, given) == once, "every replica fits alike"
            assert repr((WEB, holding)) == before

    async def test_what_is_fitted_has_no_revision_and_is_of_its_service(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            for one in (WEB, many(bench)):
                records, _ = wrote.fit(one)
                assert records, "a service with endpoints is at least one record"
                assert len({record.key for record in records}) == len(records), "a key stands twice"
                for record in records:
                    assert (record.service, record.revision) == (one.name, None)
                    assert type(record.content) is bytes

    async def test_services_never_share_a_key(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            keys: dict[str, ServiceName] = {}
            for name in ALIKE:
                records, problems = wrote.fit(Service(name, WEB.endpoints))
                assert records or problems, f"{name} is left out, and nobody is told"
                for record in records:
                    assert keys.setdefault(record.key, name) == name, f"{name} and {keys[record.key]}: {record.key}"

    async def test_whatever_is_not_said_is_told(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            for odd in ODD:
                try:
                    records, problems = wrote.fit(odd)
                except Exception as error:
                    raise AssertionError(f"fit raised {error!r} for {odd}; it tells a Problem") from error
                for problem in problems:
                    told(problem)
                    assert problem.service == odd.name, "a Problem of fit says which service"
                if not records:
                    assert problems or not odd.endpoints, f"{odd} is left out, and nobody is told"
                    continue
                await wrote.say(odd)
                said = wrote.holding(odd.name).endpoints
                if not problems:
                    assert said == bench.written_as(odd).endpoints, f"{odd} reads back otherwise, and nobody was told"
                assert {one.address for one in said} <= {one.address for one in odd.endpoints}
                assert not wrote.watched.service(odd.name), "what we wrote is not read as somebody else's"

    async def test_what_has_no_place_is_a_problem(self, bench: Bench) -> None:
        odd = bench.odd()
        async with writing(bench) as wrote:
            _, problems = wrote.fit(odd)
            assert problems, f"a Problem about {odd}"
            for problem in problems:
                told(problem)

    async def test_a_large_service_stands_whole(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            large = many(bench)
            holding = await wrote.say(large)
            assert holding.endpoints == bench.written_as(large).endpoints

    async def test_one_endpoint_less_moves_no_other(self, bench: Bench) -> None:
        async with writing(bench) as wrote:
            large = many(bench)
            await wrote.say(large)
            for one in (
                Service(large.name, large.endpoints[1:]),
                Service.of(large.name, [*large.endpoints, Endpoint("10.0.0.1", HTTP)]),
            ):
                puts = [change for change in wrote.plan(one) if isinstance(change, Put)]
                assert len(puts) <= 1, f"{len(puts)} records are written for one endpoint: pack as `holding` is packed"


def many(bench: Bench) -> Service:
    """A service of many endpoints."""
    addresses = [f"10.30.{number // 200}.{number % 200 + 1}" for number in range(bench.many)]
    return service("large", *addresses)

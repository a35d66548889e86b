import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bridge.model import Endpoint, Port, Service, Services
from bridge.runtime import resolve
from bridge.runtime.resolve import LONGEST, NAMES, Resolver
from bridge.testing.clock import FakeClock
from tests.builders import endpoint, name, service, services
from tests.engines import Zone

WEB = name("shop/web")


def vm(host: str, port: int = 80) -> Endpoint:
    return Endpoint(host, (Port("http", port),))


@dataclass
class Followed:
    resolver: Resolver
    clock: FakeClock
    said: Services = field(default_factory=services)
    moves: int = 0

    def say(self, *them: Service) -> None:
        self.said = services(*them)
        self.resolver.resolve(self.said)

    def now(self, of: str = "shop/web") -> list[str]:
        return [str(one.id) for one in self.resolver.resolve(self.said)[name(of)].endpoints]

    def problems(self) -> list[str]:
        return [str(one) for one in self.resolver.problems]


@asynccontextmanager
async def following(zone: Zone, clock: FakeClock) -> AsyncIterator[Followed]:
    def moved() -> None:
        it.moves += 1

    it = Followed(Resolver(clock, zone, moved), clock)
    task = asyncio.create_task(it.resolver.run())
    await clock.idle()
    try:
        yield it
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_a_view_without_names_passes_as_the_same_objects() -> None:
    clock = FakeClock()
    async with following(Zone(clock), clock) as it:
        said = services(service("shop/web", "10.0.0.1:80", "[2001:db8::1]:80"))
        assert it.resolver.resolve(said)[WEB] is said[WEB]


@pytest.mark.promise("R-33")
async def test_an_endpoint_whose_name_has_no_answer_yet_is_left_out_with_a_problem() -> None:
    clock = FakeClock()
    zone = Zone(clock, vm7_dc1="10.0.0.7")
    zone.slow = 2.0
    async with following(zone, clock) as it:
        it.say(service("shop/web", "10.0.0.1:80", vm("vm7.dc1")))
        assert it.now() == ["10.0.0.1:80"]
        assert it.problems() == ["vm7.dc1: not resolved yet; its endpoints are left out until then"]
        await clock.advance(2.0)
        assert it.now() == ["10.0.0.1:80", "10.0.0.7:80"]
        assert it.problems() == []


@pytest.mark.promise("R-33")
async def test_every_address_of_a_name_is_an_endpoint_of_its_own() -> None:
    clock = FakeClock()
    async with following(Zone(clock, vm7_dc1="10.0.0.8 10.0.0.7 2001:db8::7"), clock) as it:
        it.say(service("shop/web", vm("vm7.dc1"), endpoint("10.0.0.8:80", weight=3)))
        await clock.idle()
        assert it.now() == ["10.0.0.7:80", "10.0.0.8:80", "[2001:db8::7]:80"]
        one = it.resolver.resolve(it.said)[WEB].endpoints[1]
        assert one.weight == 3  # what is written as an address counts where a name says the same


@pytest.mark.promise("R-33")
async def test_a_name_that_moves_is_followed_by_its_time_to_live() -> None:
    clock = FakeClock()
    zone = Zone(clock, ttl=20, vm7_dc1="10.0.0.7")
    async with following(zone, clock) as it:
        it.say(service("shop/web", vm("vm7.dc1")), service("shop/other", "10.0.0.1:80"))
        await clock.idle()
        zone.names["vm7.dc1"] = ["10.0.0.9"]
        await clock.advance(19)
        assert it.now() == ["10.0.0.7:80"]
        before = it.resolver.resolve(it.said)
        await clock.advance(1)
        assert it.now() == ["10.0.0.9:80"]
        assert it.moves == 2
        assert it.resolver.resolve(it.said)[name("shop/other")] is before[name("shop/other")]


@pytest.mark.promise("R-33")
@pytest.mark.parametrize("broken", ["", "cannot be resolved: all name servers failed"])
async def test_a_name_that_resolves_to_none_keeps_its_last_addresses_with_a_problem(broken: str) -> None:
    clock = FakeClock()
    zone = Zone(clock, ttl=20, vm7_dc1="10.0.0.7")
    async with following(zone, clock) as it:
        it.say(service("shop/web", vm("vm7.dc1")))
        await clock.idle()
        zone.names, zone.broken = {}, broken
        await clock.advance(7_200)
        assert it.now() == ["10.0.0.7:80"]
        assert it.problems() == [f"vm7.dc1: {broken or 'there is no such name'}; its last addresses stand"]
        zone.names, zone.broken = {"vm7.dc1": ["10.0.0.8"]}, ""
        await clock.advance(60)
        assert it.now() == ["10.0.0.8:80"]
        assert it.problems() == []


async def test_a_name_that_never_resolved_is_asked_for_less_and_less_often() -> None:
    clock = FakeClock()
    zone = Zone(clock)
    async with following(zone, clock) as it:
        it.say(service("shop/web", vm("vm7.dc1")))
        await clock.advance(10)
        early = len(zone.asked)
        await clock.advance(3_600)
        assert 3 <= early <= 5
        assert 3_600 / 40 <= len(zone.asked) - early <= 3_600 / 30 + 1
        assert it.now() == []
        assert it.problems() == ["vm7.dc1: there is no such name; its endpoints are left out"]


async def test_times_to_live_are_bounded_both_ways() -> None:
    clock = FakeClock()
    quick, slow = Zone(clock, ttl=0, a_dc1="10.0.0.1"), Zone(clock, ttl=1e9, a_dc1="10.0.0.1")
    async with following(quick, clock) as one, following(slow, clock) as other:
        for it in (one, other):
            it.say(service("shop/web", vm("a.dc1")))
        await clock.advance(2 * LONGEST)
    assert len(quick.asked) == 2 * LONGEST + 1
    assert len(slow.asked) == 3


async def test_a_name_that_nobody_uses_any_more_is_not_asked_for() -> None:
    clock = FakeClock()
    zone = Zone(clock, ttl=5, a_dc1="10.0.0.1", b_dc1="10.0.0.2")
    async with following(zone, clock) as it:
        it.say(service("shop/web", vm("a.dc1")), service("shop/b", vm("b.dc1"), vm("a.dc1", 81)))
        await clock.advance(5)
        it.say(service("shop/web", vm("b.dc1")))
        await clock.idle()
        zone.asked.clear()
        await clock.advance(20)
        assert set(zone.asked) == {"b.dc1"}


async def test_a_look_up_that_fails_by_a_bug_is_tried_again() -> None:
    clock = FakeClock()
    zone = Zone(clock, a_dc1="10.0.0.1")
    names, zone.names = zone.names, None  # type: ignore[assignment]
    async with following(zone, clock) as it:
        it.say(service("shop/web", vm("a.dc1")))
        await clock.idle()
        zone.names = names
        await clock.advance(60)
        assert it.now() == ["10.0.0.1:80"]


@pytest.mark.promise("S-06")
async def test_the_names_that_are_followed_are_bounded() -> None:
    clock = FakeClock()
    resolver = Resolver(clock, Zone(clock), lambda: None)
    resolver.resolve(services(service("shop/web", *(vm(f"vm{number}.dc1") for number in range(NAMES + 2)))))
    assert len(resolver.problems) == 501
    assert sum(one.count for one in resolver.problems) == NAMES + 2
    resolver.resolve(services(service("shop/web", *(vm(f"vm{number}.dc1") for number in range(NAMES)))))
    assert sum(one.count for one in resolver.problems) == NAMES


async def test_a_name_for_which_there_was_no_room_is_followed_when_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "NAMES", 1)
    clock = FakeClock()
    async with following(Zone(clock, vm1_dc1="10.0.0.1", vm2_dc1="10.0.0.2"), clock) as it:
        first, second = service("shop/api", vm("vm1.dc1")), service("shop/web", vm("vm2.dc1"))
        it.say(first, second)
        await clock.idle()
        assert it.now() == []
        assert any("more than 1 names to follow" in one for one in it.problems())
        it.say(second)
        await clock.idle()
        assert it.now() == ["10.0.0.2:80"]
        assert it.problems() == []


async def test_the_first_answers_are_waited_for_but_not_for_ever() -> None:
    clock = FakeClock()
    zone = Zone(clock, a_dc1="10.0.0.1")
    zone.slow = 1.0
    async with following(zone, clock) as it:
        it.say(service("shop/web", vm("a.dc1")))
        answered = asyncio.create_task(it.resolver.answered())
        await clock.advance(0.9)
        assert not answered.done()
        await clock.advance(0.2)
        assert answered.done()
        zone.slow = 1e9
        it.say(service("shop/web", vm("b.dc1")))
        answered = asyncio.create_task(it.resolver.answered())
        await clock.advance(6)
        assert answered.done()

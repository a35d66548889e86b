from pathlib import Path

import pytest

from bridge.checks import Failed, Hindered
from bridge.checks.checks import AT_ONCE
from bridge.errors import Unavailable
from bridge.model import EndpointId, Health, SourceName
from bridge.runtime.checker import Checker
from bridge.runtime.keep import meanwhile
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from tests.builders import endpoint, hosts, name, service, services
from tests.checking import Hosts, check
from tests.engines import Run, running

H, U = Health.HEALTHY, Health.UNHEALTHY
WEB = name("shop/web")
TEN = service("shop/web", *hosts(10))
VMS = SourceName("vms")
FALL = 31.0
"""Seconds in which whoever fails from now on has fallen."""


def bad(run: Run) -> list[str]:
    return [host for host, health in run.health("shop/web").items() if health is U]


async def test_a_host_that_fails_is_unhealthy_and_healthy_again_when_it_passes() -> None:
    clock, vms, them = FakeClock(), MemoryRegistry(TEN), Hosts()
    async with running(clock, checks=them.active(), vms=vms) as run:
        assert set(run.health("shop/web").values()) == {None}
        await clock.advance(11)
        assert set(run.health("shop/web").values()) == {H}
        them.fall(hosts(2))
        await clock.advance(FALL)
        assert bad(run) == hosts(2)
        first = run.reading("vms").checks[WEB][EndpointId("10.0.0.1", 80)]
        assert str(first) == "10.0.0.1:80 tcp: connection refused, 3 in a row"
        assert run.reading("vms").counts == (8, 2, 0)
        them.down.clear()
        await clock.advance(21)
        assert bad(run) == []
        assert "checks failed" in run.events()
        assert "checks pass again" in run.events()


@pytest.mark.promise("R-37")
@pytest.mark.parametrize("dead", [6, 10])
async def test_when_more_than_half_fail_nothing_changes_at_any_moment(dead: int) -> None:
    clock, vms, them = FakeClock(), MemoryRegistry(TEN), Hosts()
    async with running(clock, checks=them.active(), vms=vms) as run:
        await clock.advance(60)
        told = len(run.published)
        them.fall(hosts(dead), Failed("silent for 2 s"))
        await clock.advance(600)
        assert len(run.published) == told
        assert bad(run) == []
        assert run.reading("vms").verdict.health_flood
        assert run.reading("vms").counts.unhealthy == dead
        them.down.clear()
        await clock.advance(60)
        assert len(run.published) == told
        assert not run.reading("vms").verdict.health_flood


@pytest.mark.promise("R-37")
async def test_what_fails_in_a_flood_is_believed_at_an_operators_word_or_after_half_an_hour() -> None:
    clock, vms, them = FakeClock(), MemoryRegistry(TEN), Hosts()
    async with running(clock, checks=them.active(), vms=vms) as run:
        await clock.advance(60)
        them.fall(hosts(6))
        await clock.advance(60)
        assert bad(run) == []
        assert "registry-bridge holds accept --health --source vms" in run.log[-1]["until"]
        await run.engine.decisions.accept_health(VMS, clock.wall())
        await clock.advance(1)
        assert bad(run) == hosts(6)
        them.down.clear()
        await clock.advance(60)
        them.fall(hosts(6))
        await clock.advance(1_900)
        assert bad(run) == hosts(6)


async def test_a_bridge_that_has_no_route_itself_has_no_verdict() -> None:
    clock, vms, them = FakeClock(), MemoryRegistry(TEN), Hosts()
    async with running(clock, checks=them.active(), vms=vms) as run:
        await clock.advance(60)
        them.fall(hosts(10), Hindered("cannot be reached from here: network is unreachable"))
        await clock.advance(3_600)
        assert set(run.health("shop/web").values()) == {H}
        assert any("network is unreachable" in problem for problem in run.problems("vms"))


async def test_the_worse_of_the_registrys_word_and_the_check_counts() -> None:
    clock, them = FakeClock(), Hosts()
    vms = MemoryRegistry(service("shop/web", endpoint("10.0.0.1:80", health=Health.DRAINING), *hosts(4)[1:]))
    async with running(clock, checks=them.active(), vms=vms) as run:
        await clock.advance(11)
        assert run.health("shop/web")["10.0.0.1:80"] is Health.DRAINING
        them.fall(hosts(1))
        await clock.advance(FALL)
        assert run.health("shop/web")["10.0.0.1:80"] is U


async def test_hosts_are_checked_while_their_registry_is_lost_and_no_hold_ages_for_it() -> None:
    clock, vms, them = FakeClock(), MemoryRegistry(TEN), Hosts()
    async with running(clock, checks=them.active(), vms=vms) as run:
        await clock.advance(60)
        vms.set(service("shop/web", *hosts(10)[:5]))
        await clock.advance(1)
        vms.fail(Unavailable("vms: gone"))
        them.fall(hosts(1))
        await clock.advance(7_200)
        assert bad(run) == hosts(1)
        assert run.reading("vms").state == "lost"
        assert sum(one.endswith("?") for one in run.endpoints("shop/web")) == 5


async def test_a_host_that_was_down_is_down_after_a_restart_until_it_passes(tmp_path: Path) -> None:
    clock, vms, them = FakeClock(), MemoryRegistry(TEN), Hosts()
    them.fall(hosts(1))
    async with running(clock, tmp_path, checks=them.active(), vms=vms) as run:
        await clock.advance(60)
        assert bad(run) == hosts(1)
    clock, vms = FakeClock(), MemoryRegistry(TEN)
    async with running(clock, tmp_path, checks=them.active(), vms=vms) as run:
        await clock.advance(1)
        assert bad(run) == hosts(1)
        await clock.advance(600)
        assert bad(run) == hosts(1)
        them.down.clear()
        await clock.advance(21)
        assert bad(run) == []


@pytest.mark.promise("R-32")
async def test_a_check_that_fails_by_a_bug_is_no_verdict_and_harms_no_other() -> None:
    clock, vms, them = FakeClock(), MemoryRegistry(TEN), Hosts()
    async with running(clock, checks=them.active(), vms=vms) as run:
        await clock.advance(60)
        them.down[hosts(1)[0]] = ZeroDivisionError("a bug")
        them.fall(hosts(3)[1:])
        await clock.advance(120)
        assert bad(run) == hosts(3)[1:]
        assert any("ZeroDivisionError" in problem for problem in run.problems("vms"))
        assert run.engine.alive()


@pytest.mark.promise("R-32")
async def test_checks_that_were_broken_off_when_the_task_died_are_made_again() -> None:
    clock, them, many = FakeClock(), Hosts(), AT_ONCE + 50
    checker = Checker(VMS, them.active(), clock, lambda: None, None)
    checker.judge(services(service("shop/web", *hosts(many))))
    them.answers = False
    async with meanwhile(checker.run()):
        await clock.advance(10)
        assert len(them.asked) == AT_ONCE  # nobody else has a turn before one of them ends
    them.answers = True
    async with meanwhile(checker.run()):
        await clock.advance(20)
        assert checker.counts == (many, 0, 0)


async def test_only_the_services_that_a_check_names_are_checked() -> None:
    clock, them = FakeClock(), Hosts()
    vms = MemoryRegistry(TEN, service("shop/api", "10.1.0.1:80"))
    async with running(clock, checks=them.active(check("shop/api")), vms=vms) as run:
        await clock.advance(60)
        assert set(them.asked) == {"10.1.0.1:80"}
        assert set(run.health("shop/web").values()) == {None}

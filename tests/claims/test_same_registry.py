"""Two registries of a configuration that turn out to be one: nothing of it is written into itself; both are named."""

from bridge.admin.exporting import problems
from bridge.runtime.exported import State
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from tests.builders import hosts, service
from tests.outlets import API, WEB, export, exported, said, sink, writing

HERE = frozenset(["server-1"])


async def test_what_a_registry_knows_is_not_written_into_it_because_it_is_reached_in_another_way_too() -> None:
    clock, vms, near, out = FakeClock(), MemoryRegistry(WEB), MemoryRegistry(API), sink()
    near.servers, out.servers = HERE | {"server-2"}, HERE
    near.set(API)
    out.set()
    async with writing(clock, out, what=export(sources=("vms", "near")), vms=vms, near=near) as run:
        await clock.advance(1)
        assert said(out.store) == {"shop/web": hosts(3)}
        assert exported(run).state is State.IN_STEP
        (problem,) = [one for one in problems(exported(run)) if one.kind == "same"]
        assert str(problem) == (
            "out: near is the same registry as out, reached in another way: what it knows stands there, and is not "
            "written again; take near out of `from`"
        )
        near.servers = frozenset(["server-9"])
        near.set(API, service("shop/new", "10.3.0.1:80"))
        await clock.advance(1)
        assert set(said(out.store)) == {"shop/web", "shop/api", "shop/new"}
        assert [one for one in problems(exported(run)) if one.kind == "same"] == []


async def test_registries_of_which_nobody_says_which_servers_they_are_are_different_ones() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        assert said(out.store) == {"shop/web": hosts(3)}
        assert problems(exported(run)) == ()

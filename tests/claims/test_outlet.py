from bridge.runtime.exported import State
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from tests.builders import hosts, service
from tests.outlets import exported, made, said, sink, writing

WEB = service("shop/web", *hosts(3))
API = service("shop/api", *hosts(2, net="10.1"))


async def test_what_one_registry_knows_comes_to_stand_in_the_other() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        assert said(out.store) == {"shop/api": hosts(2, net="10.1"), "shop/web": hosts(3)}
        assert made(out) == ["put shop/api#0", "put shop/web#0"]
        now = exported(run)
        assert (now.state, now.complete, now.puts, now.removals, now.records) == (State.IN_STEP, True, 0, 0, 2)
        assert now.made == {"put": 2}
        vms.set(service("shop/web", *hosts(4)), API)
        await clock.advance(1)
        assert said(out.store)["shop/web"] == hosts(4)
        assert len(made(out)) == 3
        await clock.advance(3_600)
        assert len(made(out)) == 3
    assert said(out.store)["shop/web"] == hosts(4)  # a bridge that stops leaves everything in place

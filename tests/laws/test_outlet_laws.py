"""Whatever changes, fails and is late, a sink comes to say what is wanted."""

import random

from bridge.errors import Conflict, Unavailable
from bridge.runtime.exported import State
from bridge.runtime.rate import Rate
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from tests.builders import hosts, service
from tests.outlets import exported, said, sink, writing


async def test_whatever_changes_and_fails_the_sink_comes_to_say_what_is_wanted_with_one_write_a_change() -> None:
    for seed in range(4):
        rng, clock = random.Random(seed), FakeClock()
        vms, out = MemoryRegistry(), sink(chunk=rng.choice((2, 1_000)))
        world: dict[str, list[str]] = {}
        vms.set()
        out.faults.clock, out.faults.delay = clock, 0.02
        async with writing(clock, out, rate=Rate(200, 200), vms=vms) as run:
            for _ in range(150):
                one = f"shop/s{rng.randrange(12)}"
                pool = hosts(6, net=f"10.{one[6:]}")
                world[one] = sorted(rng.sample(pool, rng.randrange(1, 7)))
                vms.set(*(service(each, *them) for each, them in sorted(world.items())))
                match rng.randrange(12):
                    case 0:
                        error = rng.choice((Unavailable("gone"), Conflict("moved"), RuntimeError("a bug")))
                        out.faults.refuse(error, 2, lost=rng.random() < 0.5)
                    case 1:
                        out.show(False)
                    case 2:
                        out.show()
                    case 3:
                        out.refresh()
                await clock.advance(rng.choice((0.05, 0.3, 2)))
            out.show()
            await clock.advance(7_200)
            assert said(out.store) == world
            assert (exported(run).state, exported(run).puts, exported(run).removals) == (State.IN_STEP, 0, 0)
            assert run.engine.restarts() == 0
            quiet = len(out.writes)
            for one, pool in sorted(world.items()):
                world[one] = sorted({*pool, "10.200.0.1:80"})
            vms.set(*(service(each, *them) for each, them in sorted(world.items())))
            await clock.advance(60)
            assert said(out.store) == world
            assert len(out.writes) == quiet + len(world)

"""Whatever changes, fails and is late, a sink comes to say what is wanted."""

import random

import pytest

from bridge.adapter import Put, Remove
from bridge.errors import Conflict, Unavailable
from bridge.runtime.exported import State
from bridge.runtime.rate import Rate
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from bridge.testing.records import decode, encode
from bridge.testing.store import ONLY, Store
from bridge.withhold import AGREEMENT
from tests.builders import endpoint, hosts, name, service
from tests.outlets import OURS, Voted, exported, key, said, sink, writing

NAMES = ["shop/a", "shop/b", "shop/c"]


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


@pytest.mark.promise("law-2", "R-17")
async def test_whoever_leads_and_however_late_it_reads_no_hand_is_blamed_for_what_a_replica_wrote() -> None:
    """Two replicas take turns, the one reads later than the other, and strangers come by hand meanwhile."""
    for seed in range(4):
        rng, clock, store = random.Random(seed), FakeClock(), Store()
        sources, outs = [MemoryRegistry(), MemoryRegistry()], [sink(store), sink(store)]
        votes = [Voted(OURS.deployment), Voted(OURS.deployment)]
        known = {one: hosts(3, net=f"10.{number}") for number, one in enumerate(NAMES)}
        for source in sources:
            source.set(*(service(one, *them) for one, them in known.items()))
        async with (
            writing(clock, outs[0], elector=votes[0], vms=sources[0]) as one,
            writing(clock, outs[1], elector=votes[1], vms=sources[1]) as other,
        ):
            votes[0].say(1, clock.now() + 1e6)
            term, looked = 1, [0, 0]
            await clock.advance(2)
            for _ in range(120):
                of, first = rng.randrange(len(NAMES)), rng.randrange(2)
                text = NAMES[of]
                known[text] = sorted({*known[text], rng.choice(hosts(40, net=f"10.{of}"))})
                for late in (first, 1 - first):
                    sources[late].change({name(text): service(text, *known[text])})
                    await clock.advance(rng.choice((0.0, 0.01, 0.2, 3)))
                    if rng.random() < 0.4:
                        term, leader = term + 1, rng.randrange(2)
                        votes[1 - leader].say(term - 1, clock.now())
                        votes[leader].say(term, clock.now() + 1e6)
                        await clock.advance(rng.choice((0.0, 0.3, 2)))
                if rng.random() < 0.2:
                    add(store, text, f"10.99.0.{rng.randrange(1, 200)}:80")
                await clock.advance(rng.choice((0.05, 1, 5)))
                for number, out in enumerate(outs):
                    for write in out.writes[looked[number] :]:
                        assert not gone(write) & set(known[str(write.record.service)]), f"seed {seed}, term {term}"
                    looked[number] = len(out.writes)
            await clock.advance(2 * AGREEMENT)
            assert said(store) == known
            assert one.engine.restarts() == other.engine.restarts() == 0


def add(store: Store, text: str, stranger: str) -> None:
    """By hand, into the record of a service."""
    standing = store.records[ONLY][key(f"{text}#0")].record
    them = {each.id: each for each in (*decode(standing.content), endpoint(stranger))}
    store.edit(ONLY, standing.key, encode([them[each] for each in sorted(them)]))


def gone(write: Put | Remove) -> set[str]:
    """The endpoints that a write took away."""
    before = write.replaces if isinstance(write, Put) else write.record
    after = write.record if isinstance(write, Put) else None
    was, is_ = ({str(e.id) for e in decode(one.content)} if one is not None else set() for one in (before, after))
    return was - is_

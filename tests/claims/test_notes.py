"""What is noted beside a service in its registry."""

from typing import Any

import pytest

from bridge.adapter import Note, RecordKey, Target
from bridge.errors import BridgeError, Conflict, Denied, Rejected, Unavailable
from bridge.model import Service
from bridge.runtime.election import Term
from bridge.runtime.notes import REPEAT, SOONEST
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from bridge.testing.store import ONLY
from tests.builders import hosts, name, service
from tests.outlets import OURS, Voted, sink, writing

WEB = service("shop/web", *hosts(3))


class Told(MemoryRegistry):
    """A registry with a place for notes."""

    def __init__(self, *said: Service, **more: Any) -> None:
        super().__init__(*said, **more)
        self.notes: list[str] = []
        self.error: Exception | None = None
        self.errors: dict[str, BridgeError] = {}  # by service

    async def tell(self, target: Target, note: Note) -> None:
        assert target == ONLY
        if error := self.errors.get(str(note.service), self.error):
            raise error
        self.notes.append(f"{note.service} {note.kind}: {note.text}")


def told() -> Told:
    made = Told(mark=OURS)
    made.set()
    return made


def take(out: Told, *services: str) -> None:
    for one in services:
        out.store.foreign(ONLY, "", RecordKey(f"{one}#0"), name(one), b"[]")


async def test_a_name_that_another_has_is_noted_beside_its_service_and_once() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), told()
    take(out, "shop/web")
    async with writing(clock, out, vms=vms):
        await clock.advance(4)
        assert out.notes == [], "what passes in a moment is not noted"
        await clock.advance(60)
        assert len(out.notes) == 1
        assert out.notes[0].startswith("shop/web taken: shop/web#0: belongs to ")
        vms.set(service("shop/web", *hosts(4)))
        await clock.advance(SOONEST + 60)
        assert len(out.notes) == 1


async def test_what_stays_so_is_noted_again_when_registries_have_forgotten_it() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), told()
    take(out, "shop/web")
    async with writing(clock, out, vms=vms):
        await clock.advance(4 * REPEAT - 60)
        assert len(out.notes) == 4
        out.store.remove(ONLY, RecordKey("shop/web#0"))
        await clock.advance(2 * REPEAT)
        assert len(out.notes) == 4


async def test_parked_and_withheld_are_noted_too() -> None:
    clock, out = FakeClock(), told()
    vms = MemoryRegistry(WEB, service("shop/api", *hosts(30, net="10.1")))
    async with writing(clock, out, vms=vms):
        await clock.advance(10)
        assert out.notes == [], "where all is well nothing is noted"
        out.faults.refuse(Rejected("out: will not do"))
        vms.set(service("shop/web", *hosts(4)))
        await clock.advance(60)
        await vms_gone(clock, vms)
        assert [one.partition(": ")[0] for one in out.notes[:2]] == ["shop/web parked", "shop/api withheld"]
        assert out.notes[0] == "shop/web parked: shop/web#0: out: will not do"
        assert "(and 9 more)" in out.notes[1]


async def vms_gone(clock: FakeClock, vms: MemoryRegistry) -> None:
    """What the guard has to confirm first takes its time."""
    for _ in range(40):
        vms.set(service("shop/web", *hosts(4)))
        await clock.advance(60)


async def test_only_who_writes_notes() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), told()
    take(out, "shop/web")
    elector = Voted("one")
    async with writing(clock, out, elector=elector, vms=vms):
        await clock.advance(60)
        assert out.notes == []
        elector.say(1, clock.now() + 3600)
        await clock.advance(60)
        assert len(out.notes) == 1


async def test_what_cannot_be_noted_is_noted_another_time_and_said_once() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), told()
    take(out, "shop/web")
    out.error = Unavailable("out: no answer")
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(5 * SOONEST)
        assert [one["why"] for one in run.log if one["event"] == "not noted"] == ["out: no answer"]
        assert run.engine.restarts() == 0
        out.error = None
        await clock.advance(SOONEST + 1)
        assert len(out.notes) == 1


@pytest.mark.parametrize(
    "error", [Rejected("out: too long"), Conflict("out: no such namespace"), Denied("out: not there", whole=False)]
)
async def test_one_that_cannot_be_noted_keeps_no_other_from_being_noted(error: BridgeError) -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(service("shop/api", *hosts(2)), WEB), told()
    take(out, "shop/api", "shop/web")
    out.errors["shop/api"] = error
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(REPEAT - SOONEST)
        assert [one.partition(":")[0] for one in out.notes] == ["shop/web taken"]
        assert len([one for one in run.log if one["event"] == "not noted"]) == 1


async def test_many_notes_are_a_trickle() -> None:
    names = [f"shop/s{number:03}" for number in range(60)]
    vms = MemoryRegistry(*(service(one, *hosts(1)) for one in names))
    clock, out = FakeClock(), told()
    take(out, *names)
    async with writing(clock, out, vms=vms):
        await clock.advance(6)
        assert 20 <= len(out.notes) <= 22
        await clock.advance(60)
        assert len(out.notes) == 60


async def test_a_registry_without_a_place_for_notes_is_written_as_ever() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB), sink()
    async with writing(clock, out, elector=Voted("one", Term(1, 1e9)), vms=vms) as run:
        await clock.advance(60)
        assert out.writes
        assert run.engine.restarts() == 0

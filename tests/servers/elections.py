"""What every election by a lease promises on its real registry: tests that those of each registry inherit."""

import asyncio
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import pytest

from bridge.errors import Conflict, Denied
from bridge.kit import Clock
from bridge.kit.election import Elector
from bridge.kit.leased import LeasedElection
from bridge.model import EndpointId, ServiceName, SourceName
from bridge.runtime.decisions import Decisions
from tests.servers.electing import CLOCK, STEADY, Replica, Wild, enter, shelf, until, watched

HOLD = (ServiceName("shop", "web"), EndpointId("10.0.0.1", 80))
VMS = SourceName("vms")


class Said(NamedTuple):
    """What a lease says; `renewed` is greater with each renewal."""

    holder: str
    seconds: float
    transitions: int
    renewed: Any = 0


FREE = Said("", 1, 0)
"""One that nobody waits long for, however long theirs is to last."""


class Ballot(ABC):
    """One election in a registry, and somebody there with every right."""

    @abstractmethod
    def elector(self, clock: Clock, **more: Any) -> Elector:
        """Another replica's part in it."""

    @abstractmethod
    async def lease(self) -> Said: ...

    async def held(self) -> bool:
        """Whether the lease says who holds it, and is no garbage."""
        try:
            return bool((await self.lease()).holder)
        except (ValueError, TypeError):
            return False

    @abstractmethod
    async def make(self, said: Said) -> None:
        """Where no lease is yet."""

    @abstractmethod
    async def delete(self) -> None: ...

    @abstractmethod
    async def spoil(self) -> None:
        """Write something into the lease that says nothing."""

    @abstractmethod
    async def decide_anew(self, content: bytes) -> None:
        """Put this in the place of the decisions, which are deleted first."""

    @abstractmethod
    async def hide(self) -> None:
        """Take from the replicas the right to read the decisions."""

    def enter(self, clock: Clock = CLOCK, **more: Any) -> Replica:
        return enter(self.elector(clock, **more), clock)

    def decisions(self) -> Decisions:
        return Decisions(shelf(self.elector(CLOCK, **STEADY)), CLOCK)


class Elections:
    """The fixture `ballot` says where."""

    async def test_who_comes_alone_leads_renews_and_gives_back_when_it_ends(self, ballot: Ballot) -> None:
        await ballot.make(FREE)
        first = ballot.enter(lease="8s", renew="7s")
        async with watched(first):
            await until(lambda: first.leads, "it leads")
            said = await ballot.lease()
            assert (said.seconds, said.transitions) == (8.0, 1)
            assert "_" in said.holder
            await asyncio.sleep(8.5)  # longer than it lasts
            renewed = await ballot.lease()
            assert renewed.renewed > said.renewed
            assert renewed == said._replace(renewed=renewed.renewed)
            assert first.leads
            assert first.terms == [1]
        assert (await ballot.lease())[:2] == ("", 1)
        second = ballot.enter(**STEADY)
        async with watched(second):
            await until(lambda: second.leads, "the next one leads")
            assert second.terms == [2]

    @pytest.mark.promise("R-21")
    async def test_of_three_replicas_one_leads_and_when_it_ends_another_does(self, ballot: Ballot) -> None:
        await ballot.make(FREE)
        them = [ballot.enter(Wild(), **STEADY) for _ in range(3)]
        assert len({one.leadership.deployment for one in them}) == 1
        async with watched(*them) as leaders:
            for _ in range(3):
                await until(leaders, "one leads")
                await leaders()[0].end()
        assert sorted(number for one in them for number in one.terms) == [1, 2, 3]
        assert [len(one.terms) for one in them] == [1, 1, 1]

    async def test_a_look_says_who_leads_and_makes_nothing(self, ballot: Ballot) -> None:
        async def looked() -> str:
            elector = ballot.elector(CLOCK, **STEADY)
            assert isinstance(elector, LeasedElection)
            return (await elector.sample(60)).says

        for _ in range(2):
            assert await looked() == "is not there yet; who leads first makes it"
        await ballot.make(FREE)
        first = ballot.enter(**STEADY)
        async with watched(first):
            await until(lambda: first.leads, "it leads")
            assert (await ballot.lease()).holder in await looked()
        assert await looked() == "is held by nobody"

    async def test_who_does_not_lead_knows_who_does(self, ballot: Ballot) -> None:
        await ballot.make(FREE)
        them = [ballot.enter(**STEADY) for _ in range(2)]
        async with watched(*them) as leaders:
            await until(leaders, "one leads")
            (other,) = [one for one in them if not one.leads]
            await until(lambda: other.leader, "the other one knows who does")
            assert other.leader == f"'{(await ballot.lease()).holder}'"

    async def test_who_dies_is_followed_when_its_lease_is_over(self, ballot: Ballot) -> None:
        await ballot.make(Said("one-that-died", 3, 7))
        heir = ballot.enter(**STEADY)
        async with watched(heir):
            await until(lambda: heir.leads, "it took over")
            assert heir.terms == [8]

    async def test_a_lease_that_hands_delete_or_fill_with_garbage_frees_nobodys_lead(self, ballot: Ballot) -> None:
        them = [ballot.enter() for _ in range(3)]
        async with watched(*them) as leaders:
            await until(leaders, "one leads")
            for number in range(4):
                await (ballot.spoil() if number % 2 else ballot.delete())
                await asyncio.sleep(0.7)
            await until(leaders, "one leads")
            async with asyncio.timeout(90):
                while not await ballot.held():
                    await asyncio.sleep(0.05)

    async def test_what_one_replica_is_told_all_go_by_and_those_that_come_later(self, ballot: Ballot) -> None:
        first, second, third = (ballot.decisions() for _ in range(3))
        await first.load()
        await second.load()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run()) for one in (first, second)]
            await first.accept(VMS, [HOLD], CLOCK.wall())
            await second.freeze(VMS, CLOCK.wall() + 600)
            await until(lambda: first.current.value[VMS].frozen and second.current.value[VMS].accepted, "both know")
            await third.load()
            tasks.append(group.create_task(third.run()))
            assert list(third.current.value[VMS].accepted) == [HOLD]
            assert third.current.value[VMS].frozen is not None
            assert third.problems() == ()
            await asyncio.sleep(0)  # it runs, and so lets go when it is ended
            for task in tasks:
                task.cancel()

    async def test_a_decision_names_what_it_replaces(self, ballot: Ballot) -> None:
        mine, other = (shelf(ballot.elector(CLOCK, **STEADY)) for _ in range(2))
        try:
            assert await mine.read() is None
            await mine.write(b"one", None)
            kept = await other.read()
            assert kept is not None
            assert kept.content == b"one"
            with pytest.raises(Conflict):
                await other.write(b"two", None)
            await other.write(b"two", kept)
            with pytest.raises(Conflict):
                await mine.write(b"three", kept)
            await ballot.decide_anew(b"four")
            with pytest.raises(Conflict):
                await mine.write(b"five", kept)
            await ballot.hide()
            with pytest.raises(Denied):
                await mine.read()
        finally:
            await mine.close()
            await other.close()

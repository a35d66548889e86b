"""What others do to our records, by hand or under the names that we want, and what becomes of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bridge.adapter import Claim, Holding, Problem, Record, Target
from bridge.model import Service
from bridge.runtime.election import Term
from bridge.runtime.exported import State
from bridge.testing.clock import FakeClock
from bridge.testing.memory import MemoryRegistry
from bridge.testing.records import encode
from bridge.testing.store import ONLY, Store
from bridge.withhold import AGREEMENT
from tests.builders import endpoint, hosts, name, service
from tests.outlets import (
    API,
    OURS,
    WEB,
    WEB_0,
    Voted,
    exported,
    key,
    made,
    said,
    sink,
    writing,
)


@pytest.mark.promise("R-17")
async def test_a_record_of_ours_that_is_edited_or_deleted_by_hand_is_put_right_once_and_the_log_says_why() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        out.store.edit(ONLY, WEB_0, encode([endpoint("10.0.0.1:80", weight=7)]))
        await clock.advance(1)
        out.store.remove(ONLY, key("shop/api#0"))
        await clock.advance(30)
        assert said(out.store) == {"shop/api": hosts(2, net="10.1"), "shop/web": hosts(3)}
        assert made(out)[2:] == ["put shop/web#0", "put shop/api#0"]
        assert [(one["why"], one["first"]) for one in run.log if one["event"] == "put right"] == [
            ("a record of ours was edited", "shop/web"),
            ("a record of ours was deleted", "shop/api"),
        ]


@pytest.mark.promise("R-17")
async def test_an_endpoint_that_somebody_adds_to_a_record_of_ours_goes_again_once_and_the_log_says_why() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        out.store.edit(ONLY, WEB_0, encode([*WEB.endpoints, endpoint("10.9.9.9:80")]))
        await clock.advance(1)
        assert said(out.store)["shop/web"] == hosts(3)
        assert made(out)[2:] == ["put shop/web#0"]
        assert [(one["why"], one["first"]) for one in run.log if one["event"] == "put right"] == [
            ("a record of ours was edited", "shop/web")
        ]
        out.store.edit(ONLY, WEB_0, encode([*WEB.endpoints[:2], endpoint("10.0.0.3:81")]))
        await clock.advance(30)
        assert said(out.store)["shop/web"] == hosts(3)  # a port that somebody changed is taken back likewise


@pytest.mark.promise("R-17")
async def test_so_it_does_where_the_claim_is_seen_before_its_writer_is_answered() -> None:
    class Slow(MemoryRegistry):
        async def claim(self, target: Target, claim: Claim) -> None:
            await super().claim(target, claim)
            await clock.sleep(0.05)

    clock, vms, store = FakeClock(), MemoryRegistry(WEB), Store()
    async with writing(clock, sink(store), vms=vms):
        await clock.advance(1)
    async with writing(clock, Slow(mark=OURS, store=store), vms=vms):
        await clock.advance(1)
        store.edit(ONLY, WEB_0, encode([*WEB.endpoints, endpoint("10.9.9.9:80")]))
        await clock.advance(1)
        assert said(store)["shop/web"] == hosts(3)


async def test_somebody_who_changes_our_record_again_and_again_is_fought_ever_more_slowly() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        for _ in range(600):
            out.store.edit(ONLY, WEB_0, b"[]")
            await clock.advance(1)
        assert 2 < made(out).count("put shop/web#0") < 12
        assert [(one.service, one.kind) for one in exported(run).waits] == [(name("shop/web"), "drift")]
        vms.set(WEB, service("shop/api", *hosts(3, net="10.1")))
        await clock.advance(1)
        assert said(out.store)["shop/api"] == hosts(3, net="10.1")  # its neighbours go on


@pytest.mark.promise("R-18", "law-5")
async def test_a_foreign_record_under_the_name_that_we_want_is_shown_and_not_touched() -> None:
    clock, vms, out = FakeClock(), MemoryRegistry(WEB, API), sink()
    theirs = encode([endpoint("10.9.9.9:80")])
    out.store.foreign(ONLY, "", WEB_0, name("shop/web"), theirs)
    out.store.foreign(ONLY, "other", key("shop/api#0"), name("shop/api"), theirs)
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(600)
        assert out.store.stands() == {key("shop/api#0"): theirs, WEB_0: theirs}
        assert made(out) == []
        withheld = [one for name_, plan in sorted(exported(run).plans.items()) for one in plan.withheld]
        assert [(str(one.service), one.what, one.reason) for one in withheld] == [
            ("shop/api", "shop/api#0", "taken"),
            ("shop/web", "shop/web#0", "taken"),
        ]
        assert "other" in withheld[0].text
        out.store.remove(ONLY, WEB_0)
        await clock.advance(1)
        assert made(out) == ["put shop/web#0"]


@pytest.mark.promise("R-18")
async def test_nothing_of_a_service_is_removed_while_somebody_else_has_the_name_of_one_of_its_records() -> None:
    class Digests(MemoryRegistry):
        """Never puts a record again: what changes gets another name."""

        def fit(self, target: Target, service: Service, holding: Holding) -> tuple[list[Record], Sequence[Problem]]:
            content = encode(service.endpoints)
            return [Record(key(f"{service.name}#{len(service.endpoints)}"), service.name, content)], ()

    clock, vms, out = FakeClock(), MemoryRegistry(WEB), Digests(mark=OURS)
    out.set()
    async with writing(clock, out, vms=vms):
        await clock.advance(1)
        out.store.foreign(ONLY, "other", key("shop/web#4"), name("shop/web"), b"[]")
        vms.set(service("shop/web", *hosts(4)))
        await clock.advance(600)
        assert said(out.store)["shop/web"] == hosts(3)
        out.store.remove(ONLY, key("shop/web#4"))
        await clock.advance(1)
        assert made(out) == ["put shop/web#3", "put shop/web#4", "remove shop/web#3"]


async def test_only_who_writes_says_that_something_is_put_right() -> None:
    clock, store = FakeClock(), Store()
    lead, follow = Voted("one", Term(1, 1e9)), Voted("one")
    vms = MemoryRegistry(WEB)
    async with (
        writing(clock, sink(store), elector=lead, vms=vms),
        writing(clock, sink(store), elector=follow, vms=vms) as two,
    ):
        await clock.advance(1)
        store.edit(ONLY, WEB_0, b"[]")
        await clock.advance(1)
        assert said(store) == {"shop/web": hosts(3)}
        assert two.events("put right") == ["put right"]  # the log is that of both


async def test_two_services_whose_names_come_to_one_key_do_not_overwrite_each_other() -> None:
    class Narrow(MemoryRegistry):
        """Knows no hyphens."""

        def fit(self, target: Target, service: Service, holding: Holding) -> tuple[list[Record], Sequence[Problem]]:
            records, problems = super().fit(target, service, holding)
            return [replace(one, key=key(one.key.replace("-", ""))) for one in records], problems

    clock, vms = FakeClock(), MemoryRegistry(service("shop/we-b", "10.1.0.9:80"), API)
    out = Narrow(mark=OURS)
    out.set()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        vms.set(service("shop/we-b", "10.1.0.9:80"), WEB, API)
        await clock.advance(600)
        assert said(out.store) == {"shop/api": hosts(2, net="10.1"), "shop/we-b": ["10.1.0.9:80"]}
        assert [str(one) for one in exported(run).plans[name("shop/web")].withheld] == [
            "shop/web: shop/web#0: is the record of shop/we-b; export one of them under another name"
        ]
        assert len(out.writes) == 2
    fresh = Narrow(mark=OURS, store=out.store)
    async with writing(clock, fresh, vms=MemoryRegistry(WEB, API)) as run:
        await clock.advance(60)
        assert fresh.writes == []  # whose record stands there has the key, for as long as it stands
        await clock.advance(AGREEMENT)
        assert said(out.store)["shop/web"] == hosts(3)
        assert exported(run).state is State.IN_STEP


class Flat(MemoryRegistry):
    """Calls a service there as it is called here, whatever its namespace."""

    def fit(self, target: Target, service: Service, holding: Holding) -> tuple[list[Record], Sequence[Problem]]:
        records, problems = super().fit(target, service, holding)
        return [replace(one, names=(key(service.name.name),)) for one in records], problems


async def test_of_two_services_that_are_called_the_same_there_one_is_written_and_one_line_names_both() -> None:
    clock, out = FakeClock(), Flat(mark=OURS)
    vms = MemoryRegistry(service("shop/web", *hosts(3)), service("data/web", "10.1.0.9:80"))
    out.set()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(600)
        assert said(out.store) == {"data/web": ["10.1.0.9:80"]}
        assert made(out) == ["put data/web#0"], "the other one is seen before it is written"
        assert [str(one) for one in exported(run).plans[name("shop/web")].withheld] == [
            "shop/web: web: is what data/web is called there; give one of them another name, or export one of them only"
        ]
        vms.set(service("shop/web", *hosts(3)))
        await clock.advance(AGREEMENT + 60)
        assert said(out.store) == {"shop/web": hosts(3)}


async def test_who_is_called_so_there_stays_whoever_comes() -> None:
    clock, out = FakeClock(), Flat(mark=OURS)
    vms = MemoryRegistry(service("shop/web", *hosts(3)))
    out.set()
    async with writing(clock, out, vms=vms) as run:
        await clock.advance(1)
        vms.set(service("shop/web", *hosts(2)), service("data/web", "10.1.0.9:80"))
        await clock.advance(600)
        assert said(out.store) == {"shop/web": hosts(2)}
        assert not exported(run).plans[name("data/web")].changes

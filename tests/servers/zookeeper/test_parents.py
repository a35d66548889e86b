"""What becomes of the znodes above records when nothing is left in them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import pytest
from kazoo.exceptions import NoNodeError
from kazoo.security import make_acl

from adapters.zookeeper.claims import ROOT
from bridge.adapter import Remove
from bridge.model import Service
from bridge.testing.conformance.samples import API, OURS, THEIRS, WEB, service
from bridge.testing.conformance.wrote import Wrote, writing
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.bench import ZooKeeperBench
from tests.servers.zookeeper.hand import Hand

pytestmark = pytest.mark.usefixtures("unhurried")


class DeepBench(ZooKeeperBench):
    """Its services are two levels below the root."""

    below = "{env}/{name}"
    where: ClassVar[Mapping[str, str]] = {"env": "prod"}


@pytest.fixture
async def bench(hand: Hand, proxy: FaultProxy) -> ZooKeeperBench:
    return await ZooKeeperBench.made(hand, proxy)


async def notes(hand: Hand, owner: str = OURS.owner) -> list[str]:
    """The paths that are noted as ours, sorted."""
    found = [path for path in await hand.all(f"{ROOT}/{owner}") if path.count("/") == 4]
    return sorted([(await hand.read(path)).decode() for path in found])


async def leave(wrote: Wrote, said: Service) -> None:
    """Remove all of a service."""
    for record in wrote.holding(said.name).records:
        await wrote.apply(Remove(record))
    await wrote.gone(said.name)


async def test_the_last_record_of_a_service_takes_the_znode_that_we_made_for_it_along(
    hand: Hand, bench: ZooKeeperBench
) -> None:
    async with writing(bench) as wrote:
        await wrote.say(WEB)
        await wrote.say(API)
        assert await notes(hand) == [f"{bench.root}/api", f"{bench.root}/web"]
        await wrote.say(service("web", "10.20.0.1"))
        assert await hand.names(bench.root) == ["api", "web"], "one is left"
        await leave(wrote, WEB)
        assert await hand.names(bench.root) == ["api"]
        assert await notes(hand) == [f"{bench.root}/api"]
        await leave(wrote, API)
        assert await hand.names(bench.root) == []
        assert await hand.stat(bench.root), "the root is where readers begin, and stays"
        await wrote.say(WEB)
        assert await notes(hand) == [f"{bench.root}/web"]


async def test_a_znode_that_others_made_stays(hand: Hand, bench: ZooKeeperBench) -> None:
    await hand.make(f"{bench.root}/web")
    async with writing(bench) as wrote:
        await wrote.say(WEB)
        assert await notes(hand) == []
        await leave(wrote, WEB)
        assert await hand.names(bench.root) == ["web"]


async def test_a_znode_that_others_made_anew_in_the_place_of_ours_stays_until_it_is_ours_again(
    hand: Hand, bench: ZooKeeperBench
) -> None:
    async with writing(bench) as wrote:
        await wrote.say(WEB)
        await hand.remove(f"{bench.root}/web")
        await hand.make(f"{bench.root}/web")
        await wrote.gone(WEB.name)
        await wrote.say(WEB)
        await leave(wrote, WEB)
        assert await hand.names(bench.root) == ["web"]
        await hand.remove(f"{bench.root}/web")
        await wrote.watched.again()
        await wrote.say(WEB)
        await leave(wrote, WEB)
        assert await hand.names(bench.root) == []
        assert await notes(hand) == []


@pytest.mark.promise("law-5")
async def test_a_znode_that_others_use_stays(hand: Hand, bench: ZooKeeperBench) -> None:
    async with writing(bench) as wrote:
        await wrote.say(WEB)
        await wrote.say(API)
        await bench.put(WEB)
        await hand.write(f"{bench.root}/api", b"{}")
        await leave(wrote, WEB)
        await leave(wrote, API)
        assert await hand.names(bench.root) == ["api", "web"]
        assert len(await hand.names(f"{bench.root}/web")) == len(WEB.endpoints)
        assert await hand.read(f"{bench.root}/api") == b"{}"


@pytest.mark.promise("law-5")
async def test_who_registers_while_the_last_of_ours_goes_is_never_lost(hand: Hand, bench: ZooKeeperBench) -> None:
    async with writing(bench) as wrote:
        stood = 0
        for number in range(40):
            await wrote.say(service("web", "10.20.0.1"))
            (record,) = wrote.holding(WEB.name).records
            path = f"{bench.root}/web/native-{number}"

            async def registers(path: str = path, after: float = number / 10_000) -> bool:
                await asyncio.sleep(after)
                try:
                    await hand.do(hand.kazoo.create, path)
                except NoNodeError:
                    return False  # as Curator's then makes the znode above, and tries again
                return True

            came, _ = await asyncio.gather(registers(), wrote.apply(Remove(record)))
            assert bool(await hand.stat(path)) == came
            stood += came
            await hand.remove(path)
            await wrote.watched.again()
        print(f"{stood} of 40 came first")


async def test_where_we_may_not_delete_it_the_record_goes_all_the_same(hand: Hand, bench: ZooKeeperBench) -> None:
    async with writing(bench) as wrote:
        await wrote.say(WEB)
        may = make_acl("world", "anyone", read=True, write=True, create=True, admin=True)
        await hand.do(hand.kazoo.set_acls, bench.root, [may])
        await leave(wrote, WEB)
        assert await hand.all(bench.root) == [bench.root, f"{bench.root}/web"]


async def test_levels_between_the_root_and_a_service_go_when_the_last_service_does(
    hand: Hand, proxy: FaultProxy
) -> None:
    bench = await DeepBench.made(hand, proxy)
    async with writing(bench) as wrote:
        await wrote.say(WEB)
        await wrote.say(API)
        await leave(wrote, WEB)
        assert await hand.all(f"{bench.root}/prod") == [
            f"{bench.root}/prod",
            f"{bench.root}/prod/api",
            *[f"{bench.root}/prod/api/{name}" for name in await hand.names(f"{bench.root}/prod/api")],
        ]
        await leave(wrote, API)
        assert await hand.names(bench.root) == []
        assert await notes(hand) == []


async def test_of_two_bridges_the_one_that_made_it_takes_it_along_and_only_empty(
    hand: Hand, bench: ZooKeeperBench
) -> None:
    async with writing(bench) as ours, writing(bench, THEIRS) as theirs:
        await ours.say(WEB)
        await theirs.say(WEB)
        await leave(theirs, WEB)
        assert await hand.names(bench.root) == ["web"]
        assert len(await hand.names(f"{bench.root}/web")) == 3
        await leave(ours, WEB)
        assert await hand.names(bench.root) == []


async def test_what_stands_empty_above_records_that_went_without_us_goes_with_the_next_beat(
    hand: Hand, proxy: FaultProxy
) -> None:
    """With a hand, and with a session; Spring's clients would list the service for ever."""
    bench = await ZooKeeperBench.made(hand, proxy, ephemeral=True)
    await hand.make(f"{bench.root}/theirs")
    async with writing(bench) as before:
        await before.say(WEB)
        await before.say(API)
        for name in await hand.names(f"{bench.root}/api"):
            await hand.remove(f"{bench.root}/api/{name}")
        await before.gone(API.name)
        await before.claim(2)
        assert await hand.names(bench.root) == ["theirs", "web"]
    await hand.until_empty(f"{bench.root}/web")
    async with writing(bench, term=3) as wrote:
        assert await hand.names(bench.root) == ["theirs"]
        assert await notes(hand) == []
        await wrote.say(WEB)
        await wrote.claim(4)
        assert len(await hand.names(f"{bench.root}/web")) == 3


async def test_what_an_owner_made_whose_records_were_taken_over_goes_with_the_last_of_them(
    hand: Hand, bench: ZooKeeperBench
) -> None:
    async with writing(bench, THEIRS) as before:
        await before.say(WEB)
        await before.say(API)
        async with writing(bench) as wrote:
            await leave(before, WEB)
            for record in before.holding(API.name).records:
                await hand.remove(record.revision.path)  # type: ignore[union-attr]
            await before.gone(API.name)
            await wrote.claim(2)
            assert await hand.names(bench.root) == ["api"], "who made it may write into it again"
            (theirs,) = (one for one in wrote.claims() if one.owner == THEIRS.owner)
            await wrote.sink.claim(wrote.target, replace(theirs, tombstone=True))
            await wrote.watched.until(lambda: any(one.tombstone for one in wrote.claims()), "the tombstone")
            await wrote.claim(3)
            assert await hand.names(bench.root) == []
            assert await notes(hand, THEIRS.owner) == []


@pytest.mark.promise("R-20", "law-6")
async def test_a_leader_of_before_takes_nothing_along(hand: Hand, bench: ZooKeeperBench) -> None:
    async with writing(bench) as old:
        (record,) = (await old.say(service("web", "10.20.0.1"))).records
        async with writing(bench, term=2):
            with pytest.raises(Exception, match="another one has claimed it"):
                await old.apply(Remove(record))
            assert len(await hand.names(f"{bench.root}/web")) == 1


@pytest.mark.parametrize("dialect", ["nerve", "serverset", "plain", "party", "kingpin"])
async def test_where_readers_would_not_see_it_come_back_it_stays_empty(
    hand: Hand, proxy: FaultProxy, dialect: str
) -> None:
    """Synapse gives up on a service whose znode is not there; kazoo's watchers end with it."""
    bench = await ZooKeeperBench.made(hand, proxy, dialect)
    async with writing(bench) as wrote:
        await wrote.say(WEB)
        await leave(wrote, WEB)
        assert await hand.all(bench.root) == [bench.root, f"{bench.root}/web"]
        assert await notes(hand) == []


async def test_where_dubbo_keeps_providers_that_znode_stays(hand: Hand, proxy: FaultProxy) -> None:
    """Dubbo remembers which znodes it has seen, and never makes them again."""
    bench = await ZooKeeperBench.made(hand, proxy, "dubbo")
    async with writing(bench) as wrote:
        await wrote.say(WEB)
        await leave(wrote, WEB)
        assert await hand.all(bench.root) == [bench.root, f"{bench.root}/web", f"{bench.root}/web/providers"]

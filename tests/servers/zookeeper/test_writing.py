"""What is written into a real ZooKeeper, and what becomes of it there."""

import asyncio
import secrets
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.zookeeper import claims
from adapters.zookeeper.mirror import JAVA_LIMIT
from bridge.adapter import Put, Remove
from bridge.errors import Conflict, Rejected
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Port, Service
from bridge.testing.conformance.samples import OURS, THEIRS, WEB, service
from bridge.testing.conformance.wrote import writing
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.bench import ZooKeeperBench
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.known import digest, write_one
from tests.servers.zookeeper.server import ZooKeeper

pytestmark = pytest.mark.usefixtures("unhurried")

PORTS = (Port("http", 8080),)
DIALECTS = ("curator", "spring", "serverset", "nerve", "dubbo", "dubbo-app", "plain", "party", "kingpin")

in_each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


async def names(hand: Hand, bench: ZooKeeperBench, name: str = "web") -> list[str]:
    return await hand.names(f"{bench.root}/{name}")


async def state(hand: Hand, bench: ZooKeeperBench) -> dict[str, tuple[int, int]]:
    """Everything but claims, by its path: the transactions that made it and that last changed it."""
    tops = [f"/{name}" for name in await hand.names("/") if name not in ("zookeeper", "registry-bridge")]
    paths = [path for top in tops if bench.root in top for path in await hand.all(top)]
    stats = {path: await hand.stat(path) for path in paths}
    return {path: (stat.czxid, stat.mzxid) for path, stat in stats.items()}


async def test_a_znode_that_is_made_ends_with_the_bridge_only_where_it_is_told_to(
    hand: Hand, proxy: FaultProxy
) -> None:
    stays = await ZooKeeperBench.made(hand, proxy)
    ends = await ZooKeeperBench.made(hand, proxy, ephemeral=True)
    for bench in (stays, ends):
        async with writing(bench) as wrote:
            await wrote.say(WEB)
            assert len(await names(hand, bench)) == 3
    await hand.until_empty(f"{ends.root}/web")
    assert len(await names(hand, stays)) == 3


@in_each_dialect
async def test_what_ends_with_a_session_of_before_is_written_anew_before_it_is_gone(
    hand: Hand, proxy: FaultProxy, dialect: str
) -> None:
    """Also where a name says all: whose session it ends with, a name does not say."""
    bench = await ZooKeeperBench.made(hand, proxy, dialect, ephemeral=True)

    async def sessions() -> set[int]:
        stats = [await hand.stat(path) for path in await hand.all(f"{bench.root}/web")]
        return {stat.ephemeralOwner for stat in stats} - {0}

    async with writing(bench) as before:
        await before.say(WEB)
        first = await sessions()
        async with writing(bench, term=0) as wrote:
            assert len(wrote.plan(WEB)) == 3
            await wrote.say(WEB)
            assert len(first) == len(await sessions()) == 1
            assert first != await sessions()
        # and when the session that they end with now is gone, they are
        async with asyncio.timeout(bench.patience):
            while await sessions():
                await asyncio.sleep(0.05)


async def test_a_change_is_made_before_the_old_one_ends_where_data_are_read_once(hand: Hand, proxy: FaultProxy) -> None:
    bench = await ZooKeeperBench.made(hand, proxy, "nerve")
    async with writing(bench) as wrote:
        await wrote.say(service("web", "10.20.0.1"))
        (before,) = await names(hand, bench)
        seen: list[set[str]] = []
        heavier = Service.of(WEB.name, [Endpoint("10.20.0.1", PORTS, weight=7)])
        for change in wrote.plan(heavier):
            await wrote.apply(change)
            seen.append(set(await names(hand, bench)))
        assert before in seen[0]
        assert len(seen[0]) == 2
        assert before not in seen[1]


@pytest.mark.promise("R-17")
async def test_what_a_hand_edited_is_put_right_by_a_new_znode_where_data_are_read_once(
    hand: Hand, proxy: FaultProxy
) -> None:
    bench = await ZooKeeperBench.made(hand, proxy, "serverset")
    async with writing(bench) as wrote:
        (record,) = (await wrote.say(service("web", "10.20.0.1"))).records
        await bench.edit(OURS, record)
        await wrote.watched.until(lambda: bool(wrote.plan(service("web", "10.20.0.1"))), "the edit")
        (change,) = wrote.plan(service("web", "10.20.0.1"))
        assert isinstance(change, Put)
        (before,) = await names(hand, bench)
        await wrote.apply(change)
        (after,) = await names(hand, bench)
        assert after != before


@pytest.mark.promise("R-18", "law-5")
async def test_a_znode_that_somebody_made_anew_at_our_place_is_not_ours_any_more(hand: Hand, proxy: FaultProxy) -> None:
    bench = await ZooKeeperBench.made(hand, proxy, "plain")
    async with writing(bench) as wrote:
        (record,) = (await wrote.say(service("web", "10.20.0.1"))).records
        heavier = Service.of(WEB.name, [Endpoint("10.20.0.1", PORTS, weight=7)])
        stale = [*wrote.plan(heavier), Remove(record)]
        path = f"{bench.root}/web/10.20.0.1:8080"
        await hand.remove(path)
        await hand.make(path, b"theirs")
        for change in stale:
            with pytest.raises(Conflict):
                await wrote.apply(change)
        assert await hand.read(path) == b"theirs"


@pytest.mark.promise("R-20", "law-6")
@in_each_dialect
async def test_a_leader_of_before_cannot_write_whatever_it_knows(hand: Hand, proxy: FaultProxy, dialect: str) -> None:
    """Neither a record nor what stands above or beside one; and it takes nothing away."""
    bench = await ZooKeeperBench.made(hand, proxy, dialect)
    heavier = Service.of(WEB.name, [Endpoint(one.address, PORTS, weight=7) for one in WEB.endpoints])
    async with writing(bench) as old:
        await old.say(WEB)
        if dialect == "dubbo-app":
            await hand.write(f"{bench.root}-dubbo/mapping/com.ex.Foo", b"legacy")
        says = (service("new", "10.20.0.8"), service("web", "10.20.0.7"), heavier, Service(WEB.name))
        changes = [change for said in says for change in old.plan(said)]
        assert {type(change) for change in changes} == {Put, Remove}
        async with writing(bench, term=2):
            stood = await state(hand, bench)
            for change in changes:
                with pytest.raises(Conflict, match="another one has claimed it"):
                    await old.apply(change)
            assert await state(hand, bench) == stood


@pytest.mark.promise("R-19", "law-6")
async def test_a_claim_that_somebody_made_anew_is_not_the_one_that_was_seen(hand: Hand, proxy: FaultProxy) -> None:
    """Its version is the same again."""
    bench = await ZooKeeperBench.made(hand, proxy)
    async with writing(bench) as wrote:
        (seen,) = wrote.claims()
        path = claims.path(seen.owner, wrote.target)
        said = await hand.read(path)
        await hand.remove(path)
        await hand.make(path, said)
        with pytest.raises(Conflict, match="another one has claimed it"):
            await wrote.sink.claim(wrote.target, replace(seen, beat=seen.beat + 30))
        assert await hand.read(path) == said


async def test_a_claim_and_writes_that_go_side_by_side_do_not_fence_each_other_off(
    hand: Hand, proxy: FaultProxy
) -> None:
    bench = await ZooKeeperBench.made(hand, proxy)
    async with writing(bench) as wrote:
        them = [service(f"s{number}", f"10.20.5.{number + 1}") for number in range(60)]

        async def beat() -> None:
            for _ in range(5):
                (claim,) = wrote.claims()
                await wrote.sink.claim(wrote.target, replace(claim, beat=claim.beat + 30))
                await wrote.watched.until(lambda before=claim: wrote.claims() != (before,), "the beat")

        beating = asyncio.create_task(beat())
        await asyncio.gather(*(wrote.apply(change) for one in them for change in wrote.plan(one)))
        await beating
        await wrote.watched.until(lambda: not any(map(wrote.plan, them)), "all of them")


async def test_a_list_of_children_stays_within_what_clients_in_java_take(hand: Hand, proxy: FaultProxy) -> None:
    bench = await ZooKeeperBench.made(hand, proxy)
    await hand.make(f"{bench.root}/web")
    many = 4_280
    await hand.many((f"{bench.root}/web/{number:04}-{'x' * 236}", b"{}") for number in range(many))
    async with writing(bench) as wrote:
        (change, *_) = wrote.plan(WEB)
        with pytest.raises(Rejected) as refused:
            await wrote.apply(change)
        assert "clients written in Java take 1,048,575" in str(refused.value)
        assert len(await names(hand, bench)) == many


async def test_whatever_is_written_at_once_does_not_make_a_list_too_long(hand: Hand, proxy: FaultProxy) -> None:
    bench = await ZooKeeperBench.made(hand, proxy)
    await hand.make(f"{bench.root}/web")
    await hand.many((f"{bench.root}/web/{number:04}-{'x' * 236}", b"{}") for number in range(4_279))
    async with writing(bench) as wrote:
        changes = wrote.plan(service("web", *(f"10.20.0.{number}" for number in range(1, 9))))
        done = await asyncio.gather(*map(wrote.apply, changes), return_exceptions=True)
        assert Counter(map(type, done)) == {type(None): 3, Rejected: 5}
        assert sum(len(name) + 4 for name in await names(hand, bench)) <= JAVA_LIMIT


@pytest.mark.promise("S-06")
async def test_a_record_that_nobody_would_read_again_is_not_written(hand: Hand, proxy: FaultProxy) -> None:
    bench = await ZooKeeperBench.made(hand, proxy, "spring")
    async with writing(bench) as wrote:
        long = tuple((f"k{number:02}", "\N{SPIRAL SHELL}" * 1_000) for number in range(17))
        (change,) = wrote.plan(Service.of(WEB.name, [Endpoint("10.20.0.1", PORTS, metadata=long)]))
        with pytest.raises(Rejected, match="65,536"):
            await wrote.apply(change)
        assert await names(hand, bench) == []


async def test_a_parent_that_vanishes_is_made_again_and_stays(hand: Hand, proxy: FaultProxy) -> None:
    bench = await ZooKeeperBench.made(hand, proxy)
    async with writing(bench) as wrote:
        await wrote.say(WEB)
        await hand.remove(bench.root)
        await wrote.gone(WEB.name)
        for change in wrote.plan(WEB):
            await wrote.apply(change)
        assert len(await names(hand, bench)) == 3


async def test_a_service_whose_znode_vanishes_under_a_write_is_written_all_the_same(
    hand: Hand, proxy: FaultProxy
) -> None:
    bench = await ZooKeeperBench.made(hand, proxy)
    async with writing(bench) as wrote:
        (record,) = wrote.fit(service("web", "10.20.0.1"))[0]
        for _ in range(20):
            await wrote.apply(Put(record, None))
            await wrote.watched.until(lambda: bool(wrote.holding(WEB.name).records), "that it is there")
            await hand.remove(f"{bench.root}/web")
        await wrote.apply(Put(record, None))
        assert len(await names(hand, bench)) == 1


async def test_applications_of_dubbo_are_mapped_before_they_are_there_and_others_stay_mapped(
    hand: Hand, proxy: FaultProxy
) -> None:
    bench = await ZooKeeperBench.made(hand, proxy, "dubbo-app")
    mapping = f"{bench.root}-dubbo/mapping/com.ex.Foo"
    await hand.make(mapping, b"legacy")
    async with writing(bench) as wrote:
        await wrote.say(WEB)
        await wrote.say(service("api", "10.20.0.9"))
        assert await hand.read(mapping) == b"legacy,web,api"
        (revision,) = await hand.names(f"{bench.root}-dubbo/metadata/web")
        assert revision.encode() in await hand.read(f"{bench.root}/web/{(await names(hand, bench))[0]}")


async def test_where_we_are_known_only_we_may_change_our_records_and_everybody_reads_them(
    standing: ZooKeeper, hand: Hand, tmp_path: Path
) -> None:
    root = f"/services-{secrets.token_hex(4)}"
    await write_one(standing.hosts, root, digest(tmp_path, "bridge:canary"))
    (name,) = await hand.names(f"{root}/web")
    acls, _ = await hand.do(hand.kazoo.get_acls, f"{root}/web/{name}")
    assert sorted((one.id.scheme, one.perms) for one in acls) == [("digest", 31), ("world", 1)]
    (open_,), _ = await hand.do(hand.kazoo.get_acls, f"{root}/web")
    assert (open_.id.scheme, open_.perms) == ("world", 31)


@pytest.mark.promise("R-19")
async def test_the_claims_of_others_are_told_to_who_only_reads(hand: Hand, proxy: FaultProxy) -> None:
    bench = await ZooKeeperBench.made(hand, proxy)
    async with writing(bench, THEIRS):
        views = bench.open().observe()
        view = await anext(views)
        assert [(of, claim.owner) for of, claim in view.others] == [(f"{bench.root}/{{name}}", THEIRS.owner)]
        await views.aclose()


async def test_who_only_reads_reads_on_where_it_may_not_see_a_claim_and_is_told(hand: Hand, proxy: FaultProxy) -> None:
    bench = await ZooKeeperBench.made(hand, proxy)
    locked = f"{claims.ROOT}/locked-{secrets.token_hex(4)}"
    await hand.make(f"{locked}/claim")
    await hand.keep(locked)
    try:
        views = bench.open().observe()
        view = await anext(views)
        (told,) = [one for one in view.problems if one.kind == "claims"]
        assert (told.where, view.unread) == (locked, ())
        assert "may not be read by us; give us `r` there" in told.what
        await views.aclose()
    finally:
        await hand.share(locked)


async def test_two_bridges_that_write_one_tree_in_two_ways_are_told_of_each_other(
    hand: Hand, proxy: FaultProxy
) -> None:
    bench = await ZooKeeperBench.made(hand, proxy)
    other = await ZooKeeperBench.made(hand, proxy, "nerve", path=f"{bench.root}/{{name}}")
    deeper = await ZooKeeperBench.made(hand, proxy, path=f"{bench.root}/web/{{name}}")
    alike = await ZooKeeperBench.made(hand, proxy, path=f"{bench.root}/{{name}}")
    async with writing(bench) as ours:

        def clashes() -> list[str]:
            return [one.what for one in ours.watched.now.problems if one.kind == "clash"]

        async with writing(alike, THEIRS):
            await ours.watched.until(lambda: len(ours.claims()) == 2, "their claim")
            assert clashes() == []
        for bench_, mark in ((other, Mark("second", "one")), (deeper, Mark("third", "one"))):
            async with writing(bench_, mark) as theirs:
                await ours.watched.until(lambda mark=mark: any(mark.owner in one for one in clashes()), "the clash")
                assert [one.kind for one in theirs.watched.now.problems].count("clash") >= 1, "they are told too"
        await hand.remove("/registry-bridge/second")
        await hand.remove("/registry-bridge/third")
        await ours.watched.until(lambda: clashes() == [], "that they are gone")

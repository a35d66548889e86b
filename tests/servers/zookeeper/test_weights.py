"""Weights of ServerSets on a real ZooKeeper."""

import pytest

from bridge.model import Endpoint, Port, Service
from bridge.testing.conformance.samples import OURS, THEIRS, WEB
from bridge.testing.conformance.watching import watching
from bridge.testing.conformance.wrote import Wrote, writing
from bridge.testing.proxy import FaultProxy
from tests.servers.zookeeper.bench import ZooKeeperBench
from tests.servers.zookeeper.hand import Hand

pytestmark = pytest.mark.usefixtures("unhurried")

PORTS = (Port("http", 8080), Port("admin", 8081))


def weighed(**weights: int) -> Service:
    """`weighed(a=3)`: 10.20.0.1, with that weight."""
    return Service.of(WEB.name, [Endpoint(f"10.20.0.{ord(one) - 96}", PORTS, weight=w) for one, w in weights.items()])


def read(wrote: Wrote) -> dict[str, int]:
    """The weights of ours, as we read them back."""
    return weights(Service(WEB.name, wrote.holding(WEB.name).endpoints))


def weights(service: Service | None) -> dict[str, int]:
    """By address; none of no service."""
    return {one.address: one.weight for one in service.endpoints} if service is not None else {}


@pytest.fixture
async def bench(hand: Hand, proxy: FaultProxy) -> ZooKeeperBench:
    return await ZooKeeperBench.made(hand, proxy, "serverset")


async def test_the_weights_that_are_written_are_read_back_by_us_and_by_another_bridge(bench: ZooKeeperBench) -> None:
    async with writing(bench) as wrote, watching(bench, bench.open(THEIRS)) as theirs:
        for said in (weighed(a=1, b=3), weighed(a=5, b=3, c=65_535), weighed(b=7), weighed(a=1, b=1)):
            assert not wrote.fit(said)[1], "nothing is left unsaid"
            assert (await wrote.say(said)).endpoints == said.endpoints
            await theirs.until(
                lambda said=said: weights(theirs.service(WEB.name)) == weights(said),
                "that others read the same weights",
            )


async def test_a_service_that_is_gone_leaves_no_weight_behind(hand: Hand, bench: ZooKeeperBench) -> None:
    async with writing(bench) as wrote:
        await wrote.say(weighed(a=2, b=3))
        assert len(await hand.names(f"{bench.root}/web")) == 4
        await wrote.say(Service.of(WEB.name, []))
        assert await hand.names(f"{bench.root}/web") == []


@pytest.mark.promise("R-05")
async def test_what_ends_with_a_session_of_before_is_written_anew_with_its_weight(
    hand: Hand, proxy: FaultProxy
) -> None:
    bench = await ZooKeeperBench.made(hand, proxy, "serverset", ephemeral=True)
    async with writing(bench) as before:
        await before.say(weighed(a=1, b=3))
        async with writing(bench, term=2) as wrote:
            await wrote.say(weighed(a=1, b=3))
            assert read(wrote) == {"10.20.0.1": 1, "10.20.0.2": 3}
            stats = [await hand.stat(f"{bench.root}/web/{name}") for name in await hand.names(f"{bench.root}/web")]
            assert len(stats) == 3
            assert len({stat.ephemeralOwner for stat in stats} - {0}) == 1


@pytest.mark.promise("R-17")
async def test_a_weight_that_a_hand_deleted_or_edited_is_put_right(hand: Hand, bench: ZooKeeperBench) -> None:
    async with writing(bench) as wrote:
        await wrote.say(weighed(a=1, b=3))
        for edit in (hand.remove, lambda path: hand.write(path, b'{"vector":[]}')):
            (vector,) = [name for name in await hand.names(f"{bench.root}/web") if name.startswith("vector_")]
            await edit(f"{bench.root}/web/{vector}")
            await wrote.watched.until(lambda: read(wrote) == {"10.20.0.1": 1, "10.20.0.2": 1}, "what the hand did")
            await wrote.say(weighed(a=1, b=3))
            assert read(wrote) == {"10.20.0.1": 1, "10.20.0.2": 3}


@pytest.mark.promise("R-17", "R-18")
async def test_a_member_from_which_a_hand_took_our_mark_is_left_to_it_and_ours_stands_beside(
    hand: Hand, bench: ZooKeeperBench
) -> None:
    async with writing(bench) as wrote:
        (record,) = (await wrote.say(weighed(a=1))).records
        path = record.revision.path  # type: ignore[union-attr]
        theirs = (await hand.read(path)).replace(OURS.owner.encode(), b"").replace(b"10.20.0.1", b"10.20.0.9")
        await hand.write(path, theirs)
        await wrote.watched.until(lambda: not wrote.holding(WEB.name).records, "that it is not ours any more")
        await wrote.say(weighed(a=1))
        await wrote.say(weighed(a=4))
        assert read(wrote) == {"10.20.0.1": 4}
        assert await hand.read(path) == theirs

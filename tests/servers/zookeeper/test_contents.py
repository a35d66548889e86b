"""What stands in a real ZooKeeper, good and bad, and what is read of it."""

import asyncio
import secrets
from collections import Counter

import pytest
from kazoo.security import make_acl

from tests.builders import endpoint
from tests.claims.zookeeper_garbage import MALFORMED
from tests.servers.zookeeper.hand import Hand
from tests.servers.zookeeper.natives import NATIVES
from tests.servers.zookeeper.observing import CURATOR, observing, settings
from tests.servers.zookeeper.records import curator
from tests.servers.zookeeper.server import ZooKeeper

ONE = "10.0.0.1:80"
TWO = "10.0.0.2:80"


@pytest.fixture
def root() -> str:
    """A tree of this test alone, on the session's server."""
    return f"/services-{secrets.token_hex(4)}"


def tree(root: str, **more: object) -> list[dict[str, object]]:
    return [{**CURATOR[0], "path": f"{root}/{{name}}", **more}]


@pytest.mark.promise("R-23", "law-9")
async def test_garbage_among_ten_thousand_costs_itself(standing: ZooKeeper, hand: Hand, root: str) -> None:
    garbage = {
        "bytes": b"\x00\xff\xfe",
        "large": b"[" + b"1," * 520_000 + b"1]",
        "port": curator(ONE).replace(b'"port":80', b'"port":99999'),
        "encoding": curator(ONE).decode().encode("utf-16"),
        "empty": b"",
    }
    await hand.make(root)
    await hand.many(
        (f"{root}/s{number // 10:03}/{number % 10}", curator(f"10.1.{number // 200}.{number % 200 + 1}:80"))
        for number in range(10_000)
    )
    for name, data in garbage.items():
        await hand.make(f"{root}/s000/{name}", data)
    async with observing(settings(standing.hosts, tree(root), session="10s")) as seen:
        await seen.until(lambda: seen.reading.observation is not None)
        assert seen.reading.observation is not None
        assert len(seen.reading.observation.services) == 1_000
        assert sum(len(one.endpoints) for one in seen.reading.observation.services.values()) == 10_000
        told = [one for one in seen.problems if f"{root}/s000/" in one]
        assert len(told) == len(garbage), told


@pytest.mark.promise("R-23", "law-9")
async def test_all_that_is_known_to_be_malformed_in_eleven_dialects_costs_itself_among_ten_thousand(
    standing: ZooKeeper, hand: Hand, root: str
) -> None:
    trees, good, bad = [], {}, []
    for net, (dialect, malformed) in enumerate(MALFORMED.items()):
        trees.append({"path": f"{root}/{dialect}/{{name}}", "dialect": dialect, "namespace": dialect})
        for number in range(910):
            service, where = f"s{number // 10:02}", endpoint(f"10.{net}.{number // 200}.{number % 200 + 1}:80")
            native = NATIVES[dialect](service, where)
            digits = f"{number:010}" if native.sequential else ""
            good[f"{root}/{dialect}/{service}/{native.name}{digits}"] = native.data
        able = [one for one in malformed if one.name and one.name.isprintable()]  # a server takes no other names
        bad += [(f"{root}/{dialect}/s00/{one.key}", one.data) for one in able]
    await hand.many(good.items())
    await hand.many(bad)
    async with observing(settings(standing.hosts, trees, session="10s")) as seen:
        await seen.until(lambda: seen.reading.observation is not None)
        observation = seen.reading.observation
        assert observation is not None
        assert sum(len(one.endpoints) for one in observation.services.values()) == len(good) == 10_010
        assert Counter(one.name.namespace for one in observation.services.values()) == dict.fromkeys(MALFORMED, 91)
        assert len(seen.problems) == len(bad)
        assert all(one.isprintable() and len(one) < 1_000 for one in seen.problems)
        for path, _ in bad:
            await hand.remove(path)
        await seen.until(lambda: not seen.problems)
        assert seen.reading.observation is not None
        assert sum(len(one.endpoints) for one in seen.reading.observation.services.values()) == 10_010


async def test_a_record_that_becomes_garbage_keeps_what_it_said_last(
    standing: ZooKeeper, hand: Hand, root: str
) -> None:
    await hand.say(ONE, TWO, root=root)
    async with observing(settings(standing.hosts, tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == [ONE, TWO])
        await hand.write(f"{root}/web/{ONE}", b"{")
        await seen.until(lambda: any("what it said last stands" in one for one in seen.problems))
        assert seen.served("web") == [ONE, TWO]
        await hand.write(f"{root}/web/{ONE}", curator("10.0.0.9:80"))
        await seen.until(lambda: "10.0.0.9:80" in seen.served("web") and not seen.problems)


@pytest.mark.promise("R-08")
async def test_a_list_that_java_refuses_is_told_with_path_and_limit_and_the_others_go_on(
    standing: ZooKeeper, hand: Hand, root: str
) -> None:
    await hand.say(ONE, service="api", root=root)
    await hand.make(f"{root}/web")
    names = [f"{root}/web/{number:04}-{'x' * 240}" for number in range(4_400)]
    await hand.many((path, curator(ONE)) for path in names)
    async with observing(settings(standing.hosts, tree(root), session="10s")) as seen:
        await seen.until(lambda: seen.served("api") == [ONE])
        (told,) = [one for one in seen.problems if "jute.maxbuffer" in one]
        assert told.startswith(f"{root}/web: ")
        assert "1,048,575" in told
        await hand.say(TWO, service="api", root=root)
        await seen.until(lambda: seen.served("api") == [ONE, TWO])


@pytest.mark.promise("S-02", "S-01")
async def test_addresses_that_no_registry_may_say_are_refused(standing: ZooKeeper, hand: Hand, root: str) -> None:
    await hand.say(ONE, "127.0.0.1:80", "0.0.0.0:80", "169.254.169.254:80", root=root)
    async with observing(settings(standing.hosts, tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == [ONE])
        assert len(seen.problems) == 3


@pytest.mark.promise("S-08", "S-03")
async def test_names_lead_nowhere_else(standing: ZooKeeper, hand: Hand, root: str) -> None:
    for name in ("..%2F..%2Fadmin", "a%5Cb", "kube-system%2Fdns", "web\u2028x", "é"):
        await hand.say(ONE, service=name, root=root)
    await hand.say(ONE, service="web", root=root)
    async with observing(settings(standing.hosts, tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == [ONE])
        assert [str(one) for one in seen.reading.observation.services] == ["shop/web"]  # type: ignore[union-attr]
        assert len(seen.problems) == 5
        assert all(one.isprintable() for one in seen.problems)


@pytest.mark.promise("S-16", "R-39", "law-4")
async def test_a_service_that_may_not_be_read_keeps_its_view_and_the_others_go_on(
    standing: ZooKeeper, hand: Hand, root: str
) -> None:
    for service in ("web", "a", "b", "c", "d", "e", "f"):
        await hand.say(ONE, TWO, service=service, root=root)
    async with observing(settings(standing.hosts, tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == seen.served("f") == [ONE, TWO])
        await hand.keep(f"{root}/web")
        await hand.remove(f"{root}/web/{ONE}")
        seen.refresh()  # for whom may not read no watch is set off
        denied = f"{root}/web: may not be read by us; give us `r` there, or correct `auth`"
        await seen.until(lambda: seen.unread == [denied])
        assert seen.reading.lost is None
        await hand.say("10.0.0.3:80", service="a", root=root)
        await seen.until(lambda: "10.0.0.3:80" in seen.served("a"))
        assert seen.served("web") == [ONE, TWO]
        await hand.share(f"{root}/web")
        await seen.until(lambda: not seen.unread)
        await seen.until(lambda: seen.served("web") == [TWO])


@pytest.mark.promise("S-16", "law-3")
async def test_what_was_never_read_is_told_and_nothing_is_removed_before(
    standing: ZooKeeper, hand: Hand, root: str
) -> None:
    await hand.say(ONE, root=root)
    await hand.say(ONE, service="api", root=root)
    await hand.keep(f"{root}/api")
    async with observing(settings(standing.hosts, tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == [ONE])
        assert "never read" in seen.reading.why
        assert f"{root}/api: may not be read by us" in seen.reading.why
        await hand.share(f"{root}/api")
        await seen.until(lambda: seen.served("api") == [ONE])
        assert seen.reading.lost is None


async def test_children_that_may_be_listed_and_not_read_are_told(standing: ZooKeeper, hand: Hand, root: str) -> None:
    await hand.say(ONE, TWO, root=root)
    await hand.do(hand.kazoo.set_acls, f"{root}/web/{TWO}", [make_acl("world", "anyone", write=True)])
    async with observing(settings(standing.hosts, tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == [ONE])
        assert seen.unread == [f"{root}/web/{TWO}: may not be read by us; give us `r` there, or correct `auth`"]


async def test_a_root_that_vanishes_takes_nothing_along_and_is_read_again_when_it_is_back(
    standing: ZooKeeper, hand: Hand, root: str
) -> None:
    await hand.say(ONE, TWO, root=root)
    async with observing(settings(standing.hosts, tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == [ONE, TWO])
        await hand.remove_at_once(root)
        await seen.until(lambda: f"{root}: is not there" in "".join(seen.unread))
        await asyncio.sleep(4)  # longer than what is small is held
        assert set(seen.served("web")) <= {ONE, TWO, f"{ONE}?", f"{TWO}?"}
        assert len(seen.served("web")) == 2
        await hand.say(ONE, TWO, "10.0.0.3:80", root=root)
        await seen.until(lambda: seen.served("web") == [ONE, TWO, "10.0.0.3:80"])
        assert not seen.unread


async def test_a_tree_that_is_not_there_yet_is_told_and_read_once_it_is(
    standing: ZooKeeper, hand: Hand, root: str
) -> None:
    async with observing(settings(standing.hosts, tree(root))) as seen:
        await seen.until(lambda: f"{root}: is not there; correct the path of the tree" in seen.reading.why)
        assert seen.reading.observation is None
        await hand.say(ONE, root=root)
        await seen.until(lambda: seen.served("web") == [ONE])


async def test_a_tree_that_we_write_too_is_empty_while_it_is_not_there(
    standing: ZooKeeper, hand: Hand, root: str
) -> None:
    """Who makes it is us, once there is something to write: nobody has a path to correct."""
    export = {"path": f"{root}/{{name}}", "dialect": "curator", "services": ["shop/*"], "from": ["vms"]}
    async with observing(settings(standing.hosts, tree(root), export=[export])) as seen:
        await seen.until(lambda: seen.reading.observation is not None)
        assert not seen.unread
        await hand.say(ONE, root=root)
        await seen.until(lambda: seen.served("web") == [ONE])


async def test_a_service_that_is_deleted_and_made_again_is_read_again(
    standing: ZooKeeper, hand: Hand, root: str
) -> None:
    await hand.say(ONE, root=root)
    async with observing(settings(standing.hosts, tree(root))) as seen:
        await seen.until(lambda: seen.served("web") == [ONE])
        for number in range(20):
            await hand.remove(f"{root}/web")
            await hand.say(f"10.0.1.{number + 1}:80", root=root)
        await seen.until(lambda: "10.0.1.20:80" in seen.served("web"))


async def test_the_parts_of_a_path_say_namespace_name_labels_and_locality(
    standing: ZooKeeper, hand: Hand, root: str
) -> None:
    mapping = {
        "path": f"{root}/{{region}}/{{zone}}/{{role}}/{{env}}/*/{{job}}", "name": "{job}", "namespace": "{role}",
        "namespaces": ["shop", "payments"], "where": {"env": ["prod", "canary"]}, "labels": ["env"],
        "locality": {"region": "{region}", "zone": "{zone}"}, "names": {"Old_Cart": "shop/cart"}, "dialect": "plain",
    }  # fmt: skip
    for path in (
        "eu/dc1/shop/prod/v1/Web_Shop/10.0.0.1:80",
        "eu/dc2/shop/canary/v2/Web_Shop/10.0.0.2:80",
        "eu/dc1/shop/test/v1/Web_Shop/10.0.0.3:80",
        "eu/dc1/admin/prod/v1/Web_Shop/10.0.0.4:80",
        "us/dc9/payments/prod/v1/Old_Cart/10.0.0.5:80",
    ):
        await hand.make(f"{root}/{path}")

    def said() -> dict[str, list[tuple[str, str, str]]]:
        return {
            str(of): sorted(
                (str(one.id), "/".join(one.locality[:2]), dict(one.metadata)["env"]) for one in each.endpoints()
            )
            for of, each in seen.catalog.services.items()
        }

    web = [("10.0.0.1:80", "eu/dc1", "prod"), ("10.0.0.2:80", "eu/dc2", "canary")]
    cart = [("10.0.0.5:80", "us/dc9", "prod")]
    async with observing(settings(standing.hosts, [mapping])) as seen:
        await seen.until(lambda: said() == {"shop/web-shop": web, "shop/cart": cart})
        await hand.make(f"{root}/ap/dc5/shop/prod/v7/Web_Shop/10.0.0.6:80")
        web.append(("10.0.0.6:80", "ap/dc5", "prod"))
        await seen.until(lambda: said() == {"shop/web-shop": sorted(web), "shop/cart": cart})
        assert not seen.problems


async def test_a_chroot_that_is_not_there_is_told(standing: ZooKeeper) -> None:
    async with observing(settings(f"{standing.hosts}/no/such")) as seen:
        await seen.until(lambda: "/services: is not there below the chroot /no/such" in seen.reading.why)


async def test_a_chroot_is_where_everything_is(standing: ZooKeeper, hand: Hand, root: str) -> None:
    await hand.say(ONE, root=f"{root}/services")
    async with observing(settings(f"{standing.hosts}{root}")) as seen:
        await seen.until(lambda: seen.served("web") == [ONE])
        await hand.say(TWO, root=f"{root}/services")
        await seen.until(lambda: seen.served("web") == [ONE, TWO])


async def test_a_kafka_brokers_zookeeper_has_no_services(standing: ZooKeeper, hand: Hand, root: str) -> None:
    await hand.make(f"{root}/brokers/ids/1", b"{}")
    async with observing(settings(f"{standing.hosts}{root}")) as seen:
        await seen.until(lambda: "/services: is not there" in seen.reading.why)

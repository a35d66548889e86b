"""What the bridge writes into a real Consul, as Consul's own readers see it; and what it leaves alone."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.consul import spread
from adapters.consul.registry import Consul
from bridge.adapter import Claim, Held, Holding, Observation, Put, Remove, Target
from bridge.errors import Conflict, Denied
from bridge.kit import Kit
from bridge.kit.mark import Mark
from bridge.model import Endpoint, Health, Locality, Port, Service
from bridge.plan import plan
from bridge.runtime.clock import SystemClock
from tests.builders import endpoint, service
from tests.servers.consul import shipped
from tests.servers.consul.hand import entry
from tests.servers.consul.observing import settings
from tests.servers.consul.server import ROOT, Agent
from tests.servers.electing import until

HERE = Target("")
NODE = "registry-bridge-us"
NOTHING = Holding()
US = Mark("us", "one")


class Writer:
    """A sink that is observed, and has claimed its node."""

    def __init__(self, sink: Consul, mark: Mark) -> None:
        self.sink = sink
        self.view: Observation | None = None
        self._mark = mark
        self._task = asyncio.create_task(self._run())

    async def __aenter__(self) -> "Writer":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    @property
    def held(self) -> Held | None:
        return self.view.held.get(HERE) if self.view is not None else None

    @property
    def problems(self) -> list[str]:
        return [str(one) for one in self.view.problems] if self.view is not None else []

    async def claim(self) -> None:
        await until(lambda: self.held is not None, "the target is held")
        assert self.held is not None
        ours = next((one for one in self.held.claims if one.owner == self._mark.owner), None)
        revision, term = (ours.revision, ours.term + 1) if ours is not None else (None, 1)
        beat = SystemClock().wall()
        await self.sink.claim(HERE, Claim(self._mark.owner, self._mark.deployment, term, beat, False, revision))

    async def again(self) -> None:
        """Have everything read anew."""
        assert self.view is not None
        before = self.view.read
        self.sink.refresh()
        await until(lambda: self.view is not None and self.view.read > before, "a new reading")

    def left(self, *them: Service) -> list[Put | Remove]:
        """The changes until these are said."""
        assert self.held is not None
        made: list[Put | Remove] = []
        for one in them:
            holding = self.held.holdings.get(one.name, NOTHING)
            made += plan(self.sink.fit(HERE, one, holding)[0], holding).changes
        return made

    async def say(self, *them: Service) -> None:
        """Write these, until nothing is left to do."""
        for change in self.left(*them):
            await self.sink.apply(HERE, change)
        await until(lambda: not self.left(*them), "what was written")

    async def drop(self, *them: Service) -> None:
        """Remove all that stands of these, at once, and see that it is gone."""
        assert self.held is not None
        holdings = self.held.holdings
        gone = [Remove(record) for one in them for record in holdings[one.name].records]
        await asyncio.gather(*(self.sink.apply(HERE, one) for one in gone))
        await until(lambda: self.held is not None and not any(self.held.holdings.get(one.name) for one in them), "gone")

    async def _run(self) -> None:
        async for view in self.sink.observe():
            self.view = view


def writer(
    url: str, folder: Path, token: str = ROOT, mark: Mark = US, *, reads: str = "nothing", **more: Any
) -> Writer:
    """By default the owner `us`; `reads` is a glob over what is read besides, `more` are keys of the export."""
    export = [{"services": ["*"], "from": ["vms"], **more}]
    made = settings(url, folder, token=token, export=export, **{"import": {"services": [reads]}})
    sink = made.open(Kit("consul", SystemClock(), mark))
    assert isinstance(sink, Consul)
    return Writer(sink, mark)


async def test_the_catalog_has_what_was_written_and_health_follows(own: Agent, tmp_path: Path) -> None:
    web = service("shop/web", endpoint("10.1.0.1:8080"), endpoint("10.1.0.2:8080", health=Health.UNHEALTHY))
    async with own.hand() as hand, writer(own.url, tmp_path) as us:
        await us.claim()
        await us.say(web, service("data/db", "10.1.0.9:5432"))
        said = {one["ServiceAddress"]: one for one in await hand.get("catalog/service/web")}
        assert said["10.1.0.1"]["ServicePort"] == 8080
        assert said["10.1.0.1"]["Node"] == NODE
        assert len(await hand.get("health/service/web?passing")) == 1
        assert [one["ServiceAddress"] for one in await hand.get("catalog/service/db-data")] == ["10.1.0.9"]
        await us.say(service("shop/web", endpoint("10.1.0.1:8080"), endpoint("10.1.0.2:8080")))
        assert len(await hand.get("health/service/web?passing")) == 2
        checks = await hand.get(f"health/node/{NODE}")
        assert {one["Definition"] == {} and one["Type"] == "" for one in checks} == {True}


async def test_another_bridge_reads_everything_that_an_endpoint_says(own: Agent, tmp_path: Path) -> None:
    whole = Endpoint(
        "10.1.0.1", (Port("http", 8080), Port("grpc", 9090, app_protocol="h2c")), Health.DRAINING,
        Locality("eu", "eu-1a", "rack-7"), "dc1", 7, "first", metadata=(("version", "2"),),
    )  # fmt: skip
    async with writer(own.url, tmp_path) as us:
        await us.claim()
        await us.say(Service.of(service("shop/web", "10.1.0.1:1").name, [whole]))
        other = settings(own.url, tmp_path).open(Kit("consul", SystemClock(), Mark("them", "one")))
        async for view in other.observe():
            (seen,) = view.services[service("shop/web").name].endpoints
            break
    assert seen.via == "first us"
    assert (seen.ports, seen.health, seen.locality, seen.network, seen.weight, seen.metadata) == (
        whole.ports, whole.health, whole.locality, whole.network, whole.weight, whole.metadata,
    )  # fmt: skip


@pytest.mark.promise("R-18", "law-5")
async def test_a_node_of_somebody_else_is_told_and_never_touched(own: Agent, tmp_path: Path) -> None:
    async with own.hand() as hand:
        await hand.register(entry("web", "10.9.9.9", node=NODE))
        before = await hand.get(f"catalog/node/{NODE}")
        async with writer(own.url, tmp_path) as us:
            await until(lambda: any("belongs to somebody without a mark" in one for one in us.problems), "it is told")
            assert us.held is None
        async with writer(own.url, tmp_path, node=own.node) as us:
            await until(lambda: any("belongs to an agent of Consul" in one for one in us.problems), "it is told")
            assert us.held is None
        assert await hand.get(f"catalog/node/{NODE}") == before


async def test_a_node_whose_mark_was_wiped_or_that_was_deleted_is_put_right(own: Agent, tmp_path: Path) -> None:
    web = service("shop/web", "10.1.0.1:80")
    async with own.hand() as hand, writer(own.url, tmp_path) as us:
        await us.claim()
        await us.say(web)
        await hand.put("catalog/register", {"Node": NODE, "Address": "127.0.0.1"})
        await us.again()
        await us.say(service("shop/web", "10.1.0.1:80", "10.1.0.2:80"))
        assert (await hand.get(f"catalog/node/{NODE}"))["Node"]["Meta"]["registry-bridge-owner"] == "us"
        await hand.put("catalog/deregister", {"Node": NODE})
        await until(lambda: us.held is not None and not us.held.holdings, "it is seen")
        await us.say(web)
        assert len(await hand.get("catalog/service/web")) == 1


@pytest.mark.promise("R-20")
async def test_who_was_succeeded_writes_nothing_more(own: Agent, tmp_path: Path) -> None:
    async with writer(own.url, tmp_path) as old, writer(own.url, tmp_path) as new:
        await old.claim()
        await old.say(service("shop/web", "10.1.0.1:80"))
        await until(lambda: new.held is not None and bool(new.held.claims), "the claim is seen")
        await new.claim()
        with pytest.raises(Conflict, match="index"):
            await old.say(service("shop/web", "10.1.0.2:80"))


@pytest.mark.promise("S-16")
@pytest.mark.parametrize(
    ("right", "missing"),
    [
        ("", ""),
        ('service "ledger"', "service:write"),
        ('node "registry-bridge-prod"', "node:write"),
        ('node_prefix "registry-bridge-prod-"', "node:write"),
        ('key_prefix "registry-bridge/claims/prod/"', "key:write"),
    ],
)
async def test_each_right_of_a_writer_is_needed_and_its_lack_is_denied(
    own: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: str, missing: str
) -> None:
    monkeypatch.setattr(spread, "EACH", 1)
    async with own.hand() as hand:
        ours = shipped.rules("write", right).replace("prod", "us").replace("ledger", "web")
        await hand.policy("writer", shipped.rules("read") + ours)
        token, _ = await hand.token("writer")
        async with writer(own.url, tmp_path, token=token) as us:
            web = service("shop/web", "10.1.0.1:80", "10.1.0.2:80")
            if not missing:
                await us.claim()
                await us.say(web)
                return
            with pytest.raises(Denied, match=f"{missing}.*give the token the right"):  # noqa: PT012
                await us.claim()
                await us.say(web)

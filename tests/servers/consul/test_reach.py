"""How real Consuls are reached: over TLS, as who we are at present, in several datacenters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chaos.test_app import Process, command, started, until_async
from tests.envoy.certificates import Authority
from tests.servers.consul.door import Door
from tests.servers.consul.exporting import Exporter
from tests.servers.consul.hand import entry
from tests.servers.consul.observing import settings
from tests.servers.consul.server import ROOT, Agent, SecureAgent
from tests.servers.exporting import exporting
from tests.servers.observing import observing

ONE, TWO, THREE = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def secure(program: Path, tmp_path: Path, authority: Authority) -> AsyncIterator[SecureAgent]:
    """It believes whom `authority` signed, and is believed by whoever trusts that."""
    authority.install(tmp_path / "server-tls")
    ca, cert, key = (tmp_path / "server-tls" / name for name in ("ca.crt", "tls.crt", "tls.key"))
    async with SecureAgent(program, tmp_path / "server", ca, cert, key) as made:
        yield made


async def test_a_certificate_is_shown_and_another_one_as_soon_as_it_is_there(
    secure: SecureAgent, authority: Authority, tmp_path: Path
) -> None:
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "ours.pem", "ours.key"))
    ca.write_bytes(authority.pem)
    authority.pair("bridge").write(cert, key)
    made = settings(secure.secure, tmp_path, tls={"ca": ca, "cert": cert, "key": key})
    async with secure.hand() as hand, observing(made) as seen:
        await hand.say("web", ONE)
        await seen.until(lambda: seen.served("web") == [ONE])
        Authority("another").pair("bridge").write(cert, key)
        seen.refresh()
        await seen.until(lambda: seen.reading.lost is not None)
        print(seen.reading.why)
        assert seen.served("web") == [ONE]
        authority.pair("bridge").write(cert, key)
        await seen.until(lambda: seen.reading.lost is None)
        await hand.say("web", TWO)
        await seen.until(lambda: seen.served("web") == [ONE, TWO])


@pytest.mark.parametrize(
    ("tls", "why"),
    [
        ({}, "correct `tls.ca` or `url`"),
        ({"ca": "ca.pem"}, "certificate required); write or correct `tls.cert` and `tls.key`"),
        (None, "Client sent an HTTP request to an HTTPS server.'; write `url` with https:"),
    ],
)
async def test_what_does_not_fit_between_two_that_speak_tls_is_one_clear_line(
    secure: SecureAgent, authority: Authority, tmp_path: Path, tls: dict[str, str] | None, why: str
) -> None:
    """Another authority than its own, no certificate of ours, no TLS."""
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    more = {} if tls is None else {"tls": {name: tmp_path / file for name, file in tls.items()}}
    url = secure.secure if tls is not None else secure.secure.replace("https", "http")
    async with observing(settings(url, tmp_path, **more)) as seen:
        await seen.until(lambda: why in seen.reading.why)
        assert seen.reading.observation is None


class Federated(Process):
    """A bridge that reads two datacenters as two registries, through an agent of the first."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self._url = url

    def configure(self, text: str) -> None:
        super().configure(text)
        token = self.folder / "token"
        token.write_text(ROOT)
        said = yaml.safe_load(self.config.read_text())
        consul = {"kind": "consul", "url": self._url, "token_file": str(token), "timeout": "4s", "namespace": "shop"}
        said["registries"] = [
            {"name": "near", **consul, "locality": {"region": "one"}},
            {"name": "far", **consul, "datacenter": "dc2", "locality": {"region": "two"}},
        ]
        self.config.write_text(yaml.safe_dump(said))

    async def sources(self) -> dict[str, dict[str, Any]]:
        """What `show sources` says of each."""
        return {one["name"]: one for one in await self.rows("sources")}


@asynccontextmanager
async def federated(program: Path, folder: Path) -> AsyncIterator[tuple[Agent, Agent]]:
    """A server of `dc1`, and one of `dc2` that is joined to it."""
    async with Agent(program, folder / "one") as one:
        join = {"datacenter": "dc2", "retry_join_wan": [one.wan], "retry_interval_wan": "1s"}
        async with Agent(program, folder / "two", join) as two:
            yield one, two


@pytest.mark.promise("law-4")
async def test_several_datacenters_are_several_registries_and_one_that_is_lost_takes_nothing_along(
    program: Path, tmp_path: Path
) -> None:
    async with federated(program, tmp_path) as (one, two), one.hand() as here, two.hand() as there:
        await here.say("web", ONE)
        await there.say("web", TWO)
        bridge = Federated(tmp_path, one.url)
        async with started(bridge):
            await bridge.until_ready()

            async def both() -> bool:
                states = {name: (row["state"], row["endpoints"]) for name, row in (await bridge.sources()).items()}
                return states == {"near": ("synced", 1), "far": ("synced", 1)}

            await until_async(both, "both are read")
            code, shown, _ = await command("show", "sources", "--config", str(bridge.config))
            print(shown)
            assert code == 0
            assert shown.count("long polls of 1 services") == 2
            await two.kill()

            async def lost() -> bool:
                return (await bridge.sources())["far"]["state"] == "lost"

            await until_async(lost, "the far one is lost")
            await here.say("web", THREE)

            async def arrives() -> bool:
                said = await bridge.sources()
                return (said["near"]["state"], said["near"]["endpoints"], said["far"]["endpoints"]) == ("synced", 2, 1)

            await until_async(arrives, "a change in the near one arrives, and the far one's stand")


TAGS = ["rule=Host(`a`,`b`)", "v2"]


@pytest.mark.promise("law-5")
async def test_what_one_datacenter_has_stands_in_another_one_by_an_agent_of_the_first(
    program: Path, tmp_path: Path
) -> None:
    async with federated(program, tmp_path) as (one, two), one.hand() as here, two.hand() as there:
        said = partial(entry, "Web_Shop", "10.0.0.1", node="vm-1", tags=TAGS, meta={"version": "2"})
        await here.register(said())
        near = {"kind": "consul", "url": one.url, "token_file": str(tmp_path / "token-state"), "namespace": "shop"}
        bridge = Exporter(tmp_path, one.url, there, vms=near, consul={"datacenter": "dc2"})
        bridge.configure("")
        async with exporting(bridge):
            await bridge.until_holds("10.0.0.1", service="web-shop")
            (found,) = await there.get("catalog/service/web-shop")
            meta = {key: value for key, value in found["ServiceMeta"].items() if not key.startswith("registry-bridge-")}
            assert meta == {"registered-as": "Web_Shop", "registered-on": "vm-1", "version": "2"}
            assert found["ServiceTags"] == TAGS
            await here.register(said(status="critical"))

            async def critical() -> bool:
                return [one["Status"] for one in await there.get(f"health/node/{bridge.node}")] == ["critical"]

            await until_async(critical, "its check follows")
            await bridge.until_in_step()
            assert not {"metadata", "parked"} & {one["kind"] for one in await bridge.rows("problems")}
            assert await here.get(f"catalog/node/{bridge.node}") is None
            assert await here.get("kv/?keys") == []


@pytest.mark.promise("law-5")
async def test_a_consul_that_is_reached_in_two_ways_is_not_copied_into_itself_and_both_registries_are_named(
    own: Agent, tmp_path: Path
) -> None:
    async with own.hand() as hand, Door(own.url).opened() as door:
        await hand.say("web", ONE)
        token = str(tmp_path / "token-state")
        again = {"kind": "consul", "url": door.url, "token_file": token, "namespace": "shop"}
        nothing = {"import": {"namespace": "shop", "services": ["none"]}}
        bridge = Exporter(tmp_path, own.url, hand, vms=again, consul=nothing)
        bridge.configure("")
        async with exporting(bridge):
            await bridge.until_problem("same", "vms is the same registry as consul, reached in another way")
            await bridge.until_in_step()
            assert [one["ServiceAddress"] for one in await hand.get("catalog/service/web")] == [ONE.partition(":")[0]]
